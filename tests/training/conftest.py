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
