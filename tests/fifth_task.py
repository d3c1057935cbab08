"""A task of somebody else: reviews to stars, with answers of a shape that no task of ours has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from frtune.data.cleaning import clean_text
from frtune.tasks.base import Task
from frtune.tasks.loss import StepLoss
from frtune.tasks.sequences import SequenceCollator, encode_texts


@dataclass(frozen=True)
class Stars(Task):
    """Give a review its stars: ``{"rating": {"stars": 4, "of": 5}, "raw": 3.8}``.

    Attributes:
        text_column: Column with the review.
        rating_column: Column with a dict of ``stars`` and ``of``.
        max_source_tokens: Longest review, in tokens.
    """

    name: ClassVar[str] = "stars"
    auto_classes: ClassVar[Mapping[Any, str]] = {"encoder": "AutoModelForSequenceClassification"}
    primary_metric: ClassVar[str] = "eval_mean_error"
    headline: ClassVar[tuple[str, ...]] = ("mean_error", "exact")

    text_column: str = "text"
    rating_column: str = "rating"
    max_source_tokens: int = 64

    @property
    def columns(self):
        return (self.text_column,)

    @property
    def label_columns(self):
        return (self.rating_column,)

    def config_overrides(self):
        return {"num_labels": 1, "problem_type": "regression"}

    def encode(self, batch, tokenizer, *, kind, with_labels=True):
        texts = [clean_text(text) for text in batch[self.text_column]]
        ids, cut = encode_texts(tokenizer, texts, self.max_source_tokens)
        found = {"input_ids": ids, "length": [len(row) for row in ids], "source_cut": cut}
        if with_labels:
            found["labels"] = [float(value["stars"]) for value in batch[self.rating_column]]
        return found

    def collator(self, model, tokenizer):
        return SequenceCollator(pad_id=tokenizer.pad_token_id)

    def loss(self, model, args):
        return StepLoss(regression=True)

    def answers(self, outputs, dataset, tokenizer):
        raw = [float(row[0]) for row in outputs]
        return [{"rating": {"stars": min(5, max(1, round(v))), "of": 5}, "raw": v} for v in raw]

    def compute_metrics(self, predictions, references, *, texts=None):
        pairs = zip(predictions, references, strict=True)
        errors = [abs(said["stars"] - true["stars"]) for said, true in pairs]
        exact = sum(error == 0 for error in errors)
        return {"mean_error": sum(errors) / len(errors), "exact": exact / len(errors)}
