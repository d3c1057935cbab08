"""LoRA on decoders whose output layer is the input embedding (Llama 3.2, Gemma, GPT-2, Qwen3)."""

import dataclasses
import shutil

import pytest
import torch
from peft import AutoPeftModelForCausalLM
from safetensors.torch import load_file, save_file
from test_build import step
from transformers import AutoConfig, AutoModelForCausalLM

from conftest import CORPUS
from frtune import InputError, build_model, lora_config
from frtune.models.families import FAMILIES
from frtune.models.family import Family
from frtune.models.loading import load_saved
from frtune.models.model_verification import prove_saved
from frtune.models.probe import probe_logits
from kinds import DECODERS
from tasks import MARKERS, Generate, batch_for

GPT2 = Family(
    name="gpt2",
    title="GPT-2",
    default_checkpoint="openai-community/gpt2",
    model_types=("gpt2",),
    tiny=dataclasses.replace(FAMILIES["gptj"].tiny, spare_rows=0),
)
TEXTS = [*CORPUS[:3], f"{MARKERS[0]}{CORPUS[3]}{MARKERS[1]}budget{MARKERS[2]}"]


@dataclasses.dataclass(frozen=True)
class Write(Generate):
    """The same without new tokens."""

    def new_tokens(self, kind):
        return ()


@pytest.fixture
def tied(tiny, tmp_path, monkeypatch):
    """``tied("llama")``: the tiny checkpoint with its output layer tied to the embedding."""

    def make(family):
        if family not in FAMILIES:
            monkeypatch.setitem(FAMILIES, family, GPT2)
        directory = tmp_path / "tied"
        shutil.copytree(tiny(family), directory)
        config = AutoConfig.from_pretrained(directory)
        config.tie_word_embeddings = True
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(config).save_pretrained(directory)
        assert not any("lm_head.weight" in name for name in load_file(weights(directory)))
        return directory

    return make


def weights(directory):
    name = "adapter_model" if (directory / "adapter_config.json").is_file() else "model"
    return directory / f"{name}.safetensors"


def train(task, checkpoint, output, **options):
    model, tokenizer = build_model(task, checkpoint=checkpoint, lora=lora_config(), **options)
    batch = batch_for(model, tokenizer, TEXTS)
    step(model, batch)
    model.save_pretrained(output)
    tokenizer.save_pretrained(output)
    del batch["labels"]
    return model, tokenizer, batch


@pytest.mark.parametrize("task", [Generate(), Write()], ids=["new tokens", "none"])
@pytest.mark.parametrize("family", [*DECODERS, *({"gpt2"} - {*DECODERS})])
def test_an_adapter_is_saved_opened_and_merged(tied, tmp_path, family, task):
    model, tokenizer, batch = train(task, tied(family), tmp_path / "saved")
    expected = probe_logits(model, batch)
    saved = load_file(weights(tmp_path / "saved"))
    assert sum("trainable_tokens_delta" in name for name in saved) <= 1, "both have one delta"
    assert prove_saved(tmp_path / "saved", model, tokenizer, task, batch) < 1e-5
    plain = AutoPeftModelForCausalLM.from_pretrained(tmp_path / "saved")
    assert torch.allclose(probe_logits(plain, batch), expected, atol=1e-5)
    merged, again = load_saved(tmp_path / "saved", task, merge=True)
    assert merged.get_output_embeddings().weight is merged.get_input_embeddings().weight
    merged.save_pretrained(tmp_path / "merged")
    again.save_pretrained(tmp_path / "merged")
    assert prove_saved(tmp_path / "merged", model, tokenizer, task, batch) < 1e-4
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert torch.allclose(probe_logits(plain, batch), expected, atol=1e-4)


@pytest.mark.parametrize("quantization", ["int8", "nf4"])
def test_a_quantised_base_merges_with_the_new_rows(tied, tmp_path, quantization):
    train(Generate(), tied("llama"), tmp_path / "saved", quantization=quantization)
    full, tokenizer = load_saved(tmp_path / "saved", Generate())
    batch = batch_for(full, tokenizer, TEXTS)
    merged, _ = load_saved(tmp_path / "saved", Generate(), merge=True)
    assert torch.allclose(probe_logits(merged, batch), probe_logits(full, batch), atol=1e-4)


def test_new_rows_that_are_missing_are_still_missed(tied, tmp_path):
    train(Generate(), tied("llama"), tmp_path / "saved")
    path = weights(tmp_path / "saved")
    kept = {name: value for name, value in load_file(path).items() if "trainable" not in name}
    save_file(kept, path, metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"is not this adapter's|does not fit its base"):
        load_saved(tmp_path / "saved", Generate())


def test_an_update_that_is_missing_is_still_missed(tied, tmp_path):
    train(Generate(), tied("llama"), tmp_path / "saved")
    path = weights(tmp_path / "saved")
    kept = load_file(path)
    del kept[next(name for name in kept if "lora_B" in name)]
    save_file(kept, path, metadata={"format": "pt"})
    with pytest.raises(InputError, match="is not this adapter's"):
        load_saved(tmp_path / "saved", Generate())
