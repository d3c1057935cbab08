"""Saved models with random weights: they mark and write much, and mean nothing by it."""

from __future__ import annotations

import pytest
import torch

from frtune import (
    KeyphraseGeneration,
    KeywordExtraction,
    SentenceSimilarity,
    SequenceClassification,
    build_model,
)
from frtune.demo.models import open_models
from frtune.tasks.config_file import save_task


@pytest.fixture(scope="module")
def saved(tiny, tmp_path_factory):
    """``saved(name, task, family)``: a directory called ``name`` that ``load`` opens."""

    def save(name, task, family):
        directory = tmp_path_factory.mktemp("models") / name
        torch.manual_seed(1)  # whatever ran before: a head that finds something
        model, tokenizer = build_model(task, checkpoint=str(tiny(family)))
        model.save_pretrained(directory)
        tokenizer.save_pretrained(directory)
        save_task(task, directory)
        return directory

    return save


@pytest.fixture(scope="module")
def models(saved):
    """A model of each task."""
    labels = ["<b>loyer</b>", "énergie"]
    return open_models(
        [
            saved("keywords", KeywordExtraction(), "camembert"),
            saved("phrases", KeyphraseGeneration(title_column="title", max_target_tokens=12), "t5"),
            saved("classes", SequenceClassification(labels=labels), "camembert"),
            saved("pairs", SentenceSimilarity(labels=["0", "1"]), "bert"),
        ],
        max_characters=500,
    )
