"""What a run says is to be done next: what there is evidence for, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from datasets import Dataset, DatasetDict
from transformers import BertConfig, TrainingArguments

from frtune import KeyphraseGeneration, SequenceClassification
from frtune.cli import main
from frtune.run.next_steps import FEW, disputed_rows, next_steps
from frtune.run.settings import RunSettings

SCORES = {"test_f1_macro": 0.8, "test_baseline_majority_f1_macro": 0.4}
FULL = {"a": 2 * FEW, "b": 2 * FEW}


def told(
    tmp_path,
    task=None,
    *,
    rows=None,
    counts=FULL,
    best=1,
    cuts=(),
    scores=SCORES,
    disputed=0,
    **given,
):
    """The next steps of a run of these rows, which was evaluated at steps 1 and 2."""
    labels = [label for label, count in counts.items() for _ in range(count)]
    rows = rows or {"text": [f"text {i}" for i in range(len(labels))], "label": labels}
    splits = DatasetDict({name: Dataset.from_dict(rows) for name in ("train", "validation")})
    trainer = SimpleNamespace(
        task=task or SequenceClassification(labels=[*counts]),
        model=SimpleNamespace(config=BertConfig()),
        args=TrainingArguments(str(tmp_path), use_cpu=True, **given),
        state=SimpleNamespace(
            log_history=[{"step": step, "eval_loss": 1.0} for step in (1, 2)], best_global_step=best
        ),
    )
    settings = RunSettings(data="data", checkpoint="a-model")
    return next_steps(trainer, settings, splits, scores, cuts=cuts, disputed=disputed)


def test_without_evidence_nothing_is_said(tmp_path):
    assert told(tmp_path) == []


@pytest.mark.parametrize(
    ("given", "flag"),
    [({"num_train_epochs": 3}, "--num-train-epochs 6."), ({"max_steps": 40}, "--max-steps 80.")],
)
def test_a_run_whose_last_step_was_the_best_is_to_be_longer(tmp_path, given, flag):
    (step,) = told(tmp_path, best=2, **given)
    assert step.because == "The last of 2 evaluations was the best." and step.do.endswith(flag)


def test_limits_that_cut_many_rows_are_to_be_raised_as_far_as_the_model_reads(tmp_path):
    cut = {"split": "training", "rows": 100, "cut": 5, "what": "source"}
    (step,) = told(tmp_path, cuts=[{**cut, "limit": "max_source_tokens=256"}])
    assert "5% of 100 training rows" in step.because and "--max-source-tokens" in step.do
    (step,) = told(tmp_path, cuts=[{**cut, "limit": "max_source_tokens=512"}])
    assert "no more than 512 tokens" in step.do
    few = [{**cut, "cut": 4, "limit": "max_source_tokens=256"},
           {**cut, "split": "test", "limit": "max_source_tokens=256"}]  # fmt: skip
    assert told(tmp_path, cuts=few) == []


def test_classes_with_few_rows_are_named_the_smallest_first(tmp_path):
    (step,) = told(tmp_path, counts={"a": 2 * FEW, "b": FEW - 1, "c": 2, "d": FEW})
    assert f"fewer than {FEW} training rows: c (2), b ({FEW - 1})." in step.because


def test_labels_of_several_a_row_are_counted_each(tmp_path):
    task = SequenceClassification(labels=["a", "b"], multi_label=True)
    rows = {"text": [f"text {i}" for i in range(50)], "label": [["a", "b"]] * 5 + [["a"]] * 45}
    (step,) = told(tmp_path, task, rows=rows)
    assert step.because.endswith("training rows: b (5).")


def test_texts_with_different_labels_and_disputed_labels_are_to_be_reviewed(tmp_path):
    labels = ["a", "b"] * (2 * FEW)
    rows = {"text": ["one", "one", *(f"text {i}" for i in range(len(labels) - 2))], "label": labels}
    (step,) = told(tmp_path, rows=rows)
    assert step.because.endswith("with different labels: 1.")
    assert step.do == "Look at the labels: frtune review data --task classification."
    (step,) = told(tmp_path, disputed=3)
    assert "another label of 3 of 80 validation rows" in step.because
    assert told(tmp_path, disputed=1) == []


def test_every_task_looks_for_texts_with_different_labels(tmp_path):
    rows = {"text": ["one", "one", "two", "two"], "keyphrases": [["a"], ["b"], ["c"], ["c"]]}
    (step,) = told(tmp_path, KeyphraseGeneration(), rows=rows, scores={})
    assert step.because.endswith("with different labels: 1.")


@pytest.mark.parametrize(("best", "said"), [(0.9, True), (0.8, False), (0.1, False)])
def test_a_baseline_that_is_better_is_named(tmp_path, best, said):
    scores = {**SCORES, "test_baseline_tfidf_f1_macro": best}
    steps = told(tmp_path, scores=scores)
    assert bool(steps) == said
    assert not said or ("0.900" in steps[0].because and "frtune tune" in steps[0].do)


def test_disputed_are_rows_whose_label_has_nearly_no_chance():
    task = SequenceClassification(labels=["a", "b"], temperature=2.0)
    rows = Dataset.from_dict({"text": ["x"] * 4, "label": ["a", "b", "b", "a"]})
    logits = np.array([[9.0, 0.0], [9.0, 0.0], [4.0, 0.0], [0.0, 0.1]])
    trainer = SimpleNamespace(task=task, eval_dataset=rows, processing_class=None)
    assert disputed_rows(trainer, logits) == 1  # 4 / 2 leaves the third 0.12
    trainer.task = replace(task, temperature=1.0)
    assert disputed_rows(trainer, logits) == 2
    trainer.task = replace(task, calibrate_head=True)
    assert disputed_rows(trainer, logits) == 1
    several = SequenceClassification(labels=["a", "b"], multi_label=True, temperature=1.0)
    rows = Dataset.from_dict({"text": ["x"] * 3, "label": [["a"], ["a", "b"], []]})
    trainer.task, trainer.eval_dataset = several, rows
    logits = np.array([[4.0, -4.0], [4.0, -4.0], [4.0, 0.0]])
    assert disputed_rows(trainer, logits) == 2  # one lacks b, one has a


def test_a_run_ends_with_what_to_do_next(tmp_path, tiny, capsys):
    rows = [{"text": f"{i} facture", "label": "ab"[i % 2]} for i in range(24)]
    data = tmp_path / "data.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    directory = tmp_path / "run"
    command = f"train classification --data {data} --checkpoint {tiny('bert')} --use-cpu"
    assert main([*command.split(), "--output-dir", str(directory), "--max-steps", "2"]) == 0
    steps = json.loads((directory / "next_steps.json").read_text("utf-8"))
    (small,) = [step for step in steps if "Classes with fewer" in step["because"]]
    shown = capsys.readouterr().out
    assert all(f"next: {step['because']} {step['do']}" in shown for step in steps)
    page = (directory / "report.html").read_text("utf-8")
    assert "What to do next" in page and small["do"] in page
