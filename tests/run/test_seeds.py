"""Several seeds of a run: a directory each, mean and interval over them, and no seed run twice."""

from __future__ import annotations

import json
import re

import pytest
from scipy import stats

from chromium import visit
from frtune import SequenceClassification
from frtune.cli import main
from frtune.run.seeds import SeedScores, mean_interval, seeds_page, summary

FLAGS = ["--max-steps", "1", "--max-train-rows", "40", "--max-test-rows", "10",
         "--per-device-train-batch-size", "4", "--disable-tqdm", "true", "--no-proof"]  # fmt: skip


def test_the_interval_is_that_of_students_t():
    values = [0.71, 0.74, 0.69, 0.72, 0.75]
    found = mean_interval(values)
    low, high = stats.t.interval(0.95, 4, loc=stats.tmean(values), scale=stats.sem(values))
    assert (found["low"], found["high"]) == pytest.approx((low, high))


def test_only_scores_that_every_run_has_are_summed_up():
    runs = [{"test_f1": 0.5, "test_runtime": 1.0, "test_f1_low": 0.1, "x": 1.0}, {"test_f1": 0.7}]
    assert list(summary(runs)) == ["test_f1"] and summary(runs)["test_f1"]["mean"] == 0.6


@pytest.mark.slow
def test_seeds_run_are_reported_and_skipped_when_they_are_finished(tmp_path, capsys):
    root = tmp_path / "run"
    command = ["train", "classification", "--output-dir", str(root), "--seeds", "2", *FLAGS]
    assert main(command) == 0
    found = json.loads((root / "seeds.json").read_text())
    each = [json.loads((root / f"seed-{seed}" / "metrics.json").read_text()) for seed in (42, 43)]
    for name in ("test_accuracy", "eval_loss", "test_baseline_majority_accuracy"):
        values = [metrics[name] for metrics in each]
        assert found["scores"][name] == {"values": values, **mean_interval(values)}
    assert found["scores"]["eval_loss"]["std"] > 0, "the seeds differ"
    assert found["scores"]["test_baseline_tfidf_logistic_mcc"]["std"] == 0, "the rows do not"
    page = (root / "report.html").read_text("utf-8")
    assert 'href="seed-43/report.html"' in page and "f1_macro" in page
    opening = re.search(r"the same model gets f1_macro from (0\.\d{3}) to (0\.\d{3})", page)
    assert opening and opening[1] <= opening[2] and page.index(opening[0]) < page.index("<table")
    assert "mean of 2 seeds" in capsys.readouterr().out

    assert main(command) == 2 and "holds" in capsys.readouterr().err
    written = (root / "seed-42" / "model.safetensors").stat().st_mtime_ns
    assert main([*command, "--resume", "--learning-rate", "0.5"]) == 2
    assert "was run with learning_rate=0.001" in capsys.readouterr().err
    (root / "seed-43" / "metrics.json").unlink()  # as if it had been stopped at its end
    assert main([*command, "--resume"]) == 0
    assert (root / "seed-42" / "model.safetensors").stat().st_mtime_ns == written
    assert json.loads((root / "seeds.json").read_text())["seeds"] == [42, 43]


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
def test_no_table_is_wider_than_its_box(tmp_path, width):
    task = SequenceClassification(labels=["a", "b"])
    names = ["", *(f"baseline_{name}_" for name in ("majority", "stratified", "tfidf_logistic"))]
    metrics = {f"test_{name}{score}": 0.5 for name in names for score in task.headline}
    found = SeedScores("classification", list(range(42, 52)), summary([metrics] * 10))
    path = tmp_path / "report.html"
    path.write_text(seeds_page(found, task, "run"), encoding="utf-8")
    with visit(path.as_uri(), viewport={"width": width, "height": 800}) as seen:
        assert seen.page.locator("td").count() > 40
        assert seen.wide() == []


@pytest.mark.parametrize("count", ["1", "many"])
def test_a_count_that_makes_no_sense_is_one_line(count, tmp_path, capsys):
    flags = ["--output-dir", str(tmp_path / "x"), "--seeds", count]
    assert main(["train", "classification", *flags]) == 2
    assert f"--seeds {count}" in capsys.readouterr().err and not (tmp_path / "x").exists()
