"""What a foreign config says is taken over where it can be, and fetches no code."""

from __future__ import annotations

import json
import random
import shutil
import time

import pytest
import torch

from conftest import FAMILY_NAMES
from frtune import InputError, build_model
from frtune.models.checkpoint_files import read_config
from frtune.models.config_values import keep_known_attention
from frtune.models.families import FAMILIES
from frtune.models.family import has_head
from frtune.planning.plan import plan
from frtune.tasks.config_file import task_class


@pytest.fixture
def changed(tiny, tmp_path):
    """``changed("bert", hidden_size=0)``: a checkpoint whose config says so."""

    def make(family, **values):
        directory = shutil.copytree(tiny(family), tmp_path / "changed", dirs_exist_ok=True)
        file = directory / "config.json"
        file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), **values}))
        return directory

    return make


def own(family, name):
    from transformers import CONFIG_MAPPING

    return CONFIG_MAPPING[FAMILIES[family].model_types[0]].attribute_map.get(name, name)


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_absurd_sizes_are_refused_before_anything_is_made(changed, family):
    start = time.monotonic()
    for size in ("num_hidden_layers", "hidden_size", "vocab_size"):
        for value in (10**12, -1, 0, 1.5, "12", [2]):
            name = own(family, size)
            with pytest.raises(InputError, match=rf"config.json says {name}=") as error:
                read_config(changed(family, **{name: value}))
            assert "\n" not in str(error.value)
    assert time.monotonic() - start < 60  # a loop over 10**12 ends in no time that a test has


@pytest.mark.parametrize(
    "values",
    [
        {"num_labels": 10**12}, {"max_position_embeddings": 10**13}, {"intermediate_size": -4},
        {"text_config": {"n_layer": -7}}, {"classifier_dropout": "x"}, {"hidden_act": "none such"},
        {"num_attention_heads": 7}, {"hidden_size": 10**6, "intermediate_size": 10**6},
    ],
    ids=str,
)  # fmt: skip
def test_a_config_that_makes_no_model_is_refused(changed, values):
    task = task_class("classification").for_planning()
    with pytest.raises(InputError, match=r"config") as error:
        build_model(task, checkpoint=changed("bert", **values), proof=False)
    assert "\n" not in str(error.value)


DAMAGED = {
    "hidden_size": "x", "num_attention_heads": 0, "num_hidden_layers": -2, "vocab_size": None,
    "intermediate_size": [64], "max_position_embeddings": 1e30, "hidden_act": "none such",
    "hidden_dropout_prob": 2, "attention_probs_dropout_prob": "a", "initializer_range": -1.0,
    "layer_norm_eps": float("nan"), "model_type": "none such", "num_labels": "two",
    "id2label": 3, "label2id": [1], "dtype": "x", "torch_dtype": "float33", "rope_scaling": [1],
    "quantization_config": {"a": 1}, "pad_token_id": 10**6, "type_vocab_size": "2",
    "return_dict": False, "output_hidden_states": 1.5, "auto_map": 5,
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_field_is_named_with_its_file(changed, name):
    task = task_class("classification").for_planning()
    with pytest.raises(InputError, match=rf"config.*\b{name}\b") as error:
        build_model(task, checkpoint=changed("bert", **{name: DAMAGED[name]}), proof=False)
    assert "\n" not in str(error.value)


def test_a_model_type_that_is_no_text_is_refused(changed):
    with pytest.raises(InputError, match="config"):
        read_config(changed("bert", model_type={"a": 1}))


def test_a_config_changed_at_random_makes_a_model_or_is_refused(changed, tiny):
    chance = random.Random(16)
    odd = [0, -1, 3, 10**6, 10**12, 1.5, float("nan"), "x", "", [], [1], {}, {"a": 1}, True]
    ends = set()
    for family in (name for name in FAMILY_NAMES if FAMILIES[name].kind != "encoder-decoder"):
        task = task_class("classification").for_planning()
        if not has_head(FAMILIES[family].model_types[0], task.auto_classes[FAMILIES[family].kind]):
            continue
        fields = sorted(json.loads((tiny(family) / "config.json").read_text("utf-8")))
        for _ in range(2):
            directory = changed(family, **{chance.choice(fields): chance.choice(odd)})
            try:
                model, tokenizer = build_model(task, checkpoint=directory, proof=False)
            except InputError as error:
                assert "\n" not in str(error)
                ends.add("refused")
                continue
            batch = tokenizer("un budget", return_tensors="pt")
            model(input_ids=batch["input_ids"], labels=torch.tensor([0])).loss.backward()
            ends.add("works")
    assert ends == {"refused", "works"}


def test_plan_refuses_absurd_sizes(changed):
    with pytest.raises(InputError, match="num_hidden_layers=1000000000000: from 1 to"):
        plan(changed("bert", num_hidden_layers=10**12))


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation"])
@pytest.mark.parametrize(
    "named", ["kernels-community/flash-attn", "org/repo:fn", "org/repo@v1", "nonsense", "paged|x"]
)
def test_attention_from_the_hub_is_not_taken_over(changed, caplog, key, named):
    directory = changed("bert", **{key: named})
    assert read_config(directory)._attn_implementation is None
    (line,) = [record.getMessage() for record in caplog.records]
    assert named in line and str(directory) in line and "\n" not in line


def test_a_checkpoint_that_names_a_kernel_is_built_with_the_usual_attention(changed, monkeypatch):
    import transformers.integrations.hub_kernels as kernels

    fetched = []
    for name in ("load_and_register_attn_kernel", "get_kernel"):
        if hasattr(kernels, name):
            monkeypatch.setattr(kernels, name, lambda *args, **options: fetched.append(args))
    task = task_class("classification").for_planning()
    directory = changed("bert", attn_implementation="kernels-community/flash-attn")
    model, _ = build_model(task, checkpoint=directory, proof=False)
    assert model.config._attn_implementation == "sdpa" and not fetched


@pytest.mark.parametrize("named", ["eager", "sdpa", "flex_attention"])
def test_attention_of_transformers_is_taken_over(changed, caplog, named):
    config = read_config(changed("bert", attn_implementation=named))
    assert config._attn_implementation == named and not caplog.records


def test_flash_attention_is_taken_over_where_it_is_installed(changed, monkeypatch):
    directory = changed("bert", attn_implementation="flash_attention_2")
    monkeypatch.setitem(
        keep_known_attention.__globals__["_ATTENTION"], "flash_attention_2", lambda: False
    )
    assert read_config(directory)._attn_implementation is None
    monkeypatch.setitem(
        keep_known_attention.__globals__["_ATTENTION"], "flash_attention_2", lambda: True
    )
    assert read_config(directory)._attn_implementation == "flash_attention_2"


def test_attention_of_a_part_is_looked_at_too(caplog):
    from transformers import Gemma3Config

    config = Gemma3Config()
    config.text_config._attn_implementation = "org/repo"
    keep_known_attention(config, "there")
    assert config.text_config._attn_implementation is None
    assert "there" in caplog.text
