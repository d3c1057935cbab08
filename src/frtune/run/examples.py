"""The rows that a model answered worst and best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from frtune.tasks.shown_rows import shortened

if TYPE_CHECKING:
    from frtune.tasks.base import Task

SHOWN = 6  # rows at each end

Line = Mapping[str, Any]


def worst_and_best(
    task: Task, lines: Sequence[Line]
) -> tuple[str, list[dict[str, Any]], list[dict[str, Any]]]:
    """Choose rows of ``predictions.jsonl`` by how well they were answered.

    Args:
        task: The task.
        lines: The rows, as dicts.

    Returns:
        What they are ordered by, the worst rows (worst first), and the best (best first). A row is
        in one of the two lists at most. Each is a dict of ``row`` (its number in the test set),
        ``value``, ``texts``, ``said`` and ``true`` (lists of ``{"text", "kind"}``, where ``kind``
        is ``right``, ``wrong``, ``missed`` or ``plain``), and ``marked``: the text in such pieces,
        of keyword extraction.
    """
    name, values = task.row_values(lines)
    order = sorted(range(len(lines)), key=lambda i: (values[i], i))
    count = min(SHOWN, len(order) // 2)
    worst, best = order[:count], order[len(order) - count :][::-1]
    worst, best = (
        [{"row": i, "value": values[i], **_described(task, lines[i])} for i in chosen]
        for chosen in (worst, best)
    )
    return name, worst, best


def _described(task: Task, line: Line) -> dict[str, Any]:
    texts = [shortened(line[name]) for name in ("input", "input_pair") if name in line]
    return {"texts": texts, "marked": None, **task.described(line)}
