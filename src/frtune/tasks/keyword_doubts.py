"""Which keywords of a text are probably wrong, and which are missing, by span."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from frtune.metrics.chances import softmax
from frtune.metrics.tags import OUTSIDE
from frtune.tasks.keyword_rows import StitchedText, stitched
from frtune.tasks.keyword_scores import KeywordScores
from frtune.tasks.label_doubts import Evidence, LabelDoubt, Reason
from frtune.tasks.phrase_labels import PhraseLabels, disjoint_lists
from frtune.tasks.token_labels import IGNORED

if TYPE_CHECKING:
    from datasets import Dataset

Span = tuple[int, int]


class KeywordDoubts(PhraseLabels, KeywordScores):
    """The review of keywords; the attributes are those of ``KeywordExtraction``."""

    def review_evidence(
        self, outputs: Sequence[Any], dataset: Dataset, tokenizer: Any
    ) -> list[dict[str, Any]]:
        """As of every task.

        ``given``: each keyword of the row with the probability that it is one, ``None`` where it
        does not stand in the text. ``extra``: what is marked besides, with the same. ``tokens``:
        sum and number of the probability of O over tokens labelled so, and of a keyword over the
        others.
        """
        texts = stitched(outputs, dataset, self)
        return list(map(self._evidence, texts, self.references(dataset)))

    def _evidence(self, text: StitchedText, keywords: list[str]) -> dict[str, Any]:
        # of each token, that it is in a keyword
        chances = 1 - softmax(np.asarray(text.logits))[:, OUTSIDE]
        counted = np.array(text.word_starts if self.subwords == "first" else [True] * len(chances))

        def chance(spans: Sequence[Span]) -> float | None:
            found = [*_means(chances, counted, text.spans, spans)]
            return round(max(found), 4) if found else None

        keys, found = {self.key(word) for word in keywords}, text.described(self.subwords)
        other = [item for item in found if self.key(item["text"]) not in keys]
        labels = np.array([IGNORED if label is None else label for label in text.labels])
        outside = chances[labels == 0] if len(labels) else chances[:0]
        inside = chances[labels > 0] if len(labels) else chances[:0]
        return {
            "prediction": list(dict.fromkeys(item["text"] for item in found)),
            "given": [[word, chance(self.find(text.text, [word]).spans)] for word in keywords],
            "extra": [[item["text"], chance([(item["start"], item["end"])])] for item in other],
            "tokens": [float((1 - outside).sum()), len(outside), float(inside.sum()), len(inside)],
        }

    def label_doubts(self, rows: Dataset, evidence: Sequence[Evidence]) -> list[LabelDoubt]:
        """As of every task, by the least likely keyword, or the likeliest that is not given.

        They are doubted from the mean probability on that tokens of the other label have, as the
        confident joint does (Northcutt et al. 2021).
        """
        sums = np.sum([row["tokens"] for row in evidence], axis=0)
        outside, inside = sums[0] / max(1, sums[1]), sums[2] / max(1, sums[3])
        return [self._doubt(row, outside, inside) for row in evidence]

    def _doubt(self, row: Evidence, outside: float, inside: float) -> LabelDoubt:
        wrong = {word: 1 - chance for word, chance in row["given"] if chance is not None}
        absent = [word for word, chance in row["given"] if chance is None]
        extra = {word: chance for word, chance in row["extra"] if chance is not None}
        told = {
            "unlikely_keywords": [word for word, chance in wrong.items() if chance >= outside],
            "unmarked_keywords": [word for word, chance in extra.items() if chance >= inside],
            "keywords_not_in_text": absent,
        }
        reasons = tuple(
            Reason(name, {"phrases": self.label_line(words)})
            for name, words in told.items()
            if words
        )
        doubt = max([0.0, *wrong.values(), *extra.values()])
        same = {self.key(word) for word, _ in row["given"]} == set(map(self.key, row["prediction"]))
        return LabelDoubt(doubt, doubt, None if same else row["prediction"], reasons)

    def conflict_test(self, labels: Sequence[Any]) -> Callable[[Any, Any], bool]:
        return disjoint_lists(self.key)


def _means(
    chances: np.ndarray, counted: np.ndarray, tokens: Sequence[Span], spans: Sequence[Span]
) -> Iterator[float]:
    """The mean probability of the tokens of each span."""
    places = np.array(tokens).reshape(-1, 2)
    for start, end in spans:
        own = (places[:, 0] < end) & (places[:, 1] > start)
        own = own & counted if (own & counted).any() else own
        if own.any():
            yield float(chances[own].mean())
