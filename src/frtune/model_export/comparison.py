"""How near a graph is to its model, what it costs, and what it gains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from frtune.model_export.checked_rows import CheckedRows
from frtune.model_export.sides import BATCH, Side, seconds_in_turns
from frtune.names import counted

ALLOWED = 1e-4  # of the largest logit; fp32 has 24 bits, and sums are added up in another order
_LEAST = 0.1  # of a largest logit that counts: below it, rounding is that of the layers before


def compare_sides(
    checked: CheckedRows, sides: dict[str, tuple[Side, int]], encoded: Any
) -> list[dict[str, Any]]:
    """Ask each side the same, and say how far it is from the first.

    Args:
        checked: The rows.
        sides: By name, with the size of its files in bytes; the first is PyTorch.
        encoded: The rows, encoded.

    Returns:
        For each side ``name``, ``size_bytes``, ``seconds`` (a text, by the size of the batch), its
        ``score`` where rows have labels (else ``None``), and against the first ``difference``, the
        largest of a logit, ``largest``, the first's largest logit, and ``same``, rows with the
        same answer. ``rows`` is how many there are.
    """
    (first, _), *_ = sides.values()
    found, keys, expected = [], None, first.numbers(encoded)
    for name, (side, size) in sides.items():
        said, score = _answered(checked, side, encoded)
        keys = keys or said
        row = {"name": name, "size_bytes": size, "score": score, "difference": None}
        if side is not first:
            row |= _differences(expected, side.numbers(encoded, first))
        same = sum(a == b for a, b in zip(keys, said, strict=True))
        found.append({**row, "same": same, "rows": len(said), "seconds": {}})
    for count in (1, BATCH):
        times = seconds_in_turns([side for side, _ in sides.values()], encoded, count)
        for row, seconds in zip(found, times, strict=True):
            row["seconds"][str(count)] = seconds
    return found


def _answered(checked: CheckedRows, side: Side, encoded: Any) -> tuple[list[Any], float | None]:
    """What is equal of two sides that answer a row alike, and the score where there are labels."""
    task, tokenizer = checked.task, side.predictor.tokenizer
    outputs = side.outputs(encoded)
    answers = task.decided(task.answers(outputs, encoded, tokenizer))
    keys = [task.agreement_key(answer) for answer in answers]
    if not checked.labelled:
        return keys, None
    return keys, float(task.score_outputs(outputs, encoded, tokenizer)[task.main_score])


def _differences(expected: list[np.ndarray], found: list[np.ndarray]) -> dict[str, float]:
    """The largest difference of a logit, where both read the same, and the largest logit."""
    pairs = [*zip(expected, found, strict=True)]
    if not all(np.isfinite(each).all() for pair in pairs for each in pair):
        return {"difference": float("inf"), "largest": 0.0}
    return {
        "difference": max(float(np.abs(a - b).max()) for a, b in pairs),
        "largest": max(float(np.abs(a).max()) for a, _ in pairs),
    }


def allowed_difference(largest: float) -> float:
    """How far a logit of a graph in fp32 may be from the model's, of the largest logit.

    Example:
        >>> allowed_difference(5.0), allowed_difference(0.001)
        (0.0005, 1e-05)
    """
    return float(f"{ALLOWED * max(largest, _LEAST):.6g}")


def check_equal(found: dict[str, Any], directory: Any) -> None:
    """Refuse (``RuntimeError``) a graph whose logits are not the model's."""
    allowed = allowed_difference(found["largest"])
    if not found["difference"] <= allowed:
        raise RuntimeError(
            f"{directory}: the graph's logits are not the model's: {found['difference']:.2g} apart "
            f"at most, of {found['largest']:.3g}, and {allowed:.2g} is allowed. Nothing was "
            "written; report the model and the versions of torch and onnxscript."
        )


def table(found: Sequence[dict[str, Any]], score: str) -> str:
    """The comparison as a table in Markdown."""
    scored = found[0]["score"] is not None
    sizes = [*found[0]["seconds"]]
    head = [
        "", "size", "largest difference", "same answers", *([score] if scored else []),
        *(f"{counted(int(size), 'text')} at once" for size in sizes),
    ]  # fmt: skip
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *(_cells(row, scored) for row in found)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _cells(row: dict[str, Any], scored: bool) -> list[str]:
    first = row["difference"] is None
    return [
        row["name"],
        f"{row['size_bytes'] / 2**20:.1f} MiB",
        "" if first else f"{row['difference']:.2g} of {row['largest']:.3g}",
        "" if first else f"{row['same']} of {row['rows']}",
        *([f"{row['score']:.4f}"] if scored else []),
        *(f"{1000 * seconds:.1f} ms a text" for seconds in row["seconds"].values()),
    ]
