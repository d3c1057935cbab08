"""The manifest of a run says what made it, and makes it again."""

from __future__ import annotations

import json
import subprocess

import pytest
import yaml

from frtune.cli.train_arguments import parse_train_arguments
from frtune.run.manifest import git_state
from frtune.run.run import run


def train(*argv):
    return run(*parse_train_arguments("classification", [*map(str, argv)]))


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """The directory of a run, by the command line's own road."""
    directory = tmp_path_factory.mktemp("runs") / "first"
    train(
        "--output-dir", directory, "--max-train-rows", 24, "--max-eval-rows", 8,
        "--max-test-rows", 8, "--num-train-epochs", 1, "--disable-tqdm", True, "--no-proof",
    )  # fmt: skip
    return directory


@pytest.fixture(scope="module")
def manifest(first):
    return json.loads((first / "manifest.json").read_text("utf-8"))


@pytest.mark.slow
def test_a_manifest_names_data_versions_seeds_and_hardware(manifest):
    assert manifest["task"] == "classification"
    assert {name: split["rows"] for name, split in manifest["data"].items()} == {
        "train": 24, "validation": 8, "test": 8,
    }  # fmt: skip
    assert len({split["hash"] for split in manifest["data"].values()}) == 3
    assert {"frtune", "python", "torch", "transformers", "peft", "accelerate", "datasets"} <= set(
        manifest["versions"]
    )
    assert manifest["seeds"]["seed"] == 42
    assert manifest["hardware"]["processes"] == 1
    assert manifest["hardware"]["cpu"] and manifest["hardware"]["threads"] >= 1
    assert "hub_token" not in manifest["arguments"]


@pytest.mark.slow
def test_two_runs_of_one_manifest_give_the_same_weights(manifest, first, tmp_path):
    config = tmp_path / "again.yaml"
    config.write_text(yaml.safe_dump({**manifest["arguments"], "output_dir": "again"}))
    train("--config", config, "--output-dir", tmp_path / "again")
    again = json.loads((tmp_path / "again" / "manifest.json").read_text("utf-8"))
    assert again["data"] == manifest["data"]
    weights = [(path / "model.safetensors").read_bytes() for path in (first, tmp_path / "again")]
    assert weights[0] == weights[1]


def test_the_commit_is_that_of_the_repository_or_none(tmp_path):
    assert git_state(tmp_path) is None
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    (tmp_path / "a").write_text("1")
    for command in (["init", "-q"], ["add", "a"], ["commit", "-qm", "A"]):
        subprocess.run([*git, *command], check=True)
    clean = git_state(tmp_path)
    (tmp_path / "a").write_text("2")
    assert git_state(tmp_path) == {**clean, "changed": True}
    assert clean["changed"] is False and len(clean["commit"]) == 40
