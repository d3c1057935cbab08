"""Weights that were published as pickles are read without running code, and converted once."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import frtune
from conftest import FAMILY_NAMES
from frtune import InputError, KeyphraseGeneration, build_bart, build_gptj, build_model, lora_config
from frtune.comparison.measurement import size_bytes
from frtune.models import pickled_weights
from frtune.models.checkpoint_files import weight_files
from frtune.models.families import FAMILIES
from frtune.models.pickled_weights import SAFE_INDEX, converted
from frtune.planning.parameters import architecture
from frtune.planning.plan import plan
from frtune.preflight.weights import check_loadable
from frtune.study.checkpoints import load_base, read_checkpoint
from frtune.tasks.config_file import save_task, task_class
from kinds import DECODERS, GENERATING, SEQ2SEQ

TASK = KeyphraseGeneration(max_source_tokens=64, max_target_tokens=8)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FRTUNE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "weights"


@pytest.fixture
def pickled(tiny, tmp_path):
    """``pickled("bart")``: a checkpoint as it was published, with ``pytorch_model.bin`` alone."""

    def make(family, dtype=None, place=None, **options):
        place = place or tmp_path / f"{family}-pickled"
        whole = tiny(family)
        shutil.copytree(whole, place, ignore=shutil.ignore_patterns("model.safetensors"))
        weights = load_file(whole / "model.safetensors")
        weights = {name: tensor.to(dtype or tensor.dtype) for name, tensor in weights.items()}
        torch.save(weights, place / "pytorch_model.bin", **options)
        return place

    return make


def task_of(family):
    if family in GENERATING:
        return TASK
    return task_class("classification").for_planning()


def weights_of(checkpoint, family, **options):
    model, _ = build_model(task_of(family), checkpoint=checkpoint, proof=False, **options)
    own = model.base_model_prefix  # heads are new, and random
    kept = model.state_dict().items()
    return model, {n: w for n, w in kept if family in GENERATING or n.startswith(f"{own}.")}


def assert_same(first, second):
    assert first.keys() == second.keys() and first
    assert not [name for name in first if not torch.equal(first[name], second[name])]


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_pickled_weights_are_those_of_safetensors(pickled, tiny, family):
    directory = pickled(family)
    model, found = weights_of(directory, family)
    whole, expected = weights_of(tiny(family), family)
    pooler = {name for name in found if ".pooler." in name}  # new, where masked models lack it
    for name in pooler:
        del found[name], expected[name]
    assert_same(found, expected)
    assert model.name_or_path == str(directory)
    if model.can_generate():
        assert model.generation_config.to_dict() == whole.generation_config.to_dict()


def test_one_line_says_so_once(pickled, cache, caplog):
    directory = pickled("bert")
    weights_of(directory, "bert")
    (line,) = [r.getMessage() for r in caplog.records if "pickled" in r.getMessage()]
    assert str(directory) in line and str(cache) in line and "\n" not in line
    caplog.clear()
    weights_of(directory, "bert")
    assert not [r for r in caplog.records if "pickled" in r.getMessage()]


def test_a_changed_file_is_converted_anew(pickled, tiny):
    directory = pickled("bert")
    before = weights_of(directory, "bert")[1]
    weights = torch.load(directory / "pytorch_model.bin")
    torch.save({name: w + 1 for name, w in weights.items()}, directory / "pytorch_model.bin")
    name = next(name for name in before if "word_embeddings" in name)
    assert torch.equal(weights_of(directory, "bert")[1][name], before[name] + 1)


def test_fp16_files_of_before_torch_1_6_are_read(pickled, tiny):
    family = DECODERS[0]
    directory = pickled(family, torch.float16, _use_new_zipfile_serialization=False)
    model, found = weights_of(directory, family)
    assert {w.dtype for w in model.parameters()} == {torch.float32}
    expected = weights_of(tiny(family), family)[1]
    assert all(torch.allclose(found[name], w, atol=1e-3) for name, w in expected.items())


def test_weights_that_share_memory_are_kept_under_each_name(pickled, tiny):
    family = SEQ2SEQ[0]
    directory = pickled(family)
    weights = torch.load(directory / "pytorch_model.bin")
    weights["encoder.embed_tokens.weight"] = weights["shared.weight"]
    weights["decoder.embed_tokens.weight"] = weights["shared.weight"][:]
    name = next(name for name, w in weights.items() if w.ndim == 2 and name != "shared.weight")
    weights[name] = weights[name].t().contiguous().t()  # not contiguous
    torch.save(weights, directory / "pytorch_model.bin")
    assert_same(weights_of(directory, family)[1], weights_of(tiny(family), family)[1])
    (file,) = weight_files(directory)
    stored = load_file(file)
    assert torch.equal(stored["encoder.embed_tokens.weight"], stored["shared.weight"])


def split(directory):
    """Split ``pytorch_model.bin`` in two, with the index that names them."""
    weights = torch.load(directory / "pytorch_model.bin")
    (directory / "pytorch_model.bin").unlink()
    names = [f"pytorch_model-{i:05d}-of-00002.bin" for i in (1, 2)]
    weight_map = {name: names[i % 2] for i, name in enumerate(weights)}
    for file in names:
        part = {name: w for name, w in weights.items() if weight_map[name] == file}
        torch.save(part, directory / file)
    index = {"metadata": {}, "weight_map": weight_map}
    (directory / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    return names


def test_split_weights_are_read_and_a_missing_part_is_named(pickled, tiny):
    directory = pickled("bert")
    names = split(directory)
    found = weights_of(directory, "bert")[1]
    expected = weights_of(tiny("bert"), "bert")[1]
    assert torch.equal(
        found["bert.embeddings.word_embeddings.weight"],
        expected["bert.embeddings.word_embeddings.weight"],
    )
    (directory / names[1]).unlink()
    with pytest.raises(InputError, match=rf"names {names[1]}, which is missing"):
        weights_of(directory, "bert")


def test_safetensors_are_preferred(pickled, tiny, cache):
    directory = pickled("bert")
    shutil.copy(tiny("bert") / "model.safetensors", directory)
    (directory / "pytorch_model.bin").write_bytes(b"not read")
    weights_of(directory, "bert")
    assert not cache.exists()


def test_one_of_several_converts(pickled, cache, monkeypatch):
    file, count = pickled("bert") / "pytorch_model.bin", []
    convert = pickled_weights._convert
    monkeypatch.setattr(
        pickled_weights, "_convert", lambda *args: (count.append(1), convert(*args))
    )
    with ThreadPoolExecutor(4) as pool:
        places = set(pool.map(lambda _: converted([file], "there"), range(4)))
    assert len(count) == 1 and len(places) == 1
    (place,) = places
    assert (place / SAFE_INDEX).is_file()


def test_what_a_killed_process_left_is_neither_taken_nor_kept(pickled, cache):
    file = pickled("bert") / "pytorch_model.bin"
    place = converted([file], "there")
    (place / SAFE_INDEX).unlink()
    (draft := place / ".draft-ab12cd34").mkdir()
    os.utime(draft, (0, 0))
    assert converted([file], "there") == place
    assert (place / SAFE_INDEX).is_file() and not draft.exists()


def test_a_full_disk_and_a_place_that_cannot_be_written_are_named(pickled, monkeypatch, tmp_path):
    directory = pickled("bert")
    monkeypatch.setattr(pickled_weights, "free_bytes", lambda place: 10)
    with pytest.raises(InputError, match="another directory in FRTUNE_CACHE"):
        weights_of(directory, "bert")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FRTUNE_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match="Name another directory in FRTUNE_CACHE"):
        weights_of(directory, "bert")


def in_hub_cache(monkeypatch, root, name, directory):
    """Lay a checkpoint out as a hub's name in the cache of this machine."""
    repository = root / f"models--{name.replace('/', '--')}"
    shutil.copytree(directory, repository / "snapshots" / "0a1b")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0a1b")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(root))


