"""Ids of words, each encoded once, for tokenizers that encode the words of a text one by one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate, chain, pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

compute: Any = pyarrow.compute  # its functions are made when it is imported

KNOWN_WORDS = 1 << 16

_GROUP = 200  # words that are encoded as one text: a text costs as much as two words
# characters that no normaliser joins with a space beside them, as it may join accents
_PLAIN = (
    r"!-~\u00a1-\u00ac\u00ae-\u02ff\u0370-\u0482\u048a-\u052f\u05d0-\u05ea\u0620-\u064a"
    r"\u2010-\u2027\u2030-\u205e\u20a0-\u20bf\u2100-\u2bff\u3001-\u3029\u3041-\u3096"
    r"\u30a1-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3"
)
ODD_SPACES = (re.compile(rf" (?![{_PLAIN}])"), re.compile(rf"[^{_PLAIN}] "))


class WordIds:
    """The words that one tokenizer has encoded, and their ids.

    Of more than ``KNOWN_WORDS``, those of the texts at hand are kept, so that memory does not grow
    with the rows.
    """

    def __init__(self) -> None:
        self._known: dict[str, list[int]] = {}

    def of(self, texts: Sequence[str], backend: Any, *, enough: int | None) -> list[list[int]]:
        """Ids of texts of words with single spaces between; of a long text, more than ``enough``.

        Args:
            texts: As ``ODD_SPACES`` finds nothing in.
            backend: The tokenizer, of the library ``tokenizers``.
            enough: As for ``token_ids``.
        """
        if not texts:
            return []
        rows = compute.split_pattern(pa.array(texts, pa.large_string()), " ")
        sizes = compute.list_value_length(rows).to_numpy()
        if enough is not None and sizes.max() > enough + 1:
            rows = compute.list_slice(rows, 0, enough + 1)
        found = rows.flatten().dictionary_encode()
        words = found.dictionary.to_pylist()
        ids = self._ids(words, backend)
        ends = np.cumsum(np.minimum(sizes, sizes.max() if enough is None else enough + 1))
        out = _gathered(ids, found.indices.to_numpy(), ends)
        if enough is not None:  # a word may have no id
            cut = [i for i, row in enumerate(out) if sizes[i] > enough >= len(row)]
            for i, row in zip(cut, _alone([texts[i] for i in cut], backend), strict=True):
                out[i] = row
        return out

    def _ids(self, words: list[str], backend: Any) -> list[list[int]]:
        known = self._known
        if len(known) > KNOWN_WORDS:
            # another thread may read the old ones
            self._known = known = {word: known[word] for word in words if word in known}
        new = [word for word in words if word not in known]
        known.update(zip(new, _encoded(new, backend), strict=True))
        return [known[word] for word in words]


def _encoded(words: list[str], backend: Any) -> list[list[int]]:
    """Ids of each word, many in one text, in which the places of tokens tell whose they are."""
    groups = [words[start : start + _GROUP] for start in range(0, len(words), _GROUP)]
    texts = [" ".join(group) for group in groups]
    found: list[list[int]] = []
    encodings = backend.encode_batch(texts, add_special_tokens=False)
    for group, text, encoding in zip(groups, texts, encodings, strict=True):
        starts = np.fromiter(accumulate((len(word) + 1 for word in group), initial=0), np.int64)
        places = np.fromiter((start for start, _ in encoding.offsets), np.int64)
        owners = np.searchsorted(starts[:-1], places, "right") - 1
        if (np.diff(owners) < 0).any() or any(pattern.search(text) for pattern in ODD_SPACES):
            found += _alone(group, backend)
            continue
        ids, ends = encoding.ids, np.searchsorted(owners, np.arange(len(group)), "right").tolist()
        found += [ids[start:end] for start, end in pairwise([0, *ends])]
    return found


def _alone(texts: list[str], backend: Any) -> list[list[int]]:
    return [row.ids for row in backend.encode_batch_fast(texts, add_special_tokens=False)]


def _gathered(ids: list[list[int]], places: np.ndarray, ends: np.ndarray) -> list[list[int]]:
    """The ids of rows of words: ``places`` in ``ids`` of all words, and the ``ends`` of rows."""
    flat = np.fromiter(chain.from_iterable(ids), np.int64)
    sizes = np.fromiter(map(len, ids), np.int64, len(ids))
    starts, counts = np.cumsum(sizes) - sizes, sizes[places]
    stops = np.cumsum(counts)
    total = int(stops[-1]) if len(stops) else 0
    # from each word's place in the row's ids to that in all ids
    shifts = np.repeat(starts[places] - (stops - counts), counts)
    row_ids = flat[np.arange(total) + shifts].tolist()
    borders = [0, *np.r_[0, stops][ends].tolist()]
    return [row_ids[start:end] for start, end in pairwise(borders)]
