"""Every statistic equals the plain way that keeps everything."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import FAMILY_NAMES
from frtune.models.families import FAMILIES
from frtune.study import compare_layers, layer_statistics, probe_layers, study
from frtune.study.corpus import encode
from frtune.study.probes import split
from frtune.study.sampling import TokenSample, text_keys
from study import reference


def close(value):
    return pytest.approx(value, rel=1e-6, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_statistics_of_a_layer_equal_the_plain_way(family, tiny, opened, corpus):
    base, tokenizer = opened(tiny(family))
    frame = layer_statistics(base.model, tokenizer, corpus, token_budget=64)
    states = reference.states_of(base.model, tokenizer, corpus)
    assert frame["layer"].max() == len(states.tokens) - 1 == base.layers
    for layer, rows in frame.groupby("layer"):
        expected = reference.layer_statistics(states, layer)
        assert dict(zip(rows["statistic"], rows["value"], strict=True)) == close(expected), layer


def sample_order(tokenizer, texts):
    """Numbers of all tokens in the order of the sample."""
    keys = text_keys(texts, None, seed=42)
    corpus = encode(tokenizer, texts, keys, max_tokens=512)
    sample = TokenSample.draw(keys, corpus.offsets, len(corpus.ids))
    return sample.flat[np.argsort(sample.slots)]


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_pairs_equal_the_plain_way(family, twins, opened, corpus):
    (a, tokenizer), (b, _) = (opened(directory) for directory in twins(family))
    found = compare_layers(a.model, b.model, tokenizer, corpus, token_budget=64, neighbours=5)
    one, other = (reference.states_of(base.model, tokenizer, corpus) for base in (a, b))
    values = found.set_index(["statistic", "layer_a", "layer_b"])["value"]
    order = sample_order(tokenizer, corpus)  # ties among neighbours go by it
    for layer, (x, y) in enumerate(zip(one.tokens, other.tokens, strict=True)):
        cosine, distance = reference.drift(x, y)
        assert values["drift_cosine", layer, layer] == close(cosine)
        assert values["drift_distance", layer, layer] == close(distance)
        assert values["procrustes", layer, layer] == close(reference.procrustes(x, y))
        assert values["neighbours", layer, layer] == close(
            reference.neighbours(x[order], y[order], 5)
        )
        for other_layer, z in enumerate(other.tokens):
            assert values["cka", layer, other_layer] == close(reference.cka(x, z))
            assert values["cka_debiased", layer, other_layer] == close(reference.debiased_cka(x, z))
    assert len(values) == 4 * len(one.tokens) + 2 * len(one.tokens) ** 2


def test_cka_of_texts_equals_the_plain_way_where_tokenizers_differ(tiny, opened, corpus):
    paths = {"bert": tiny("bert"), "gpt": tiny("polyglot")}
    found = study(paths, corpus).pairs
    assert set(found["statistic"]) == {"cka_texts", "cka_texts_debiased"}
    values = found.set_index(["statistic", "layer_a", "layer_b"])["value"]
    a, b = (reference.states_of(opened(p)[0].model, opened(p)[1], corpus) for p in paths.values())
    for i, x in enumerate(a.mean):
        for j, y in enumerate(b.mean):
            assert values["cka_texts", i, j] == close(reference.cka(x, y))
            assert values["cka_texts_debiased", i, j] == close(reference.debiased_cka(x, y))


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_probes_equal_the_plain_way(family, tiny, opened, corpus):
    base, tokenizer = opened(tiny(family))
    labels = ["fr"] * 7 + ["ko"] * 7 + ["en"] * 7
    found = probe_layers(base.model, tokenizer, corpus, labels, token_budget=64)
    values = found.set_index(["statistic", "layer"])["value"]
    order = np.argsort(text_keys(corpus, labels, seed=42))
    taken, parts = split([labels[i] for i in order])
    assert len(taken) == len(corpus)
    states = reference.states_of(base.model, tokenizer, corpus)
    numbers = np.array([["en", "fr", "ko"].index(labels[i]) for i in order])
    names = ("mean",) if FAMILIES[family].kind == "decoder" else ("mean", "first")
    for name in names:
        for layer, every in enumerate(getattr(states, name)):
            x = every[order]
            if name == "first" and layer == 0:
                continue  # [CLS] without its context is the same vector for every text
            accuracy = reference.probe(x, numbers, parts.train, parts.test)
            assert values[f"probe_{name}_accuracy", layer] == close(accuracy)
            assert values[f"fisher_{name}", layer] == close(reference.fisher(x, numbers))
            assert values[f"silhouette_{name}", layer] == close(reference.silhouette(x, numbers))
    assert len(values) == 3 * len(names) * len(states.tokens)


def test_a_vector_that_is_the_same_for_all_texts_tells_nothing(tiny, opened, corpus):
    base, tokenizer = opened(tiny("bert"))
    labels = ["fr"] * 7 + ["ko"] * 7 + ["en"] * 7
    found = probe_layers(base.model, tokenizer, corpus, labels, token_budget=64)
    values = found[found["layer"] == 0].set_index("statistic")["value"]
    assert values["probe_first_accuracy"] == pytest.approx(1 / 3)
    assert np.isnan(values["fisher_first"])
    assert np.isnan(values["silhouette_first"])
