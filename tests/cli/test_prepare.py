import json

import pytest

from frtune.cli import main


@pytest.fixture(autouse=True)
def arrow_cache(tmp_path_factory, monkeypatch):
    from datasets import config

    monkeypatch.setattr(config, "HF_DATASETS_CACHE", str(tmp_path_factory.mktemp("arrow")))


def test_the_sample_is_prepared_and_summed_up(tmp_path, capsys):
    output = tmp_path / "prepared"
    words = f"prepare sample --task keyphrases --output {output} --language fr --split 8:2"
    assert main([*words.split(), "--test-rows", "9"]) == 0
    shown = capsys.readouterr().out
    assert "1000 rows read: 334 kept, 666 rejected" in shown
    assert "666 other_language" in shown and "train and test" in shown
    audit = json.loads((output / "audit.json").read_text(encoding="utf-8"))
    assert audit["splits"]["test"]["rows"] == 9 and audit["settings"]["language"] == "fr"


def test_help_names_every_option_of_the_library(capsys):
    from dataclasses import fields
    from inspect import signature

    from frtune.data.prepare import Cut, Filters, prepare
    from frtune.tasks.config_file import task_class

    with pytest.raises(SystemExit):
        main(["prepare", "--help"])
    shown = capsys.readouterr().out
    names = {*signature(prepare).parameters} - {"source", "output_dir", "filters", "cut"}
    names |= {item.name for cls in (Filters, Cut) for item in fields(cls)}
    for task in ("classification", "similarity", "keywords", "keyphrases"):
        columns = (item.name for item in fields(task_class(task)))
        names |= {name for name in columns if name.endswith("_column")}
    assert len(names) > 20
    for name in names:
        assert f"--{name.replace('_', '-')}" in shown


@pytest.mark.parametrize("task", ["classification", "similarity", "keywords"])
def test_each_sample_is_prepared_and_trains_as_it_is(task, tmp_path, capsys):
    from frtune import load_splits
    from frtune.tasks.config_file import task_class

    output = tmp_path / "prepared"
    assert main(["prepare", "sample", "--task", task, "--output", str(output)]) == 0
    shown = capsys.readouterr().out
    assert ("keywords" if task == "keywords" else "labels") in shown and "note: " in shown
    splits, notes = load_splits(output)
    assert list(splits) == ["train", "validation", "test"] and not notes
    fitted = task_class(task)().fit(splits)
    for name, rows in splits.items():
        fitted.check(rows, name)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("sample --task keyphrases", "--output"),
        ("sample --output {out}", "--task"),
        ("sample --output {out} --task keyword", "task=keyword: one of classification"),
        ("sample --output {out} --task keyphrases --min-keyphrase 2", "--min-keyphrases?"),
        ("{here}/none.csv --output {out} --task keyphrases", "no such file or folder"),
        ("{here}/empty.csv --output {out} --task keyphrases", "empty.csv: is empty"),
        ("sample --output {here} --task keyphrases", "holds files already"),
        (
            "sample --output {out} --task classification --keywords-column k",
            "--keywords-column: not of classification, which has --text-column, --label-column, ",
        ),
        (
            "sample --output {out} --task similarity --max-keyphrases 3",
            "max_keyphrases=3: for keyphrases and keywords, not for similarity",
        ),
        (
            "sample --output {out} --task keywords --max-target-tokens 3",
            "max_target_tokens=3: for keyphrases, not for keywords",
        ),
    ],
)
def test_bad_input_is_one_line_and_code_2(tmp_path, capsys, words, message):
    (tmp_path / "empty.csv").touch()
    line = words.format(here=tmp_path, out=tmp_path / "out")
    assert main(["prepare", *line.split()]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("frtune: ") and message in shown and shown.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["empty.csv"]
