"""Numbers that stand for texts: equal for equal texts, alike for similar ones.

Near duplicates are found as in Broder (1997), "On the resemblance and containment of documents":
a text is the set of its character 5-grams, two texts are compared by the Jaccard index of their
sets, and MinHash signatures cut into bands (Indyk and Motwani, 1998) find the pairs to compare.
Character n-grams need no word segmentation, so that every language is treated alike.
"""

from __future__ import annotations

import hashlib
import re
import sys
import zlib
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from frtune.words import words

compute: Any = pyarrow.compute  # its functions are made when it is imported

SHINGLE_CHARACTERS = 5
HASHES = 64

_SPACE = ord(" ")
# Chinese characters and kana stand without spaces: each counts as a word
_STANDS_ALONE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_WORD = re.compile(rf"{_STANDS_ALONE.pattern}|[^\W_\u3040-\u30ff\u3400-\u9fff]+")


class Letters:
    """The letters and digits of one text, case folded, from which all its numbers are made.

    Example:
        >>> Letters("L’été 2023, 예산 日本").words
        ['l', 'été', '2023', '예산', '日', '本']
        >>> Letters("A budget.").key == Letters("a  Budget").key != Letters("a budgets").key
        True
        >>> Letters("5.5 %").key == Letters("5.5%").key, Letters("5.5 %").key == Letters("55%").key
        (True, False)
    """

    def __init__(self, text: str):
        self._text = text
        folded = text.casefold().encode("utf-32-le", "surrogatepass")
        codes = np.frombuffer(folded, np.uint32)
        letter = _is_letter()[codes]
        kept = letter.copy()
        kept[1:] |= letter[:-1]  # of a run of other signs, the first stays, as a space
        self._codes = np.where(letter, codes, np.uint32(_SPACE))[kept]
        self._spaced = self._codes.tobytes().decode("utf-32-le", "surrogatepass")

    @property
    def words(self) -> list[str]:
        """The words; a Chinese or Japanese character is a word."""
        return self.joined_words.split()

    @property
    def joined_words(self) -> str:
        """The words with a space between two."""
        if _STANDS_ALONE.search(self._spaced):
            return " ".join(_WORD.findall(self._spaced))
        return self._spaced.strip()

    @property
    def key(self) -> int:
        """63 bits that are equal for texts equal but for case, spaces and punctuation.

        Signs that are part of a word (``frtune.words``) count.
        """
        return word_key(" ".join(words(self._text)), self._text)

    def grams(self) -> np.ndarray:
        """A hash of each character 5-gram, in their order; one for a shorter text. uint64."""
        codes = self._codes[:-1] if self._spaced.endswith(" ") else self._codes
        missing = max(0, SHINGLE_CHARACTERS - len(codes))
        codes = np.pad(codes, (0, missing), constant_values=_SPACE) if missing else codes
        return _rolling(codes, _odd_numbers(SHINGLE_CHARACTERS, seed=1))

    def signature(self) -> np.ndarray:
        """The MinHash signature, uint32: the share of equal places estimates the Jaccard index."""
        # 32 bits are enough to find the least of a text's shingles, and twice as quick
        hashes = (self.grams() >> np.uint64(32)).astype(np.uint32)
        factors = _odd_numbers(HASHES, seed=2).astype(np.uint32)[:, None]
        least = np.full(HASHES, np.iinfo(np.uint32).max, np.uint32)
        for start in range(0, len(hashes), 4096):  # a long text stays within the cache
            part = hashes[start : start + 4096] * factors  # (hashes, shingles)
            least = np.minimum(least, part.min(axis=1))
        return least


