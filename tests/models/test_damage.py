"""Damage of a directory is refused in one line, or changes no answer; for each file in turn."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForMaskedLM

import frtune
from conftest import FAMILY_NAMES
from frtune import InputError, KeyphraseGeneration, build_model, lora_config, quantize
from frtune.models.families import FAMILIES
from frtune.models.loading import ADAPTER_CONFIG
from frtune.tasks.config_file import save_task, task_class
from kinds import DECODERS, ENCODERS, SEQ2SEQ

TEXTS = ["Le conseil a voté le budget de la cantine.", "서울시는 올해 예산안을 확정했다."]
KINDS = [
    (ENCODERS[0], "full"),
    (next(name for name in ENCODERS if FAMILIES[name].extra), "full"),  # not in one tokenizer.json
    (SEQ2SEQ[0], "full"),
    (DECODERS[0], "lora"),
    (SEQ2SEQ[-1], "int8"),
]


def task_of(family):
    if FAMILIES[family].kind == "encoder":
        return task_class("classification").for_planning(max_source_tokens=48)
    return KeyphraseGeneration(max_source_tokens=48, max_target_tokens=4)


@pytest.fixture(scope="module")
def saved(tiny, tmp_path_factory):
    """``saved("t5", "full")``: a directory that ``frtune.load`` opens, and its answers."""
    found = {}

    def make(family, how):
        if (family, how) not in found:
            directory = tmp_path_factory.mktemp(how) / "model"
            lora = lora_config(target_modules=None) if how == "lora" else None
            torch.manual_seed(0)
            model, tokenizer = build_model(
                task_of(family), checkpoint=str(tiny(family)), lora=lora, proof=False
            )
            for part in (model, tokenizer):
                part.save_pretrained(directory)
            save_task(task_of(family), directory)
            if how == "lora":
                shutil.copytree(tiny(family), directory / "base")
            if how == "int8":
                quantize(directory, directory.with_name("int8"), proof=False)
                directory = directory.with_name("int8")
            found[family, how] = directory
        return found[family, how]

    return make


def answers(directory):
    if (directory / ADAPTER_CONFIG).is_file():
        change(directory / ADAPTER_CONFIG, base_model_name_or_path=str(directory / "base"))
    predictor = frtune.load(directory, bf16=False)
    rows = [{column: text for column in predictor.task.columns} for text in TEXTS]
    outputs = predictor.outputs(predictor.encode(rows))
    return [np.round(o, 5).tolist() if isinstance(o, np.ndarray) else o for o in outputs]


def change(file, **values):
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), **values}))


def halve(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def damages(directory):
    """Name and function of each damage."""
    files = [file.relative_to(directory) for file in sorted(directory.rglob("*")) if file.is_file()]
    for file in files:
        if file.name in ("README.md", ADAPTER_CONFIG, "frtune_quantization.json"):
            continue
        yield f"no {file}", lambda folder, file=file: (folder / file).unlink()
        yield f"half of {file}", lambda folder, file=file: halve(folder / file)
        if file.name == "config.json":
            config = AutoConfig.from_pretrained((directory / file).parent)
            for name in ("num_hidden_layers", "hidden_size", "vocab_size", "num_decoder_layers"):
                if (size := getattr(config, name, None)) is None:
                    continue
                own = config.attribute_map.get(name, name)
                for value in (size - 1, size * 2, -1, "x", 10**12):
                    values = {own: value}
                    yield (
                        f"{file} with {values}",
                        lambda folder, file=file, values=values: change(folder / file, **values),
                    )


@pytest.mark.parametrize(("family", "how"), KINDS)
def test_damage_is_refused_or_changes_no_answer(saved, tmp_path, family, how):
    directory = saved(family, how)
    expected, wrong, refused = answers(shutil.copytree(directory, tmp_path / "whole")), [], 0
    for i, (name, damage) in enumerate(damages(directory)):
        folder = Path(shutil.copytree(directory, tmp_path / str(i)))
        damage(folder)
        try:
            if answers(folder) != expected:
                wrong.append(f"{name}: another answer")
        except InputError as error:
            refused += 1
            if "\n" in str(error):
                wrong.append(f"{name}: more than a line")
        except Exception as error:
            wrong.append(f"{name}: {type(error).__name__} {error}")
        shutil.rmtree(folder)
    assert not wrong
    assert refused > 10


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_a_checkpoint_without_its_tokenizer_is_not_trained(tiny, tmp_path, family):
    names = ("tokenizer.json", "vocab.json", "vocab.txt", "merges.txt", "*.model")
    directory = shutil.copytree(
        tiny(family), tmp_path / "model", ignore=shutil.ignore_patterns(*names)
    )
    with pytest.raises(InputError, match="tokenizer") as error:
        build_model(task_of(family), checkpoint=directory)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_layers_that_the_config_does_not_name_are_refused(tiny, tmp_path, family):
    directory = shutil.copytree(tiny(family), tmp_path / "model")
    config = AutoConfig.from_pretrained(directory)
    own = config.attribute_map.get("num_hidden_layers", "num_hidden_layers")
    change(directory / "config.json", **{own: 1})
    with pytest.raises(InputError, match="have no place in the model of its config"):
        build_model(task_of(family), checkpoint=directory)


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_another_models_tokenizer_is_refused(tiny, tmp_path, family):
    """Its rows are cut to a few, in config and weights."""
    directory = shutil.copytree(tiny(family), tmp_path / "model")
    weights = load_file(directory / "model.safetensors")
    config = AutoConfig.from_pretrained(directory)
    rows = config.vocab_size
    cut = {n: w[: rows // 2].clone() if len(w) == rows else w for n, w in weights.items()}
    save_file(cut, directory / "model.safetensors", metadata={"format": "pt"})
    change(
        directory / "config.json",
        **{config.attribute_map.get("vocab_size", "vocab_size"): rows // 2},
    )
    with pytest.raises(InputError, match=r"holds [\d,]+ tokens, and the embedding has"):
        build_model(task_of(family), checkpoint=directory)


@pytest.mark.parametrize("family", ENCODERS)
def test_heads_of_pre_training_and_old_buffers_are_explained(tiny, tmp_path, family):
    directory = shutil.copytree(tiny(family), tmp_path / "model")
    model = AutoModelForMaskedLM.from_pretrained(directory)
    weights = {name: w.clone() for name, w in model.state_dict().items()}
    base = model.base_model_prefix
    embeddings = f"{base}.embeddings." if hasattr(model.base_model, "embeddings") else f"{base}."
    weights[f"{embeddings}position_ids"] = torch.arange(512)[None]
    weights["cls.seq_relationship.weight"] = torch.zeros(2, 128)
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    build_model(task_of(family), checkpoint=directory, proof=False)


@pytest.mark.parametrize("family", DECODERS)
def test_a_bias_that_the_model_lacks_is_refused_and_a_mask_is_not(tiny, tmp_path, family):
    directory = shutil.copytree(tiny(family), tmp_path / "model")
    weights = load_file(directory / "model.safetensors")
    layer = next(name for name in weights if re.search(r"\.0\..*att\w*\.\w+\.weight", name))
    attention = layer.rsplit(".", 2)[0]
    weights |= {f"{attention}.masked_bias": torch.tensor(-1e4),
                f"{attention}.bias": torch.ones(1, 1, 8, 8)}  # fmt: skip
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    build_model(task_of(family), checkpoint=directory, proof=False)
    weights[f"{attention}.extra.weight"] = torch.ones(4)
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"1 of its weights .*extra\.weight"):
        build_model(task_of(family), checkpoint=directory, proof=False)


def test_merges_that_were_cut_are_named(tiny, tmp_path):
    """FlauBERT's layout, and that of GPT-2 without ``tokenizer.json``."""
    family = next(name for name in ENCODERS if FAMILIES[name].extra)
    directory = shutil.copytree(tiny(family), tmp_path / "model")
    halve(directory / "merges.txt")
    with pytest.raises(InputError, match=r"merges\.txt: makes \d+ of the \d+ tokens"):
        build_model(task_of(family), checkpoint=directory)
    (directory / "merges.txt").unlink()
    with pytest.raises(InputError, match=r"has no merges\.txt"):
        build_model(task_of(family), checkpoint=directory)


