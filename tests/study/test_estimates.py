"""Estimates from few texts, copies of texts and constants: what they must not make up."""

from __future__ import annotations

import math
import shutil

import numpy as np
import pandas as pd
import pytest

import planted_study
from frtune.errors import InputError
from frtune.names import named
from frtune.study import compare_layers, convergence, headlines, probe_layers, study
from frtune.study.covariance import spectrum
from frtune.study.findings import findings
from frtune.study.pairs import (
    chance_cka,
    debiased_cka,
    drift,
    linear_cka,
    neighbour_overlap,
    procrustes_distance,
)
from frtune.study.plots import plot
from frtune.study.probes import alike, fisher_ratio, probe, silhouette, split
from frtune.study.report import report_html
from study import reference

WORDS = "budget école maire forêt ville pont fleuve train jardin musée parc vote eau rue".split()


def sentences(count, seed=0):
    draw = np.random.default_rng(seed)
    return [" ".join(draw.choice(WORDS, 9)) for _ in range(count)]


# --- copies of texts -----------------------------------------------------------------------------


def noisy_copies(texts, times):
    """Each text so many times: as it is, in capitals, with other punctuation, with a word more."""
    changed = (str, str.upper, lambda text: f"«{text} !»", lambda text: f"{text} a")
    return [change(text) for change in changed[:times] for text in texts]


@pytest.mark.parametrize("seed", range(3))
def test_random_labels_are_not_learnt_from_copies(seed):
    draw = np.random.default_rng(seed)
    base = draw.normal(size=(60, 90))
    vectors = np.tile(base, (4, 1)) + 1e-3 * draw.normal(size=(240, 90))
    labels = np.tile(draw.integers(0, 2, 60), 4)  # a copy has its text's label
    groups = np.tile(np.arange(60), 4)
    order = draw.permutation(240)
    vectors, labels, groups = vectors[order], labels[order], groups[order]
    leaky, kept = (split(labels, each)[1] for each in (None, groups))
    assert probe(vectors, leaky, seed=0).value > 0.95
    found = probe(vectors, kept, seed=0)
    assert found.low < 0.5 < found.high
    assert not {*groups[kept.train]} & {*groups[kept.test]}
    assert 0.2 <= len(kept.test) / 240 <= 0.25
    assert len(kept.once) == 60


def test_equal_and_nearly_equal_texts_are_one_group():
    texts = sentences(40)
    groups = alike(noisy_copies(texts, 4)).reshape(4, 40)
    assert (groups == groups[0]).all() and len(np.unique(groups)) == 40