@pytest.mark.parametrize(("build", "family"), [(build_bart, "bart"), (build_gptj, "gptj")])
def test_defaults_that_are_published_as_pickles_are_built(
    build, family, pickled, tiny, tmp_path, monkeypatch
):
    name = FAMILIES[family].default_checkpoint
    in_hub_cache(monkeypatch, tmp_path / "hub", name, pickled(family, torch.float16))
    model, _ = build(TASK, lora=lora_config())
    assert model.peft_config["default"].base_model_name_or_path == name
    found = model.get_base_model().state_dict()
    found = {name.replace(".base_layer", ""): weight for name, weight in found.items()}
    published = load_file(tiny(family) / "model.safetensors")
    layers = [name for name in published if "q_proj" in name]
    assert layers
    for name in layers:
        assert torch.equal(found[name], published[name].half().float())


def test_a_hub_name_without_weights_is_named(tiny, tmp_path, monkeypatch):
    without = shutil.copytree(tiny("bert"), tmp_path / "without")
    (without / "model.safetensors").unlink()
    in_hub_cache(monkeypatch, tmp_path / "hub", "some/bert", without)
    with pytest.raises(InputError, match=r"neither model\.safetensors nor pytorch_model\.bin"):
        weights_of("some/bert", "bert")


@pytest.mark.parametrize("name", ["tf_model.h5", "model.ckpt.index", "flax_model.msgpack"])
def test_weights_of_another_library_alone_are_refused(tiny, tmp_path, name):
    directory = shutil.copytree(tiny("bert"), tmp_path / "bert")
    (directory / "model.safetensors").rename(directory / name)
    with pytest.raises(InputError, match=f"of another library alone \\({re.escape(name)}\\)"):
        weights_of(directory, "bert")


