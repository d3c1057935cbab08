"""Tokenizers for ROUGE: what a word is, by language, and a warning when letters get lost."""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from rouge_score import tokenizers

from frtune.errors import InputError, nearest
from frtune.metrics.morphemes import Analyser, Morphemes, cache_directory, load_analyser
from frtune.metrics.tokenizer_names import NAMES, TokenizerName

Tokens = list[str]
AnyTokenizer = TokenizerName | Callable[[Any], Tokens] | Any

_ELIDED = "jusqu|lorsqu|puisqu|quoiqu|qu|[cdjlmnst]"
_WORDS = re.compile(rf"\b(?:{_ELIDED})(?=')|[^\W_]+(?:'[^\W_]+)*")
# Above this share of lost letters two different texts can look the same.
_TOLERATED_LOSS = 0.01


class LostCharactersWarning(UserWarning):
    """A tokenizer drops letters or digits, so that different texts may score as equal."""


class Tokenizer(NamedTuple):
    """A tokenizer and the name that its scores' signatures carry.

    Args:
        tokenize_all: Maps a list of texts to a list of token lists.
        signature: For example ``"kiwi-0.24"``.
    """

    tokenize_all: Callable[[Sequence[Any]], list[Tokens]]
    signature: str


def words(text: str) -> Tokens:
    """Split into case-folded words; accents stay, elided articles stand alone.

    Made for French, and right for other languages in Latin, Greek or Cyrillic script.

    Example:
        >>> words("L’École d'été, aujourd'hui peut-être")
        ['l', 'école', 'd', 'été', "aujourd'hui", 'peut', 'être']
        >>> words("E\u0301te\u0301") == words("Été")
        True
    """
    folded = unicodedata.normalize("NFC", text).casefold().replace("’", "'")
    return _WORDS.findall(unicodedata.normalize("NFC", folded))


def whitespace(text: str) -> Tokens:
    """Split at white space; nothing else is changed but Unicode composition (NFC).

    Example:
        >>> whitespace("서울의 봄; 1979")
        ['서울의', '봄;', '1979']
    """
    return unicodedata.normalize("NFC", text).split()


def find_tokenizer(tokenizer: AnyTokenizer) -> Tokenizer:
    """Return the tokenizer of that name, or wrap a callable or an object with ``tokenize``.

    Args:
        tokenizer: A name, a function from a text to its tokens, or an object with ``tokenize`` as
            ``rouge_score`` takes.

    Raises:
        InputError: If the name is unknown.
        ImportError: If its package isn't installed; it names the extra.

    Example:
        >>> find_tokenizer("fr").signature, find_tokenizer("words").signature
        ('words', 'words')
        >>> find_tokenizer("kr")
        Traceback (most recent call last):
        ...
        frtune.errors.InputError: tokenizer='kr': one of ko, komoran, fr, words, whitespace, ...
    """
    if isinstance(tokenizer, str):
        if tokenizer not in NAMES:
            raise InputError(
                f"tokenizer={tokenizer!r}: one of {', '.join(NAMES)}, a function, or an object "
                f"with tokenize. Pass one of them.{nearest(tokenizer, list(NAMES))}"
            )
        return _named(tokenizer)
    function: Any = getattr(tokenizer, "tokenize", tokenizer)
    if not callable(function):
        raise InputError(
            f"tokenizer={tokenizer!r}: one of {', '.join(NAMES)}, a function, or an object with "
            "tokenize. Pass frtune.metrics.default_tokenizer(references), for example."
        )
    origin = getattr(tokenizer, "__qualname__", type(tokenizer).__qualname__)
    return Tokenizer(_one_by_one(function), f"custom-{origin}")  # type: ignore[arg-type]


