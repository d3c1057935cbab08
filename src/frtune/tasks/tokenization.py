"""Sources and targets of a language model as token ids, within a limit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat, takewhile
from typing import TYPE_CHECKING, Any

from transformers import PreTrainedTokenizerBase

from frtune.data.token_ids import token_ids
from frtune.errors import InputError
from frtune.tasks.collators import IGNORED

if TYPE_CHECKING:
    from datasets import Dataset

START = "[generate keyphrases]"
MIDDLE = "[keyphrases generated]"
END = "[end of generation]"


def ended(ids: list[int], end: int) -> list[int]:
    """The ids of one text with ``end`` last, whether or not the tokenizer appends it."""
    return ids if len(ids) and ids[-1] == end else [*ids, end]


def without_special(texts: list[str], tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """The texts with a space where a user's text spells a special token, such as EOS."""
    names = {START, MIDDLE, END, *tokenizer.all_special_tokens}
    pattern = re.compile("|".join(map(re.escape, sorted(names, key=len, reverse=True))))
    return [pattern.sub(" ", text) for text in texts]


def framed_sources(
    texts: list[str], prefix: str, tokenizer: PreTrainedTokenizerBase, limit: int
) -> tuple[list[list[int]], list[bool]]:
    """Encoder input: the tokenizer's special tokens around each text, EOS last in every case.

    Returns:
        Ids of prefix and text, at most ``limit``, and whether the text's end was cut off.
    """
    eos = tokenizer.eos_token_id
    if (needed := len(tokenizer(prefix, verbose=False)["input_ids"]) + 8) > limit:
        raise InputError(
            f"max_source_tokens={limit}: the prefix leaves no room for a text. "
            f"Pass --max-source-tokens {needed} or more, or a shorter --prefix."
        )
    inputs, cut = [], []
    texts = [prefix + text for text in texts]
    for ids in token_ids(texts, tokenizer, special=True, enough=limit):
        whole = ended(ids, eos)
        cut.append(len(whole) > limit)
        inputs.append(whole if len(whole) <= limit else [*whole[: limit - 1], eos])
    return inputs, cut


def marked_sources(
    texts: list[str], tokenizer: PreTrainedTokenizerBase, markers: Sequence[int], limit: int
) -> tuple[list[list[int]], list[bool]]:
    """Decoder input: a marker before and one after each text, of which the end is cut.

    Returns:
        Ids of each text, at most ``limit`` with the markers, and whether its end was cut off.
    """
    before, after = markers
    room = limit - 2
    encoded = token_ids(texts, tokenizer, enough=room)
    return [[before, *ids[:room], after] for ids in encoded], [len(ids) > room for ids in encoded]


def append_targets(encoded: dict[str, list[Any]], train_on_prompt: bool) -> None:
    """Make prompt + target of each decoder row, with labels of the same length; in place."""
    pairs = zip(encoded["input_ids"], encoded["labels"], strict=True)
    for i, (prompt, target) in enumerate(pairs):
        encoded["input_ids"][i] = [*prompt, *target]
        masked = prompt if train_on_prompt else [IGNORED] * len(prompt)
        encoded["labels"][i] = [*masked, *target]


def learnt_targets(dataset: Dataset) -> Iterator[list[int]]:
    """Ids of the target of each encoded row, without what a decoder reads before it."""
    starts = dataset["prompt_length"] if "prompt_length" in dataset.column_names else repeat(0)
    for labels, start in zip(dataset["labels"], starts, strict=False):
        yield [i for i in labels[start:] if i >= 0]


def target_ids(
    join: Callable[[Sequence[str]], str],
    rows: Sequence[Sequence[str]],
    encode: Callable[[list[str]], list[list[int]]],
    *,
    end: int,
    limit: int,
) -> tuple[list[list[int]], list[bool]]:
    """Ids of each row's joined phrases with ``end`` last; whole phrases go until they fit.

    ``encode`` gives the ids of joined lines, ``end`` included.

    Returns:
        At most ``limit`` ids a row, and whether anything was left out.
    """
    targets = encode([join(phrases) for phrases in rows])
    cut = [len(ids) > limit for ids in targets]
    for i in (i for i, too_long in enumerate(cut) if too_long):
        shorter = (encode([join(rows[i][:n])])[0] for n in range(len(rows[i]) - 1, 0, -1))
        whole = next((ids for ids in shorter if len(ids) <= limit), None)
        targets[i] = whole or [*targets[i][: limit - 1], end]
    return targets, cut


def written_lines(
    generated: Iterable[Sequence[int]],
    tokenizer: PreTrainedTokenizerBase,
    *,
    end: int | None = None,
) -> list[str]:
    """Text of generated ids up to the first end token, without markers and special tokens.

    ``end`` is a further end token, which need not be a special one.
    """
    # -100 is dropped: a padding token in its place could be EOS, and end the line
    rows = [[i for i in takewhile(lambda i: i != end, ids) if i >= 0] for ids in generated]
    options = {"skip_special_tokens": False, "clean_up_tokenization_spaces": False}
    texts = tokenizer.batch_decode(rows, **options)
    special = tokenizer.all_special_tokens
    return [_plain(text, tokenizer.eos_token, special) for text in texts]


def _plain(text: str, eos: str | None, special: Sequence[str]) -> str:
    text = text.split(END)[0].split(MIDDLE)[-1].replace(START, " ")
    # EOS at the start is BART's decoder start, or padding on the left, not the end
    while eos and text.startswith(eos):
        text = text.removeprefix(eos)
    text = text.split(eos)[0] if eos else text
    for token in special:
        text = text.replace(token, " ")
    return text.strip()
