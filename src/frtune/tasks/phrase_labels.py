"""Lists of phrases as labels that are shown, typed and written."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from frtune.data.cleaning import clean_keyphrases
from frtune.data.nested_values import read_phrases
from frtune.data.written_lists import looks_written


class PhraseLabels:
    """How a review shows, reads and writes a label that is a list of phrases.

    Attributes:
        separator: Stands between the phrases of a text.
        keyphrase_field: With the phrase, where a value has objects.
    """

    separator: str
    keyphrase_field: str | None

    def label_line(self, label: Any) -> str:
        """As of every task."""
        return phrases_line(label, self.separator)

    def read_label_line(self, line: str) -> list[str]:
        """As of every task."""
        return clean_keyphrases(read_phrases(line, self.separator, None))

    def label_cell(self, label: Any, before: Any) -> Any:
        """As of every task."""
        return phrases_cell(label, before, self.separator, self.keyphrase_field)


def phrases_line(phrases: Sequence[str], separator: str) -> str:
    """Phrases as one line.

    Example:
        >>> phrases_line(["sun", "wind"], ";")
        'sun; wind'
    """
    return (separator if separator != separator.strip() else f"{separator} ").join(phrases)


def phrases_cell(
    phrases: Sequence[str], before: Any, separator: str, field: str | None = None
) -> Any:
    """Phrases in the form of a value: a list, a list of objects, written lists, separated text.

    Args:
        phrases: What is written.
        before: The value in whose form they are written.
        separator: Stands between the phrases of a text.
        field: With the phrase, where ``before`` has objects.

    Example:
        >>> phrases_cell(["sun", "wind"], "a; b", "; "), phrases_cell(["sun"], ["a"], "; ")
        ('sun; wind', ['sun'])
        >>> phrases_cell(["sun"], "['a', 'b']", "; "), phrases_cell(["s"], [{"p": "a"}], ";", "p")
        ('["sun"]', [{'p': 's'}])
    """
    if isinstance(before, str):
        if looks_written(before):
            return json.dumps(list(phrases), ensure_ascii=False)
        return separator.join(phrases)
    if field is not None and any(isinstance(item, dict) for item in before or ()):
        names = dict.fromkeys(name for item in before for name in item)
        return [{name: phrase if name == field else None for name in names} for phrase in phrases]
    return list(phrases)


def disjoint_lists(key: Callable[[str], str]) -> Callable[[Any, Any], bool]:
    """What tells whether two lists, none of them empty, have no phrase in common.

    Example:
        >>> conflict = disjoint_lists(str.lower)
        >>> conflict(["Sun"], ["sun", "wind"]), conflict(["sun"], ["wind"]), conflict([], ["sun"])
        (False, True, False)
    """

    def conflict(one: Sequence[str], other: Sequence[str]) -> bool:
        sides = set(map(key, one)), set(map(key, other))
        return all(sides) and not sides[0] & sides[1]

    return conflict
