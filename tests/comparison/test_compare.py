"""The table of a comparison says what an evaluation says, and its bootstrap is the textbook's."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from datasets import Dataset
from scipy.stats import spearmanr

import frtune
from frtune import InputError, SequenceClassification, build_model, compare, evaluate, quantize
from frtune.comparison.report import comparison_markdown, comparison_picture
from frtune.comparison.result import Comparison
from frtune.metrics import classification_scores, keyword_scores
from frtune.metrics.bootstrap import (
    count_score,
    f1_of_sums,
    interval,
    paired_p_value,
    resampled,
    spearman_score,
)
from frtune.models.lineage import lineage, save_lineage
from frtune.tasks.config_file import save_task
from frtune.tasks.row_scores import classes_f1, sets_f1

ROWS = Dataset.from_list(
    [{"text": f"le maire {i} a voté {'oui' if i % 3 else 'non'}", "label": "ab"[i % 2]}
     for i in range(12)]
)  # fmt: skip


@pytest.fixture
def saved(tiny, tmp_path):
    def make(name, labels=("a", "b"), seed=0):
        torch.manual_seed(seed)
        task = SequenceClassification(labels=list(labels), max_source_tokens=32)
        model, tokenizer = build_model(task, checkpoint=tiny("bert"), proof=False)
        torch.nn.init.normal_(model.classifier.weight)
        model.save_pretrained(tmp_path / name)
        tokenizer.save_pretrained(tmp_path / name)
        save_task(task, tmp_path / name)
        save_lineage(tmp_path / name, checkpoint=tiny("bert"), task=task.name)
        return tmp_path / name

    return make


@pytest.mark.usefixtures("warm_processes")
def test_the_table_says_what_an_evaluation_says(saved, tmp_path):
    first, second = saved("first"), saved("second", seed=1)
    quantize(first, tmp_path / "small", proof=False)
    found = compare(
        [first, second, tmp_path / "small"], ROWS, output_dir=tmp_path / "out",
        batch_sizes=(1,), samples=200,
    )  # fmt: skip
    for row, directory in zip(found.models, (first, second, tmp_path / "small"), strict=True):
        scores = evaluate(directory, ROWS)
        assert row["accuracy"] == scores["test_accuracy"]
        assert row["f1"] == scores["test_f1_macro"]
        assert row["f1_low"] <= row["f1"] <= row["f1_high"]
        assert row["sequence"] == ["bert", "classification"]
        assert row["memory_bytes"] > 2**26
        assert 0 < row["latency"]["1"]["median"] <= row["latency"]["1"]["p95"]
    same = [
        a["label"] == b["label"]
        for a, b in zip(*(frtune.load(d).predict(ROWS["text"]) for d in (first, second)),
                        strict=True)
    ]  # fmt: skip
    assert [row["quantized"] for row in found.models] == [None, None, "int8"]
    assert found.models[1]["agreement"] == sum(same) / len(same)
    assert found.models[2]["size_bytes"] < found.models[0]["size_bytes"]
    written = json.loads((tmp_path / "out" / "comparison.json").read_text("utf-8"))
    assert written["models"] == found.models
    table = (tmp_path / "out" / "comparison.md").read_text("utf-8")
    assert "| small | bert → classification | int8 |" in table
    fastest = min(found.models, key=lambda row: row["latency"]["1"]["median"])["name"]
    assert f"Fastest here, by median: {fastest} (batch 1)." in table
    assert (tmp_path / "out" / "comparison.png").stat().st_size > 5000


def _compared(rows=100, **further):
    """A comparison of made numbers."""
    first = {
        "name": "first", "sequence": ["bert", "classification"], "quantized": None, "f1": 0.5,
        "f1_low": 0.4, "f1_high": 0.6, "accuracy": 0.5, "difference": None, "p_value": None,
        "p_note": None, "agreement": None, "size_bytes": 2**20, "memory_bytes": 2**27,
        "latency": {"1": {"median": 0.01, "p95": 0.02}},
    }  # fmt: skip
    models = [first] + [
        {**first, "name": name, "f1": 0.5 + difference, "difference": difference,
         "p_value": p_value, "agreement": 0.9}
        for name, (difference, p_value) in further.items()
    ]  # fmt: skip
    machine = {"processor": "p", "instructions": "i", "threads": 1}
    return Comparison("classification", rows, "f1_macro", "accuracy", models, machine)


def test_the_table_opens_with_what_it_means():
    found = _compared(good=(0.2, 0.01), bad=(-0.1, 0.04), even=(0.01, 0.6))
    lines = comparison_markdown(found).splitlines()
    assert lines[2] == (
        "On 100 rows, good answers best: f1_macro 0.700. Against first: better than it is good; "
        "worse than it is bad; for even the difference may be chance."
    )
    tied = comparison_markdown(_compared(same=(0.0001, 1.0))).splitlines()
    assert tied[2].startswith("On 100 rows, first and same answer best, equally well: f1_macro 0.5")
    alone = comparison_markdown(_compared(rows=1)).splitlines()
    assert alone[0] == "# classification: 1 model on 1 row"
    assert alone[2] == "first has f1_macro 0.500 on 1 row."


def test_every_bar_of_the_chart_has_its_number():
    picture = comparison_picture(_compared(good=(0.2, 0.01)))
    shown = [[text.get_text() for text in axes.texts] for axes in picture.axes]
    assert shown[0] == ["0.500", "0.700"]
    assert all(len(texts) == 2 for texts in shown)


def test_other_tasks_other_labels_and_unknown_labels_are_refused(saved, tiny, tmp_path):
    first = saved("first")
    with pytest.raises(InputError, match="Compare models that answer alike"):
        compare([first, saved("other", labels=("a", "c"))], ROWS)
    save_task(frtune.KeywordExtraction(), tmp_path / "other")
    with pytest.raises(InputError, match="Compare models of one task"):
        compare([first, tmp_path / "other"], ROWS)
    with pytest.raises(InputError, match="no such directory"):
        compare([first, tmp_path / "nothing"], ROWS)
    with pytest.raises(InputError, match="whole numbers"):
        compare([first], ROWS, batch_sizes=(0,))
    with pytest.raises(InputError, match="z"):
        compare([first], Dataset.from_list([{"text": "un", "label": "z"}]))


def test_a_sequence_follows_the_checkpoints(saved, tmp_path):
    first = saved("first")
    (tmp_path / "next").mkdir()
    save_lineage(tmp_path / "next", checkpoint=first, task="keywords")
    assert lineage(tmp_path / "next") == ["bert", "classification", "keywords"]


def test_resampled_f1_is_that_of_the_drawn_rows():
    rng = np.random.default_rng(0)
    predictions, references = rng.choice(list("abc"), 30), rng.choice(list("abc"), 30)
    score = classes_f1(list(predictions), list(references), ["a", "b", "c"])
    picks = rng.integers(30, size=(5, 30))
    expected = [classification_scores(predictions[p], references[p])["f1_macro"] for p in picks]
    assert score(picks) == pytest.approx(expected)


def test_resampled_keyword_f1_is_that_of_the_drawn_rows():
    found = [["a", "b"], [], ["c"], ["d", "d"]]
    true = [["a"], ["x"], [], ["D", "e"]]
    picks = np.random.default_rng(0).integers(4, size=(6, 4))
    score = sets_f1(found, true, str.casefold)
    expected = [
        keyword_scores([found[i] for i in p], [true[i] for i in p], normalize=str.casefold)
        for p in picks
    ]
    assert score(picks) == pytest.approx([scores["keyword_f1"] for scores in expected])


def test_resampled_spearman_is_scipys():
    rng = np.random.default_rng(0)
    x, y = rng.integers(6, size=25).astype(float), rng.normal(size=25)
    picks = rng.integers(25, size=(4, 25))
    expected = [spearmanr(x[p], y[p]).statistic for p in picks]
    assert spearman_score(x, y)(picks) == pytest.approx(expected)
    assert spearman_score(np.ones(25), y)(picks).tolist() == [0] * 4


def test_the_interval_of_a_share_is_the_binomials():
    right = np.array([[1, 1]] * 60 + [[0, 1]] * 40)
    draws = resampled(count_score(right, lambda s: s[:, 0] / s[:, 1]), 100, samples=4000)
    low, high = interval(draws)
    assert low == pytest.approx(0.6 - 1.96 * 0.049, abs=0.015)
    assert high == pytest.approx(0.6 + 1.96 * 0.049, abs=0.015)


def test_paired_draws_tell_a_difference_from_chance():
    def draws(right):
        counts = np.stack([right, np.ones_like(right), np.ones_like(right)], axis=1)
        return resampled(count_score(counts, f1_of_sums), len(right), samples=1000)

    base = np.array([1] * 50 + [0] * 50)
    better = np.array([1] * 65 + [0] * 35)
    even = np.array([1] * 45 + [0] * 45 + [1] * 5 + [0] * 5)
    assert paired_p_value(draws(base), draws(better)) < 0.01
    assert paired_p_value(draws(base), draws(even)) > 0.5
    assert paired_p_value(draws(base), draws(base)) == 1
