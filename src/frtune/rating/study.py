"""What a rating study shows and asks: items, runs, the scale, and who sees what in which order."""

from __future__ import annotations

import hashlib
import random
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from frtune.errors import InputError

Mode = Literal["score", "prefer"]
MOST_RATER_CHARACTERS = 64
MOST_COMMENT_CHARACTERS = 2_000


@dataclass(frozen=True)
class Item:
    """A text that is judged.

    Attributes:
        text: What raters read.
        phrases: The phrases of each run, in the order of ``RatingStudy.runs``.
        reference: Its true phrases, for the automatic scores; ``None`` where there are none.
    """

    text: str
    phrases: tuple[tuple[str, ...], ...]
    reference: tuple[str, ...] | None = None


@dataclass(frozen=True)
class RatingStudy:
    """Everything that the raters of one file of ratings have in common.

    Attributes:
        runs: Names of the runs; raters never see them.
        items: What is judged.
        mode: ``"score"`` asks for a grade of each run's phrases, ``"prefer"`` for the best ones.
        scale: Grades from worst to best: number and what it is called.
        question: What raters are asked; ``None`` asks in their language.
        seed: Of the order of items and runs.
    """

    runs: tuple[str, ...]
    items: tuple[Item, ...]
    mode: Mode = "score"
    scale: tuple[tuple[float, str], ...] = tuple((float(n), str(n)) for n in range(1, 6))
    question: str | None = None
    seed: int = 42

    def __post_init__(self):
        if self.mode not in get_args(Mode):
            raise InputError(f"mode={self.mode!r}: one of {', '.join(get_args(Mode))}.")
        if self.mode == "prefer" and len(self.runs) < 2:
            raise InputError("mode=prefer: needs two runs. Give another, or let raters score.")
        grades = [number for number, _ in self.scale]
        if len(grades) < 2 or grades != sorted(set(grades)):
            raise InputError(f"scale={grades}: two grades or more, from worst to best.")

    def item_order(self, rater: str) -> list[int]:
        """The order in which ``rater`` sees the items, always the same for the same name."""
        return self._shuffled(range(len(self.items)), rater)

    def run_order(self, rater: str, item: int) -> list[int]:
        """The order in which ``rater`` sees the runs of an item."""
        return self._shuffled(range(len(self.runs)), rater, item)

    def _shuffled(self, values: Sequence[int], *parts: object) -> list[int]:
        key = "\x1f".join(map(str, (self.seed, *parts)))
        shuffled = list(values)
        random.Random(hashlib.sha256(key.encode()).digest()).shuffle(shuffled)
        return shuffled


def rater_name(given: str) -> str:
    """Return a rater's name as it is stored: composed, without spaces at its ends.

    Raises:
        InputError: If nothing is left, or more than 64 characters.

    Example:
        >>> rater_name("  Ana  María ")
        'Ana María'
    """
    name = " ".join(unicodedata.normalize("NFC", given or "").split())
    if not name or len(name) > MOST_RATER_CHARACTERS or not name.isprintable():
        raise InputError(f"name={name!r:.80}: 1 to {MOST_RATER_CHARACTERS} characters.")
    return name


def parse_scale(words: Sequence[str]) -> tuple[tuple[float, str], ...]:
    """Read a scale: numbers, or numbers with a name.

    Raises:
        InputError: For what is no number.

    Example:
        >>> parse_scale(["0=useless", "1", "2=perfect"])
        ((0.0, '0 useless'), (1.0, '1'), (2.0, '2 perfect'))
    """
    found = []
    for word in words:
        number, mark, name = word.partition("=")
        try:
            value = float(number)
        except ValueError:
            raise InputError(
                f"scale={word}: not a number, or NUMBER=NAME. Pass 1 2 3, or 1=bad 2=good."
            ) from None
        found.append((value, f"{number} {name.strip()}".strip() if mark else number))
    return tuple(found)


@dataclass(frozen=True)
class Judgement:
    """What a rater said of an item.

    Attributes:
        ratings: Grade by run; empty in mode ``prefer``.
        wrong: Places (from 0) of the phrases marked wrong, by run.
        preferred: The best run; ``None`` where no one is better, and in mode ``score``.
        comment: What they wrote about it.
    """

    ratings: dict[int, float]
    wrong: dict[int, tuple[int, ...]]
    preferred: int | None = None
    comment: str = ""
