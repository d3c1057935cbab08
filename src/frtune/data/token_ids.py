"""Token ids of many texts, fast: no more of a long text than is needed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

_CONTROL_SPACE = re.compile(r"[\t-\r\x1c-\x1f\x85]")
_MEASURED_TEXTS = 16  # tell how many characters a token has


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
    called as it is. One that drops line ends without ending the word (FlauBERT's) gets spaces in
    their place. Of a text that has more ids than ``enough``, more than so many are returned, but
    not all where the rest need not be looked at.
    """
    texts = list(texts)
    own = getattr(type(tokenizer), "_encode_plus", None)
    if own is not PreTrainedTokenizerFast._encode_plus:
        if not tokenizer.is_fast and tokenizer.tokenize("a\nb") == tokenizer.tokenize("ab"):
            texts = [_CONTROL_SPACE.sub(" ", text) for text in texts]
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
    max_characters = int(1.1 * characters / max(tokens, 1) * enough)

    def beginning(text: str) -> str:
        if len(text) <= max_characters:
            return text
        return text[:max_characters].rpartition(" ")[0].rstrip()

    rows += encode([beginning(text) for text in texts[len(rows) :]])
    short = [
        i
        for i, (text, ids) in enumerate(zip(texts, rows, strict=True))
        if i >= _MEASURED_TEXTS and len(ids) <= enough and len(text) > max_characters
    ]
    for i, ids in zip(short, encode([texts[i] for i in short]), strict=True):
        rows[i] = ids
    return rows