def check_tokenizer(tokenizer: TokenizerName) -> None:
    """Raise before any work if a tokenizer cannot be used here; Komoran needs Java, too.

    Raises:
        InputError: If the name is unknown.
        ImportError: If its package or Java isn't installed; it says what to install.

    Example:
        >>> check_tokenizer("words")
    """
    find_tokenizer(tokenizer)
    if tokenizer == "komoran":
        load_analyser("komoran")


def default_tokenizer(texts: Iterable[str]) -> TokenizerName:
    """Choose a tokenizer by the script of the texts.

    Args:
        texts: Some of the texts to be scored; the references do.

    Returns:
        ``"ko"`` when Hangul makes up a fifth of the letters or more and Kiwi is installed;
        ``"whitespace"``, with a warning, when Kiwi is missing; ``"fr"`` otherwise.

    Example:
        >>> default_tokenizer(["서울의 봄"]), default_tokenizer(["la pâte feuilletée"])
        ('ko', 'fr')
    """
    letters = _letters(texts)
    hangul = sum(n for c, n in letters.items() if "\uac00" <= c <= "\ud7a3")
    if hangul < 0.2 * max(sum(letters.values()), 1):
        return "fr"
    if find_spec("kiwipiepy"):
        return "ko"
    warnings.warn(
        "kiwipiepy is not installed: Korean is split at white space, which scores lower than "
        "morphemes. Run: pip install 'frtune[ko]'",
        stacklevel=2,
    )
    return "whitespace"


def warn_about_lost_letters(texts: Sequence[str], tokens: Sequence[Tokens], name: str) -> None:
    """Warn when the tokens hold visibly fewer letters and digits than the texts.

    Example:
        >>> import warnings
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     warn_about_lost_letters(["서울 SK"], [["sk"]], "rouge")
        >>> print(caught[0].message)
        tokenizer='rouge' drops 50 % of the letters and digits, so different texts can score ...
    """
    before = sum(_letters(texts).values())
    after = sum(_letters(token for line in tokens for token in line).values())
    if before and 1 - after / before > _TOLERATED_LOSS:
        warnings.warn(
            f"tokenizer={name!r} drops {1 - after / before:.0%} of the letters and digits, so "
            "different texts can score as equal and equal ones as different. "
            f"Pass tokenizer={default_tokenizer(texts)!r}.".replace("%", " %", 1),
            LostCharactersWarning,
            stacklevel=5,
        )


def _named(name: str) -> Tokenizer:
    if name in ("ko", "komoran"):
        return _korean("kiwi" if name == "ko" else "komoran", cache_directory())
    if name == "rouge":
        release = ".".join(version("rouge-score").split(".")[:2])
        tokenize = tokenizers.DefaultTokenizer(use_stemmer=False).tokenize
        return Tokenizer(_one_by_one(tokenize), f"rouge-{release}")
    split = whitespace if name == "whitespace" else words
    return Tokenizer(_one_by_one(split), split.__name__)


@lru_cache(maxsize=4)
def _korean(analyser: Analyser, directory: Path | None) -> Tokenizer:
    morphemes = Morphemes(analyser, cache_directory=directory)
    release = ".".join(morphemes.version.split(".")[:2])
    return Tokenizer(morphemes.tokenize_all, f"{analyser}-{release}")


def _one_by_one(function: Callable[[Any], Iterable]) -> Callable[[Sequence[Any]], list[Tokens]]:
    def tokenize_all(texts: Sequence[Any]) -> list[Tokens]:
        tokens = [list(function(text)) for text in texts]
        for line in tokens:
            if not all(isinstance(token, str) for token in line):
                raise InputError(
                    f"tokenizer returned {line!r:.60}: a list of strings. Return each token's text."
                )
        return tokens

    return tokenize_all


def _letters(texts: Iterable[str]) -> Counter[str]:
    """Count letters, digits and combining marks by character."""
    counts = Counter(unicodedata.normalize("NFC", "\n".join(texts)))
    return Counter({c: n for c, n in counts.items() if unicodedata.category(c)[0] in "LMN"})
