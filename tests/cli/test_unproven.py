"""A run whose saved model could not be proven: its files, its line, its exit code."""

from __future__ import annotations

from unittest.mock import Mock

import torch

from frtune.cli import main

TRAIN = ["train", "classification", "--max-steps", "2", "--max-train-rows", "64"]
ROWS = ["--max-eval-rows", "8", "--max-test-rows", "8"]


def test_a_run_out_of_memory_in_its_proof_leaves_a_scored_model(
    tmp_path, monkeypatch, capsys, caplog
):
    out, full = str(tmp_path / "out"), torch.OutOfMemoryError("CUDA out of memory. Tried 2 GiB.")
    monkeypatch.setattr("frtune.training.saving.prove_saved", Mock(side_effect=full))
    assert main([*TRAIN, *ROWS, "--output-dir", out]) == 1
    *_, last = capsys.readouterr().err.strip().splitlines()
    line = "not proven to be what was trained (memory ran out). Check it: frtune evaluate must give"
    assert last.startswith(f"frtune: {out}: {line}") and "Traceback" not in last
    for name in ("model.safetensors", "metrics.json", "predictions.jsonl", "frtune_unproven.json"):
        assert (tmp_path / "out" / name).is_file(), name
    for name in ("README.md", "report.html"):
        assert line in (tmp_path / "out" / name).read_text("utf-8"), name
    caplog.clear()
    assert main(["predict", out, "--text", "a b"]) == 0
    assert [line in r.message for r in caplog.records if "not proven" in r.message] == [True]
