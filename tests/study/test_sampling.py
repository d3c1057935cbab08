"""Samples, batches and running sums, without a model."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from conftest import FAMILY_NAMES
from frtune.study.corpus import Corpus, encode
from frtune.study.covariance import RunningCovariance, spectrum
from frtune.study.hidden import hidden_states
from frtune.study.sampling import TokenSample, bottom, text_keys


def offsets_of(lengths):
    return np.concatenate([[0], np.cumsum(lengths)])


@given(st.lists(st.integers(1, 6), min_size=1, max_size=12), st.integers(1, 30))
def test_a_batch_finds_the_sampled_tokens_of_its_texts(lengths, k):
    keys = text_keys([f"text {i}" for i in range(len(lengths))], None, seed=0)
    offsets = offsets_of(lengths)
    sample = TokenSample.draw(keys, offsets, k)
    assert len(sample.flat) == min(k, offsets[-1])
    assert sorted(sample.slots) == list(range(len(sample.flat)))
    rows = list(range(len(lengths)))[::-2]
    laid = np.concatenate([np.arange(offsets[r], offsets[r + 1]) for r in rows])
    places, slots = sample.in_batch(offsets, rows)
    assert laid[places].tolist() == [f for f in laid[places] if f in sample.flat]
    assert len(places) == np.isin(laid, sample.flat).sum()
    at = dict(zip(sample.flat.tolist(), sample.slots.tolist(), strict=True))
    assert slots.tolist() == [at[flat] for flat in laid[places].tolist()]


def test_a_token_sample_is_uniform_over_tokens():
    lengths = np.array([100] * 50 + [1] * 50)
    keys = text_keys([f"text {i}" for i in range(100)], None, seed=3)
    offsets = offsets_of(lengths)
    sample = TokenSample.draw(keys, offsets, 2500)
    share = np.mean(sample.flat < 5000)
    assert abs(share - 5000 / 5050) < 0.01
    position = np.mean(sample.flat[sample.flat < 5000] % 100)
    assert abs(position - 49.5) < 2


def test_a_sample_is_drawn_alike_in_chunks(monkeypatch):
    keys = text_keys([f"text {i}" for i in range(40)], None, seed=0)
    offsets = offsets_of(np.arange(1, 41))
    whole = TokenSample.draw(keys, offsets, 90)
    monkeypatch.setattr("frtune.study.sampling._CHUNK_TOKENS", 37)
    parts = TokenSample.draw(keys, offsets, 90)
    assert parts.flat.tolist() == whole.flat.tolist()
    assert parts.slots.tolist() == whole.slots.tolist()


def test_equal_texts_have_keys_of_their_own():
    keys = text_keys(["a", "a", "b"], None, seed=0)
    assert len(set(keys.tolist())) == 3
    assert bottom(keys, 2).tolist() == np.argsort(keys)[:2].tolist()


def test_batches_hold_each_text_once_within_the_budget():
    lengths = np.random.default_rng(0).integers(1, 40, 200)
    corpus = Corpus(
        ids=np.zeros(lengths.sum(), np.int32), offsets=offsets_of(lengths), before=(1,),
        after=(2,), keys=np.arange(200).astype(np.uint64), cut=0, wordless=0, signature="",
    )  # fmt: skip
    batches = list(corpus.batches(100))
    assert sorted(row for batch in batches for row in batch) == list(range(200))
    assert max(len(b) * (max(lengths[b]) + 2) for b in batches) <= 100
    assert [len(b) for b in corpus.batches(1)] == [1] * 200


def test_moments_keep_the_spread_beside_a_huge_mean():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3000, 5)).astype(np.float32)
    x[:, 0] = x[:, 0] * np.float32(0.01) + 100
    whole = x.astype(float)
    for sizes in ([3000], [1, 999, 2000], [500] * 6):
        moments = RunningCovariance(5)
        for part in np.split(x, np.cumsum(sizes)[:-1]):
            moments.add(torch.from_numpy(part))
        np.testing.assert_allclose(moments.mean, whole.mean(0), rtol=1e-7, atol=1e-7)
        expected = np.cov(whole.T, bias=True)
        scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
        assert (np.abs(moments.covariance - expected) / scale).max() < 2e-6


def test_a_spectrum_has_its_known_ends():
    even, line = spectrum(np.eye(64)), spectrum(np.diag([1.0] + [0.0] * 63))
    assert np.allclose([even[name] for name in ("effective_rank", "participation_ratio")], 64)
    assert np.allclose([line[name] for name in ("effective_rank", "participation_ratio")], 1)
    assert np.isclose(even["isotropy"], 1) and np.isclose(line["isotropy"], 0)
    assert all(np.isnan(value) for value in spectrum(np.zeros((3, 3))).values())


def test_special_tokens_and_padding_stand_nowhere_among_the_words(tiny, opened, corpus):
    for family in FAMILY_NAMES:
        base, tokenizer = opened(tiny(family))
        keys = text_keys(corpus, None, seed=0)
        cut = encode(tokenizer, corpus, keys, max_tokens=9)
        whole = encode(tokenizer, corpus, keys, max_tokens=512)
        expected = [tokenizer(t, add_special_tokens=False)["input_ids"] for t in corpus]
        assert whole.ids.tolist() == [i for row in expected for i in row], family
        assert cut.lengths.max() == 9 - len(cut.before) - len(cut.after)
        assert cut.cut == sum(len(row) > cut.lengths.max() for row in expected)
        ids, mask = cut.padded([0, 1], pad_id=0)
        assert ids[0, : mask[0].sum()].tolist() == [
            *cut.before,
            *cut.ids[: cut.lengths[0]],
            *cut.after,
        ]
        batch = next(hidden_states(base, whole, token_budget=10**6, bf16=False))
        assert len(batch.words) == len(whole.ids)
