"""Rows of unlike length, and trainers over them."""

from __future__ import annotations

import pytest
from datasets import Dataset


@pytest.fixture(scope="session")
def rows(corpus) -> Dataset:
    """Eight rows; sources and targets differ in length."""
    words = " ".join(corpus).split()
    return Dataset.from_list(
        [
            {"text": " ".join(words[: 3 + 2 * i]), "keyphrases": words[i : 2 * i + 1]}
            for i in range(8)
        ]
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