def test_a_shard_that_is_missing_is_named(tiny, tmp_path):
    directory = shutil.copytree(tiny("bert"), tmp_path / "model")
    weights = load_file(directory / "model.safetensors")
    (directory / "model.safetensors").unlink()
    names = [f"model-{i:05d}-of-00002.safetensors" for i in (1, 2)]
    weight_map = {name: names[i % 2] for i, name in enumerate(weights)}
    index = {"metadata": {}, "weight_map": weight_map}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    parts = [{n: w for n, w in weights.items() if weight_map[n] == file} for file in names]
    for file, part in zip(names, parts, strict=True):
        save_file(part, directory / file, metadata={"format": "pt"})
    build_model(task_of("bert"), checkpoint=directory, proof=False)
    save_file(parts[0], directory / names[1], metadata={"format": "pt"})
    with pytest.raises(InputError, match=rf"{names[1]}: lacks .* that the index names"):
        build_model(task_of("bert"), checkpoint=directory, proof=False)
    (directory / names[1]).unlink()
    with pytest.raises(InputError, match=rf"names {names[1]}, which is missing"):
        build_model(task_of("bert"), checkpoint=directory, proof=False)


def test_a_vocabulary_that_was_cut_is_named(tiny, tmp_path):
    """BERT's first layout, a token a line, is whole in any half."""
    directory = shutil.copytree(tiny("bert"), tmp_path / "model")
    vocabulary = json.loads((directory / "tokenizer.json").read_text("utf-8"))["model"]["vocab"]
    (directory / "tokenizer.json").unlink()
    (directory / "vocab.txt").write_text("\n".join(sorted(vocabulary, key=vocabulary.get)) + "\n")
    build_model(task_of("bert"), checkpoint=directory)
    halve(directory / "vocab.txt")
    with pytest.raises(InputError, match=r"vocab\.txt holds \d+ tokens, and the embedding has"):
        build_model(task_of("bert"), checkpoint=directory)
