"""Token ids of many texts, fast: no more of a long text than is needed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import compress
from typing import Any

from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from frtune import data

# to look a tokenizer over takes as long as some texts, and to look it up as long as a few
CHARACTERS_WORTH_WORDS = 500_000
CHARACTERS_WORTH_KNOWN_WORDS = 50_000

_CONTROL_SPACE = re.compile(r"[\t-\r\x1c-\x1f\x85]")
_MEASURED_TEXTS = 16  # tell how many characters a token has
_WORD_CHARACTERS = 30  # on average; texts of longer words have few that come again
# steps of a tokenizer that look at one word at a time, where the first drops spaces
_NORMALIZERS = {
    "BertNormalizer", "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Precompiled",
}  # fmt: skip
_SPACE_DROPPERS = {"BertPreTokenizer", "Whitespace", "WhitespaceSplit"}
_WORD_SPLITTERS = {*_SPACE_DROPPERS, "Metaspace", "Punctuation", "Digits"}


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
    not all where the rest need not be looked at. Of many texts each word is encoded once, where its
    ids depend on no other.
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

    def encode(some: list[str], special: bool = special) -> list[list[int]]:
        return [row.ids for row in backend.encode_batch_fast(some, add_special_tokens=special)]

    def encode_whole(some: list[str]) -> list[list[int]]:
        cuts = enough is not None and _splits_at_spaces(backend, some)
        return _beginnings(some, encode, enough) if cuts else encode(some)

    looked_over = _word_ids.cache_info().currsize > 0
    worth = CHARACTERS_WORTH_KNOWN_WORDS if looked_over else CHARACTERS_WORTH_WORDS
    frame = _frame(backend, special) if sum(map(len, texts)) >= worth else None
    known = frame and _word_ids(backend.to_str(), tokenizer.split_special_tokens)
    if frame is None or known is None:
        return encode_whole(texts)
    plain = [_is_plain(text) for text in texts]
    spaced = list(compress(texts, plain))
    rows = iter(known.of(spaced, backend, enough=enough))
    others = iter(encode_whole([text for text, each in zip(texts, plain, strict=True) if not each]))
    before, after = frame
    return [[*before, *next(rows), *after] if each else next(others) for each in plain]


def _is_plain(text: str) -> bool:
    """Whether a text is words with single spaces between, which nothing joins with them."""
    short = len(text) <= _WORD_CHARACTERS * (text.count(" ") + 1)
    return short and not any(pattern.search(text) for pattern in data.word_ids.ODD_SPACES)


def _frame(backend: Any, special: bool) -> tuple[list[int], list[int]] | None:
    """The special tokens before and after each text; ``None`` where they are not to be told."""
    if not special:
        return [], []
    bare, whole = (backend.encode("a", add_special_tokens=each).ids for each in (False, True))
    for at in range(len(whole) - len(bare) + 1):
        if bare and whole[at : at + len(bare)] == bare:
            both = whole[:at], whole[at + len(bare) :]
            added = backend.num_special_tokens_to_add(False)
            return both if sum(map(len, both)) == added else None
    return None


@lru_cache(2)
def _word_ids(layout: str, split_special_tokens: bool) -> data.word_ids.WordIds | None:
    """Where the ids of words are kept for one tokenizer; ``None`` if a word's depend on others.

    ``layout`` is the whole tokenizer as JSON: one that changes gets a new place.
    """
    parts = json.loads(layout)
    model, splitters = parts["model"], _steps(parts["pre_tokenizer"], "pretokenizers")
    alone = (
        splitters
        and splitters[0]["type"] in _SPACE_DROPPERS
        and all(step["type"] in _WORD_SPLITTERS for step in splitters)
        and all(step.get("prepend_scheme") != "first" for step in splitters)
        and all(s["type"] in _NORMALIZERS for s in _steps(parts["normalizer"], "normalizers"))
        and not any(re.search(r"\s", token["content"]) for token in parts["added_tokens"])
        and not (model.get("dropout") or model.get("alpha"))  # draws at random
    )
    return data.word_ids.WordIds() if alone else None


def _steps(part: dict[str, Any] | None, name: str) -> list[dict[str, Any]]:
    if part is None:
        return []
    inner = part.get(name)
    return [part] if inner is None else [step for each in inner for step in _steps(each, name)]


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
