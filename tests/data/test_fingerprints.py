"""What stands for a text is what its definition says, however quickly it is found."""

from __future__ import annotations

import re
import zlib

import numpy as np
from datasets import Dataset
from hypothesis import example, given
from hypothesis import strategies as st

from frtune.data.cleaning import clean_text
from frtune.data.fingerprints import Letters, distinct, run_keys, shingles, word_codes
from frtune.data.near_duplicates import shared_runs

TEXTS = st.text(st.sampled_from(" .a_éßB中の한\uf900\n9²\U0001f600\u0301İ-\ud800"), max_size=40)


@given(TEXTS)
@example("")
@example("_a")
def test_letters_are_those_of_the_pattern(text):
    plain = re.sub(r"[\W_]+", " ", text.casefold()).strip()
    word = r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+"
    assert Letters(text).words == re.findall(word, plain)
    grams = Letters(text).grams()
    assert len(grams) == max(1, len(plain) - 4)
    padded = plain.ljust(5)
    assert len(set(grams.tolist())) == len({padded[i : i + 5] for i in range(len(grams))})
    assert shingles(text).tolist() == sorted(set(grams.tolist()))


def test_distinct_is_unique():
    values = np.array([3, 1, 3, 2], np.uint64)
    assert distinct(values).tolist() == [1, 2, 3]
    assert distinct(values[:0]).tolist() == []


def test_codes_of_words_are_their_checksums():
    (codes,) = word_codes(["été 日 été"])
    assert codes.tolist() == [zlib.crc32(word.encode()) for word in ("été", "日", "été")]


@given(st.lists(st.lists(st.sampled_from("abcd"), max_size=6), min_size=1, max_size=8), st.data())
def test_shared_runs_are_counted_as_by_hand(rows, data):
    codes = word_codes([" ".join(row) for row in rows])
    table = Dataset.from_dict({"codes": codes}) if any(map(len, codes)) else None
    if table is None:
        return
    cut = data.draw(st.integers(0, len(rows)))
    train, other = np.arange(cut), np.arange(cut, len(rows))

    def runs(i: int) -> set[tuple[str, ...]]:
        return {tuple(rows[i][at : at + 2]) for at in range(len(rows[i]) - 1)}

    known = {run for i in train for run in runs(i)}
    found = shared_runs(table, train, other, words=2)
    assert found["rows"] == sum(bool(runs(i) & known) for i in other)
    assert len(run_keys(codes[0], 2)) == max(0, len(rows[0]) - 1)


@given(st.text(st.sampled_from(" \n\u00a0é\u0301aー한.\u3000"), max_size=12))
def test_what_is_invisible_does_not_change_what_else_is_cleaned(text):
    # the soft hyphen takes the text on the longer way
    assert clean_text(text) == clean_text(text + "\u00ad")
