"""The rows that a model answered worst and best, and how their answers are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from frtune.metrics import keyphrase_scores_per_document, keyword_scores_per_document
from frtune.metrics.phrases import normalize_phrase
from frtune.tasks.spans import find_keywords

SHOWN = 6  # rows at each end
CHARACTERS = 600  # of a text

Line = Mapping[str, Any]


def worst_and_best(
    task: Any, lines: Sequence[Line]
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
    name, values = row_values(task, lines)
    order = sorted(range(len(lines)), key=lambda i: (values[i], i))
    count = min(SHOWN, len(order) // 2)
    worst, best = order[:count], order[len(order) - count :][::-1]
    worst, best = (
        [{"row": i, "value": values[i], **described(task, lines[i])} for i in chosen]
        for chosen in (worst, best)
    )
    return name, worst, best


def row_values(task: Any, lines: Sequence[Line]) -> tuple[str, list[float]]:
    """One number a row, higher is better, and what it is."""
    if task.name == "keyphrases":
        said, true = ([line[name] for line in lines] for name in ("prediction", "reference"))
        name = f"f1_at_{task.k}"
        return name, keyphrase_scores_per_document(said, true, k=task.k)[name]
    if task.name == "keywords":
        said, true = ([line[name] for line in lines] for name in ("prediction", "reference"))
        found = keyword_scores_per_document(said, true, normalize=task.key)
        return "keyword_f1", found["keyword_f1"]
    if getattr(task, "scored", False):
        return "less the error", [-abs(line["prediction"] - line["reference"]) for line in lines]
    chance = "probability of the true label"
    if task.name == "similarity":
        similar = task.known_labels[1]
        return chance, [
            line["similarity"] if line["reference"] == similar else 1 - line["similarity"]
            for line in lines
        ]
    return chance, [line["scores"][line["reference"]] for line in lines]


def described(task: Any, line: Line) -> dict[str, Any]:
    """How a row is shown; see ``worst_and_best``."""
    texts = [line[name] for name in ("input", "input_pair") if name in line]
    shown: dict[str, Any] = {"texts": [shortened(text) for text in texts], "marked": None}
    said, true = line["prediction"], line["reference"]
    if isinstance(true, list):
        key = task.key if task.name == "keywords" else normalize_phrase
        said_keys, true_keys = {key(text) for text in said}, {key(text) for text in true}
        if task.name == "keywords":
            shown["marked"] = _marked(task, line, true_keys)
            said = list({key(text): text for text in said}.values())
        shown["said"] = [_piece(t, "right" if key(t) in true_keys else "wrong") for t in said]
        shown["true"] = [_piece(t, "right" if key(t) in said_keys else "missed") for t in true]
        return shown
    if getattr(task, "scored", False):
        shown["said"], shown["true"] = [_piece(f"{said:.3g}")], [_piece(f"{true:.3g}")]
        return shown
    chance = line.get("score", line.get("similarity"))
    kind = "right" if said == true else "wrong"
    shown["said"] = [_piece(str(said), kind), _piece(f"{chance:.2f}")]
    shown["true"] = [_piece(str(true))]
    return shown


def shortened(text: str) -> str:
    """The beginning of a long text, marked as such.

    Example:
        >>> shortened("short"), len(shortened("x" * 1000))
        ('short', 601)
    """
    return text if len(text) <= CHARACTERS else text[:CHARACTERS] + "…"


def _piece(text: str, kind: str = "plain") -> dict[str, str]:
    return {"text": text, "kind": kind}


def _marked(task: Any, line: Line, true_keys: set[str]) -> list[dict[str, str]]:
    """A text cut at its keywords: those found and right, found and wrong, and missed."""
    text = line["input"]
    said = {
        (span["start"], span["end"]): "right" if task.key(span["text"]) in true_keys else "wrong"
        for span in line.get("spans", ())
    }
    true = find_keywords(text, line["reference"], ignore_accents=task.ignore_accents).spans
    missed = [(a, b) for a, b in true if not any(start < b and a < end for start, end in said)]
    kinds = {**dict.fromkeys(missed, "missed"), **said}
    pieces, at = [], 0
    for (start, end), kind in sorted(kinds.items()):
        if start < at or end > CHARACTERS:
            continue
        pieces += [_piece(text[at:start]), _piece(text[start:end], kind)]
        at = end
    pieces.append(_piece(shortened(text)[at:]))
    return [piece for piece in pieces if piece["text"]]
