"""What a study opens: models with and without a head, adapters, and what it refuses."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from frtune import SequenceClassification, build_bert, lora_config
from frtune.errors import InputError
from frtune.study import layer_statistics, study
from frtune.study.checkpoints import load_base, read_checkpoint
from frtune.study.hidden import base_of
from frtune.tasks.config_file import save_task
from kinds import SEQ2SEQ


@pytest.fixture(scope="module")
def adapted(tiny, tmp_path_factory):
    """A PEFT model that differs from its base, and where it is saved."""
    task = SequenceClassification(labels=("a", "b"))
    model, tokenizer = build_bert(task, checkpoint=tiny("bert"), lora=lora_config(r=2))
    generator = torch.Generator().manual_seed(0)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            weight.data.normal_(0, 0.3, generator=generator)
    directory = tmp_path_factory.mktemp("adapter") / "out"
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    save_task(task, directory)
    return model, tokenizer, directory


def values(model, tokenizer, texts):
    return layer_statistics(model, tokenizer, texts)["value"]


def test_an_adapter_is_merged_into_its_base(adapted, tiny, corpus):
    model, tokenizer, directory = adapted
    base = load_base(read_checkpoint("tuned", directory))
    assert not any("lora" in name for name, _ in base.model.named_modules())
    merged = values(base.model, tokenizer, corpus)
    assert merged.to_list() == pytest.approx(
        values(model, tokenizer, corpus).to_list(), rel=1e-4, abs=1e-5, nan_ok=True
    )
    pairs = study({"raw": tiny("bert"), "tuned": directory}, corpus).pairs
    drift = pairs[pairs["statistic"] == "drift_cosine"].set_index("layer_a")["value"]
    assert abs(drift[0]) < 1e-6 < 1e-3 < drift[2]


def test_a_model_is_left_in_its_mode_and_its_head_is_not_run(adapted, corpus):
    model, tokenizer, _ = adapted
    model.train()
    assert base_of(model).model is model.get_base_model().bert
    values(model, tokenizer, corpus[:3])
    assert model.get_base_model().bert.training


@pytest.mark.parametrize("family", SEQ2SEQ)
def test_of_an_encoder_decoder_the_encoder_is_studied(family, tiny, corpus):
    base = load_base(read_checkpoint("model", tiny(family)))
    assert "Encoder" in type(base.model).__name__ or base.model.is_decoder is False
    assert study({"a": tiny(family)}, corpus).layers["layer"].max() == base.layers


def test_quantised_weights_are_refused(tiny, tmp_path):
    directory = shutil.copytree(tiny("bert"), tmp_path / "int8")
    config = json.loads((directory / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_8bit": True}
    (directory / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"small=.*quantised"):
        read_checkpoint("small", directory)


def test_weights_that_are_missing_are_refused(tiny, tmp_path):
    from safetensors.torch import load_file, save_file

    directory = shutil.copytree(tiny("bert"), tmp_path / "half")
    weights = load_file(directory / "model.safetensors")
    kept = {name: weight for name, weight in weights.items() if "layer.1" not in name}
    save_file(kept, directory / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match="weights are missing"):
        load_base(read_checkpoint("half", directory))


def test_a_missing_directory_is_refused():
    with pytest.raises(InputError, match="no such directory"):
        read_checkpoint("raw", "./nowhere")
