"""What ends a run before its first step leaves nothing, so that the corrected command works."""

from __future__ import annotations

import pytest

import frtune.training.resource_errors as resource_errors
from drawn_settings import write_rows
from frtune import InputError
from frtune.cli import main
from frtune.environment.disk import check_disk
from frtune.run.run import _undone_on_error


def test_a_disk_that_is_too_small_leaves_nothing(tmp_path, tiny, capsys, monkeypatch):
    data = write_rows("classification", tmp_path / "data")
    output = tmp_path / "new" / "folders" / "run"
    argv = ["train", "classification", f"--data={data}", f"--checkpoint={tiny('bert')}",
            f"--output-dir={output}", "--max-steps=1", "--no-proof"]  # fmt: skip

    def too_small(place, _, *words):
        return check_disk(place, 10**18, *words)

    with monkeypatch.context() as patched:
        patched.setattr(resource_errors, "check_disk", too_small)
        assert main(argv) == 2
    assert "are free. Make room" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "new").exists()
    assert main(argv) == 0 and (output / "metrics.json").is_file()


@pytest.mark.parametrize(
    "flags",
    [["--per-device-train-batch-size=-3"], ["--num-train-epochs=0"], ["--seed=-1"],
     ["--learning-rate=nan"], ["--warmup-steps=-1"], ["--lora", "--lora-r=0"], ["--lora-r=4"],
     ["--max-train-rows=-1"], ["--packing"], ["--mixup", "--mixup-layer=99",
     "--mixup-level=hidden"], ["--family=t5"], ["--merge-first"], ["--merge"],
     ["--generate-every-epochs=1"], ["--early-stopping-patience=2", "--eval-strategy=no",
     "--load-best-model-at-end=false"], ["--save-steps=5"], ["--checkpoint=nowhere/at/all"]],
)  # fmt: skip
def test_a_refusal_comes_before_data_is_read_and_leaves_nothing(flags, tmp_path, capsys):
    argv = ["classification", "--data=nowhere.csv", "--checkpoint=tiny",
            f"--output-dir={tmp_path}/new/run", *flags]  # fmt: skip
    for command in (["train"], ["preflight", "train"]):
        assert main([*command, *argv]) == 2
        line = capsys.readouterr().err.splitlines()[-1]
        assert line.startswith("frtune: ") and "nowhere.csv" not in line
        assert not (tmp_path / "new").exists()


def test_what_was_there_before_and_what_has_begun_stays(tmp_path):
    (tmp_path / "tiny").mkdir()
    with pytest.raises(InputError), _undone_on_error(tmp_path):
        (tmp_path / "config.yaml").touch()
        (tmp_path / "base").mkdir()
        raise InputError("bad")
    assert [each.name for each in tmp_path.iterdir()] == ["tiny"]
    with pytest.raises(InputError), _undone_on_error(tmp_path) as begun:
        (tmp_path / "config.yaml").touch()
        begun.on_step_begin(None, None, None)
        raise InputError("bad")
    assert (tmp_path / "config.yaml").exists()
