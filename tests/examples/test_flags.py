"""The examples take the flags of ``frtune train``, use public names, and are short."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import frtune
import frtune.metrics
import frtune.study
from frtune.cli import main
from scripts import run_script

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))
DOORS = {"frtune": frtune, "frtune.metrics": frtune.metrics, "frtune.study": frtune.study}
LINES = 75  # of code, in the functions of an example
TASKS = {
    "study_embeddings": "classification",
    "train_classifier": "classification",
    "train_invoices": "classification",
    "train_keywords": "keywords",
    "train_kpg": "keyphrases",
    "train_mixup": "classification",
    "train_similarity": "similarity",
}

each_example = pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)


def groups(text: str) -> list[str]:
    """The titles of a help text."""
    return re.findall(r"^(\S.*):$", text, flags=re.M)


def private_names(tree: ast.Module) -> list[str]:
    """What a module takes from frtune that no door lists."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            found += [n for n in names if n.split(".")[0] == "frtune" and n not in DOORS]
        elif isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] == "frtune":
            listed = DOORS[node.module].__all__ if node.module in DOORS else []
            found += [f"{node.module}.{a.name}" for a in node.names if a.name not in listed]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "frtune" and node.attr not in frtune.__all__:
                found.append(f"frtune.{node.attr}")
    return found


def code_lines(source: str) -> int:
    """Lines of code in the functions of a module, without docstrings and comments."""
    lines, count = source.splitlines(), 0
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef):
            first = node.body[0]
            told = range(first.lineno, first.end_lineno + 1) if ast.get_docstring(node) else ()
            kept = [lines[i - 1].strip() for i in range(node.lineno, node.end_lineno + 1)
                    if i not in told]  # fmt: skip
            count += sum(bool(line) and not line.startswith("#") for line in kept)
    return count


def test_every_example_is_known_here():
    assert [path.stem for path in EXAMPLES] == sorted(TASKS)


@each_example
def test_an_example_uses_public_names_only(path):
    assert not private_names(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("line", ["import frtune.models.families", "frtune.models",
                                  "from frtune.study.rows import read_rows",
                                  "from frtune.study import layer_study"])  # fmt: skip
def test_another_name_would_be_seen(line):
    assert private_names(ast.parse(line))


@each_example
def test_an_example_is_short(path):
    assert 20 < code_lines(path.read_text(encoding="utf-8")) <= LINES


@each_example
def test_help_shows_the_groups_of_frtune_train(path, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        main(["train", TASKS[path.stem], "--help"])
    expected = groups(capsys.readouterr().out)
    assert run_script(path, monkeypatch, "--help") == 0
    # examples do without a group whose options they do not act on
    assert groups(capsys.readouterr().out) == [title for title in expected if title != "mixup"]
    assert "training" in expected and "mixup" in expected


@each_example
def test_an_unknown_flag_ends_an_example_with_one_line(path, monkeypatch, capsys):
    assert run_script(path, monkeypatch, "--num-train-epoch", "1") == 2
    printed = capsys.readouterr()
    assert printed.err == (
        f"{path.name}: --num-train-epoch: no such option of {path.name}. "
        f"Did you mean --num-train-epochs? See {path.name} --help.\n"
    )
    assert not printed.out


@each_example
def test_data_that_is_not_there_ends_an_example_with_one_line(path, monkeypatch, capsys, tmp_path):
    missing = str(tmp_path / "missing.csv")
    output = tmp_path / "run"
    assert run_script(path, monkeypatch, "--data", missing, "--output-dir", str(output)) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"{path.name}: ") and missing in told and told.count("\n") == 1
    assert not output.exists() or not any(output.iterdir())


@pytest.mark.parametrize(("name", "flag"), [
    ("train_similarity", "--lora"), ("train_kpg", "--mixup"), ("train_classifier", "--family"),
    ("study_embeddings", "--checkpoint"), ("train_mixup", "--no-proof"),
])  # fmt: skip
def test_an_example_does_not_understand_what_it_would_ignore(name, flag, monkeypatch, capsys):
    path = next(path for path in EXAMPLES if path.stem == name)
    assert run_script(path, monkeypatch, flag) == 2
    assert f"{flag}: no such option of {name}.py" in capsys.readouterr().err
