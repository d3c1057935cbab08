"""Sources and targets of a language model as token ids, within a limit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from frtune.errors import InputError
from frtune.tasks.collators import IGNORED

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


START = "[generate keyphrases]"
MIDDLE = "[keyphrases generated]"
END = "[end of generation]"
_MEASURED_TEXTS = 16  # tell how many characters a token has


def ended(ids: list[int], end: int) -> list[int]:
    """The ids of one text with ``end`` last, whether or not the tokenizer appends it."""
    return ids if len(ids) and ids[-1] == end else [*ids, end]


def without_special(texts: list[str], tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """The texts with a space where a user's text spells a special token, such as EOS."""
    names = {START, MIDDLE, END, *tokenizer.all_special_tokens}
    pattern = re.compile("|".join(map(re.escape, sorted(names, key=len, reverse=True))))
    return [pattern.sub(" ", text) for text in texts]


def token_ids(
    texts: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    *,
    special: bool = False,
    enough: int | None = None,
) -> list[list[int]]:
    """Return the ids of each text, whole; with the tokenizer's ``special`` tokens, such as EOS.

    They are those of ``tokenizer(texts)``, which has the places of tokens found as well, and takes
    a quarter longer. A tokenizer in Python, or of a class that encodes in a way of its own, is
    called as it is. Of a text that has more ids than ``enough``, more than so many are returned,
    but not all where the rest need not be looked at.
    """
    from transformers import PreTrainedTokenizerFast

    texts = list(texts)
    own = getattr(type(tokenizer), "_encode_plus", None)
    if own is not PreTrainedTokenizerFast._encode_plus:
        options = {"return_attention_mask": False, "return_token_type_ids": False}
        found = tokenizer(
            texts, add_special_tokens=special, truncation=False, verbose=False, **options
        )
        return found["input_ids"]
    backend: Any = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = tokenizer.split_special_tokens

    def encode(some: list[str]) -> list[list[int]]:
        return [row.ids for row in backend.encode_batch_fast(some, add_special_tokens=special)]

    if enough is None or not _splits_at_spaces(backend, texts):
        return encode(texts)
    return _beginnings(texts, encode, enough)


def _splits_at_spaces(backend: Any, texts: list[str]) -> bool:
    """Whether what stands before a space has the same tokens whatever follows it."""
    text = backend.normalizer.normalize_str("a b") if backend.normalizer else "a b"
    if not backend.pre_tokenizer or len(backend.pre_tokenizer.pre_tokenize_str(text)) < 2:
        return False
    added = [token.content for token in backend.get_added_tokens_decoder().values()]
    spaced = [name for name in added if " " in name.strip()]
    return not any(name in text for name in spaced for text in texts)


def _beginnings(
    texts: list[str], encode: Callable[[list[str]], list[list[int]]], enough: int
) -> list[list[int]]:
    """Ids of each text, or of its first words if they have more ids than ``enough``."""
    rows = encode(texts[:_MEASURED_TEXTS])
    tokens = sum(map(len, rows))
    characters = sum(map(len, texts[: len(rows)]))
    # a tenth more than so many ids take in the first texts
    room = int(1.1 * characters / max(tokens, 1) * enough)

    def beginning(text: str) -> str:
        return text if len(text) <= room else text[:room].rpartition(" ")[0].rstrip()

    rows += encode([beginning(text) for text in texts[len(rows) :]])
    short = [
        i
        for i, (text, ids) in enumerate(zip(texts, rows, strict=True))
        if i >= _MEASURED_TEXTS and len(ids) <= enough and len(text) > room
    ]
    for i, ids in zip(short, encode([texts[i] for i in short]), strict=True):
        rows[i] = ids
    return rows


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


def target_ids(
    join: Callable[[Sequence[str]], str],
    rows: Sequence[Sequence[str]],
    tokenizer: PreTrainedTokenizerBase,
    *,
    end: int,
    framed: bool,
    limit: int,
) -> tuple[list[list[int]], list[bool]]:
    """Ids of each row's joined phrases with ``end`` last; whole phrases go until they fit.

    Returns:
        At most ``limit`` ids a row, and whether anything was left out.
    """

    def encode(lines: list[str]) -> list[list[int]]:
        return [ended(ids, end) for ids in token_ids(lines, tokenizer, special=framed)]

    targets = encode([join(phrases) for phrases in rows])
    cut = [len(ids) > limit for ids in targets]
    for i in (i for i, too_long in enumerate(cut) if too_long):
        shorter = (encode([join(rows[i][:n])])[0] for n in range(len(rows[i]) - 1, 0, -1))
        whole = next((ids for ids in shorter if len(ids) <= limit), None)
        targets[i] = whole or [*targets[i][: limit - 1], end]
    return targets, cut


def written_lines(
    generated: Iterable[Sequence[int]], tokenizer: PreTrainedTokenizerBase
) -> list[str]:
    """Text of generated ids up to the first end token, without markers and special tokens."""
    # -100 is dropped: a padding token in its place could be EOS, and end the line
    rows = [[i for i in ids if i >= 0] for ids in generated]
    texts = tokenizer.batch_decode(
        rows, skip_special_tokens=False, clean_up_tokenization_spaces=False
    )
    return [_plain(text, tokenizer) for text in texts]


def _plain(text: str, tokenizer: PreTrainedTokenizerBase) -> str:
    eos = tokenizer.eos_token
    text = text.split(END)[0].split(MIDDLE)[-1].replace(START, " ")
    # EOS at the start is BART's decoder start, or padding on the left, not the end
    while eos and text.startswith(eos):
        text = text.removeprefix(eos)
    text = text.split(eos)[0] if eos else text
    for token in tokenizer.all_special_tokens:
        text = text.replace(token, " ")
    return text.strip()
