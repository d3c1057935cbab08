"""What a rater sees at a place of their list, and what becomes of their answer."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass

from frtune.errors import InputError
from frtune.rating.store import RatingStore
from frtune.rating.study import Judgement


@dataclass(frozen=True)
class Sheet:
    """One item as a rater sees it.

    Attributes:
        place: From 0 to the number of items; that number is the end.
        text: The text.
        lists: The phrases in the order shown; nothing tells whose they are.
        grades: Grade of each list as answered before, ``None`` before.
        wrong: Places of the phrases marked wrong before, by list.
        preferred: Place of the list preferred before; ``None`` for no preference.
        answered: Whether there was an answer before.
        done: How many items the rater has answered.
        comment: What the rater wrote before.
    """

    place: int
    text: str = ""
    lists: Sequence[Sequence[str]] = ()
    grades: Sequence[float | None] = ()
    wrong: Sequence[Sequence[int]] = ()
    preferred: int | None = None
    answered: bool = False
    done: int = 0
    comment: str = ""


class RatingSession:
    """Hands out sheets and takes answers; nothing is remembered but in the file.

    Args:
        store: The file of the study.
    """

    def __init__(self, store: RatingStore):
        self.store = store
        self.study = store.study

    def resume(self, rater: str) -> int:
        """The first place that ``rater`` has not answered, the end if there is none."""
        answered = {item for _, item in self.store.judgements(rater)}
        order = self.study.item_order(rater)
        return next((i for i, item in enumerate(order) if item not in answered), len(order))

    def sheet(self, rater: str, place: int) -> Sheet:
        """What ``rater`` sees at ``place``."""
        order = self.study.item_order(rater)
        given = self.store.judgements(rater)
        place = min(max(place, 0), len(order))
        if place == len(order):
            return Sheet(place, done=len(given))
        item = self.study.items[order[place]]
        runs = self.study.run_order(rater, order[place])
        key = (rater, order[place])
        before = given.get(key, Judgement({}, {}))
        best = before.preferred
        return Sheet(
            place,
            item.text,
            lists=[item.phrases[run] for run in runs],
            grades=[before.ratings.get(run) for run in runs],
            wrong=[before.wrong.get(run, ()) for run in runs],
            preferred=None if best is None else runs.index(best),
            answered=key in given,
            done=len(given),
            comment=before.comment,
        )

    def answer(
        self,
        rater: str,
        place: int,
        *,
        grades: Sequence[float | None] = (),
        wrong: Sequence[Sequence[int]] = (),
        preferred: int | None = None,
        comment: str = "",
    ) -> None:
        """Keep an answer, given in the order in which the lists were shown.

        Raises:
            InputError: If a grade is missing, or something does not fit the study.
        """
        order = self.study.item_order(rater)
        if not 0 <= place < len(order):
            raise InputError(f"place={place}: from 0 to {len(order) - 1}.")
        runs = self.study.run_order(rater, order[place])
        graded = zip(runs, grades, strict=True) if self.study.mode == "score" else ()
        ratings = {run: float(grade) for run, grade in graded if grade is not None}
        marked = dict(zip(runs, (tuple(sorted(set(w))) for w in wrong), strict=False))
        best = None if preferred is None else runs[preferred]
        self.store.save(rater, order[place], Judgement(ratings, marked, best, comment.strip()))


def letter(place: int) -> str:
    """What the list at ``place`` is called.

    Example:
        >>> letter(0), letter(27)
        ('A', 'B2')
    """
    turn, place = divmod(place, 26)
    return string.ascii_uppercase[place] + (str(turn + 1) if turn else "")
