import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from test_build import step

from conftest import CORPUS, FAMILY_NAMES
from frtune import InputError, build_model, lora_config, merge
from frtune.models.families import FAMILIES
from frtune.models.loading import load_saved
from frtune.models.model_verification import prove_saved
from frtune.models.probe import probe_logits
from frtune.models.tokenizer import PAD_TOKEN
from kinds import CLASSIFYING, DECODERS
from tasks import MARKERS, Classify, Generate, batch_for, task_for

TEXTS = [*CORPUS[:3], f"{MARKERS[0]}{CORPUS[3]}{MARKERS[1]}budget{MARKERS[2]}"]


def trained(task, directory, output, **options):
    """Build, take a step, save; the model, its tokenizer and a batch without labels."""
    model, tokenizer = build_model(task, checkpoint=directory, **options)
    batch = batch_for(model, tokenizer, TEXTS)
    step(model, batch)
    model.save_pretrained(output)
    tokenizer.save_pretrained(output)
    if not model.config.is_encoder_decoder:
        del batch["labels"]
    return model, tokenizer, batch


@pytest.mark.parametrize("family", FAMILY_NAMES)
@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
def test_a_saved_model_gives_the_same_logits(tiny, tmp_path, family, lora):
    task = task_for(family)
    model, tokenizer, batch = trained(
        task, tiny(family), tmp_path, lora=lora_config() if lora else None
    )
    assert prove_saved(tmp_path, model, tokenizer, task, batch) < 1e-5
    assert model.training


@pytest.mark.parametrize("quantization", ["int8", "nf4"])
@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_an_adapter_on_a_quantised_base_is_proven(tiny, tmp_path, family, quantization):
    task = task_for(family)
    model, tokenizer, batch = trained(
        task, tiny(family), tmp_path, lora=lora_config(), quantization=quantization
    )
    prove_saved(tmp_path, model, tokenizer, task, batch)
    merged = merge(model, batch=batch)
    assert 0 < merged.max_logit_difference < 1
    assert not hasattr(merged.model.config, "quantization_config")
    full, _ = load_saved(tmp_path, task)
    assert torch.allclose(probe_logits(merged.model, batch), probe_logits(full, batch), atol=1e-4)


@pytest.mark.parametrize("family", CLASSIFYING)
def test_a_bf16_head_comes_back_bit_for_bit(tiny, tmp_path, family):
    model, tokenizer, batch = trained(
        Classify(), tiny(family), tmp_path, lora=lora_config(), dtype="bfloat16"
    )
    assert prove_saved(tmp_path, model, tokenizer, Classify(), batch) == 0.0


def test_flauberts_head_is_saved_and_restored_under_lora(tiny, tmp_path):
    model, _, _ = trained(Classify(), tiny("flaubert"), tmp_path, lora=lora_config())
    saved = load_file(tmp_path / "adapter_model.safetensors")
    again, _ = load_saved(tmp_path, Classify())
    for leaf in ("weight", "bias"):
        name = f"base_model.model.sequence_summary.summary.{leaf}"
        assert name in saved
        live = dict(model.named_parameters())
        key = f"base_model.model.sequence_summary.modules_to_save.default.summary.{leaf}"
        assert torch.equal(dict(again.named_parameters())[key], live[key])


# --- the rows of new tokens ----------------------------------------------------------------------


@pytest.mark.parametrize("family", DECODERS)
def test_an_adapter_holds_new_rows_and_never_a_whole_embedding(tiny, tmp_path, family):
    _, tokenizer, _ = trained(Generate(), tiny(family), tmp_path, lora=lora_config())
    rows = {
        name: tuple(tensor.shape)
        for name, tensor in load_file(tmp_path / "adapter_model.safetensors").items()
        if "lora_" not in name
    }
    spare = FAMILIES[family].tiny.spare_rows > 0
    padding_is_new = tokenizer.pad_token == PAD_TOKEN and not spare  # and then trained, too
    added = len(MARKERS) + padding_is_new
    assert set(rows.values()) == {(added, 128)} and len(rows) == 2
    indices = json.loads((tmp_path / "adapter_config.json").read_text())["trainable_token_indices"]
    ids = set(tokenizer.convert_tokens_to_ids(list(MARKERS)))
    assert all(ids <= set(found) for found in indices.values())


def test_new_rows_come_back_and_merge_in_both_layers(tiny, tmp_path):
    model, tokenizer, batch = trained(Generate(), tiny("polyglot"), tmp_path, lora=lora_config())
    ids = tokenizer.convert_tokens_to_ids(list(MARKERS))
    expected = probe_logits(model, batch)
    merged, again = load_saved(tmp_path, Generate(), merge=True)
    assert not hasattr(merged, "peft_config")
    assert torch.allclose(probe_logits(merged, batch), expected, atol=1e-4)
    live = dict(model.named_parameters())
    order = model.peft_config["default"].trainable_token_indices["lm_head"]
    for layer, weight in (
        ("gpt_neox.embed_in", merged.get_input_embeddings().weight),
        ("lm_head", merged.get_output_embeddings().weight),
    ):
        delta = live[f"base_model.model.{layer}.token_adapter.trainable_tokens_delta.default"]
        for i in ids:
            assert torch.equal(weight[i], delta[order.index(i)])
    merged.save_pretrained(tmp_path / "merged")
    again.save_pretrained(tmp_path / "merged")
    prove_saved(tmp_path / "merged", merged, again, Generate(), batch)


