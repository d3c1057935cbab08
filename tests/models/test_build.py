import json
import shutil

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

import frtune
from conftest import CORPUS, FAMILY_NAMES
from frtune import InputError, build_model, build_polyglot, build_t5, lora_config
from frtune.models.families import FAMILIES
from frtune.models.lora import target_modules
from kinds import CHECKPOINTING, DECODERS, ENCODERS, SEQ2SEQ
from tasks import MARKERS, Classify, Generate, Tag, batch_for, task_for

TEXTS = CORPUS[:4]


def build(family, directory, **options):
    return getattr(frtune, f"build_{family}")(task_for(family), checkpoint=directory, **options)


def step(model, batch):
    """One optimizer step; the names of the parameters that it moved."""
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-2, weight_decay=0.0)
    for _ in range(2):  # LoRA's A has no gradient before its B has moved
        model(**batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return {name for name, p in model.named_parameters() if not torch.equal(before[name], p)}


def names_to_train(family, directory):
    """Weights that LoRA trains: updates, heads that the checkpoint lacks, rows of new tokens."""
    row = FAMILIES[family]
    task = task_for(family)
    auto_class = getattr(transformers, task.auto_classes[row.kind])
    model = auto_class.from_config(AutoConfig.from_pretrained(directory, num_labels=3))
    targets = target_modules(row, model)
    places = [name for name, _ in model.named_modules() if name.split(".")[-1] in targets]
    assert places and len(places) % (2 * len(targets)) == 0, "in each of two blocks"
    names = {f"{place}.lora_{ab}.default.weight" for place in places for ab in "AB"}
    if row.kind == "encoder":
        stored = load_file(directory / "model.safetensors")
        heads = {name for name, _ in model.named_parameters() if name not in stored}
        assert heads
        names |= heads
    if row.kind == "decoder":
        layers = (model.get_input_embeddings(), model.get_output_embeddings())
        found = [name for name, module in model.named_modules() if module in layers]
        names |= {f"{name}.token_adapter.trainable_tokens_delta.default" for name in found}
    return names


def plainly(names):
    """Names without what PEFT puts in front of them and around a head."""
    return {
        name.removeprefix("base_model.model.").replace(".modules_to_save.default", "")
        for name in names
    }


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_full_training_moves_every_weight(tiny, family):
    model, tokenizer = build(family, tiny(family))
    moved = step(model, batch_for(model, tokenizer, TEXTS))
    still = {name for name, p in model.named_parameters()} - moved
    # FlauBERT's language embedding is read only when `langs` is passed
    assert not {name for name in still if "lang_embeddings" not in name}
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert model.training


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_lora_trains_exactly_its_updates_the_head_and_new_rows(tiny, family):
    model, tokenizer = build(family, tiny(family), lora=lora_config())
    expected = names_to_train(family, tiny(family))
    assert plainly(n for n, p in model.named_parameters() if p.requires_grad) == expected
    moved = step(model, batch_for(model, tokenizer, [*TEXTS, " ".join(MARKERS)]))
    assert plainly(moved) == expected


@pytest.mark.parametrize("quantization", ["int8", "nf4"])
@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_lora_trains_on_a_quantised_base(tiny, family, quantization):
    model, tokenizer = build(family, tiny(family), lora=lora_config(), quantization=quantization)
    moved = step(model, batch_for(model, tokenizer, [*TEXTS, " ".join(MARKERS)]))
    assert plainly(moved) == names_to_train(family, tiny(family))


@pytest.mark.parametrize("family", SEQ2SEQ)
def test_logits_are_those_of_the_auto_class(tiny, family):
    model, tokenizer = build(family, tiny(family))
    reference = AutoModelForSeq2SeqLM.from_pretrained(tiny(family), dtype=torch.float32).eval()
    batch = batch_for(model, tokenizer, TEXTS)
    with torch.no_grad():
        assert torch.equal(model.eval()(**batch).logits, reference(**batch).logits)


@pytest.mark.parametrize("family", DECODERS)
def test_logits_of_old_tokens_are_those_of_the_auto_class(tiny, family):
    model, tokenizer = build(family, tiny(family))
    reference = AutoModelForCausalLM.from_pretrained(tiny(family), dtype=torch.float32).eval()
    batch = batch_for(model, tokenizer, TEXTS)
    rows = reference.config.vocab_size
    with torch.no_grad():
        found = model.eval()(**batch).logits[..., :rows]
        batch["input_ids"] = batch["input_ids"].clamp(max=rows - 1)  # the new padding token
        expected = reference(**batch).logits
    kept = batch["attention_mask"] == 1
    assert torch.allclose(found[kept], expected[kept], atol=1e-5)


@pytest.mark.parametrize("family", ENCODERS)
def test_logits_of_a_trained_head_are_those_of_the_auto_class(tiny, tmp_path, family):
    from transformers import AutoModelForSequenceClassification

    model, tokenizer = build(family, tiny(family))
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    again, _ = build(family, tmp_path)
    reference = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    batch = batch_for(model, tokenizer, TEXTS)
    with torch.no_grad():
        assert torch.equal(again.eval()(**batch).logits, reference(**batch).logits)
    assert reference.config.id2label == {0: "bad", 1: "fair", 2: "good"}


@pytest.mark.parametrize("family", ENCODERS)
def test_token_classification_trains_its_head_under_lora(tiny, family):
    model, tokenizer = build_model(Tag(), checkpoint=tiny(family), lora=lora_config())
    moved = step(model, batch_for(model, tokenizer, TEXTS))
    assert {name for name in moved if "lora_" not in name} == {
        "base_model.model.classifier.modules_to_save.default.weight",
        "base_model.model.classifier.modules_to_save.default.bias",
    }


@pytest.mark.parametrize("family", DECODERS)
def test_decoders_classify_by_the_last_token_before_padding(tiny, family):
    model, tokenizer = build_model(Classify(), checkpoint=tiny(family))
    assert model.config.pad_token_id == tokenizer.pad_token_id
    model.eval()
    eos = tokenizer.eos_token
    alone = tokenizer([f"un{eos}"], return_tensors="pt")
    padded = tokenizer([f"un{eos}", TEXTS[0]], return_tensors="pt", padding=True)
    with torch.no_grad():
        one = model(**alone).logits[0]
        two = model(**padded).logits[0]
    assert torch.allclose(one, two, atol=1e-4)


# --- the traps of T5 -----------------------------------------------------------------------------


def test_t5_output_layer_survives_loading_and_a_resize(tiny):
    published = load_file(tiny("t5") / "model.safetensors")["lm_head.weight"]
    model, _ = build_t5(Generate(), checkpoint=tiny("t5"))
    assert torch.equal(model.lm_head.weight, published)
    model.resize_token_embeddings(len(published) + 3)
    assert torch.equal(model.lm_head.weight[: len(published)], published)
    assert model.lm_head.weight is not model.shared.weight
    assert model.encoder.embed_tokens.weight is model.shared.weight
    assert model.decoder.embed_tokens.weight is model.shared.weight


def test_t5_saved_after_training_keeps_both_layers(tiny, tmp_path):
    model, tokenizer = build_t5(Generate(), checkpoint=tiny("t5"))
    step(model, batch_for(model, tokenizer, TEXTS))
    model.save_pretrained(tmp_path)
    again = AutoModelForSeq2SeqLM.from_pretrained(tmp_path)
    assert torch.equal(again.lm_head.weight, model.lm_head.weight)
    assert torch.equal(again.shared.weight, model.shared.weight)


@pytest.mark.parametrize("dtype", ["float16", torch.float16])
def test_t5_in_fp16_is_refused_with_the_way_out(tiny, dtype):
    with pytest.raises(InputError, match=r"dtype='float16': t5 overflows .* dtype='bfloat16'"):
        build_t5(Generate(), checkpoint=tiny("t5"), dtype=dtype)


def test_t5_with_nf4_computing_in_fp16_is_refused(tiny):
    quantization = frtune.quantization_config("nf4", compute_dtype="float16")
    with pytest.raises(InputError, match="t5 overflows"):
        build_t5(Generate(), checkpoint=tiny("t5"), lora=lora_config(), quantization=quantization)


# --- types ---------------------------------------------------------------------------------------


def test_an_fp16_checkpoint_loads_as_fp32(tiny, tmp_path):
    shutil.copytree(tiny("polyglot"), tmp_path / "half")
    AutoModelForCausalLM.from_pretrained(tiny("polyglot"), dtype=torch.float16).save_pretrained(
        tmp_path / "half"
    )
    assert AutoConfig.from_pretrained(tmp_path / "half").dtype == torch.float16
    model, _ = build_polyglot(Generate(), checkpoint=tmp_path / "half")
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_on_a_bf16_base_everything_trained_is_fp32(tiny):
    model, tokenizer = build("camembert", tiny("camembert"), dtype="bfloat16", lora=lora_config())
    for name, p in model.named_parameters():
        assert p.dtype == (torch.float32 if p.requires_grad else torch.bfloat16), name
    assert step(model, batch_for(model, tokenizer, TEXTS))


# --- new tokens ----------------------------------------------------------------------------------


@pytest.mark.parametrize("family", DECODERS)
def test_the_markers_have_rows_and_the_padding_is_not_eos(tiny, family):
    model, tokenizer = build(family, tiny(family))
    ids = tokenizer.convert_tokens_to_ids(list(MARKERS))
    rows = model.get_input_embeddings().weight.shape[0]
    assert len(set(ids)) == 3 and max(ids) < rows == model.config.vocab_size
    assert model.get_output_embeddings().weight.shape[0] == rows
    assert tokenizer.pad_token_id not in (None, tokenizer.eos_token_id)
    assert model.config.pad_token_id == tokenizer.pad_token_id
    assert model.generation_config.pad_token_id == tokenizer.pad_token_id
    assert tokenizer.padding_side == "left"


@pytest.mark.parametrize("family", [name for name in DECODERS if FAMILIES[name].tiny.spare_rows])
def test_nothing_is_resized_where_rows_are_left(tiny, family):
    model, _ = build(family, tiny(family))
    assert model.config.vocab_size == AutoConfig.from_pretrained(tiny(family)).vocab_size


def test_nothing_is_resized_without_new_tokens(tiny):
    for family in (*SEQ2SEQ, *ENCODERS):
        model, _ = build(family, tiny(family))
        assert model.config.vocab_size == AutoConfig.from_pretrained(tiny(family)).vocab_size


def test_new_rows_are_the_same_at_every_load(tiny):
    first, tokenizer = build("polyglot", tiny("polyglot"))
    torch.manual_seed(123)
    second, _ = build("polyglot", tiny("polyglot"))
    rows = tokenizer.convert_tokens_to_ids(list(MARKERS))
    for name in ("get_input_embeddings", "get_output_embeddings"):
        assert torch.equal(
            getattr(first, name)().weight[rows], getattr(second, name)().weight[rows]
        )


def test_the_output_layers_bias_stays_under_lora(tiny, tmp_path):
    """PEFT's trainable rows leave the bias of a linear layer out."""
    stored = {family: load_file(tiny(family) / "model.safetensors") for family in DECODERS}
    biased = [family for family in DECODERS if "lm_head.bias" in stored[family]]
    assert biased
    for family in biased:
        directory = shutil.copytree(tiny(family), tmp_path / family)
        weights = stored[family]
        weights["lm_head.bias"] = torch.linspace(-3, 3, len(weights["lm_head.bias"]))
        save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
        full, tokenizer = build(family, directory)
        adapted, _ = build(family, directory, lora=lora_config())
        batch = batch_for(full, tokenizer, TEXTS)
        with torch.no_grad():
            expected, found = full.eval()(**batch).logits, adapted.eval()(**batch).logits
        assert torch.allclose(found, expected, atol=1e-5), family


# --- configs -------------------------------------------------------------------------------------


def test_stale_generation_settings_are_dropped(tiny, tmp_path):
    directory = tmp_path / "stale"
    shutil.copytree(tiny("bart"), directory)
    config = json.loads((directory / "config.json").read_text("utf-8"))
    config |= {"num_beams": 4, "max_length": 20, "no_repeat_ngram_size": 3, "early_stopping": True}
    (directory / "config.json").write_text(json.dumps(config), encoding="utf-8")
    model, _ = build("bart", directory)
    settings = model.generation_config
    assert settings.max_length in (None, 20) and settings.num_beams in (None, 1)
    assert settings.no_repeat_ngram_size in (None, 0)
    model.save_pretrained(tmp_path / "saved")
    saved = json.loads((tmp_path / "saved" / "config.json").read_text("utf-8"))
    assert not {"num_beams", "max_length", "no_repeat_ngram_size"} & set(saved)


def test_gradient_checkpointing_trains_the_same_updates(tiny):
    for family in CHECKPOINTING:
        plain, tokenizer = build(family, tiny(family), lora=lora_config(dropout=0.0))
        torch.manual_seed(0)
        saving, _ = build(
            family, tiny(family), lora=lora_config(dropout=0.0), gradient_checkpointing=True
        )
        saving.load_state_dict(plain.state_dict())
        inner = saving.get_base_model()
        is_new = hasattr(inner, "is_activation_checkpointing")  # its name from Transformers 5.20 on
        assert inner.is_activation_checkpointing if is_new else inner.is_gradient_checkpointing
        batch = batch_for(plain, tokenizer, TEXTS)
        gradients = []
        for model in (plain, saving):
            for module in model.modules():
                if isinstance(module, torch.nn.Dropout):
                    module.p = 0.0
            for config_dropout in ("dropout", "attention_dropout", "hidden_dropout"):
                if hasattr(model.config, config_dropout):
                    setattr(model.config, config_dropout, 0.0)
            torch.manual_seed(0)
            model(**batch).loss.backward()
            gradients.append({n: p.grad for n, p in model.named_parameters() if p.requires_grad})
        for name, gradient in gradients[0].items():
            assert torch.allclose(gradient, gradients[1][name], atol=1e-5), (family, name)


# --- refusals ------------------------------------------------------------------------------------


@pytest.fixture
def no_weights_loaded(monkeypatch):
    import transformers

    def fail(*args, **kwargs):
        raise AssertionError("weights were loaded before the refusal")

    monkeypatch.setattr(transformers.PreTrainedModel, "from_pretrained", fail)


@pytest.mark.usefixtures("no_weights_loaded")
class TestRefusedBeforeAnyWeight:
    def test_a_checkpoint_of_another_family_names_its_builder(self, tiny):
        with pytest.raises(
            InputError, match=r"model_type is 'bert'.*build_t5 takes 't5'.*build_bert"
        ):
            build_t5(Generate(), checkpoint=tiny("bert"))

    def test_a_task_that_does_not_fit_lists_the_families_that_do(self, tiny):
        with pytest.raises(
            InputError, match=r"task='keywords': not for t5.*camembert, flaubert, bert"
        ):
            build_t5(Tag(), checkpoint=tiny("t5"))
        with pytest.raises(InputError, match=r"not for bert, which is an encoder\..*t5, bart"):
            build_model(Generate(), checkpoint=tiny("bert"))

    def test_a_missing_directory_is_named(self, tmp_path):
        with pytest.raises(InputError, match=r"checkpoint='.*nowhere': no such directory"):
            build_model(Generate(), checkpoint=tmp_path / "nowhere")

    def test_a_hub_name_that_cannot_be_reached_is_named(self):
        with pytest.raises(InputError, match=r"checkpoint='nobody/nothing': neither a directory"):
            build_model(Generate(), checkpoint="nobody/nothing")

    def test_an_empty_directory_is_named(self, tmp_path):
        with pytest.raises(InputError, match=r"has no config\.json"):
            build_model(Generate(), checkpoint=tmp_path)

    def test_a_config_that_is_not_json_is_named(self, tmp_path):
        (tmp_path / "config.json").write_text("{")
        with pytest.raises(InputError, match="checkpoint="):
            build_model(Generate(), checkpoint=tmp_path)

    def test_code_from_the_checkpoint_is_not_run(self, tmp_path):
        (tmp_path / "config.json").write_text(
            '{"model_type": "evil", "auto_map": {"AutoConfig": "evil.Config"}}'
        )
        (tmp_path / "evil.py").write_text("raise SystemExit('code was run')")
        with pytest.raises(InputError, match="code from the hub is never run"):
            build_model(Generate(), checkpoint=tmp_path)

    def test_a_checkpoint_without_weights_is_named(self, tiny, tmp_path):
        shutil.copytree(tiny("t5"), tmp_path / "t5")
        (tmp_path / "t5" / "model.safetensors").unlink()
        with pytest.raises(InputError, match=r"has no model\.safetensors"):
            build_t5(Generate(), checkpoint=tmp_path / "t5")

    def test_flaubert_has_no_gradient_checkpointing(self, tiny):
        with pytest.raises(InputError, match="gradient_checkpointing=True: flaubert"):
            build("flaubert", tiny("flaubert"), gradient_checkpointing=True)

    def test_quantisation_goes_with_lora_only(self, tiny):
        with pytest.raises(InputError, match="quantization='int8': with LoRA only"):
            build("bert", tiny("bert"), quantization="int8")

    def test_an_unknown_quantisation_is_named(self, tiny):
        with pytest.raises(InputError, match=r"quantization='int4': int8 or nf4"):
            build("bert", tiny("bert"), lora=lora_config(), quantization="int4")

    def test_quantisation_is_refused_under_zero3(self, tiny, monkeypatch):
        monkeypatch.setattr("frtune.models.deepspeed.zero3_enabled", lambda: True)
        with pytest.raises(InputError, match="quantization='nf4': not under ZeRO-3"):
            build("bert", tiny("bert"), lora=lora_config(), quantization="nf4")

    def test_an_unknown_type_is_named(self, tiny):
        with pytest.raises(InputError, match=r"dtype='int8': one of float32, bfloat16, float16"):
            build("bert", tiny("bert"), dtype="int8")


def test_a_missing_package_names_the_extra(tiny, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "sacremoses", None)
    with pytest.raises(ImportError, match=r"pip install 'frtune\[flaubert\]'"):
        build("flaubert", tiny("flaubert"))


def test_missing_weights_are_not_replaced_by_random_ones(tiny, tmp_path):
    shutil.copytree(tiny("polyglot"), tmp_path / "torn")
    weights = load_file(tmp_path / "torn" / "model.safetensors")
    del weights["gpt_neox.layers.1.attention.dense.weight"]
    save_file(weights, tmp_path / "torn" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"1 weights are missing .*attention\.dense\.weight"):
        build("polyglot", tmp_path / "torn")


def test_a_wrong_lora_target_lists_the_right_ones(tiny):
    with pytest.raises(InputError, match=r"target_modules=\['nope'\].*query, value for bert"):
        build("bert", tiny("bert"), lora=lora_config(target_modules=["nope"]))


def test_a_lora_config_is_not_changed(tiny):
    lora = lora_config()
    build("bert", tiny("bert"), lora=lora)
    assert lora.target_modules is None and lora.modules_to_save is None
