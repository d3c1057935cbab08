"""Which split a name stands for, and which of several names are read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from frtune.data.splitting import SPLITS
from frtune.errors import InputError

_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "eval", "evaluation"),
    "test": ("test", "testing", "holdout"),
}
_SPLIT_OF = {name: split for split, names in _NAMES.items() for name in names}
_SHARD = re.compile(r"[-_.](\d+)-of-(\d+)(?:-[0-9a-f]{6,})?$", re.IGNORECASE)
_NUMBERED = re.compile(
    r"(?:[-_.]?part)?[-_.]?(\d+)(?:-[0-9a-f]{6,}[0-9a-f-]*(?:-c\d+)?)?$", re.IGNORECASE
)
_ALONE = re.compile(r"part|0", re.IGNORECASE)  # begins what is the number of a part, not a year
_WORD = re.compile(r"([a-z]+?)(?:sets?|data|split|file)?")


def split_of(name: str) -> str | None:
    """Return the split that a file or split name stands for, or ``None``.

    Example:
        >>> split_of("Dev"), split_of("hold-out"), split_of("articles")
        ('validation', 'test', None)
    """
    return _SPLIT_OF.get(re.sub(r"[-_. ]", "", name.lower()))


def likely_split(name: str) -> str | None:
    """Return the split that one of the words of a name stands for; ``None`` for none or several.

    Example:
        >>> likely_split("sts-train"), likely_split("ratings_test"), likely_split("train_and_test")
        ('train', 'test', None)
        >>> likely_split("devset"), likely_split("latest")
        ('validation', None)
    """
    found = {split for split in map(_split_of_word, re.findall(r"[a-z]+", name.lower())) if split}
    return split_of(name) or (found.pop() if len(found) == 1 else None)


def are_siblings(name: str, other: str) -> bool:
    """Tell whether two names differ in the word of their split alone, or are nothing but it.

    Example:
        >>> are_siblings("reviews_train", "reviews_test"), are_siblings("reviews", "films_test")
        (True, False)
        >>> are_siblings("reviews", "test"), are_siblings("reviews", "notes")
        (True, False)
    """
    if split_of(other):
        return split_of(other) != split_of(name)
    kept = [re.findall(r"[^\W_]+", each.lower()) for each in (name, other)]
    one, two = ([word for word in words if not _split_of_word(word)] for words in kept)
    return one == two and likely_split(other) not in (None, likely_split(name))


def _split_of_word(word: str) -> str | None:
    match = _WORD.fullmatch(word)
    return _SPLIT_OF.get(match[1]) if match else None


class Shard(NamedTuple):
    """A file's name without what numbers it.

    Attributes:
        name: Of the whole.
        number: Of this part, or ``None`` when the file is the whole.
        parts: How many there are, where the name says so.
    """

    name: str
    number: int | None
    parts: int | None


def shard_of(stem: str) -> Shard:
    """Take apart the name of a part of a split.

    Example:
        >>> shard_of("train-00001-of-00002-4f3c2a1b9d")
        Shard(name='train', number=1, parts=2)
        >>> shard_of("train_3"), shard_of("articles2024").number
        (Shard(name='train', number=3, parts=None), None)
        >>> shard_of("part-0007"), shard_of("2024").number
        (Shard(name='', number=7, parts=None), None)
    """
    if match := _SHARD.search(stem):
        return Shard(stem[: match.start()], int(match[1]), int(match[2]))
    match = _NUMBERED.search(stem)
    if match and (split_of(stem[: match.start()]) or (not match.start() and _ALONE.match(stem))):
        return Shard(stem[: match.start()], int(match[1]), None)
    return Shard(stem, None, None)


def assign(names: Iterable[str]) -> dict[str, list[str]]:
    """Say which names are read for each split: those that are a split's, else those that hold one.

    Example:
        >>> assign(["train", "raw_train", "sts-dev", "notes"])
        {'train': ['train'], 'validation': ['sts-dev']}
    """
    names = list(names)
    found = {}
    for split in SPLITS:
        exact = [name for name in names if split_of(name) == split]
        chosen = exact or [name for name in names if likely_split(name) == split]
        if chosen:
            found[split] = chosen
    return found


def check_shards(stems: list[str], where: str) -> list[str]:
    """Refuse parts of which one is missing, by what their names say; return notes on gaps."""
    shards = [shard_of(stem) for stem in stems]
    wholes: dict[tuple[str, int | None], set[int]] = {}
    for shard in shards:
        if shard.number is not None:
            wholes.setdefault((shard.name, shard.parts), set()).add(shard.number)
    notes = []
    for (name, parts), numbers in wholes.items():
        # parts are counted from 0, and now and then from 1
        start = 0 if parts is None or 0 in numbers else 1
        start = min(numbers) if parts is None else start
        wanted = range(start, max(numbers) + 1 if parts is None else start + parts)
        missing = [str(number) for number in wanted if number not in numbers]
        if missing and parts is not None:
            raise InputError(
                f"{where}: {name} has {len(numbers)} of {parts} parts; number "
                f"{', '.join(missing[:5])} is missing. Add it, or name the files otherwise."
            )
        if missing:
            notes.append(f"{name or where}: there is no part {', '.join(missing[:5])}")
    return notes
