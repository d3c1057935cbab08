"""Labels of tokens: O, B and I, and the spans that they mark."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

OUTSIDE, BEGIN, INSIDE = 0, 1, 2
IGNORED = -100


def tagged_spans(labels: Iterable[int]) -> list[tuple[int, int]]:
    """Return first token and end of each run of labels (0 is O, 1 is B, 2 is I).

    A B begins a span, and so does an I after an O, as in seqeval's default mode and in CoNLL's
    script.

    Example:
        >>> tagged_spans([0, 1, 2, 1, 0, 2])
        [(1, 3), (3, 4), (5, 6)]
    """
    spans: list[tuple[int, int]] = []
    start = None
    for at, label in enumerate(chain(labels, [OUTSIDE])):
        if label != INSIDE and start is not None:
            spans.append((start, at))
            start = None
        if label == BEGIN or (label == INSIDE and start is None):
            start = at
    return spans
