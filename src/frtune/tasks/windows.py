"""Long texts in overlapping windows, of which each token belongs to one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from transformers import PreTrainedTokenizerBase

from frtune.errors import InputError
from frtune.tasks.sequences import Frame, text_frame


class Window(NamedTuple):
    """A stretch of a text's tokens that the model reads at once.

    Attributes:
        start: First token that is read.
        end: End of what is read.
        own_start: First token whose label is learnt and read off here; the others are context.
        own_end: End of these.
    """

    start: int
    end: int
    own_start: int
    own_end: int


def plan_windows(
    tokens: int, size: int, overlap: int, word_starts: Sequence[bool] | None = None
) -> list[Window]:
    """Cover ``tokens`` tokens with windows, each token owned by one window.

    Two neighbours share ``overlap`` tokens. The first half of these belongs to the first window,
    the second half to the second, so that a token is read with context on both sides. With
    ``word_starts`` the border moves to the nearest start of a word, so that no word is divided.

    Args:
        tokens: Tokens of the text, without special ones.
        size: Tokens of a window.
        overlap: Tokens shared by two windows, at most half of ``size``.
        word_starts: Whether a token starts a word, for each.

    Returns:
        The windows in order; one empty window for a text without tokens.

    Raises:
        InputError: If ``size`` or ``overlap`` are out of range.

    Example:
        >>> for window in plan_windows(10, 6, 2): print(*window)
        0 6 0 5
        4 10 5 10
    """
    if size < 1 or not 0 <= overlap <= size // 2:
        raise InputError(
            f"overlap={overlap}: from 0 to half of the window's {size} tokens. Pass less overlap."
        )
    stride = size - overlap
    starts = [0]
    while starts[-1] + size < tokens:
        starts.append(starts[-1] + stride)
    borders = [0]
    for start in starts[1:]:
        low, high = max(start, borders[-1] + 1), start + overlap
        borders.append(_nearest_start(word_starts, low, high, middle=start + overlap // 2))
    borders.append(tokens)
    return [
        Window(start, min(start + size, tokens), borders[i], borders[i + 1])
        for i, start in enumerate(starts)
    ]


def _nearest_start(word_starts: Sequence[bool] | None, low: int, high: int, middle: int) -> int:
    places = range(low, min(high + 1, len(word_starts or ())))
    found = [at for at in places if word_starts and word_starts[at]]
    return min(found, key=lambda at: (abs(at - middle), at), default=max(low, middle))


def frame_of(tokenizer: PreTrainedTokenizerBase) -> Frame:
    """Return the special tokens that ``tokenizer`` puts around one text.

    Raises:
        InputError: If what it puts there is not the same for every text.
    """
    try:
        return text_frame(tokenizer)
    except ValueError:
        raise InputError(
            f"tokenizer={tokenizer.name_or_path}: its special tokens do not stand around the text. "
            "Choose a checkpoint of an encoder."
        ) from None
