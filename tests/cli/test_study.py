"""``frtune study`` on real tiny checkpoints, and what it refuses."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from frtune.cli import main
from frtune.study.rows import read_rows


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
    file = tmp_path_factory.mktemp("reviews") / "reviews.csv"
    rows = [
        f"Le film {i} est {'bon' if i % 2 else 'mauvais'} pour le public.,{i % 2}"
        for i in range(40)
    ]
    file.write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    return file


def test_two_checkpoints_leave_a_report_and_its_numbers(tiny, reviews, tmp_path, capsys):
    argv = [
        "study", str(tiny("camembert")), str(tiny("flaubert")), "--names", "first", "second",
        "--data", str(reviews), "--output-dir", str(tmp_path / "out"), "--no-bf16",
    ]  # fmt: skip
    assert main(argv) == 0
    shown = capsys.readouterr().out
    assert "within" in shown and "From first to second" in shown
    assert "their tokenizers cut the texts into other tokens" in shown
    out = tmp_path / "out"
    assert f"report: {out / 'report.html'}" in shown
    saved = json.loads((out / "study.json").read_text("utf-8"))
    assert [c["name"] for c in saved["checkpoints"]] == ["first", "second"]
    assert saved["data"]["labels"] == {"0": 20, "1": 20}
    layers = pd.read_parquet(out / "layers.parquet")
    assert {"cosine_within", "probe_mean_accuracy"} <= set(layers["statistic"])
    assert "first" in (out / "report.html").read_text("utf-8")
    assert (out / "plots" / "convergence.png").stat().st_size > 1000
    assert not list(out.glob(".draft*"))


def test_one_checkpoint_without_labels(tiny, reviews, tmp_path, capsys):
    texts = tmp_path / "texts.csv"
    texts.write_text(reviews.read_text("utf-8").replace("text,label", "review,other"), "utf-8")
    argv = [
        "study", str(tiny("polyglot")), "--data", str(texts), "--text-column", "review",
        "--output-dir", str(tmp_path / "out"), "--max-rows", "12",
    ]  # fmt: skip
    assert main(argv) == 0
    shown = capsys.readouterr().out
    assert "left out: probes: no labels were given" in shown
    assert "How well each layer" not in (tmp_path / "out" / "report.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--names", "one"], "names=one: one for each of the 2 checkpoints"),
        (["--text-column", "texte"], "has no column texte; it has text, label. Did you mean text?"),
        (["--label-column", "class"], "has no column class"),
        (["--split", "test"], "split=test: "),
        (["--max-rows", "0"], "max_rows=0: at least 1"),
        (["--max-tokens", "0"], "max_tokens=0: at least 1"),
        (["--sample-token", "3"], "--sample-token: no such option"),
    ],
)
def test_bad_input_is_one_line(options, said, tiny, reviews, tmp_path, capsys):
    argv = [
        "study", str(tiny("bert")), str(tiny("camembert")), "--data", str(reviews),
        "--output-dir", str(tmp_path / "out"), *options,
    ]  # fmt: skip
    assert main(argv) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("frtune: ") and said in error
    assert not (tmp_path / "out" / "report.html").exists()


def test_a_checkpoint_that_is_not_there_is_named(tiny, reviews, tmp_path, capsys):
    paths = ["no/such/folder", str(tiny("bert"))]
    argv = ["study", *paths, "--data", str(reviews), "--output-dir", str(tmp_path / "out")]
    assert main(argv) == 2
    assert "no/such/folder" in capsys.readouterr().err


def test_one_directory_twice_reads_identical(tiny, reviews, tmp_path, capsys):
    paths = [str(tiny("bert"))] * 2
    argv = ["study", *paths, "--data", str(reviews), "--output-dir", str(tmp_path / "out")]
    assert main(argv) == 0
    assert "are identical" in capsys.readouterr().out


def test_a_missing_label_is_named_by_its_row(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"text": "a", "label": "x"}\n{"text": "b", "label": null}\n', "utf-8")
    with pytest.raises(ValueError, match=r"row 2: column label has no label"):
        read_rows(file)


def test_rows_are_drawn_by_the_seed(reviews):
    texts, labels = read_rows(reviews, max_rows=10, seed=1)
    again, _ = read_rows(reviews, max_rows=10, seed=1)
    other, _ = read_rows(reviews, max_rows=10, seed=2)
    assert texts == again != other and len(labels) == 10
    assert all(("bon" in text) == (label == "1") for text, label in zip(texts, labels, strict=True))
