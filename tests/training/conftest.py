"""Rows of unlike length, and trainers over them."""

from __future__ import annotations

import pytest
from datasets import Dataset


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
    import torch

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
