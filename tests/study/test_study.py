"""A study as a whole: the same whatever the order and the batches, resumed, and with bad input."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from frtune.errors import InputError
from frtune.study import study

LABELS = ["fr"] * 7 + ["ko"] * 7 + ["en"] * 7


@pytest.fixture(scope="module")
def found(twins, corpus):
    raw, tuned = twins("bert")
    return study({"raw": raw, "tuned": tuned}, corpus, LABELS)


def assert_same(one, other):
    for a, b in ((one.layers, other.layers), (one.pairs, other.pairs)):
        pd.testing.assert_frame_equal(a, b, check_exact=False, rtol=1e-6, atol=1e-6)


def why(result, what):
    return [line["why"] for line in result.skipped if what in line["what"]]


def test_order_and_batches_do_not_change_a_number(found, twins, corpus):
    raw, tuned = twins("bert")
    order = np.random.default_rng(0).permutation(len(corpus))
    other = study(
        {"raw": raw, "tuned": tuned},
        [corpus[i] for i in order],
        [LABELS[i] for i in order],
        token_budget=40,
    )
    assert_same(found, other)
    assert found.data == other.data


def test_samples_do_not_depend_on_order_and_batches(twins, corpus):
    paths = dict(zip(("raw", "tuned"), twins("bert"), strict=True))
    sizes = {"sample_tokens": 40, "sample_texts": 9}
    one = study(paths, corpus, **sizes)
    assert_same(one, study(paths, corpus[::-1], token_budget=30, **sizes))
    other = study(paths, corpus, seed=1, **sizes).pairs["value"]
    assert not np.allclose(one.pairs["value"], other)


def test_the_frames_are_tidy(found):
    assert list(found.layers) == ["checkpoint", "layer", "statistic", "value", "low", "high"]
    assert not found.layers.duplicated(["checkpoint", "layer", "statistic"]).any()
    keys = ["a", "b", "layer_a", "layer_b", "statistic"]
    assert list(found.pairs) == [*keys, "value", "low", "high"]
    assert not found.pairs.duplicated(keys).any()
    bounded = found.layers.dropna()
    assert len(bounded) and (bounded["low"] <= bounded["value"]).all()
    assert (bounded["value"] <= bounded["high"]).all()
    assert len(found.dimensions) == 2 * 3 * 128
    assert {row["x"] for row in found.answers} >= {"cosine_within_adjusted"}
    assert found.skipped == []


def test_a_checkpoint_beside_itself_did_not_move(tiny, corpus):
    pairs = study({"a": tiny("bert"), "b": tiny("bert")}, corpus).pairs
    same = pairs[pairs["layer_a"] == pairs["layer_b"]]
    at = same.groupby("statistic")["value"]
    assert at.max()[["drift_cosine", "drift_distance", "procrustes"]].abs().max() < 1e-6
    assert at.min()[["cka", "cka_texts", "neighbours"]].min() > 1 - 1e-6


def test_what_is_saved_is_plain_json_and_parquet(found, tmp_path):
    found.save(tmp_path / "out")
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "dimensions.parquet", "layers.parquet", "pairs.parquet", "study.json",
    ]  # fmt: skip
    text = (tmp_path / "out" / "study.json").read_text("utf-8")
    saved = json.loads(text, parse_constant=pytest.fail)
    assert len(saved["layers"]) == len(found.layers)
    assert saved["data"]["tokens"] == found.data["tokens"]
    assert None in [row["low"] for row in saved["layers"]]
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out/layers.parquet"), found.layers)


def test_finished_checkpoints_are_not_computed_again(found, twins, corpus, tmp_path):
    raw, tuned = (shutil.copytree(path, tmp_path / path.parent.name) for path in twins("bert"))
    out = tmp_path / "out"
    study({"raw": raw}, corpus, LABELS, output_dir=out)
    (finished,) = (out / "statistics").iterdir()
    # as after a kill: a draft without its name, and the second checkpoint missing
    (out / "statistics" / ".cut.123").write_bytes(b"half")
    stamp = finished.stat().st_mtime_ns
    again = study({"raw": raw, "tuned": tuned}, corpus[::-1], LABELS[::-1], output_dir=out)
    assert_same(found, again)
    assert finished.stat().st_mtime_ns == stamp
    assert len(list((out / "statistics").glob("*.safetensors"))) == 2


@pytest.mark.parametrize("change", ["texts", "settings", "weights", "labels"])
def test_other_texts_settings_or_weights_are_computed_anew(change, tiny, twins, corpus, tmp_path):
    study({"a": tiny("bert")}, corpus, output_dir=tmp_path)
    path = twins("bert")[1] if change == "weights" else tiny("bert")
    texts = corpus[1:] if change == "texts" else corpus
    labels = LABELS if change == "labels" else None
    seed = 7 if change == "settings" else 42
    study({"a": path}, texts, labels, output_dir=tmp_path, seed=seed)
    assert len(list((tmp_path / "statistics").glob("*.safetensors"))) == 2


def test_a_damaged_file_is_computed_again(tiny, corpus, tmp_path):
    one = study({"a": tiny("bert")}, corpus, output_dir=tmp_path)
    (file,) = (tmp_path / "statistics").iterdir()
    file.write_bytes(file.read_bytes()[:1000])
    assert_same(one, study({"a": tiny("bert")}, corpus, output_dir=tmp_path))
    assert file.stat().st_size > 1000


def test_an_encoder_and_a_decoder_are_compared_by_texts_alone(tiny, corpus):
    result = study({"enc": tiny("bert"), "dec": tiny("llama")}, corpus, LABELS)
    assert set(result.pairs["statistic"]) == {"cka_texts", "cka_texts_debiased"}
    assert "other tokens" in why(result, "enc and dec")[0]
    assert "sees no other" in why(result, "dec: probes")[0]
    assert set(result.layers["checkpoint"]) == {"enc", "dec"}


def test_checkpoints_of_unlike_depth_and_width_are_compared_where_defined(tiny, corpus, tmp_path):
    small = resized(tiny("bert"), tmp_path / "small", layers=1, width=64)
    result = study({"large": tiny("bert"), "small": small}, corpus)
    table = result.pairs.groupby("statistic").size()
    every = dict.fromkeys(["cka", "cka_debiased", "cka_texts", "cka_texts_debiased"], 6)
    assert table.to_dict() == {**every, "neighbours": 2, "procrustes": 2}
    assert why(result, "large and small: drift") == ["128 and 64 dimensions"]
    assert "2 and 1 blocks" in why(result, "large and small: layers")[0]


def resized(directory, target, *, layers, width):
    import torch
    from transformers import AutoConfig, AutoModel

    shutil.copytree(directory, target, ignore=shutil.ignore_patterns("*.safetensors"))
    config = AutoConfig.from_pretrained(directory)
    config.num_hidden_layers, config.hidden_size = layers, width
    with torch.random.fork_rng():
        torch.manual_seed(0)
        AutoModel.from_config(config).save_pretrained(target)
    return target


def test_a_short_text_alone_gives_what_it_can(tiny):
    result = study({"a": tiny("bert"), "b": tiny("bert")}, ["budget"], ["x"])
    values = result.layers.set_index(["checkpoint", "statistic", "layer"])["value"]
    assert values["a", "norm_mean", 0] > 0
    assert np.isnan(values["a", "cosine_between", 0])
    assert "1 class(es)" in why(result, "a: probes")[0]
    assert why(result, "a and b: cka_texts") == ["1 texts in common, 3 are needed"]
    assert not result.answers


def test_one_class_and_rare_classes_are_said(tiny, corpus):
    one = study({"a": tiny("bert")}, corpus, ["x"] * 21)
    assert "1 class(es)" in why(one, "a: probes")[0]
    assert not one.layers["statistic"].str.startswith("probe").any()
    rare = study({"a": tiny("bert")}, corpus, ["rare", *LABELS[1:]])
    assert "1 texts of classes" in why(rare, "a: probes")[0]
    assert rare.layers["statistic"].str.startswith("probe").any()


def test_blank_texts_are_left_out_and_said(tiny, corpus):
    result = study({"a": tiny("bert")}, [*corpus, " \n"])
    assert why(result, "texts") == ["1 of 22 are blank; left out"]
    assert result.data["texts"] == 21
    assert_same(result, study({"a": tiny("bert")}, corpus))


@pytest.mark.parametrize(
    ("texts", "labels", "message"),
    [
        ([], None, "texts: 0, none with words"),
        (["", " "], None, "texts: 2, none with words"),
        ("one string", None, "Pass a list of texts"),
        (["a", None], None, "text 2: None is no text"),
        (["a", "b"], ["x"], "labels: 1 for 2 texts"),
    ],
)
def test_bad_texts_are_refused_in_one_line(texts, labels, message, tiny):
    with pytest.raises(InputError, match=message) as caught:
        study({"a": tiny("bert")}, texts, labels)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bad", [{"max_tokens": 0}, {"sample_tokens": 2.5}, {"seed": -1}])
def test_settings_out_of_range_are_refused(bad, tiny):
    with pytest.raises(InputError, match=next(iter(bad))):
        study({"a": tiny("bert")}, ["text"], **bad)


def test_long_texts_are_cut_for_all_at_the_fewest_positions(tiny, corpus):
    config = json.loads((tiny("bert") / "config.json").read_text())
    result = study({"a": tiny("bert")}, [" ".join(corpus)], max_tokens=10_000)
    assert result.data["max_tokens"] == config["max_position_embeddings"]
    assert "positions" in why(result, "the ends of long texts")[0]
    cut = study({"a": tiny("bert")}, [" ".join(corpus), "budget"], max_tokens=12)
    assert cut.data["cut_texts"] == 1 and cut.data["tokens"]["real"] <= 12
