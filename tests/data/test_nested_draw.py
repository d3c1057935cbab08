"""Draws of which a larger one holds the smaller ones, with the classes in their shares."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from frtune.data.nested_draw import nested_order


@given(
    labels=st.lists(st.sampled_from("abcd"), min_size=1, max_size=120),
    seed=st.integers(0, 5),
    data=st.data(),
)
def test_every_beginning_has_each_class_in_its_share(labels, seed, data):
    order = nested_order(len(labels), seed=seed, strata=labels)
    assert sorted(order) == list(range(len(labels))), "each row once"
    count = data.draw(st.integers(1, len(labels)))
    drawn, whole = Counter(labels[row] for row in order[:count]), Counter(labels)
    for label, total in whole.items():
        assert abs(drawn[label] - count * total / len(labels)) <= 3


def test_a_seed_gives_the_same_order_and_another_seed_another():
    for strata in (None, "ab" * 30):
        orders = [nested_order(60, seed=seed, strata=strata).tolist() for seed in (1, 1, 2)]
        assert orders[0] == orders[1] != orders[2]


def test_rows_with_several_labels_are_drawn_by_their_rarest():
    sets = [["common", "rare"] if i % 10 == 0 else ["common"] for i in range(100)]
    sets[99] = []
    order = nested_order(100, seed=3, strata=sets)
    rare = [int(sum("rare" in sets[row] for row in order[:count])) for count in (20, 50, 100)]
    assert np.abs(np.subtract(rare, [2, 5, 10])).max() <= 1
