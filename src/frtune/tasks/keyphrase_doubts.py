"""Which keyphrases of a text are probably wrong: by their loss, and by what no text supports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from frtune.metrics.phrases import normalize_phrase, presence_for, presence_test, stemmer_for
from frtune.tasks.keyphrase_scores import KeyphraseScores
from frtune.tasks.label_doubts import Evidence, LabelDoubt, Reason, outlier_limit, ranks
from frtune.tasks.phrase_labels import PhraseLabels, disjoint_lists
from frtune.words import UNSPACED, words

if TYPE_CHECKING:
    from datasets import Dataset


class KeyphraseDoubts(PhraseLabels, KeyphraseScores):
    """The review of keyphrases; the attributes are those of ``KeyphraseGeneration``."""

    def label_doubts(self, rows: Dataset, evidence: Sequence[Evidence]) -> list[LabelDoubt]:
        """As of every task, by the rank of ``loss`` and the share of unsupported phrases.

        A phrase is unsupported where it stands in no text of the data, and no other row has it. A
        loss is doubted where it is an outlier.
        """
        losses = np.array([row["loss"] for row in evidence])
        given = self.references(rows)
        absent = unsupported(self.score_texts(rows), given, language=self.language)
        limit, shares = outlier_limit(losses), ranks(losses)
        found = []
        for i, said in enumerate(evidence):
            reasons = []
            if losses[i] > limit:
                values = {"loss": f"{losses[i]:.2f}", "usual": f"{np.median(losses):.2f}"}
                reasons.append(Reason("high_loss", values))
            if absent[i]:
                phrases = self.label_line(absent[i])
                reasons.append(Reason("unsupported_phrases", {"phrases": phrases}))
            doubt = float(shares[i]) + len(absent[i]) / max(1, len(given[i]))
            same = set(map(normalize_phrase, said["prediction"])) == set(
                map(normalize_phrase, given[i])
            )
            other = None if same else said["prediction"]
            found.append(LabelDoubt(doubt, min(1.0, doubt), other, tuple(reasons)))
        return found

    def conflict_test(self, labels: Sequence[Any]) -> Callable[[Any, Any], bool]:
        return disjoint_lists(normalize_phrase)


def unsupported(
    texts: Sequence[str], phrases: Sequence[Sequence[str]], *, language: str | None = None
) -> list[list[str]]:
    """The phrases of each row that stand in no text, and that no other row has.

    Args:
        texts: Of each row.
        phrases: Of each row.
        language: Two-letter code: compares stems.

    Example:
        >>> unsupported(["solar cells", "wind"], [["solar cells", "energy"], ["sun", "energy"]])
        [[], ['sun']]
    """
    stem = stemmer_for(language) if presence_for(language) == "stem" else None
    plain = stem or (lambda text: " ".join(words(text)))
    rows_with = Counter(key for row in phrases for key in {plain(phrase) for phrase in row})
    lonely: dict[str, str] = {}  # stands not in its own text: a phrase, and its words
    for text, row in zip(texts, phrases, strict=True):
        here = presence_test(text, presence_for(language), stem)
        for phrase in row:
            if rows_with[plain(phrase)] == 1 and not here(phrase):
                lonely[phrase] = plain(phrase)
    known = _runs_in(map(plain, texts), {*lonely.values()})
    whole = "\n".join(plain(text) for text in texts) if any(map(UNSPACED.search, lonely)) else ""
    alone = {
        phrase
        for phrase, key in lonely.items()
        if key not in known and not (UNSPACED.search(key) and key in whole)
    }
    return [[phrase for phrase in row if phrase in alone] for row in phrases]


def _runs_in(texts: Any, wanted: set[str]) -> set[str]:
    """Those of the wanted runs of words that stand in one of the texts."""
    lengths = sorted({key.count(" ") + 1 for key in wanted if key})
    found: set[str] = set()
    for text in texts if lengths else ():
        parts = text.split(" ")
        for length in lengths:
            runs = (" ".join(parts[i : i + length]) for i in range(len(parts) - length + 1))
            found |= wanted.intersection(runs)
    return found
