"""Which parts of an answer are kept: the keywords of a text, say, by their scores."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from typing_extensions import Self

from frtune.errors import InputError
from frtune.ranges import check_fields


@dataclass(frozen=True)
class AnswerChoice:
    """What is kept of an answer that has several parts; all of it where nothing is given.

    Attributes:
        min_score: The least score of what is kept.
        top_k: Keep so many different ones at most, of the highest scores.
        present_only: Keep those alone that stand in the text; ``False`` or ``None`` keeps all.

    Raises:
        InputError: For a number out of its range.

    Example:
        >>> AnswerChoice(min_score=0.5, top_k=10).signature
        '|min_score:0.5|top_k:10'
    """

    min_score: float | None = None
    top_k: int | None = None
    present_only: bool | None = None

    def __post_init__(self):
        check_fields(self)

    @property
    def given(self) -> dict[str, Any]:
        """What was chosen, by its names."""
        found = asdict(self) | {"present_only": self.present_only or None}
        return {name: value for name, value in found.items() if value is not None}

    @property
    def by_score(self) -> bool:
        """Whether scores are needed."""
        return self.min_score is not None or self.top_k is not None

    @property
    def signature(self) -> str:
        """What the signatures of scores say of it; empty where nothing was chosen."""
        return "".join(f"|{name}:{value}" for name, value in self.given.items())

    def updated(self, **chosen: Any) -> Self:
        """The choice with what a call is given besides; ``None`` keeps what there is."""
        return replace(self, **{name: v for name, v in chosen.items() if v is not None})

    def kept(
        self, items: Sequence[Mapping[str, Any]], key: Callable[[Mapping[str, Any]], Hashable]
    ) -> list[dict[str, Any]]:
        """The items that are kept, in their order.

        Args:
            items: Parts of one answer, each with its ``score``.
            key: What items that are the same have in common. Such items count once in ``top_k``,
                with the highest of their scores, and all of them are kept.

        Raises:
            InputError: If an item has no score.

        Example:
            >>> items = [{"text": t, "score": s} for t, s in (("a", 0.6), ("b", 0.8), ("a", 0.9))]
            >>> AnswerChoice(top_k=1).kept(items, lambda item: item["text"])
            [{'text': 'a', 'score': 0.6}, {'text': 'a', 'score': 0.9}]
        """
        for name in ("min_score", "top_k"):
            value = getattr(self, name)
            if value is not None and any(item.get("score") is None for item in items):
                raise InputError(
                    f"{name}={value}: these answers have no scores. Give logits, not labels."
                )
        least = self.min_score
        found = [dict(item) for item in items if least is None or item["score"] >= least]
        if self.top_k is None:
            return found
        best: dict[Hashable, float] = {}
        for item in found:
            best[key(item)] = max(best.get(key(item), 0.0), item["score"])
        first = {*sorted(best, key=best.__getitem__, reverse=True)[: self.top_k]}
        return [item for item in found if key(item) in first]


WHOLE = AnswerChoice()  # keeps all of it
