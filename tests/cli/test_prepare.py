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
    from inspect import signature

    from frtune.data.prepare import prepare

    with pytest.raises(SystemExit):
        main(["prepare", "--help"])
    shown = capsys.readouterr().out
    for name in signature(prepare).parameters:
        if name not in ("source", "output_dir", "task"):
            assert f"--{name.replace('_', '-')}" in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("sample", "--output"),
        ("sample --output {out} --task keyword", "--task: invalid choice: 'keyword'"),
        ("sample --output {out} --min-keyphrase 2", "Did you mean --min-keyphrases?"),
        ("{here}/none.csv --output {out}", "no such file or folder"),
        ("{here}/empty.csv --output {out}", "empty.csv: is empty"),
        ("sample --output {here}", "holds files already"),
    ],
)
def test_bad_input_is_one_line_and_code_2(tmp_path, capsys, words, message):
    (tmp_path / "empty.csv").touch()
    line = words.format(here=tmp_path, out=tmp_path / "out")
    assert main(["prepare", *line.split()]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("frtune: ") and message in shown and shown.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["empty.csv"]
