"""Numbers that stand for texts: equal for equal texts, alike for similar ones.

Near duplicates are found as in Broder (1997), "On the resemblance and containment of documents":
a text is the set of its character 5-grams, two texts are compared by the Jaccard index of their
sets, and MinHash signatures cut into bands (Indyk and Motwani, 1998) find the pairs to compare.
Character n-grams need no word segmentation, so that every language is treated alike.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

SHINGLE_CHARACTERS = 5
HASHES = 64

_NO_LETTER = re.compile(r"[\W_]+")
# Chinese characters and kana stand without spaces: each counts as a word
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+")


def words(text: str) -> list[str]:
    """Return the words of ``text``, case folded; a Chinese or Japanese character is a word.

    Example:
        >>> words("L’été 2023, 예산 日本")
        ['l', 'été', '2023', '예산', '日', '本']
    """
    return _WORD.findall(text.casefold())


def text_key(text: str) -> int:
    """Return 63 bits that are equal for texts equal but for case, spaces and punctuation.

    Example:
        >>> text_key("A budget.") == text_key("a  Budget") != text_key("a budgets")
        True
    """
    plain = _NO_LETTER.sub("", text.casefold()) or text
    digest = hashlib.blake2b(plain.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def shingles(text: str) -> np.ndarray:
    """Return the hashes of the character 5-grams of ``text``, sorted, each once.

    Returns:
        uint64 of shape ``(different 5-grams,)``; one hash for a shorter text.
    """
    import numpy as np

    return np.unique(_gram_hashes(text))


def _gram_hashes(text: str) -> np.ndarray:
    import numpy as np

    plain = _NO_LETTER.sub(" ", text.casefold()).strip().ljust(SHINGLE_CHARACTERS)
    codes = np.frombuffer(plain.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    count = len(codes) - SHINGLE_CHARACTERS + 1
    total = np.zeros(count, np.uint64)
    for i, factor in enumerate(_odd_numbers(SHINGLE_CHARACTERS, seed=1)):
        total += codes[i : i + count] * factor
    return _mix(total)


def jaccard(left: np.ndarray, right: np.ndarray) -> float:
    """Return intersection over union of two sets of shingles.

    Example:
        >>> round(jaccard(shingles("the school budget"), shingles("the school budgets")), 3)
        0.929
    """
    import numpy as np

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


def signature(text: str) -> np.ndarray:
    """Return the MinHash signature: the share of equal places estimates the Jaccard index.

    Returns:
        uint32 of shape ``(HASHES,)``.
    """
    import numpy as np

    # 32 bits are enough to find the least of a text's shingles, and twice as quick
    hashes = (_gram_hashes(text) >> np.uint64(32)).astype(np.uint32)
    factors = _odd_numbers(HASHES, seed=2).astype(np.uint32)
    least = np.full(HASHES, np.iinfo(np.uint32).max, np.uint32)
    for start in range(0, len(hashes), 1024):  # a long text stays within the cache
        part = hashes[start : start + 1024, None] * factors  # (shingles, hashes)
        least = np.minimum(least, part.min(axis=0))
    return least


def band_keys(text_signature: np.ndarray, rows: int) -> np.ndarray:
    """Return one number for each band of ``rows`` hashes: uint64 of shape ``(HASHES // rows,)``."""
    import numpy as np

    bands = text_signature.astype(np.uint64).reshape(-1, rows)  # (bands, rows)
    return _mix((_mix(bands) * _odd_numbers(rows, seed=3)).sum(axis=1, dtype=np.uint64))


def sketch(text_signature: np.ndarray) -> np.ndarray:
    """Return eight bits of each hash, to estimate from: uint8 of shape ``(HASHES,)``."""
    import numpy as np

    return (_mix(text_signature.astype(np.uint64)) >> np.uint64(56)).astype(np.uint8)


def run_keys(text: str, length: int) -> np.ndarray:
    """Return the hashes of all runs of ``length`` words: uint64 of shape ``(words-length+1,)``."""
    import numpy as np

    found = [zlib.crc32(word.encode("utf-8", "surrogatepass")) for word in words(text)]
    count = max(0, len(found) - length + 1)
    codes = np.array(found, dtype=np.uint64)
    total = np.zeros(count, np.uint64)
    for i, factor in enumerate(_odd_numbers(length, seed=4)):
        total += codes[i : i + count] * factor
    return _mix(total)


@cache
def _odd_numbers(count: int, *, seed: int) -> np.ndarray:
    import numpy as np

    return np.random.default_rng(seed).integers(0, 2**63, count, dtype=np.uint64) * 2 + 1


def _mix(values: np.ndarray) -> np.ndarray:
    """Spread the bits of 64-bit numbers evenly (the finalizer of SplitMix64)."""
    import numpy as np

    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
