"""What each row of a test set adds to a model's score, for the bootstrap and for agreement."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from frtune.metrics import keyphrase_scores_per_document
from frtune.metrics.bootstrap import count_score, f1_of_sums, spearman_score

if TYPE_CHECKING:
    from frtune.metrics.bootstrap import Score


@dataclass(frozen=True)
class RowScores:
    """A model's answers to test rows, and its scores.

    Attributes:
        f1_name: Name of the task's F1 (or correlation) among ``scores``.
        accuracy_name: Name of its accuracy; ``None`` where the task has none.
        scores: As ``frtune.evaluate`` reports them, without ``test_``.
        resample: The score called ``f1_name`` of rows that are drawn again.
        answers: Each row's answer, equal where two models agree.
    """

    f1_name: str
    accuracy_name: str | None
    scores: dict[str, float]
    resample: Score
    answers: list[Hashable]


def row_scores(task: Any, outputs: Sequence[Any], encoded: Any, tokenizer: Any) -> RowScores:
    """Score a model's outputs for encoded rows with labels."""
    scores = {k: float(v) for k, v in task.score_outputs(outputs, encoded, tokenizer).items()}
    references = task.references(encoded, tokenizer)
    answers = task.answers(outputs, encoded, tokenizer)
    if task.name == "keywords":
        name, accuracy = "keyword_f1", "token_accuracy"
        resample = _sets_f1([[item["text"] for item in a["keywords"]] for a in answers],
                            references, task.key)  # fmt: skip
        said: list[Hashable] = [tuple((k["start"], k["end"]) for k in a["keywords"])
                                for a in answers]  # fmt: skip
    elif task.name == "keyphrases":
        name, accuracy = f"f1_at_{task.k}", None
        said = [tuple(answer["keyphrases"]) for answer in answers]
        resample = _phrases_f1([list(row) for row in said], references, task.k)
    elif getattr(task, "scored", False):
        name, accuracy = "spearman", None
        found = [answer["similarity"] for answer in answers]
        resample = spearman_score(np.array(found), np.array(references))
        said = [round(value, 1) for value in found]
    else:
        name, accuracy = "f1_macro", "accuracy"
        said = [answer["label"] for answer in answers]
        resample = _classes_f1(said, references, task.known_labels)
    return RowScores(name, accuracy, scores, resample, said)


def _sets_f1(found: Sequence, references: Sequence, key: Callable[[str], str]) -> Score:
    pairs = [
        ({key(text) for text in row}, {key(text) for text in true})
        for row, true in zip(found, references, strict=True)
    ]
    counts = np.array([[len(p & t), len(p), len(t)] for p, t in pairs])  # (rows, 3)
    return count_score(counts, f1_of_sums)


def _classes_f1(found: Sequence, references: Sequence, labels: Sequence[str]) -> Score:
    names = np.array(labels)
    predicted = np.array(found)[:, None] == names  # (rows, classes)
    true = np.array(references)[:, None] == names
    counts = np.stack([predicted & true, predicted, true], axis=-1)  # (rows, classes, 3)
    return count_score(counts.reshape(len(found), -1).astype(np.int64), f1_of_sums)


def _phrases_f1(found: Sequence, references: Sequence, k: int) -> Score:
    """Mean over documents of the F1 at ``k`` of each."""
    values = np.array(keyphrase_scores_per_document(found, references, k=k)[f"f1_at_{k}"])
    counts = np.stack([values, np.ones_like(values)], axis=1)  # (rows, 2)
    return count_score(counts, lambda sums: sums[:, 0] / sums[:, 1])
