"""Models without dropout, and batches of rows of unlike length."""

from __future__ import annotations

import pytest
import torch
from datasets import Dataset

from frtune import KeywordExtraction, SentenceSimilarity, SequenceClassification, build_model

TASKS = {
    "classification": SequenceClassification(max_source_tokens=64),
    "scores": SentenceSimilarity(max_source_tokens=64, head="regression"),
    "symmetric": SentenceSimilarity(max_source_tokens=64, symmetric=True),
    "keywords": KeywordExtraction(max_source_tokens=64),
}


@pytest.fixture(scope="session")
def rows(corpus) -> Dataset:
    """Eight rows for every task, of 3 to 17 words, the longest in the middle."""
    words = " ".join(corpus).split()
    texts = [" ".join(words[: 3 + 2 * i]) for i in (0, 3, 5, 7, 6, 4, 2, 1)]
    return Dataset.from_dict(
        {
            "text": texts,
            "keywords": [text.split()[:2] for text in texts],
            "sentence1": texts,
            "sentence2": texts[::-1],
            "label": [i % 2 for i in range(8)],
        }
    )


@pytest.fixture
def built(tiny, rows):
    """``built("bert", "keywords")``: a fitted task, a model that trains without dropout, tokens."""

    def build(family: str = "bert", name: str = "classification", **options):
        torch.manual_seed(0)
        task = TASKS[name].fit(rows)
        model, tokenizer = build_model(task, checkpoint=str(tiny(family)), proof=False, **options)
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
            for part in ("dropout", "attention_dropout", "activation_dropout"):
                if isinstance(getattr(module, part, None), float):
                    setattr(module, part, 0.0)
        return task, model, tokenizer

    return build


@pytest.fixture
def trainer_of(built, rows, tmp_path):
    """``trainer_of(mixup, family, task, **arguments)``: a trainer over the eight rows."""
    from frtune import training_arguments

    def make(
        mixup,
        family="bert",
        name="classification",
        dataset=rows,
        build=None,
        cut_steps=True,
        **overrides,
    ):
        task, model, tokenizer = built(family, name, **(build or {}))
        quiet = {
            "bf16": False, "disable_tqdm": True, "eval_strategy": "no", "save_strategy": "no",
            "load_best_model_at_end": False, "logging_steps": 1, "max_steps": 2,
            "per_device_train_batch_size": 4, "train_sampling_strategy": "random",
            "gradient_accumulation_steps": 1, "lr_scheduler_type": "linear",
        }  # fmt: skip
        args = training_arguments(task, str(tmp_path / "run"), **{**quiet, **overrides})
        return task.trainer(
            model, tokenizer, args, train_dataset=dataset, eval_dataset=dataset, mixup=mixup,
            cut_steps=cut_steps,
        )  # fmt: skip

    return make
