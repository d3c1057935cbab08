"""What a comparison of saved models found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Comparison:
    """Models side by side.

    Attributes:
        task: Name of their task.
        rows: How many rows they were scored on.
        f1_name: The score in ``f1``, and ``accuracy_name`` that in ``accuracy``.
        accuracy_name: ``None`` where the task has no accuracy.
        models: One dict a model, the first the one that the others are held against: ``name``,
            ``directory``, ``sequence`` (what it was trained from), ``quantized`` (the method or
            ``None``), ``scores``, ``accuracy``, ``f1``, ``f1_low`` and ``f1_high`` (95 %
            interval), ``difference`` of the F1 from the first with ``difference_low``,
            ``difference_high`` and ``p_value`` (``p_note`` says when rows that differ are too few
            for a small one), ``agreement`` (share of rows with the same
            answer as the first), ``size_bytes``, ``memory_bytes``, ``latency``, ``bf16``, ``fp16``.
        machine: Processor and threads that the times are of.
    """

    task: str
    rows: int
    f1_name: str
    accuracy_name: str | None
    models: list[dict[str, Any]]
    machine: dict[str, Any]
