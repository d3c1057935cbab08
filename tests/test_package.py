"""The package is light to import, whole when installed, and documented."""

from __future__ import annotations

import ast
import importlib
import importlib.resources
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import frtune
import frtune.metrics
from frtune.cli import COMMANDS

HEAVY = {"torch", "transformers", "datasets", "peft", "numpy", "pandas", "pyarrow", "rich"}
CONFIGS = sorted((Path(__file__).parents[1] / "deepspeed_configs").glob("*.json"))


def imported_by(*command: str) -> set[str]:
    """Top-level packages that a Python process imports, by its own account."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *command],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    names = re.findall(r"^import time:\s+\d+ \|\s+\d+ \|\s+(\S+)$", done.stderr, flags=re.M)
    assert "frtune" in names, "the list of imports cannot be read"
    return {name.split(".")[0] for name in names}


def test_importing_frtune_imports_nothing_heavy():
    assert not imported_by("-c", "import frtune") & HEAVY


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_help_imports_nothing_heavy(flag):
    assert not imported_by("-m", "frtune", flag) & HEAVY


@pytest.mark.slow
def test_answering_one_text_imports_neither_training_nor_scoring():
    packages = imported_by("-c", "import frtune.cli.predict")
    assert not packages & {"datasets", "nltk", "pandas", "peft", "pyarrow", "sklearn"}


def test_what_waits_for_the_commands_of_a_board_imports_nothing_heavy():
    assert not imported_by("-c", "import frtune.board.worker") & HEAVY


def test_dir_lists_the_public_names_and_loads_none():
    program = (
        "import sys, frtune; before = set(sys.modules); names = dir(frtune); "
        "print(sorted(set(sys.modules) - before), *names)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    loaded, *names = done.stdout.split()
    assert loaded == "[]" and names == sorted(frtune.__all__)


@pytest.mark.parametrize("name", frtune.__all__)
def test_a_public_name_resolves_and_is_documented(name):
    found = getattr(frtune, name)
    if name != "__version__":
        assert found.__name__ == name
        assert (inspect.getdoc(found) or "").strip()
        assert found.__doc__ is not None, "the docstring must be its own"


@pytest.mark.parametrize("name", frtune.metrics.__all__)
def test_a_public_score_resolves_and_is_documented(name):
    assert (inspect.getdoc(getattr(frtune.metrics, name)) or "").strip()


def test_public_names_stand_once_and_where_type_checkers_look():
    assert len(set(frtune.__all__)) == len(frtune.__all__)
    assert set(frtune.__all__) <= set(dir(frtune))
    stub = ast.parse(Path(frtune.__file__).with_suffix(".pyi").read_text("utf-8"))
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    assert {alias.name for node in imports for alias in node.names} == set(frtune.__all__)
    assert all(alias.name == alias.asname for node in imports for alias in node.names)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="No frtune attribute build_gpt5"):
        _ = frtune.build_gpt5


def test_every_public_argument_is_documented():
    missing = []
    for name in frtune.__all__:
        found = getattr(frtune, name)
        if not inspect.isfunction(found):
            continue
        text = inspect.getdoc(found) or ""
        if name.startswith("build_") and name != "build_model":
            assert "build_model" in text, f"{name} must say where its arguments are documented"
            continue
        parameters = inspect.signature(found).parameters.values()
        missing += [f"{name}({p.name})" for p in parameters if f"{p.name}:" not in text]
    assert not missing


@pytest.mark.parametrize("task", ["KeyphraseGeneration", "KeywordExtraction",
                                  "SentenceSimilarity", "SequenceClassification"])  # fmt: skip
def test_every_field_of_a_task_is_documented(task):
    from dataclasses import fields

    cls = getattr(frtune, task)
    undocumented = [f.name for f in fields(cls) if f"{f.name}:" not in (cls.__doc__ or "")]
    assert not undocumented


def test_py_typed_is_shipped():
    assert importlib.resources.files("frtune").joinpath("py.typed").is_file()


def test_the_samples_are_shipped():
    folder = importlib.resources.files("frtune").joinpath("data", "samples")
    assert {"keyphrases.jsonl", "keywords.jsonl"} <= {item.name for item in folder.iterdir()}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_help_exists(command):
    assert callable(importlib.import_module(f"frtune.cli.{command}").main)


# --- DeepSpeed -----------------------------------------------------------------------------------


def test_the_four_configs_are_found():
    assert [path.stem for path in CONFIGS] == ["zero2", "zero2_offload", "zero3", "zero3_offload"]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_deepspeed_config_leaves_to_the_trainer_what_it_knows(path):
    config = json.loads(path.read_text("utf-8"))
    for name in (
        "train_batch_size",
        "train_micro_batch_size_per_gpu",
        "gradient_accumulation_steps",
        "gradient_clipping",
    ):
        assert config[name] == "auto", name
    assert config["bf16"]["enabled"] == config["fp16"]["enabled"] == "auto"
    zero = config["zero_optimization"]
    stage = 3 if path.stem.startswith("zero3") else 2
    assert zero["stage"] == stage
    assert zero.get("stage3_gather_16bit_weights_on_model_save", False) is (stage == 3)
    offloaded = {key for key in zero if key.startswith("offload_")}
    expected = {"offload_optimizer", "offload_param"} if stage == 3 else {"offload_optimizer"}
    assert offloaded == (expected if path.stem.endswith("_offload") else set())


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_transformers_reads_the_config(path):
    pytest.importorskip("deepspeed")
    from transformers.integrations import HfDeepSpeedConfig

    found = HfDeepSpeedConfig(os.fspath(path))
    assert found.is_zero3() is path.stem.startswith("zero3")
    assert found.is_offload() is path.stem.endswith("_offload")
