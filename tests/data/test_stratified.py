"""Splits that are cut from train keep the shares of the classes."""

from collections import Counter

import numpy as np
import pytest
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st

from frtune import load_splits
from frtune.data.splitting import cut_rows
from frtune.errors import InputError


@given(
    st.lists(st.sampled_from("aaaaabbbc"), min_size=20, max_size=200),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_every_row_stands_once_and_shares_are_kept(classes, validation, test):
    wanted = {"validation": validation, "test": test}
    found = cut_rows(len(classes), wanted, seed=1, where="data", strata=classes)
    assert sorted(np.concatenate(list(found.values()))) == list(range(len(classes)))
    sizes = Counter(classes)
    for name, count in wanted.items():
        assert len(found[name]) == count
        drawn = Counter(classes[i] for i in found[name])
        if min(sizes.values()) > 20:
            for label, size in sizes.items():
                assert abs(drawn[label] - count * size / len(classes)) < 1
    assert {classes[i] for i in found["train"]} == set(classes)


def test_a_class_with_one_row_stays_in_train():
    classes = [*"aaaaaaaaaaaaaaaaaab", "c"]
    for seed in range(10):
        found = cut_rows(20, {"validation": 0.1, "test": 0.1}, seed=seed, where="", strata=classes)
        assert {18, 19} <= set(found["train"].tolist())


def test_the_same_seed_gives_the_same_cut():
    cuts = [
        cut_rows(60, {"test": 0.2}, seed=seed, where="", strata="abc" * 20)["test"].tolist()
        for seed in (1, 1, 2)
    ]
    assert cuts[0] == cuts[1] != cuts[2]


def test_the_bundled_sample_is_cut_with_every_account_in_every_split():
    splits, notes = load_splits("sample", task_name="classification", stratify_by="label")
    assert all(len(set(rows["label"])) == 8 for rows in splits.values())
    assert [len(rows) for rows in splits.values()] == [240, 30, 30]
    assert notes[0].endswith("stratified by label")


def test_a_missing_column_is_named():
    rows = Dataset.from_dict({"text": ["a"] * 20})
    with pytest.raises(InputError, match="has no column label"):
        load_splits(rows, stratify_by="label")
