"""Rows of unlike length, and trainers over them."""

from __future__ import annotations

import pytest
import torch
from datasets import Dataset
from transformers import TrainingArguments

from frtune.training.resumable_trainer import ResumableTrainer


@pytest.fixture(scope="session")
def rows(corpus) -> Dataset:
    """Eight rows for every task; sources and targets differ in length."""
    words = " ".join(corpus).split()
    texts = [" ".join(words[: 3 + 2 * i]) for i in range(8)]
    return Dataset.from_dict(
        {
            "text": texts,
            "keyphrases": [words[i : 2 * i + 1] for i in range(8)],
            "keywords": [text.split()[:2] for text in texts],
            "sentence1": texts,
            "sentence2": texts[::-1],
            "label": [i % 2 for i in range(8)],
        }
    )


@pytest.fixture
def arguments(tmp_path):
    """``arguments(task, **overrides)``: quiet training arguments for a few steps in fp32."""
    from frtune import training_arguments

    def make(task, **overrides):
        quiet = {
            "bf16": False,
            "disable_tqdm": True,
            "eval_strategy": "no",
            "save_strategy": "no",
            "load_best_model_at_end": False,
            "logging_steps": 1,
        }
        return training_arguments(task, str(tmp_path / "run"), **{**quiet, **overrides})

    return make


@pytest.fixture(scope="session")
def saver(tiny, rows):
    """``saver(directory, **arguments)``: a trainer of four steps that saves at each of them."""
    from frtune import KeyphraseGeneration, build_model, training_arguments

    def make(directory, *, dataset=rows, source=64, callbacks=(), **overrides):
        task = KeyphraseGeneration(max_source_tokens=source, max_target_tokens=8)
        torch.manual_seed(0)
        model, tokenizer = build_model(task, checkpoint=str(tiny("t5")), proof=False)
        settings = {
            "max_steps": 4, "save_strategy": "steps", "save_steps": 1, "eval_strategy": "no",
            "save_total_limit": 3, "load_best_model_at_end": False, "bf16": False,
            "disable_tqdm": True, "per_device_train_batch_size": 2, "learning_rate": 1e-3,
        }  # fmt: skip
        args = training_arguments(task, str(directory), **{**settings, **overrides})
        return task.trainer(
            model, tokenizer, args, train_dataset=dataset, eval_dataset=dataset,
            callbacks=list(callbacks),
        )  # fmt: skip

    return make


class Line(torch.nn.Module):
    """The smallest model that ``Trainer`` takes."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 1)
        self.dropout = torch.nn.Dropout(0.5)

    def forward(self, x, labels):
        logits = self.layer(self.dropout(x))
        return {"loss": torch.nn.functional.mse_loss(logits[:, 0], labels), "logits": logits}


@pytest.fixture
def plain():
    """``plain(directory, **arguments)``: a ``ResumableTrainer`` that knows no task."""

    def make(directory, *, rows=None, callbacks=(), optimizers=(None, None), **overrides):
        torch.manual_seed(0)
        rows = rows or [{"x": [i, 1.0, -i, 0.5], "labels": 2.0 * i, "row": i} for i in range(12)]
        settings = {
            "max_steps": 8, "save_steps": 2, "per_device_train_batch_size": 3, "use_cpu": True,
            "disable_tqdm": True, "report_to": "none", "learning_rate": 1e-2, "logging_steps": 1,
            "remove_unused_columns": False,
        }  # fmt: skip
        args = TrainingArguments(str(directory), **{**settings, **overrides})
        data = Dataset.from_list(rows)
        return ResumableTrainer(
            Line(), args, train_dataset=data, eval_dataset=data, callbacks=list(callbacks),
            optimizers=optimizers,
        )  # fmt: skip

    return make
