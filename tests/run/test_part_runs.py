"""What stays of a run that is part of a whole."""

from __future__ import annotations

import pytest

from frtune.run.part_runs import drop_weights, finished, has_begun


@pytest.mark.parametrize("keep_model", [True, False])
def test_a_model_that_is_kept_is_one_with_its_base(tmp_path, keep_model):
    directory = tmp_path / "run"
    for name in ("checkpoint-8", "damaged-checkpoint-4", "tiny"):
        (directory / name).mkdir(parents=True)
        (directory / name / "model.safetensors").touch()
    for name in ("adapter_model.safetensors", "config.yaml", "metrics.json"):
        (directory / name).touch()
    drop_weights(directory, keep_model=keep_model)
    kept = {path.name for path in directory.iterdir()}
    assert {"config.yaml", "metrics.json"} <= kept and finished(directory) and has_begun(directory)
    assert ({"adapter_model.safetensors", "tiny"} <= kept) is keep_model
    assert not kept & {"checkpoint-8", "damaged-checkpoint-4"}