class Weights(dict):
    """Harmless, and more than weights: a class of its own."""


class Malicious:
    def __reduce__(self):
        return os.mkdir, ("executed",)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_of_more_than_weights_is_refused_and_not_run(
    pickled, tmp_path, monkeypatch, cache, legacy
):
    monkeypatch.chdir(tmp_path)
    directory = pickled("bert")
    file = directory / "pytorch_model.bin"
    weights = {**torch.load(file), "x": Malicious()}
    torch.save(weights, file, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(InputError, match=r"pytorch_model\.bin: holds more than weights") as error:
        weights_of(directory, "bert")
    assert "\n" not in str(error.value)
    assert not Path("executed").exists()
    assert not list(cache.rglob("*.safetensors"))


@pytest.mark.parametrize(
    "content",
    [
        {"model": {"a": torch.zeros(2)}}, [torch.zeros(2)], {}, {1: torch.zeros(2)},
        {"a": torch.zeros(1).expand(10**13)}, {"a": torch.zeros(2, 2).to_sparse()}, {"a": 3},
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_no_weight_is_refused(pickled, content):
    directory = pickled("bert")
    torch.save(content, directory / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"pytorch_model\.bin: .*(no weight|more than weights)"):
        weights_of(directory, "bert")


@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.99])
def test_a_cut_file_is_refused(pickled, kept):
    file = pickled("bert") / "pytorch_model.bin"
    content = file.read_bytes()
    file.write_bytes(content[: int(kept * len(content)) if kept < 1 else kept])
    with pytest.raises(InputError, match=r"pytorch_model\.bin: (is not a whole|holds more)"):
        weights_of(file.parent, "bert")


def test_the_advice_of_the_message_works(pickled, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    directory = pickled(DECODERS[0])
    file = directory / "pytorch_model.bin"
    torch.save(Weights({**torch.load(file), "note": Weights()}), file)
    with pytest.raises(InputError, match="holds more than weights") as error:
        weights_of(directory, DECODERS[0])
    (command,) = re.findall(r"python -c '.*?'", str(error.value))
    exec(shlex.split(command)[2], {})
    Path("plain.bin").replace(file)
    expected = weights_of(tiny(DECODERS[0]), DECODERS[0])[1]
    assert_same(weights_of(directory, DECODERS[0])[1], expected)


def saved(directory, checkpoint, **options):
    """A directory that ``frtune.load`` opens."""
    torch.manual_seed(0)
    model, tokenizer = build_model(TASK, checkpoint=checkpoint, proof=False, **options)
    for part in (model, tokenizer):
        part.save_pretrained(directory)
    save_task(TASK, directory)
    return directory


def test_an_adapter_on_a_pickled_base_answers_alike(pickled, tiny, tmp_path):
    family = DECODERS[0]
    text = "Le conseil a voté le budget."
    whole = saved(tmp_path / "whole", str(tiny(family)), lora=lora_config())
    adapter = saved(tmp_path / "run", str(pickled(family)), lora=lora_config())
    named = json.loads((adapter / "adapter_config.json").read_text())["base_model_name_or_path"]
    assert named == str(tmp_path / f"{family}-pickled")  # not the cache
    expected = frtune.load(whole, bf16=False).predict(text)
    assert frtune.load(adapter, bf16=False).predict(text) == expected
    assert size_bytes(adapter) > size_bytes(tmp_path / f"{family}-pickled") > 0


def test_a_finished_model_that_is_pickled_is_loaded_and_quantised(tiny, tmp_path):
    directory = saved(tmp_path / "model", str(tiny(SEQ2SEQ[0])))
    text = "Le conseil a voté le budget."
    expected = frtune.load(directory, bf16=False).predict(text)
    torch.save(load_file(directory / "model.safetensors"), directory / "pytorch_model.bin")
    (directory / "model.safetensors").unlink()
    assert frtune.load(directory, bf16=False).predict(text) == expected
    frtune.quantize(directory, tmp_path / "int8", proof=False)
    assert frtune.load(tmp_path / "int8").predict(text)


def test_a_study_reads_them_and_tells_them_apart(pickled, tmp_path):
    first, second = pickled("bert"), pickled("bert", torch.float16, tmp_path / "other")
    found = [read_checkpoint("raw", place) for place in (first, second)]
    assert len({checkpoint.weights_hash for checkpoint in found}) == 2
    assert load_base(found[0]).layers == found[0].config.num_hidden_layers


def test_preflight_and_plan_read_them(pickled):
    directory = pickled("bert")
    task = task_class("classification").for_planning()
    assert "million weights" in check_loadable(directory, architecture(directory, task))
    assert str(directory) in plan(directory).recommended.command
