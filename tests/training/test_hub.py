"""A push takes model and card, and neither pickles nor rows; the client alone is stubbed."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path

import pytest
from huggingface_hub import HfApi, RepoUrl, constants
from huggingface_hub.utils import filter_repo_objects

from frtune.cli import main

COMMAND = [
    "train", "classification", "--max-steps", "2", "--max-train-rows", "40", "--max-test-rows",
    "8", "--per-device-train-batch-size", "4", "--disable-tqdm", "true", "--no-proof",
    "--eval-strategy", "steps", "--eval-steps", "1", "--save-strategy", "steps",
    "--save-steps", "1", "--push-to-hub", "true", "--hub-model-id", "someone/lines",
]  # fmt: skip


@pytest.fixture
def hub(monkeypatch):
    """What would go over the network: made repositories, and uploads with their files."""
    seen: dict[str, list] = {"made": [], "uploads": []}

    def create_repo(self, repo_id, **options):
        seen["made"].append((repo_id, options["token"]))
        return RepoUrl(f"https://huggingface.co/{repo_id}")

    def upload_folder(self, *, folder_path, ignore_patterns, run_as_future=False, **options):
        root = Path(folder_path)
        files = [str(p.relative_to(root)) for p in sorted(root.rglob("*")) if p.is_file()]
        chosen = list(filter_repo_objects(files, ignore_patterns=ignore_patterns))
        seen["uploads"].append({**options, "files": chosen, "folder": root.name})
        done: Future = Future()
        done.set_result(None)
        return done if run_as_future else None

    monkeypatch.setattr(HfApi, "create_repo", create_repo)
    monkeypatch.setattr(HfApi, "upload_folder", upload_folder)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return seen


@pytest.mark.slow
def test_checkpoints_and_then_the_finished_directory_are_pushed(hub, tmp_path):
    directory = tmp_path / "run"
    assert main([*COMMAND, "--hub-token", "secret", "--output-dir", str(directory)]) == 0
    assert hub["made"] == [("someone/lines", "secret")]
    *checkpoints, last = hub["uploads"]
    assert [upload["folder"] for upload in checkpoints] == ["checkpoint-1", "checkpoint-2"]
    assert {"model.safetensors", "tokenizer.json", "README.md", "frtune_task.json",
            "metrics.json", "config.json"} <= set(last["files"])  # fmt: skip
    assert last["folder"] == "run" and last["commit_message"] == "End of training"
    assert "## Limits" in (directory / "README.md").read_text(), "frtune's card, not Trainer's"
    for upload in hub["uploads"]:
        assert "model.safetensors" in upload["files"]
        assert (upload["repo_id"], upload["token"]) == ("someone/lines", "secret")
        kept_back = [name for name in upload["files"] if name.endswith((".bin", ".pt", ".pth"))]
        assert not kept_back and not {"predictions.jsonl", "report.html"} & set(upload["files"])
        assert not [name for name in upload["files"] if name.startswith(("tiny", "checkpoint"))]
    assert "secret" not in (directory / "config.yaml").read_text()


def test_checkpoints_with_their_optimizer_are_refused(hub, tmp_path, capsys):
    flags = [
        "--hub-token",
        "x",
        "--hub-strategy",
        "checkpoint",
        "--output-dir",
        str(tmp_path / "r"),
    ]
    assert main([*COMMAND, *flags]) == 2
    assert "pickles" in capsys.readouterr().err and not hub["made"]
