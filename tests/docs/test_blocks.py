"""Every code block of the documentation runs, or says why it cannot.

A page's Python blocks run in one namespace, in a folder where the names that the pages use for
checkpoints and data are there, tiny. Of shell blocks, each frtune command is parsed by its own
parser; what else they call must exist. A block that cannot run stands under
``<!-- not run: REASON -->``.
"""

from __future__ import annotations

import doctest
import importlib
import os
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest

import frtune
from frtune.cli import COMMANDS
from frtune.cli.arguments import Parser
from frtune.cli.train import SeedOptions
from frtune.cli.train_arguments import parse_train_arguments

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(?:<!-- not run: (.*?) -->\n)?^```(\w*)\n(.*?)^```", re.M | re.S)
# stand in a shell without being frtune's
LAUNCHERS = {"python", "deepspeed", "torchrun", "accelerate", "nohup"}
TOOLS = {
    "printf",
    "pip",
    "git",
    "cd",
    "python3",
    ".",
    "export",
    "docker",
    "transformers",
    "curl",
    "mkdocs",
}
CHECKPOINTS = {
    "almanach/camembert-base": "camembert",
    "google-bert/bert-base-cased": "bert",
    "paust/pko-t5-base": "t5",
    "EleutherAI/polyglot-ko-1.3b": "polyglot",
}
SAMPLES = {
    "classification": ("invoices.csv", "lines.csv", "reviews/train.csv", "reviews/validation.csv"),
    "keywords": ("keywords.csv",),
    "similarity": ("pairs.tsv",),
}


@dataclass(frozen=True)
class Block:
    """A block of code on a page."""

    page: Path
    line: int
    language: str
    code: str
    reason: str | None

    def __str__(self):
        return f"{self.page.name}:{self.line}"


def blocks(language: str) -> list[Block]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in BLOCK.finditer(text):
            line = text.count("\n", 0, match.start(3)) + 1
            found.append(Block(page, line, match[2], match[3], match[1]))
    return [block for block in found if block.language == language]


def test_blocks_have_a_known_language_and_reasons_are_given():
    assert len(blocks("python")) > 10 and len(blocks("bash")) > 20
    known = {"python", "bash", "text", "json", "yaml", ""}
    for page in PAGES:
        for match in BLOCK.finditer(page.read_text(encoding="utf-8")):
            assert match[2] in known, f"{page.name}: {match[2]}"
            assert match[1] is None or len(match[1]) > 10, f"{page.name}: no reason to speak of"
    left_out = [block for block in blocks("python") + blocks("bash") if block.reason]
    assert len(left_out) < 12, [str(block) for block in left_out]


# --- shell ---------------------------------------------------------------------------------------


class ParsedError(Exception):
    """The command line was understood, and nothing was run."""


def commands(block: Block) -> list[list[str]]:
    """The words of each command of a shell block; of a loop, for its first value."""
    code = block.code.replace("\\\n", " ")
    for loop, name, value in re.findall(r"^(for (\w+) in (\S+).*; do)$", code, re.M):
        code = code.replace(loop, "").replace(f"${name}", value)
    lines = re.sub(r"^done$", "", code, flags=re.M).splitlines()
    parts = (part for line in lines for part in re.split(r" && | \|\| ", line))
    words = (shlex.split(part, comments=True) for part in parts)
    found = [[word for word in each if not re.fullmatch(r"[A-Z_]+=.*", word)] for each in words]
    return [each for each in found if each]


@pytest.mark.parametrize("block", [b for b in blocks("bash") if not b.reason], ids=str)
def test_shell_commands_are_understood(block):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for program, *words in commands(block):
        if program == "frtune":
            assert words[0] in COMMANDS, words
            understood(*words)
        elif program == "make":
            assert all(re.search(rf"^{w}:", makefile, re.M) for w in words if "=" not in w), words
        elif "frtune)" in words:  # LAUNCHER $(which frtune) COMMAND
            understood(*words[words.index("frtune)") + 1 :])
        elif program in LAUNCHERS:
            scripts = [word for word in words if word.endswith(".py")]
            module = next((i for i, word in enumerate(words) if word in ("-m", "--module")), None)
            assert scripts or module is not None, words
            if module is not None:
                assert words[module + 1] == "frtune", words
                understood(*words[module + 2 :])
            assert all((ROOT / script).is_file() for script in scripts), scripts
        else:
            assert program in TOOLS or program.startswith(".ci/"), program


