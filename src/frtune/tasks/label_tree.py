"""Labels that are the leaves of a tree, as accounts are: 401 under 40 under 4."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from frtune import metrics
from frtune.errors import InputError

_SCORES = ("accuracy", "f1_macro")
_WAYS = "prefix:1,2,3 (the first characters, by number) or separator:/ (between the levels)"


class LabelTree:
    """The nodes above each label, told by the label's own text.

    Args:
        rule: ``prefix:1,2,3``, numbers of leading characters, or ``separator:/``.
        labels: The labels, in the order of their ids.

    Attributes:
        levels: How many levels there are; a label stands on its last.

    Raises:
        InputError: For another rule, or one that puts no two labels under one node.

    Example:
        >>> tree = LabelTree("prefix:1,2", ["401", "411", "512", "6"])
        >>> tree.path("401"), tree.path("6"), tree.levels
        (['4', '40', '401'], ['6'], 3)
        >>> tree.nodes(1)
        ['4', '5', '6']
    """

    def __init__(self, rule: str, labels: Sequence[str]):
        self._path = _reader(rule)
        self.labels = list(labels)
        paths = [self.path(label) for label in labels]
        self.levels = max(map(len, paths), default=0)
        if labels and self.levels < 2:
            raise InputError(
                f"label_tree={rule!r}: puts no label under another node; the labels are "
                f"{', '.join(self.labels[:5])}, .... Leave it out, or give {_WAYS}."
            )

    def path(self, label: str) -> list[str]:
        """The nodes from the top down to the label itself."""
        return self._path(label)

    def node(self, label: str, level: int) -> str:
        """The label's node at a level, from 1; its last one where it has fewer."""
        path = self.path(label)
        return path[min(level, len(path)) - 1]

    def is_inner(self, name: str) -> bool:
        """Whether a name is that of a node above labels, and of no label."""
        return name not in self.labels and any(name in self.path(label) for label in self.labels)

    @functools.cached_property
    def _at(self) -> list[tuple[list[str], np.ndarray]]:
        """Of each level its nodes, and which label is under which, ``(labels, nodes)``."""
        found = []
        for level in range(1, self.levels + 1):
            of = [self.node(label, level) for label in self.labels]
            nodes = list(dict.fromkeys(of))
            found.append((nodes, np.array([[node == own for node in nodes] for own in of], float)))
        return found

    def nodes(self, level: int) -> list[str]:
        """The nodes of a level, from 1."""
        return self._at[level - 1][0]

    def chances(self, chances: np.ndarray, level: int) -> np.ndarray:
        """Sum the probabilities of labels, ``(rows, labels)``, to those of a level's nodes."""
        return chances @ self._at[level - 1][1]

    def scores(self, predictions: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        """``accuracy`` and ``f1_macro`` of the nodes at each level above the labels."""
        scores = {}
        for level in range(1, self.levels):
            said, true = ([self.node(v, level) for v in side] for side in (predictions, references))
            found = metrics.classification_scores(said, true)
            scores |= {f"{name}_level_{level}": found[name] for name in _SCORES}
        return scores

    @property
    def score_names(self) -> list[str]:
        """The names of ``scores``."""
        return [f"{name}_level_{level}" for level in range(1, self.levels) for name in _SCORES]


def check_rule(rule: str | None) -> None:
    """Refuse (``InputError``) what is no rule of a tree of labels."""
    if rule is not None:
        _reader(rule)


def _reader(rule: str):
    kind, _, rest = rule.partition(":")
    if kind == "separator" and rest:
        return functools.partial(_by_separator, separator=rest)
    if kind == "prefix":
        parts = [part.strip() for part in rest.split(",")]
        if all(part.isdecimal() and part.isascii() for part in parts):
            lengths = [int(part) for part in parts]
            if lengths == sorted(set(lengths)) and lengths[0] > 0:
                return functools.partial(_by_prefix, lengths=lengths)
    raise InputError(f"label_tree={rule!r}: {_WAYS}.")


def _by_prefix(label: str, lengths: Sequence[int]) -> list[str]:
    return [label[:length] for length in lengths if length < len(label)] + [label]


def _by_separator(label: str, separator: str) -> list[str]:
    parts = label.split(separator)
    return [separator.join(parts[:end]) for end in range(1, len(parts))] + [label]
