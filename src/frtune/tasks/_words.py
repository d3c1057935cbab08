"""Texts to token ids by way of their words, each of which is tokenised once."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_WORTH_IT = 50  # texts at once; fewer are left to the tokenizer
_MOST_WORDS = 100_000  # kept for the next texts, the first that come: about 30 MB
_SPLIT_AT_SPACES = ("WhitespaceSplit", "BertPreTokenizer", "Whitespace")
_BY_WORD = (*_SPLIT_AT_SPACES, "Punctuation", "Digits", "UnicodeScripts")
_BY_CHARACTER = ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "BertNormalizer", "Nmt")


def token_ids(
    texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, *, special: bool = False
) -> list[list[int]]:
    """Return what the tokenizer says of each text, whole; of many texts in a fraction of the time.

    Most tokenizers cut a text at its spaces before anything else. Then the words of many texts,
    which come again and again, are looked up. A text with anything unusual at a space, and any
    text of a tokenizer that looks across spaces, is given to the tokenizer as it is.

    Args:
        texts: The texts.
        tokenizer: Fast or not.
        special: With the tokenizer's special tokens, such as EOS.
    """
    words = _words_of(tokenizer) if len(texts) >= _WORTH_IT else None
    if words is None:
        return _asked(texts, tokenizer, special)
    return words.ids(texts, tokenizer, special)


def _asked(texts: Sequence[str], tokenizer: Any, special: bool) -> list[list[int]]:
    if not len(texts):
        return []
    options = {"return_attention_mask": False, "return_token_type_ids": False}
    found = tokenizer(
        list(texts), add_special_tokens=special, truncation=False, verbose=False, **options
    )
    return found["input_ids"]


class _Rules(NamedTuple):
    """How a tokenizer cuts texts at spaces.

    Attributes:
        keeps_space: Whether a word is tokenised with the space before it (byte-level BPE).
        added: Tokens that are looked for in the raw text.
    """

    keeps_space: bool
    added: tuple[str, ...]


class Words:
    """The ids of the words that one tokenizer has met."""

    def __init__(self, tokenizer: Any, rules: _Rules):
        self._rules = rules
        self._normalizer = tokenizer.backend_tokenizer.normalizer
        self._known: dict[str, tuple[int, ...] | None] = {}
        self._spaced = [token for token in rules.added if " " in token]
        (bare,), (whole,) = (_asked(["a"], tokenizer, special) for special in (False, True))
        places = [i for i in range(len(whole)) if bare and whole[i : i + len(bare)] == bare]
        self._frame = (whole[: places[0]], whole[places[0] + len(bare) :]) if places else None
        self._proven = False

    def ids(self, texts: Sequence[str], tokenizer: Any, special: bool) -> list[list[int]]:
        """As ``token_ids``."""
        if self._frame is None:
            return _asked(texts, tokenizer, special)
        before, after = self._frame if special else ([], [])
        rows = [self._cut(text) for text in texts]
        known = self._with_new(chain.from_iterable(rows), tokenizer)
        found: list[Any] = []
        for row in rows:
            pieces: list[Any] = [known[word] for word in row]
            usual = row and None not in pieces
            found.append([*before, *chain.from_iterable(pieces), *after] if usual else None)
        left = [i for i, ids in enumerate(found) if ids is None]
        checked = () if self._proven else range(0, len(texts), len(texts) // 10)
        asked = sorted({*left, *checked})
        for i, ids in zip(
            asked, _asked([texts[i] for i in asked], tokenizer, special), strict=True
        ):
            if found[i] not in (None, ids):
                self._frame = None  # the rules say otherwise, but this tokenizer looks farther
                return _asked(texts, tokenizer, special)
            found[i] = ids
        self._proven = True
        return found

    def _cut(self, text: str) -> list[str]:
        """The words of a text; none if it is to be tokenised whole."""
        if not text or any(token in text for token in self._spaced):
            return []
        words = text.split(" ")
        if self._rules.keeps_space:
            words[1:] = [" " + word for word in words[1:]]
        return words

    def _with_new(self, words: Iterable[str], tokenizer: Any) -> dict[str, Any]:
        """All known words, and these; ``None`` for one that has to be read in its text."""
        new = [word for word in dict.fromkeys(words) if word not in self._known]
        usual = self._usual(new)
        backend = tokenizer.backend_tokenizer
        if backend.truncation is None and backend.padding is None:
            found = backend.encode_batch_fast(usual, add_special_tokens=False)
            ids = [tuple(each.ids) for each in found]
        else:
            ids = [tuple(each) for each in _asked(usual, tokenizer, False)]
        met = {**dict.fromkeys(new), **dict(zip(usual, ids, strict=True))}
        if len(self._known) + len(met) > _MOST_WORDS:
            return {**self._known, **met}
        self._known.update(met)
        return self._known

    def _usual(self, words: list[str]) -> list[str]:
        """The words that are tokenised alone as they are between others."""
        written = "\n".join(words)
        added = [token for token in self._rules.added if token in written]
        if added:
            words = [word for word in words if not any(token in word for token in added)]
        if self._normalizer is not None:
            words = [word for word in words if self._plain(self._normalizer.normalize_str(word))]
        return [word for word in words if self._plain(word)]

    def _plain(self, word: str) -> bool:
        """Whether neither end of a word could join what stands beyond a space."""
        word = word.removeprefix(" ") if self._rules.keeps_space else word
        return bool(word) and _plain_edge(word[0]) and _plain_edge(word[-1])


@lru_cache(maxsize=1 << 16)
def _plain_edge(char: str) -> bool:
    """Not so for spaces, their stand-in, marks that are written onto the sign before, controls."""
    return not char.isspace() and char != "▁" and unicodedata.category(char)[0] not in "MC"


# --- which tokenizers ----------------------------------------------------------------------------

_words: WeakKeyDictionary[Any, tuple[Any, Words | None]] = WeakKeyDictionary()


def _words_of(tokenizer: Any) -> Words | None:
    """The words of a tokenizer, as it is now; ``None`` if it does not cut texts at spaces."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return None
    added = tuple(sorted(token.content for token in tokenizer.added_tokens_decoder.values()))
    parts = (backend.normalizer, backend.pre_tokenizer, backend.post_processor)
    state = (len(tokenizer), added, *(part and part.__getstate__() for part in parts))
    known = _words.get(tokenizer)
    if known is None or known[0] != state:
        rules = rules_of(json.loads(backend.to_str()))
        known = (state, Words(tokenizer, rules) if rules else None)
        _words[tokenizer] = known
    return known[1]


