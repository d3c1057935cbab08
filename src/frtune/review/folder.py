"""The output of a review: what it is of, its folds, its table and what a person decided."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from frtune.errors import InputError
from frtune.files import write_json
from frtune.outputs import check_own_folder, settle_conditions

Action = Literal["keep", "change", "drop"]

MANIFEST, TABLE, DECISIONS, CORRECTED = "review.json", "review.csv", "decisions.json", "corrected"


def check_folder(directory: str | Path) -> Path:
    """Refuse (``InputError``) a folder that cannot be written, or holds something else."""
    return check_own_folder(directory, "--output", file=MANIFEST)


def settle_manifest(path: Path, conditions: Mapping[str, Any]) -> None:
    """Write what a review is of, or refuse (``InputError``) to go on with one of something else.

    Args:
        path: The folder.
        conditions: What its folds depend on, by name; ``data`` is a hash of the rows.
    """
    other = "other rows, or other labels"
    settle_conditions(path / MANIFEST, conditions, what="review", name="--output", data=other)


@dataclass(frozen=True)
class Decision:
    """What a person decided of a row.

    Attributes:
        action: Keep its label, change it, or drop the row.
        label: The new label, as a line, where it is changed.
    """

    action: Action
    label: str | None = None

    def __post_init__(self):
        if self.action not in get_args(Action):
            raise InputError(f"action={self.action!r}: {', '.join(get_args(Action))}.")


class Decisions:
    """The decisions of a review by row, from 0; each is kept at once, in ``decisions.json``.

    Args:
        path: The file; made with the first decision.

    Raises:
        InputError: If it holds something else.
    """

    def __init__(self, path: Path):
        self.path = path
        self._lock = threading.Lock()
        try:
            found = json.loads(path.read_text("utf-8")) if path.is_file() else {}
            self._of_row = {int(row): Decision(**given) for row, given in found.items()}
        except (ValueError, TypeError, AttributeError) as error:
            raise InputError(f"{path}: is no file of decisions ({error}). Remove it.") from None

    def __len__(self) -> int:
        return len(self._of_row)

    def get(self, row: int) -> Decision | None:
        """What was decided of a row; ``None`` before."""
        return self._of_row.get(row)

    def items(self) -> list[tuple[int, Decision]]:
        """Rows and what was decided of them."""
        return sorted(self._of_row.items())

    def decide(self, row: int, decision: Decision) -> None:
        """Keep a decision; a later one of the same row replaces it."""
        with self._lock:
            found = {**self._of_row, row: decision}
            write_json(self.path, {str(i): vars(each) for i, each in sorted(found.items())})
            self._of_row = found