def test_a_merge_reports_how_far_the_logits_moved(tiny, tmp_path):
    model, _, _ = trained(Generate(), tiny("t5"), tmp_path, lora=lora_config())
    merged = merge(model)
    assert merged.max_logit_difference < 1e-4
    assert type(merged.model).__name__ == "T5ForConditionalGeneration"


def test_a_model_without_an_adapter_cannot_be_merged(tiny):
    model, _ = build_model(Generate(), checkpoint=tiny("t5"))
    with pytest.raises(InputError, match="model=T5ForConditionalGeneration: has no adapter"):
        merge(model)


def test_trainer_checkpoints_hold_new_rows_only_and_resume(tiny, tmp_path):
    from transformers import Trainer, TrainingArguments

    def trainer(name, steps):
        torch.manual_seed(0)
        model, tokenizer = build_model(
            Generate(), checkpoint=tiny("polyglot"), lora=lora_config(dropout=0.0)
        )
        batch = batch_for(model, tokenizer, TEXTS)
        rows = [{key: value[i] for key, value in batch.items()} for i in range(len(TEXTS))]
        args = TrainingArguments(
            str(tmp_path / name), max_steps=steps, save_steps=2, use_cpu=True, disable_tqdm=True,
            per_device_train_batch_size=2, learning_rate=1e-2, lr_scheduler_type="constant",
            report_to="none", logging_strategy="no",
        )  # fmt: skip
        return Trainer(model=model, args=args, train_dataset=rows, processing_class=tokenizer)

    whole = trainer("whole", 4)
    whole.train()
    checkpoint = tmp_path / "whole" / "checkpoint-2"
    names = load_file(checkpoint / "adapter_model.safetensors")
    assert not [name for name in names if name.endswith(("embed_in.weight", "lm_head.weight"))]
    resumed = trainer("resumed", 4)
    resumed.train(resume_from_checkpoint=str(checkpoint))
    expected = dict(whole.model.named_parameters())
    for name, parameter in resumed.model.named_parameters():
        assert torch.allclose(parameter, expected[name], atol=1e-6), name


# --- what can go wrong ---------------------------------------------------------------------------


def test_the_proof_fails_on_a_changed_weight(tiny, tmp_path):
    model, tokenizer, batch = trained(Generate(), tiny("polyglot"), tmp_path, lora=lora_config())
    path = tmp_path / "adapter_model.safetensors"
    weights = load_file(path)
    name = next(name for name in weights if "lm_head" in name)
    weights[name] = weights[name] * 1.5
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(RuntimeError, match="gives other logits than the one in memory"):
        prove_saved(tmp_path, model, tokenizer, Generate(), batch)


def test_the_proof_fails_on_a_changed_tokenizer(tiny, tmp_path):
    model, tokenizer, batch = trained(Generate(), tiny("gptj"), tmp_path)
    path = tmp_path / "tokenizer.json"
    content = json.loads(path.read_text("utf-8"))
    content["model"]["merges"] = content["model"]["merges"][:-50]
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(RuntimeError, match="gives other ids"):
        prove_saved(tmp_path, model, tokenizer, Generate(), batch)


def test_the_proof_sees_past_mixed_precision(tiny, tmp_path):
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
    model, tokenizer, batch = trained(Generate(), tiny("t5"), tmp_path)
    model = Accelerator(cpu=True, mixed_precision="bf16").prepare(model)
    assert prove_saved(tmp_path, model, tokenizer, Generate(), batch) < 1e-5
    AcceleratorState._reset_state(reset_partial_state=True)


def test_a_base_that_moved_is_found_beside_its_adapter(tiny, tmp_path):
    base = tmp_path / "run" / "tiny"
    shutil.copytree(tiny("t5"), base)
    trained(Generate(), base, tmp_path / "run", lora=lora_config())
    (tmp_path / "run").rename(tmp_path / "moved")
    model, _ = load_saved(tmp_path / "moved", Generate())
    assert model.peft_config
    shutil.rmtree(tmp_path / "moved" / "tiny")
    with pytest.raises(InputError, match=r"its base '.*run/tiny' does not exist\. Put the base"):
        load_saved(tmp_path / "moved", Generate())


@pytest.mark.parametrize("missing", ["adapter_model.safetensors", "model.safetensors"])
def test_a_directory_that_is_not_whole_is_named(tiny, tmp_path, missing):
    lora = lora_config() if missing.startswith("adapter") else None
    trained(Generate(), tiny("t5"), tmp_path, lora=lora)
    (tmp_path / missing).unlink()
    with pytest.raises(InputError, match=rf"has .*no {missing}"):
        load_saved(tmp_path, Generate())


def test_an_adapter_of_another_model_is_named(tiny, tmp_path):
    trained(Generate(), tiny("polyglot"), tmp_path, lora=lora_config())
    path = tmp_path / "adapter_config.json"
    config = json.loads(path.read_text()) | {"base_model_name_or_path": str(tiny("gptj"))}
    path.write_text(json.dumps(config))
    with pytest.raises(InputError, match="its adapter does not fit its base"):
        load_saved(tmp_path, Generate())


def test_a_directory_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(InputError, match=r"directory='.*x': does not exist"):
        load_saved(tmp_path / "x", Generate())