# what stands on the page for a name of the reader's
PLACEHOLDERS = {"TASK": "classification", "URL": "http://localhost:8000/v1", "NAME": "name"}
REPLACEMENTS = (ROOT / "docs" / "migration.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", sorted(set(re.findall(r"`frtune (\w+ [^`]+)`", REPLACEMENTS))))
def test_commands_that_replace_others_are_understood(text):
    words = [PLACEHOLDERS.get(word, word) for word in shlex.split(text) if word != "..."]
    understood(*words)


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_configurations_are_accepted(block, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(block.code, "utf-8")
    _, settings, args, *_ = parse_train_arguments("classification", ["--config", str(config)])
    assert f"data: {settings.data}\n" in block.code and args.output_dir in block.code


def understood(command: str, *words: str) -> None:
    from_file = "--config" in words
    # a file that an earlier run left; what would set up processes
    for name in ("--config", "--deepspeed") if command in ("train", "tune") else ():
        if name in words:
            at = words.index(name)
            words = (*words[:at], *words[at + 2 :])
    if command == "train":  # --bf16: what this machine may lack
        flags = [w for w in words[1:] if w not in ("...", "--bf16")]
        _, settings, *_ = parse_train_arguments(words[0], flags, extra=SeedOptions)
        whole = "..." not in words and not from_file
        if whole and settings.data != "sample":
            assert settings.checkpoint, "data of one's own need --checkpoint"
        return
    real = Parser.parse

    def only_parse(self, argv):
        real(self, argv)
        raise ParsedError

    with pytest.MonkeyPatch.context() as patch, pytest.raises(ParsedError):
        patch.setattr(Parser, "parse", only_parse)
        importlib.import_module(f"frtune.cli.{command}").main(list(words))


# --- Python --------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [ROOT / "docs" / "metrics.md"], ids=lambda page: page.name)
def test_sessions_print_what_the_page_shows(page):
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    found = doctest.testfile(str(page), module_relative=False, optionflags=flags, encoding="utf-8")
    assert found.attempted > 10 and not found.failed


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny):
    """A folder with the checkpoints, data and runs that the pages name."""
    folder = tmp_path_factory.mktemp("docs")
    for name, family in CHECKPOINTS.items():
        target = folder / name
        target.parent.mkdir(exist_ok=True)
        target.symlink_to(tiny(family))
    for task, names in SAMPLES.items():
        stratify = None if task == "keywords" else "label"
        rows = frtune.load_splits("sample", task_name=task, max_train_rows=24,
                                  stratify_by=stratify)[0]["train"]  # fmt: skip
        frame = rows.to_pandas().map(lambda v: "; ".join(v) if hasattr(v, "tolist") else v)
        for name in names:
            (folder / name).parent.mkdir(exist_ok=True)
            frame.to_csv(folder / name, index=False, sep="\t" if name.endswith("tsv") else ",")
    return folder


@pytest.fixture
def quick(place, monkeypatch):
    """Runs of one step on few rows; everything else is as the page has it."""
    from frtune.data import loading
    from frtune.models import families
    from frtune.training import arguments

    recipe, load = arguments.recipe, loading.load_splits
    first = arguments.first_choice
    monkeypatch.setattr(arguments, "recipe", lambda *a, **k: {**recipe(*a, **k), "max_steps": 1})
    monkeypatch.setattr(
        arguments, "first_choice", lambda given, **k: first({"bf16": False, **given}, **k)
    )
    few = {f"max_{name}_rows": 6 for name in ("eval", "test")}
    monkeypatch.setattr(
        loading, "load_splits", lambda *a, **k: load(*a, **{**few, "max_train_rows": 24, **k})
    )
    monkeypatch.chdir(place)
    shutil.rmtree(place / "runs", ignore_errors=True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with mock.patch.dict(families.FAMILIES):  # a page adds a row
        yield


PYTHON = [block for block in blocks("python") if not block.reason and ">>>" not in block.code]


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted({block.page for block in PYTHON}), ids=lambda p: p.stem)
def test_python_blocks_run(page, quick, place):
    namespace: dict[str, object] = {"text": "La cantine ouvre en mars."}
    for block in (block for block in PYTHON if block.page == page):
        exec(compile(block.code, str(block), "exec"), namespace)
    assert not [name for name in os.listdir(place) if name.startswith(".draft")]
