"""Numbers and letters that count phrases up, in the ways that models write them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

_ROMAN = "i ii iii iv v vi vii viii ix x xi xii xiii xiv xv xvi xvii xviii xix xx".split()
_ORDINALS = "첫째 둘째 셋째 넷째 다섯째 여섯째 일곱째 여덟째 아홉째 열째".split()
_COUNTS = (
    [str(number) for number in range(1, 101)],
    [f"{number:02}" for number in range(1, 101)],
    list("abcdefghijklmnopqrstuvwxyz"),
    _ROMAN,
    list("가나다라마바사아자차카타파하"),
    _ORDINALS,
)
# 1. (1) [1] #1: n°1 : 1 - 1️⃣ a) A. iv. 가. 첫째,
_NUMBER = re.compile(
    r"[(\[\s]{0,2}(?:(?P<sign>[#№]\s?)|n[°º]|no\.\s?)?(?P<count>\d{1,3}|[a-z]{1,5}|[가-힣]{1,3})"
    r"(?:\ufe0f?\u20e3\s*|[.):：\],·]{1,2}\s+|\s+[-–—:：]\s+|(?<=\d)[.):](?=[^\s\d])"
    r"|(?(sign)\s+|(?!)))(?=\S)",
    re.IGNORECASE,
)
_INLINE = re.compile(r"(?:(?<=\s)|\A)(?:\((\d{1,2})\)|(\d{1,2})[.):])\s+(?=\S)")


def without_numbers(pieces: Sequence[str]) -> list[str]:
    """Pieces without what counts them up, where it does so from the first to the last.

    Example:
        >>> without_numbers(["a) sun", "b) sea"]), without_numbers(["#1: sun", "#2: sea"])
        (['sun', 'sea'], ['sun', 'sea'])
        >>> without_numbers(["a. sun", "c. sea"]), without_numbers(["3 - 2"])
        (['a. sun', 'c. sea'], ['3 - 2'])
        >>> without_numbers(["1 Corinthians", "2 Corinthians"])
        ['1 Corinthians', '2 Corinthians']
    """
    marks = [_NUMBER.match(piece) for piece in pieces]
    found = [mark["count"].lower() for mark in marks if mark]
    counted = any(found == counts[: len(pieces)] for counts in _COUNTS)
    signs = {re.sub(r"\w", "", mark[0].replace(mark["count"], "")) for mark in marks if mark}
    if len(pieces) < 2 or not counted or len(signs) > 1:
        return list(pieces)
    return [piece[mark.end() :] for piece, mark in zip(pieces, marks, strict=True) if mark]


def at_numbers(text: str) -> list[str]:
    """A line cut where numbers in it count up from its beginning; else as it is.

    Example:
        >>> at_numbers("(1) sun (2) sea"), at_numbers("1. sun and 3. Liga")
        (['sun', 'sea'], ['1. sun and 3. Liga'])
    """
    marks = list(_INLINE.finditer(text))
    counts = [int(mark[1] or mark[2]) for mark in marks]
    if len(marks) < 2 or marks[0].start() or counts != list(range(1, len(marks) + 1)):
        return [text]
    ends = [*(mark.start() for mark in marks), len(text)]
    return [
        text[mark.end() : end].rstrip()
        for mark, (_, end) in zip(marks, pairwise(ends), strict=True)
    ]
