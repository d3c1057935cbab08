"""A directory that is damaged, or that somebody tampered with, is refused in one line."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path

import pytest

import frtune
from frtune import InputError, KeyphraseGeneration, build_model, lora_config
from frtune.models.lineage import LINEAGE_FILE, lineage


class Malicious:
    """Unpickled, it would leave a file."""

    def __reduce__(self):
        return (os.mkdir, ("executed",))


@pytest.fixture(scope="module")
def whole(tiny, tmp_path_factory):
    """``whole("adapter")``: a directory that ``frtune.load`` opens."""
    from frtune.tasks.config_file import save_task

    found = {}

    def make(kind):
        if kind not in found:
            task = KeyphraseGeneration(max_source_tokens=64, max_target_tokens=8)
            lora = lora_config() if kind == "adapter" else None
            model, tokenizer = build_model(task, checkpoint=str(tiny("t5")), lora=lora, proof=False)
            directory = tmp_path_factory.mktemp(kind)
            for part in (model, tokenizer):
                part.save_pretrained(directory)
            save_task(task, directory)
            found[kind] = directory
        return found[kind]

    return make


@pytest.fixture
def directory(whole, tmp_path, monkeypatch):
    """``directory("full")``: a copy to be damaged; nothing may be executed while it is opened."""
    monkeypatch.chdir(tmp_path)
    yield lambda kind: Path(shutil.copytree(whole(kind), tmp_path / "model"))
    assert not (tmp_path / "executed").exists()


def halve(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def plant(path):
    path.write_bytes(pickle.dumps(Malicious()))


@pytest.mark.parametrize(
    ("kind", "name"), [("full", "model.safetensors"), ("adapter", "adapter_model.safetensors")]
)
@pytest.mark.parametrize("damage", [halve, plant])
def test_weights_that_are_cut_or_a_pickle_are_refused(directory, kind, name, damage):
    folder = directory(kind)
    damage(folder / name)
    with pytest.raises(InputError, match=rf"{name}: is not a whole safetensors file"):
        frtune.load(folder)


def test_a_cut_checkpoint_is_refused_before_training(directory):
    folder = directory("full")
    halve(folder / "model.safetensors")
    with pytest.raises(InputError, match="is not a whole safetensors file"):
        build_model(KeyphraseGeneration(), checkpoint=str(folder))


def test_a_pickle_in_place_of_weights_is_refused(directory):
    folder = directory("full")
    (folder / "model.safetensors").unlink()
    plant(folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="only safetensors is read"):
        frtune.load(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"weight_map": {"a": "../outside.safetensors"}}, r"names '\.\./outside\.safetensors'"),
        ({"weight_map": {"a": "/etc/passwd"}}, "names '/etc/passwd'"),
        ({"weight_map": {"a": "model-1.bin"}}, r"names 'model-1\.bin'"),
        ([1], "is no index of weights"),
    ],
)
def test_an_index_that_names_other_files_is_refused(directory, content, message):
    folder = directory("full")
    (folder / "model.safetensors").rename(folder.parent / "outside.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        frtune.load(folder)


@pytest.mark.parametrize(
    "content",
    [
        "[]", "null", '"text"', "[" * 100_000, "\0",
        '{"task": {"a": 1}, "frtune_version": []}',
        '{"task": "__import__", "frtune_version": "1"}',
        '{"task": "keyphrases", "frtune_version": "1", "separator": {"a": 1}}',
        '{"task": "keyphrases", "frtune_version": "1", "max_source_tokens": 1e99}',
        '{"task": "keyphrases", "frtune_version": "1", "max_source_tokens": -5}',
        '{"task": "keyphrases", "frtune_version": "1", "__class__": "os"}',
    ],
)  # fmt: skip
def test_a_task_of_odd_types_is_refused(directory, content):
    folder = directory("full")
    (folder / "frtune_task.json").write_text(content)
    with pytest.raises(InputError):
        frtune.load(folder)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "config.json"])
def test_other_files_that_are_cut_are_refused(directory, name):
    folder = directory("full")
    halve(folder / name)
    with pytest.raises(InputError):
        frtune.load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"base_model_name_or_path": "../../../etc"}, "has no config.json|does not exist"),
        ({"base_model_name_or_path": "/etc/passwd"}, "does not exist"),
        ({"base_model_name_or_path": 5}, "base_model_name_or_path=5: a directory or hub name"),
        ({"base_model_name_or_path": "planted"}, "only safetensors is read"),
        ({"peft_type": {"a": 1}}, "is no configuration of an adapter"),
        ({"r": "x"}, "its adapter does not fit its base"),
    ],
)
def test_an_adapter_with_odd_settings_is_refused(directory, tiny, change, message):
    folder = directory("adapter")
    shutil.copytree(tiny("t5"), "planted")
    Path("planted/model.safetensors").unlink()
    plant(Path("planted/pytorch_model.bin"))
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **change}))
    with pytest.raises(InputError, match=message):
        frtune.load(folder)


@pytest.mark.parametrize("content", ["[]", '{"quantization_config": 3}', "{"])
def test_a_record_of_the_base_of_odd_types_is_refused(directory, content):
    folder = directory("adapter")
    (folder / "frtune_base.json").write_text(content)
    with pytest.raises(InputError, match="is no record of a base"):
        frtune.load(folder)


def test_code_beside_a_model_is_not_run(directory):
    folder = directory("full")
    (folder / "planted.py").write_text("import os; os.mkdir('executed')")
    path = folder / "config.json"
    named = {"AutoConfig": "planted.A", "AutoModelForSeq2SeqLM": "planted.B"}
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), "auto_map": named}))
    assert frtune.load(folder).predict("La mairie.")  # with the classes of Transformers


@pytest.mark.parametrize("content", ["[]", '{"steps": 3}', '{"steps": [{"a": 1}]}', "{"])
def test_a_lineage_of_odd_types_is_refused(tmp_path, content):
    (tmp_path / LINEAGE_FILE).write_text(content)
    with pytest.raises(InputError, match="Copy it again"):
        lineage(tmp_path)
