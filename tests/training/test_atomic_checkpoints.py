"""A checkpoint is whole or not there; what is damaged is skipped, what is foreign is refused."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from transformers import EarlyStoppingCallback

from frtune import InputError
from frtune.training.atomic_checkpoints import (
    MANIFEST,
    damage,
    draft_of,
    newest_whole,
    read_manifest,
)
from frtune.training.resume_checks import check_conditions


class Malicious:
    """Unpickled, it would leave a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.fixture(scope="module")
def finished(saver, tmp_path_factory):
    """The directory of a finished training, and its weights."""
    trainer = saver(tmp_path_factory.mktemp("whole") / "run")
    trainer.train()
    return Path(trainer.args.output_dir), trainer.model.state_dict()


@pytest.fixture
def run(finished, tmp_path):
    """A copy of the finished directory, to be damaged."""
    return shutil.copytree(finished[0], tmp_path / "run")


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def forge(checkpoint):
    """Rewrite the manifest to fit the files, as who tampers with a checkpoint would."""
    content = json.loads((checkpoint / MANIFEST).read_text("utf-8"))
    (checkpoint / MANIFEST).unlink()
    draft = draft_of(checkpoint)
    draft.parent.mkdir()
    checkpoint.rename(draft)
    from frtune.training.atomic_checkpoints import finish

    finish(checkpoint, content["conditions"])


def test_checkpoints_are_whole_rotated_and_without_training_arguments(finished):
    directory, _ = finished
    assert names(directory) == ["checkpoint-2", "checkpoint-3", "checkpoint-4"]
    for checkpoint in directory.iterdir():
        assert damage(checkpoint) is None
        assert "training_args.bin" not in names(checkpoint)
    assert newest_whole(directory) == directory / "checkpoint-4"


def test_damaged_checkpoints_are_skipped_with_a_line_each(run, caplog):
    weights = run / "checkpoint-4" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    optimizer = run / "checkpoint-3" / "optimizer.pt"
    content = bytearray(optimizer.read_bytes())
    content[-2000] ^= 1
    optimizer.write_bytes(content)
    assert newest_whole(run) == run / "checkpoint-2"
    assert "skipped checkpoint-4: model.safetensors has 1000 bytes in place of" in caplog.text
    assert "skipped checkpoint-3: optimizer.pt is not what was written" in caplog.text
    assert names(run) == ["checkpoint-2", "damaged-checkpoint-3", "damaged-checkpoint-4"]


def test_drafts_are_removed_unless_they_lack_their_name_alone(run):
    half = run / ".draft-checkpoint-5" / "checkpoint-5"
    half.mkdir(parents=True)
    (half / "model.safetensors").write_bytes(b"half")
    (run / ".draft-x1").mkdir()
    (run / ".draft-checkpoint-4").mkdir()
    (run / "checkpoint-4").rename(draft_of(run / "checkpoint-4"))
    assert newest_whole(run) == run / "checkpoint-4"
    assert names(run) == ["checkpoint-2", "checkpoint-3", "checkpoint-4"]


def test_nothing_whole_is_an_error_and_nothing_at_all_is_none(run, tmp_path):
    assert newest_whole(tmp_path / "absent") is None
    for checkpoint in run.iterdir():
        (checkpoint / "trainer_state.json").unlink()
    with pytest.raises(InputError, match=r"no checkpoint there is whole \(checkpoint-4: trainer_s"):
        newest_whole(run)
    assert names(run) == ["checkpoint-2", "checkpoint-3", "checkpoint-4"]  # left as they were


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"files": []}, "cannot be read"),
        ({"files": {"a": {"bytes": "x", "hash": 1}}}, "cannot be read"),
        (
            {"files": {"../../secret": {"bytes": 1, "hash": "0"}}},
            r"names '\.\./\.\./secret', outside",
        ),
        ({"files": {"/etc/passwd": {"bytes": 1, "hash": "0"}}}, "names '/etc/passwd', outside"),
        ({"step": 9}, "is that of step 9"),
        ({"format": "1"}, "another version"),
        ({"conditions": None}, "another version"),
    ],
)
def test_a_manifest_of_odd_content_is_no_manifest(run, change, reason):
    path = run / "checkpoint-4" / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **change}))
    import re

    assert re.search(reason, damage(run / "checkpoint-4") or "")


def test_a_link_in_place_of_a_file_is_damage(run, tmp_path):
    weights = run / "checkpoint-4" / "model.safetensors"
    weights.rename(tmp_path / "elsewhere")
    weights.symlink_to(tmp_path / "elsewhere")
    assert damage(run / "checkpoint-4") == "model.safetensors is a link"


def test_a_foreign_pickle_is_refused_and_not_opened(run, saver, tmp_path):
    with (run / "checkpoint-4" / "pytorch_model.bin").open("wb") as file:
        pickle.dump(Malicious(tmp_path / "executed"), file)
    with pytest.raises(InputError, match=r"holds pytorch_model\.bin, which frtune did not write"):
        saver(run).train(resume_from_checkpoint=True)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("name", ["optimizer.pt", "rng_state.pth"])
