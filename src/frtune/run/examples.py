"""The rows that a model answered worst and best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from frtune.tasks.base import Task
from frtune.tasks.shown_rows import shortened

SHOWN = 6  # rows at each end

Line = Mapping[str, Any]


def worst_and_best(
    task: Task, lines: Sequence[Line]
) -> tuple[str, list[dict[str, Any]], list[dict[str, Any]]]:
    """Choose rows of ``predictions.jsonl`` by how well they were answered.

    Returns:
        What they are ordered by, the worst rows (worst first), and the best (best first). A row is
        in one of the two lists at most, and none in which nothing is right is among the best. Each
        is a dict of ``row`` (its number in the test set), ``value``, ``texts``, ``said`` and
        ``true`` (lists of ``{"text", "kind"}``, where ``kind`` is ``right``, ``wrong``, ``missed``
        or ``plain``), and ``marked``: the text in such pieces, of keyword extraction.
    """
    name, values = task.row_values(lines)
    order = sorted(range(len(lines)), key=lambda i: (values[i], i))
    count = min(SHOWN, len(order) // 2)
    worst, best = order[:count], order[len(order) - count :][::-1]
    best = [i for i in best if values[i] > 0 or task.scored]  # of an error, 0 is the best

    def described(i: int) -> dict[str, Any]:
        texts = [shortened(lines[i][key]) for key in ("input", "input_pair") if key in lines[i]]
        found = {"row": i, "value": values[i], "texts": texts, "marked": None}
        return {**found, **task.described(lines[i])}

    return name, [described(i) for i in worst], [described(i) for i in best]
