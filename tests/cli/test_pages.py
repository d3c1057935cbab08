"""``frtune demo`` and ``frtune rate`` up to the page, and what they leave."""

from __future__ import annotations

import csv
import json

import pytest

from frtune.cli import main
from frtune.rating.sources import make_study
from frtune.rating.store import RatingStore
from frtune.rating.study import Judgement


@pytest.fixture
def runs(tmp_path):
    for name in ("one", "two"):
        rows = [{"input": f"text {i}", "reference": ["a"], "prediction": [name]} for i in range(4)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return [str(tmp_path / "one.jsonl"), str(tmp_path / "two.jsonl")]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["demo"], "DIR"),
        (["demo", "none"], "none: no such directory"),
        (["demo", "none", "--auth", "ada"], "has no password"),
        (["demo", "none", "--max-file-mb", "0"], "above 0"),
        (["demo", "none", "--langage", "fr"], "Did you mean --language?"),
        (["rate", "--output", "x"], "name one or more"),
        (["rate", "none.jsonl", "--output", "x"], "none.jsonl: no such file"),
        (["rate", "--output", "none.sqlite", "--report", "out"], "none.sqlite: no such file"),
        (["rate", "run", "--output", "x", "--report", "out"], "Leave the runs out"),
    ],
)
def test_bad_input_is_told_in_one_line(flags, message, capsys, monkeypatch, tmp_path):
    monkeypatch.delenv("FRTUNE_PASSWORD", raising=False)
    monkeypatch.chdir(tmp_path)
    assert main(flags) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_report_and_export_are_written_from_the_file_alone(runs, tmp_path, capsys):
    study = make_study(runs)
    store = RatingStore.create(tmp_path / "ratings.sqlite", study)
    for item in range(4):
        store.save("ada", item, Judgement({0: 1.0, 1: 5.0}, {}))
    flags = ["--output", str(store.path), "--report", str(tmp_path / "report"), "--export",
             str(tmp_path / "answers.csv"), "--k", "5", "--score-language", "en"]  # fmt: skip
    assert main(["rate", *flags]) == 0
    shown = capsys.readouterr().out
    assert "8 rows written" in shown and "| two.jsonl | 5.000 (5.000 to 5.000) |" in shown
    report = json.loads((tmp_path / "report" / "ratings.json").read_text())
    assert {"f1_at_5", "stem_f1_at_m"} <= set(report["automatic"])
    with open(tmp_path / "answers.csv", encoding="utf-8-sig") as file:
        assert len(list(csv.DictReader(file))) == 8


@pytest.mark.slow
def test_an_encoder_adds_the_semantic_score(runs, tmp_path, minilm):
    store = RatingStore.create(tmp_path / "ratings.sqlite", make_study(runs))
    store.save("ada", 0, Judgement({0: 1.0, 1: 5.0}, {}))
    flags = ["--output", str(store.path), "--report", str(tmp_path / "report")]
    assert main(["rate", *flags, "--encoder", str(minilm)]) == 0
    report = json.loads((tmp_path / "report" / "ratings.json").read_text())
    assert report["automatic"]["semantic_f1"]["pairs"] == 1


@pytest.mark.slow
def test_near_phrases_are_nearer_than_far_ones(minilm):
    from frtune.metrics.semantic import encoder, semantic_scores_per_document

    embed = encoder(str(minilm))
    found = semantic_scores_per_document(
        [["car"], ["car"], ["automobile"], []], [["automobile"], ["banana"], ["automobile"], ["x"]],
        embed,
    )["semantic_f1"]  # fmt: skip
    assert found[0] > found[1] + 0.2
    assert found[2] == pytest.approx(1.0, abs=1e-5)
    assert found[3] == 0.0
