"""Several labels a row: how they are read, refused, and split."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, List, Value
from hypothesis import given
from hypothesis import strategies as st

from frtune import InputError, SequenceClassification
from frtune.data.label_sets import label_set, label_set_reason, several_reason
from frtune.data.splitting import cut_rows

FORMS = [
    (["eau", "sel"], ["eau", "sel"]),
    (["eau", "eau", " eau "], ["eau"]),
    ("eau; sel", ["eau", "sel"]),
    ("eau;sel", ["eau", "sel"]),
    ('["eau", "sel"]', ["eau", "sel"]),
    ("['eau', 'sel']", ["eau", "sel"]),
    ("eau", ["eau"]),
    ([3, 1.0], ["3", "1"]),
    (7, ["7"]),
    ([True], ["true"]),
    ([], []),
    ("[]", []),
]
BAD = [None, "", "  ", float("nan"), {"eau": 1}, [["eau"]], [None], [0.5], ["eau", ""]]


@pytest.mark.parametrize(("value", "labels"), FORMS)
def test_labels_are_read_from_all_forms(value, labels):
    assert label_set_reason(value, "tags") is None
    assert label_set(value) == labels


@pytest.mark.parametrize("value", BAD, ids=str)
def test_what_are_no_labels_is_refused_with_a_reason(value):
    assert label_set_reason(value, "tags").startswith("column tags h")


@given(st.lists(st.text("abé 한1", min_size=1, max_size=5).filter(str.strip), max_size=5))
def test_lists_and_text_with_a_separator_say_the_same(labels):
    found = label_set(labels)
    if found:
        assert label_set("|".join(labels), "|") == found
    assert label_set(found) == found and len({*found}) == len(found)


def test_names_of_class_labels_are_read():
    kinds = List(ClassLabel(names=["eau", "sel"]))
    rows = Dataset.from_dict(
        {"text": ["a", "b", "c"], "label": [[0, 1], [], [1]]},
        features=Features({"text": Value("string"), "label": kinds}),
    )
    task = SequenceClassification(multi_label=True).fit(rows)
    assert task.labels == ["eau", "sel"] and task.label_counts == [1, 2]
    assert task.references(rows) == [["eau", "sel"], [], ["sel"]]


@pytest.mark.parametrize("value", [["eau", "sel"], ["eau"], '["eau", "sel"]', "['eau']"], ids=str)
def test_a_list_where_one_label_is_expected_names_the_way_out(value):
    rows = Dataset.from_dict({"text": ["a", "b"], "label": [value, value]})
    with pytest.raises(InputError, match="--multi-label learns several labels a row"):
        SequenceClassification().check(rows, "rows")


@pytest.mark.parametrize("value", ["eau", "[1]", "[NSFW]", "(a)", "a; b", 3])
def test_one_label_is_one_label_whatever_it_looks_like(value):
    assert several_reason(value, "label") is None


@pytest.mark.parametrize(
    ("labels", "settings", "said"),
    [
        ([["a"], ["a"]], {}, "only label"),
        ([["a"], ["b"]], {"labels": ["a", "c"]}, "training has not: 'b'|is not in labels"),
        (["a,b", "b,c", "a,c"], {}, "--label-separator"),
        ([[str(i)] for i in range(30)], {}, "no label is in two of 30 rows"),
        ([[]] * 30, {"labels": ["a", "b"]}, "no label is in two of 30 rows"),
    ],
)
def test_rows_that_cannot_be_learnt_from_are_refused(labels, settings, said):
    rows = Dataset.from_dict({"text": ["t"] * len(labels), "label": labels})
    with pytest.raises(InputError, match=said):
        SequenceClassification(multi_label=True, **settings).fit(rows)


@pytest.mark.parametrize(
    "settings",
    [
        {"multi_label": True, "min_precision": 0.9},
        {"multi_label": True, "label_tree": "separator:/"},
        {"multi_label": True, "label_separator": " "},
        {"label_separator": "|"},
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings):
    with pytest.raises(InputError):
        SequenceClassification(**settings)


@pytest.mark.parametrize("seed", range(5))
def test_each_split_has_each_label_in_its_share(seed):
    draw = random.Random(seed)
    chances = {f"l{i}": 0.5 / (i + 1) for i in range(20)}
    sets = [[n for n, chance in chances.items() if draw.random() < chance] for _ in range(600)]
    wanted = {"validation": 0.1, "test": 60}
    found = cut_rows(600, wanted, seed=seed, where="rows", strata=sets)
    assert sorted(np.concatenate([*found.values()]).tolist()) == list(range(600))
    assert {name: len(rows) for name, rows in found.items()} == {
        "train": 480, "validation": 60, "test": 60,
    }  # fmt: skip
    whole = Counter(label for row in sets for label in row)

    def distance(rows):
        part = Counter(label for i in rows for label in sets[i])
        return sum(abs(part[label] - whole[label] / 10) for label in whole) / len(whole)

    by_chance = np.mean([
        distance(np.random.default_rng(i).permutation(600)[:60]) for i in range(50)
    ])  # fmt: skip
    for name in ("validation", "test"):
        assert distance(found[name]) < 0.75 * by_chance
    again = cut_rows(600, wanted, seed=seed, where="rows", strata=sets)
    assert all((found[name] == again[name]).all() for name in found)


@given(st.lists(st.lists(st.sampled_from("abc"), unique=True), min_size=3, max_size=40), st.data())
def test_splits_have_the_rows_that_were_asked_for(sets, data):
    size = data.draw(st.integers(1, len(sets) - 2))
    found = cut_rows(len(sets), {"test": size}, seed=1, where="rows", strata=sets)
    assert len(found["test"]) == size
    assert sorted([*found["test"], *found["train"]]) == list(range(len(sets)))