def word_key(joined_words: str, text: str) -> int:
    """63 bits that are equal for texts of equal words, however they are spaced.

    Args:
        joined_words: What ``frtune.words.words`` finds, with spaces between.
        text: Stands for itself where there are none.
    """
    plain = joined_words.replace(" ", "") or text
    digest = hashlib.blake2b(plain.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def word_codes(texts: Sequence[str]) -> list[np.ndarray]:
    """Return a number below 2**32 for each word of each text, whose words are joined by spaces.

    Example:
        >>> [row.tolist() for row in word_codes(["canteen budget", "", "budget"])]
        [[3663294824, 1945302907], [], [1945302907]]
    """
    rows = compute.split_pattern(pa.array(texts, pa.string()), " ")
    found = rows.flatten().dictionary_encode()
    words = found.dictionary.to_pylist()
    known = np.array([zlib.crc32(word.encode()) for word in words], np.uint32)
    codes = np.split(known[found.indices.to_numpy()], rows.offsets.to_numpy()[1:-1])
    return [row if text else row[:0] for row, text in zip(codes, texts, strict=True)]


def shingles(text: str) -> np.ndarray:
    """Return the hashes of the character 5-grams of ``text``, as ``grams``, sorted, each once."""
    return distinct(Letters(text).grams())


def distinct(values: np.ndarray) -> np.ndarray:
    """Return what ``numpy.unique`` does; by sorting, which is quicker for hashes."""
    values = np.sort(values)
    return values[np.r_[True, values[1:] != values[:-1]]] if len(values) else values


def jaccard(left: np.ndarray, right: np.ndarray) -> float:
    """Return intersection over union of two sets of shingles.

    Example:
        >>> round(jaccard(shingles("the school budget"), shingles("the school budgets")), 3)
        0.929
    """
    both = len(np.intersect1d(left, right, assume_unique=True))
    return both / max(1, len(left) + len(right) - both)


def band_rows(threshold: float) -> int:
    """Return how many hashes a band has so that 99 of 100 pairs at ``threshold`` share a band.

    Example:
        >>> band_rows(0.8), band_rows(0.5)
        (4, 2)
    """
    sizes = (rows for rows in (16, 8, 4, 2) if 1 - (1 - threshold**rows) ** (HASHES / rows) >= 0.99)
    return next(sizes, 1)


def band_keys(signatures: np.ndarray, rows: int) -> np.ndarray:
    """Return one number for each band of ``rows`` hashes of each signature.

    From uint32 of shape ``(texts, HASHES)`` to uint64 of shape ``(texts, HASHES // rows)``.
    """
    bands = signatures.astype(np.uint64).reshape(len(signatures), -1, rows)
    return _mix((_mix(bands) * _odd_numbers(rows, seed=3)).sum(axis=2, dtype=np.uint64))


def sketch(signatures: np.ndarray) -> np.ndarray:
    """Return eight bits of each hash, to estimate from: uint8 of the same shape."""
    return (_mix(signatures.astype(np.uint64)) >> np.uint64(56)).astype(np.uint8)


def run_keys(codes: np.ndarray, length: int) -> np.ndarray:
    """Return the hashes of all runs of ``length`` words.

    From ``word_codes`` of shape ``(words,)`` to uint64 of ``(words - length + 1,)``.
    """
    return _rolling(codes, _odd_numbers(length, seed=4))


def _rolling(codes: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """A hash of each run of ``len(factors)`` codes: uint64, none of fewer codes."""
    count = max(0, len(codes) - len(factors) + 1)
    codes = codes.astype(np.uint64)
    total = codes[:count] * factors[0]
    part = np.empty_like(total)  # written again and again: new memory costs more than the product
    for i, factor in enumerate(factors[1:], start=1):
        total += np.multiply(codes[i : i + count], factor, out=part)
    return _mix(total)


@cache
def _is_letter() -> np.ndarray:
    """Whether each character is a letter or a digit."""
    return np.frombuffer(bytes(map(str.isalnum, map(chr, range(sys.maxunicode + 1)))), bool)


@cache
def _odd_numbers(count: int, *, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**63, count, dtype=np.uint64) * 2 + 1


def _mix(values: np.ndarray) -> np.ndarray:
    """Spread the bits of 64-bit numbers evenly (the finalizer of SplitMix64); in place."""
    part = values >> np.uint64(30)
    values ^= part
    values *= np.uint64(0xBF58476D1CE4E5B9)
    values ^= np.right_shift(values, np.uint64(27), out=part)
    values *= np.uint64(0x94D049BB133111EB)
    values ^= np.right_shift(values, np.uint64(31), out=part)
    return values