def rules_of(content: dict[str, Any]) -> _Rules | None:
    """Read off a ``tokenizer.json`` how it cuts at spaces; ``None`` unless it surely does.

    Example:
        >>> from tokenizers import Tokenizer, models, pre_tokenizers
        >>> tokenizer = Tokenizer(models.BPE())
        >>> rules_of(json.loads(tokenizer.to_str())) is None
        True
        >>> tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
        >>> rules_of(json.loads(tokenizer.to_str()))
        _Rules(keeps_space=True, added=())
    """
    if content["model"].get("dropout") or not all(map(_local, _listed(content["normalizer"]))):
        return None
    steps = _listed(content["pre_tokenizer"])
    added = content["added_tokens"]
    if any(token["normalized"] and " " in token["content"] for token in added):
        return None
    marks = [step["pattern"]["String"] for step in steps if _splits_at_mark(step)]
    steps = [step for step in steps if not _splits_at_mark(step)]
    names = [step["type"] for step in steps]
    spaced = any(" " in mark for mark in marks) or not steps
    if spaced or any(step.get("prepend_scheme", "always") != "always" for step in steps):
        return None
    tokens = tuple(token["content"] for token in added) + tuple(marks)
    if names == ["ByteLevel"] and steps[0]["use_regex"]:
        return _Rules(True, tokens)
    cuts = names[0] in _SPLIT_AT_SPACES or (names[0] == "Metaspace" and steps[0]["split"])
    if cuts and all(name in (*_BY_WORD, "Metaspace") for name in names):
        return _Rules(False, tokens)
    return None


def _listed(step: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The steps of a sequence, of one step, or of none."""
    if step is None:
        return []
    inside = step.get("pretokenizers") or step.get("normalizers")
    return [each for one in inside for each in _listed(one)] if inside else [step]


def _splits_at_mark(step: dict[str, Any]) -> bool:
    return step["type"] == "Split" and "String" in step["pattern"]


def _local(step: dict[str, Any]) -> bool:
    """Whether a normalizer changes a word alike, wherever it stands."""
    if step["type"] == "Replace":  # of several spaces in a row; words have none around them
        return step["pattern"] in ({"Regex": " {2,}"}, {"String": "  "})
    return step["type"] in (*_BY_CHARACTER, "Precompiled")