def test_a_pickle_that_the_manifest_knows_is_not_executed(run, saver, tmp_path, name):
    checkpoint = run / "checkpoint-3"
    torch.save(Malicious(tmp_path / "executed"), checkpoint / name)
    forge(checkpoint)
    with pytest.raises(InputError, match=r"cannot be opened \(Weights only load failed"):
        saver(run).train(resume_from_checkpoint=str(checkpoint))
    assert not (tmp_path / "executed").exists()


def test_resuming_another_run_is_refused_and_says_what_differs(run, saver, rows):
    trainer = saver(run, learning_rate=0.5, source=32, dataset=rows.select(range(7)))
    with pytest.raises(InputError) as error:
        trainer.train(resume_from_checkpoint=True)
    for difference in (
        "learning_rate is 0.5 in place of 0.001",
        "max_source_tokens is 32 in place of 64",
        "other train rows",
    ):
        assert difference in str(error.value)


@pytest.mark.parametrize(
    ("where", "name", "value", "message"),
    [
        ("rows_per_step", None, 4, "rows_per_step is 4 in place of 2"),
        ("processes", None, 2, "processes is 2 in place of 1"),
        ("model", "checkpoint", "other", 'model checkpoint is "other" in place of "t5-default"'),
        ("model", "lora", {"default": {"r": 8}}, "model lora is"),
        ("mixup", None, {"alpha": 0.2}, "mixup is"),
        ("arguments", "seed", 7, "seed is 7 in place of 42"),
    ],
)
def test_each_condition_is_compared(finished, where, name, value, message):
    theirs = read_manifest(finished[0] / "checkpoint-4")["conditions"]
    ours = {**theirs, where: value if name is None else {**theirs[where], name: value}}
    with pytest.raises(InputError, match=message):
        check_conditions(ours, theirs, finished[0] / "checkpoint-4")


def test_a_checkpoint_that_lacks_states_or_is_of_another_step_is_refused(run, saver):
    checkpoint = run / "checkpoint-4"
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth"):
        (checkpoint / name).rename(run / name)
    forge(checkpoint)
    trainer = saver(run)
    with pytest.raises(InputError, match="was saved with --save-only-model and cannot be resumed"):
        trainer.train(resume_from_checkpoint=True)
    (run / "scheduler.pt").rename(checkpoint / "scheduler.pt")
    (checkpoint / "latest").write_text("../../elsewhere")
    forge(checkpoint)
    with pytest.raises(InputError, match=r"latest: is not of step 4"):
        trainer.train(resume_from_checkpoint=True)
    state = json.loads((checkpoint / "trainer_state.json").read_text("utf-8"))
    for odd in ({**state, "global_step": 3}, [], {"x": 1}):
        (checkpoint / "trainer_state.json").write_text(json.dumps(odd))
        forge(checkpoint)
        with pytest.raises(InputError, match=r"is (not )?the state of"):
            trainer.train(resume_from_checkpoint=True)


def test_early_stopping_goes_on_counting(saver, tmp_path):
    def trainer(**overrides):
        return saver(
            tmp_path, learning_rate=0.0, eval_strategy="steps", eval_steps=1,
            callbacks=[EarlyStoppingCallback(2)], metric_for_best_model="eval_loss",
            greater_is_better=False, **overrides,
        )  # fmt: skip

    whole = trainer(save_total_limit=None)
    whole.train()
    assert whole.state.global_step == 3  # the first evaluation is the best
    resumed = trainer()
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    assert resumed.state.global_step == 3


def test_a_best_checkpoint_elsewhere_is_not_opened(run, saver, tmp_path, caplog):
    checkpoint = run / "checkpoint-3"
    path = checkpoint / "trainer_state.json"
    elsewhere = {"best_global_step": 1, "best_model_checkpoint": str(tmp_path), "best_metric": 0.1}
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **elsewhere}))
    forge(checkpoint)
    trainer = saver(run)
    trainer.train(resume_from_checkpoint=str(checkpoint))
    assert trainer.state.best_model_checkpoint is None
    assert "the best checkpoint, checkpoint-1, is lost" in caplog.text


def test_batches_may_be_cut_otherwise_and_training_go_on_for_longer(run, saver, caplog):
    trainer = saver(
        run, max_steps=5, per_device_train_batch_size=1, gradient_accumulation_steps=2,
        logging_steps=3, per_device_eval_batch_size=3,
    )  # fmt: skip
    trainer.train(resume_from_checkpoint=True)
    assert trainer.state.global_step == 5
    assert "max_steps is 5 in place of 4: the learning rate follows the new length" in caplog.text


def test_resuming_after_the_last_step_trains_no_further(run, finished, saver):
    trainer = saver(run)
    trainer.train(resume_from_checkpoint=True)
    assert trainer.state.global_step == 4
    found = trainer.model.state_dict()
    assert all(torch.equal(value, found[name]) for name, value in finished[1].items())