@pytest.mark.parametrize("seed", range(20))
def test_a_split_parts_no_group_and_keeps_the_share_of_each_class(seed):
    draw = np.random.default_rng(seed)
    count = int(draw.integers(40, 200))
    labels, groups = draw.integers(0, 3, count), draw.integers(0, count // 2, count)
    taken, found = split(labels, groups)
    held = np.bincount(found.labels[found.test], minlength=3)
    assert not {*found.groups[found.train]} & {*found.groups[found.test]}
    assert (held >= 1).all() and (held <= np.maximum(1, 0.26 * np.bincount(found.labels) + 1)).all()
    assert sorted([*found.train, *found.test]) == list(range(len(taken)))


def test_copies_make_no_class_large_enough():
    with pytest.raises(InputError, match="copies not counted"):
        split(["a", "b"] * 12, np.repeat(range(5), 5)[:24])


def test_a_study_with_copies_says_so_and_learns_nothing(tiny, opened):
    base, tokenizer = opened(tiny("bert"))
    texts = sentences(48)
    labels = np.random.default_rng(1).integers(0, 2, 48).tolist()
    found = probe_layers(base.model, tokenizer, noisy_copies(texts, 4), labels * 4)
    once = found[found["statistic"] == "probe_mean_accuracy"]
    assert (once["low"] < 0.6).all() and (once["value"] < 0.85).all()
    result = study({"a": tiny("bert")}, texts * 2, labels * 2)
    assert any("48 of 96 equal another" in note["why"] for note in result.notes)
    assert "48 of 96 equal another" in report_html(result, {})


# --- few vectors ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "width"), [(4, 3), (40, 200), (150, 768), (300, 20)])
def test_debiased_cka_is_0_for_unrelated_layers_and_1_for_equal_ones(count, width):
    x, y = np.random.default_rng(0).normal(size=(2, count, width)).astype(np.float32)
    assert debiased_cka([x], [x]).item() == pytest.approx(1, abs=1e-5)
    assert debiased_cka([x], [3 * x[:, ::-1] + 1]).item() == pytest.approx(1, abs=1e-5)
    assert debiased_cka([x], [y]).item() == pytest.approx(reference.debiased_cka(x, y), abs=1e-5)
    if count >= 40:
        assert abs(debiased_cka([x], [y]).item()) < 0.05
        chance = chance_cka(count, width, width)
        assert linear_cka([x], [y]).item() == pytest.approx(chance, abs=0.03)


def test_few_texts_for_the_width_are_noted_and_many_are_not(twins, corpus):
    paths = dict(zip("ab", twins("bert"), strict=True))
    few = study(paths, corpus)
    said = {note["what"]: note["why"] for note in few.notes}
    assert "21 texts for 128 dimensions" in said["a and b: cka_texts"]
    assert "cka_texts_debiased" in said["a and b: cka_texts"]
    many = study({"a": paths["a"], "b": paths["b"]}, sentences(300))
    assert not [note for note in many.notes if "cka_texts" in note["what"]]
    unlike = few.pairs.set_index("statistic")["value"]
    assert unlike["cka_texts_debiased"].mean() < unlike["cka_texts"].mean()


# --- constants -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(10))
def test_statistics_of_constants_are_none(seed):
    draw = np.random.default_rng(seed)
    n, width = int(draw.integers(12, 60)), int(draw.integers(2, 50))
    scale = 10.0 ** draw.integers(-4, 5)
    vector = scale * draw.normal(size=width)
    exact = np.tile(vector, (n, 1)).astype(np.float32)
    rounded = exact * (1 + 6e-8 * draw.choice([-1, 0, 1], size=exact.shape)).astype(np.float32)
    labels = np.arange(n) % 2
    x = draw.normal(size=(n, width)).astype(np.float32)
    for constant in (exact, rounded, 0 * exact):
        for cka in (linear_cka, debiased_cka):
            assert np.isnan(cka([constant, x], [x, constant])[[0, 0, 1], [0, 1, 1]]).all()
        assert math.isnan(procrustes_distance(constant, x))
        assert np.isnan(neighbour_overlap(x, constant, k=5)).all()
        assert math.isnan(fisher_ratio(constant, labels))
        assert math.isnan(silhouette(constant, labels))
        covariance = np.cov(constant.astype(float).T, bias=True)
        assert all(map(math.isnan, spectrum(covariance, constant.mean(0, float)).values()))
    assert all(np.isnan(each).all() for each in drift(0 * exact, exact))


def test_a_curve_that_is_constant_but_for_rounding_has_no_correlation():
    draw = np.random.default_rng(0)
    rows = [(i, "cosine_within", 1 - 1e-8 * draw.random()) for i in range(8)]
    rows += [(i, "probe_mean_accuracy", draw.random()) for i in range(8)]
    assert convergence(pd.DataFrame(rows, columns=["layer", "statistic", "value"])) == []


def test_a_model_with_a_constant_layer_has_none_there_and_says_so(tiny, corpus, tmp_path, opened):
    import torch

    from frtune.study.functions import layer_statistics

    base, tokenizer = opened(tiny("bert"))
    norm = base.model.encoder.layer[-1].output.LayerNorm
    weight, bias = norm.weight.detach().clone(), norm.bias.detach().clone()
    try:
        with torch.no_grad():
            norm.weight.zero_(), norm.bias.copy_(torch.linspace(-1, 1, len(bias)))
        found = layer_statistics(base.model, tokenizer, corpus)
        pairs = compare_layers(base.model, base.model, tokenizer, corpus)
    finally:
        with torch.no_grad():
            norm.weight.copy_(weight), norm.bias.copy_(bias)
    last = found[found["layer"] == 2].set_index("statistic")["value"]
    names = ["effective_rank", "participation_ratio", "top1_share", "top10_share", "isotropy"]
    assert last[names].isna().all() and last["cosine_within"] == pytest.approx(1)
    own = pairs[(pairs["layer_a"] == 2) & (pairs["layer_b"] == 2)].set_index("statistic")["value"]
    assert own[["cka", "cka_debiased", "procrustes", "neighbours"]].isna().all()
    assert own["drift_distance"] == 0


# --- the same checkpoint twice -------------------------------------------------------------------


def test_the_same_directory_twice_reads_identical(tiny, corpus, tmp_path):
    shutil.copytree(tiny("bert"), tmp_path / "copy")
    (tmp_path / "link").symlink_to(tiny("bert"))
    for other in (tiny("bert"), tmp_path / "copy", tmp_path / "link"):
        found = study({"raw": tiny("bert"), "tuned": other}, corpus)
        same = found.pairs[found.pairs["layer_a"] == found.pairs["layer_b"]]
        at = same.groupby("statistic")["value"]
        assert (at.max()[["drift_cosine", "drift_distance", "procrustes"]] == 0).all()
        assert at.min()[["cka", "cka_debiased", "neighbours"]].min() == pytest.approx(1)
        said = findings(found)
        assert said["movement"] == [headlines(found)[0]]
        assert "raw and tuned are identical" in said["movement"][0]
        assert {"cosines", "norms", "spectrum"}.isdisjoint(said)


def test_a_directory_may_stand_twice():
    assert named(["runs/a", "runs/a"], ["raw", "tuned"]) == {"raw": "runs/a", "tuned": "runs/a"}
    assert named(["runs/a", "runs/a"]) == {"a": "runs/a", "a (2)": "runs/a"}
    with pytest.raises(InputError, match="no two equal"):
        named(["runs/a", "runs/a"], ["a", "a"])


# --- axes ----------------------------------------------------------------------------------------


def planted(values, statistic="cosine_between"):
    return planted_study.study(changes={(statistic, i): v for i, v in enumerate(values)})


def test_an_axis_shows_small_changes_and_draws_rounding_as_a_line():
    flat = planted_study.study()
    flat.layers.loc[flat.layers["statistic"] == "cosine_between", "value"] = 0.9
    near = planted([0.9, 0.901, 0.902, 0.903, 0.904])
    rows = (near.layers["statistic"] == "cosine_between") & (near.layers["checkpoint"] == "raw")
    near.layers.loc[rows, "value"] = 0.9
    low, high = plot(near, "anisotropy").axes[0].get_ylim()
    assert low > 0.89 and high < 0.91
    flat.layers.loc[flat.layers["statistic"] == "cosine_between", "value"] += 1e-9 * np.arange(10)
    low, high = plot(flat, "anisotropy").axes[0].get_ylim()
    assert low == 0 and high >= 1


def test_a_small_movement_stands_above_none():
    found = planted_study.study()
    for statistic, value in (("drift_cosine", 0.005), ("neighbours", 0.98)):
        found.pairs.loc[found.pairs["statistic"] == statistic, "value"] = value
    low, high = plot(found, "drift").axes[0].get_ylim()
    assert low == 0 and 0.005 < high < 0.006
    low, high = plot(found, "neighbours").axes[0].get_ylim()
    assert 0.97 < low < 0.98 and 1 <= high < 1.01


def test_a_heat_map_shows_small_differences():
    found = planted_study.study()
    rows = found.pairs["statistic"] == "cka"
    found.pairs.loc[rows, "value"] = np.linspace(0.99, 1, int(rows.sum()))
    axes = plot(found, "cka 1").axes[0]
    assert axes.images[0].get_clim() == pytest.approx((0.99, 1))
    assert {text.get_text() for text in axes.texts} >= {"0.990", "1.000"}
