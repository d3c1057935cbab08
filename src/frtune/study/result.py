"""What a study found."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from frtune.files import json_text, staged


@dataclass(frozen=True)
class Study:
    """What a study found; every number of it is in ``study.json`` after ``save``.

    Attributes:
        layers: Tidy frame: ``checkpoint``, ``layer`` (0 is the embeddings), ``statistic``,
            ``value``, ``low``, ``high`` (95% interval, ``nan`` where there is none).
        pairs: Tidy frame: ``a``, ``b`` (checkpoints), ``layer_a``, ``layer_b``, ``statistic``
            (``drift_cosine``, ``drift_distance``, ``procrustes``, ``neighbours`` of layers with the
            same number; ``cka`` and ``cka_texts`` of all), ``value``, ``low``, ``high``.
        dimensions: Tidy frame: ``checkpoint``, ``layer``, ``dimension``, ``mean``, ``variance``.
        answers: From ``convergence``: one dict per correlation of a curve with probe accuracy.
        checkpoints: One dict per checkpoint: ``name``, ``path``, ``family``, ``kind``,
            ``model_type``, ``adapter``, ``layers`` (blocks), ``width``, ``vocabulary_hash``,
            ``weights_hash``, ``tokens`` (``real``, ``special``), ``cut_texts``.
        data: ``texts``, ``blank_texts``, ``max_tokens``, ``labels`` (label to count, or ``None``),
            ``tokens`` and ``cut_texts`` (of the first checkpoint), ``hash``.
        settings: The settings that the numbers depend on.
        skipped: What could not be computed: dicts of ``what`` and ``why``.
        notes: What must be known to read the numbers: the same.
    """

    layers: pd.DataFrame
    pairs: pd.DataFrame
    dimensions: pd.DataFrame
    answers: list[dict[str, Any]]
    checkpoints: list[dict[str, Any]]
    data: dict[str, Any]
    settings: dict[str, Any]
    skipped: list[dict[str, str]]
    notes: list[dict[str, str]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain lists, dicts and numbers; ``nan`` becomes ``None``."""
        groups: Any = self.dimensions.groupby(["checkpoint", "layer"], sort=False)
        found = {
            name: getattr(self, name) for name in ("data", "settings", "checkpoints", "answers")
        }
        found |= {name: getattr(self, name).to_dict("records") for name in ("layers", "pairs")}
        found["dimensions"] = [
            {"checkpoint": checkpoint, "layer": layer}
            | {name: frame[name].tolist() for name in ("mean", "variance")}
            for (checkpoint, layer), frame in groups
        ]
        return _plain({**found, "skipped": self.skipped, "notes": self.notes})

    def save(self, directory: str | os.PathLike[str]) -> Path:
        """Write ``study.json`` and the frames as ``layers``, ``pairs`` and ``dimensions.parquet``.

        Args:
            directory: Where to; created if needed. The files appear whole or not at all.

        Returns:
            The directory.
        """
        with staged(directory) as draft:
            text = json_text(self.to_dict(), indent=1)
            (draft / "study.json").write_text(text + "\n", encoding="utf-8")
            for name in ("layers", "pairs", "dimensions"):
                getattr(self, name).to_parquet(draft / f"{name}.parquet", index=False)
        return Path(directory)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value.item() if hasattr(value, "item") else value
