"""Training that can be killed at any moment: what ``TaskTrainer`` does around ``Trainer``'s steps.

What is loaded on resuming, and how (transformers 5.23, read in the source): ``optimizer.pt``,
``scheduler.pt``, ``scaler.pt`` and ``rng_state*.pth`` by ``torch.load(weights_only=True)``, which
unpickles tensors and plain containers only and refuses all else; weights and adapters by
safetensors; ``training_args.bin``, a pickle of objects, by nothing, so that it is not kept.
DeepSpeed's engine loads its own files with ``weights_only=False``; ``safe_deepspeed`` changes that.
"""

from __future__ import annotations

import contextlib
import logging
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from transformers import EarlyStoppingCallback, TrainerState
from transformers.trainer import TRAINER_STATE_NAME, TRAINING_ARGS_NAME
from transformers.trainer_utils import rotate_checkpoints

from frtune.errors import InputError, RunStopped
from frtune.files import locked, write_json
from frtune.training.atomic_checkpoints import (
    check_foreign,
    checkpoints,
    damage,
    draft_of,
    finish,
    newest_whole,
    read_manifest,
)
from frtune.training.distributed import on_main
from frtune.training.resource_errors import check_disk, disk_full, is_memory_full, memory_full
from frtune.training.resume_checks import check_conditions
from frtune.training.signals import listening

if TYPE_CHECKING:
    from frtune.training.trainer import TaskTrainer

logger = logging.getLogger(__name__)

NON_FINITE_FILE = "non_finite_rows.json"


@contextlib.contextmanager
def surviving(trainer: TaskTrainer) -> Iterator[None]:
    """Hold the directory, listen for signals, load nothing unsafe, explain what runs out.

    Raises:
        InputError: Before training, if the directory is in use or full, and if a checkpoint's files
            cannot be opened.
        MemoryFullError: If memory runs out, unless ``auto_find_batch_size`` can take a smaller
            batch.
    """
    args = trainer.args
    saves = args.save_strategy != "no" and args.process_index == 0
    with (
        locked(args.output_dir) if saves else contextlib.nullcontext(),
        listening(args.world_size) as trainer.stop,
        safe_deepspeed() if trainer.is_deepspeed_enabled else contextlib.nullcontext(),
        explained_memory(trainer, "training"),
    ):
        on_main(args, lambda: check_disk(trainer))
        try:
            yield
        except (pickle.UnpicklingError, SafetensorError) as error:
            if trainer.checked is None:
                raise
            first = (str(error).strip().splitlines() or [""])[0][:160]
            raise InputError(
                f"{trainer.checked}: one of its files cannot be opened ({first}). "
                "Remove that checkpoint and pass --resume to go on from the one before."
            ) from error


@contextlib.contextmanager
def explained_memory(trainer: TaskTrainer, phase: str) -> Iterator[None]:
    """Turn running out of memory into an error that says where, and what to try.

    Raises:
        MemoryFullError: In place of torch's error.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_memory_full(error):
            raise
        raise memory_full(trainer, phase) from error


def resumed_from(trainer: TaskTrainer, resume: str | bool | None) -> str | None:
    """Find and check the checkpoint to go on from; all processes call this.

    Args:
        trainer: The trainer of the run that goes on.
        resume: A checkpoint's directory, or ``True`` for the newest whole one in the output
            directory.

    Raises:
        InputError: If it is not whole, of another run, or there is none.
    """
    if resume is None or resume is False:
        return None
    if resume == trainer.checked:
        return str(resume)
    args = trainer.args

    def choose() -> str:
        if resume is True:
            found = newest_whole(args.output_dir)
        else:
            found = _whole(Path(resume))
        if found is None:
            raise InputError(
                f"output_dir={args.output_dir}: holds no checkpoint to resume from. "
                "Leave out resume_from_checkpoint to start."
            )
        check_conditions(trainer.conditions(), read_manifest(found)["conditions"], found)
        _check_state(found)
        logger.warning("resuming from %s", found)
        return str(found)

    trainer.checked = on_main(args, choose)
    return trainer.checked


def _whole(checkpoint: Path) -> Path:
    """The checkpoint itself.

    Raises:
        InputError: If it is damaged, or frtune did not write it.
    """
    reason = damage(checkpoint) if checkpoint.is_dir() else "there is no such directory"
    if reason:
        raise InputError(
            f"resume_from_checkpoint={checkpoint}: is not whole: {reason}. Give another one."
        )
    check_foreign(checkpoint)
    return checkpoint


def _check_state(checkpoint: Path) -> None:

    path = checkpoint / TRAINER_STATE_NAME
    try:
        step = TrainerState.load_from_json(str(path)).global_step
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise InputError(f"{path}: is not the state of a training ({error}).") from error
    manifest = read_manifest(checkpoint)
    if step != manifest["step"]:
        raise InputError(f"{path}: is the state of step {step}. Give another checkpoint.")
    # without them Trainer would start a new optimizer and schedule, and say nothing
    if not any(
        name == "scheduler.pt" or name.startswith("global_step") for name in manifest["files"]
    ):
        raise InputError(
            f"{checkpoint}: was saved with --save-only-model and cannot be resumed, only trained "
            f"from: pass --checkpoint {checkpoint} and a new --output-dir."
        )
    latest = checkpoint / "latest"  # where DeepSpeed looks for its files
    if latest.is_file() and latest.read_text("utf-8").strip() != f"global_step{step}":
        raise InputError(f"{latest}: is not of step {step}. Give another checkpoint.")


def settle_best(trainer: TaskTrainer) -> None:
    """After loading a state: the best checkpoint is that step's in this directory, and whole.

    The path in the file may be of another place; if the checkpoint is lost, the best of what is
    to come is kept.
    """
    state = trainer.state
    if state.best_global_step is None:
        state.best_model_checkpoint = None
        return
    best = Path(trainer.args.output_dir) / f"checkpoint-{int(state.best_global_step)}"
    # the checkpoint that is gone on from has been read already
    if str(best) == trainer.checked or on_main(trainer.args, lambda: damage(best) is None):
        state.best_model_checkpoint = str(best)
        return
    logger.warning("the best checkpoint, %s, is lost: the best of those to come is kept", best.name)
    state.best_model_checkpoint = state.best_global_step = state.best_metric = None


def restore_patience(trainer: TaskTrainer) -> None:
    """After loading a state: early stopping has used up as much patience as it had at that step.

    Trainer starts it anew, or takes the patience itself from the checkpoint too; that is the user's
    to change.
    """
    states: Any = trainer.state.stateful_callbacks
    stored = states.get("EarlyStoppingCallback")
    for callback in trainer.callback_handler.callbacks:
        if isinstance(callback, EarlyStoppingCallback) and isinstance(stored, dict):
            used = stored["attributes"]["early_stopping_patience_counter"]
            callback.early_stopping_patience_counter = int(used)


def stop_if_asked(trainer: TaskTrainer, save: Callable[[], None]) -> None:
    """After a step, and again at the end of an epoch: save and stop if a signal came.

    Raises:
        RunStopped: On all processes after the same step.
    """
    args, state = trainer.args, trainer.state
    step = state.global_step
    # what comes at the end of an epoch, its evaluation above all, is part of its last step
    last = float(state.epoch or 0).is_integer() or step >= state.max_steps
    wait, trainer.last_step = last and step != trainer.last_step, step
    signum = 0 if wait else trainer.stop.agreed(args.device)
    if not signum:
        return
    if trainer.saved_step != step or args.save_only_model:
        only_model, args.save_only_model = args.save_only_model, False  # it shall go on
        try:
            save()
        finally:
            args.save_only_model = only_model
    raise RunStopped(
        signum, f"stopped after step {step}; checkpoint-{step} is saved, go on with --resume"
    )


@contextlib.contextmanager
def drafted(trainer: TaskTrainer, run_dir: str) -> Iterator[None]:
    """Have ``Trainer._save_checkpoint`` write a draft, and give it its name at the end.

    Raises:
        DiskFullError: If it did not fit; earlier checkpoints are as they were.
    """
    args, wait = trainer.args, trainer.accelerator.wait_for_everyone
    checkpoint = Path(run_dir) / f"checkpoint-{trainer.state.global_step}"
    draft = draft_of(checkpoint)
    if args.process_index == 0:
        shutil.rmtree(draft.parent, ignore_errors=True)
        draft.parent.mkdir(parents=True, exist_ok=True)
    wait()
    trainer.draft_dir = str(draft.parent)
    try:
        yield
        _complete(trainer, checkpoint)
        wait()
        if args.process_index == 0:
            finish(checkpoint, trainer.conditions())
        wait()
        # of hosts without a common disk, each finishes its own part
        if args.local_process_index == 0 and draft.is_dir():
            finish(checkpoint, trainer.conditions())
    except Exception as error:
        if (full := disk_full(error, trainer, checkpoint)) is None:
            raise
        raise full from error
    finally:
        trainer.draft_dir = None
        if args.local_process_index == 0:
            shutil.rmtree(draft.parent, ignore_errors=True)
    if args.should_save:
        rotate_checkpoints(
            output_dir=run_dir,
            save_total_limit=args.save_total_limit,
            best_model_checkpoint=trainer.state.best_model_checkpoint,
            use_mtime=True,
        )


def _complete(trainer: TaskTrainer, checkpoint: Path) -> None:
    """Put the final name where the draft's stands, and drop what nothing loads."""
    draft, state = draft_of(checkpoint), trainer.state
    if state.best_global_step == state.global_step:
        state.best_model_checkpoint = str(checkpoint)
    if trainer.args.should_save:
        state.save_to_json(str(draft / TRAINER_STATE_NAME))
        (draft / TRAINING_ARGS_NAME).unlink(missing_ok=True)


def report_non_finite(trainer: TaskTrainer, what: str, value: float, rows: list[int] | None) -> str:
    """Write the rows of a loss or gradient that is not finite; return the error's message.

    Args:
        trainer: While it trains or evaluates.
        what: ``"loss"`` or ``"gradient norm"``.
        value: What it was.
        rows: The rows of the batch, or of the whole step, that this process had.
    """
    phase = "training" if trainer.model.training else "evaluation"
    step, output_dir = trainer.state.global_step + 1, Path(trainer.args.output_dir)
    output_dir.mkdir(parents=True, exist_ok=True)
    content = {"what": what, "value": str(value), "phase": phase, "step": step, "rows": rows or []}
    write_json(output_dir / NON_FINITE_FILE, content)
    where = f"rows {rows}" if rows else "unknown rows"
    saved = checkpoints(output_dir)
    kept = f" {saved[0].name} in {output_dir} is whole." if saved else ""
    return (
        f"{what}={value} in {phase} at step {step}, {where} of the {phase} set (counted from 0; "
        f"also in {NON_FINITE_FILE}). Look at these rows; lower --learning-rate, or use --bf16 in "
        f"place of --fp16.{kept}"
    )


@contextlib.contextmanager
def safe_deepspeed() -> Iterator[None]:
    """Have DeepSpeed save what loads with ``weights_only=True``, and load so; it unpickles else.

    What its files hold beside tensors and plain values is the few classes that are named here.
    """
    from deepspeed.runtime.checkpoint_engine.torch_checkpoint_engine import TorchCheckpointEngine
    from deepspeed.runtime.zero.config import ZeroStageEnum

    def load(self: Any, path: str, map_location: Any = None) -> Any:
        with torch.serialization.safe_globals(_deepspeed_globals()):
            return torch.load(path, map_location=map_location, weights_only=True)

    def by_value(self: Any, protocol: int) -> tuple[Any, ...]:
        return type(self), (self.value,)

    before = TorchCheckpointEngine.load, ZeroStageEnum.__reduce_ex__
    TorchCheckpointEngine.load = load  # type: ignore[method-assign]
    # Python 3.11.0 to 3.11.3 pickle an enum as a call of getattr, which must not be let in
    ZeroStageEnum.__reduce_ex__ = by_value  # type: ignore[method-assign]
    try:
        yield
    finally:
        TorchCheckpointEngine.load, ZeroStageEnum.__reduce_ex__ = before  # type: ignore[method-assign]


def _deepspeed_globals() -> list[Any]:
    """The classes that ``torch.serialization.get_unsafe_globals_in_checkpoint`` finds there."""
    from deepspeed.runtime.fp16.loss_scaler import DynamicLossScaler, LossScaler
    from deepspeed.runtime.zero.config import ZeroStageEnum
    from deepspeed.utils.tensor_fragment import fragment_address

    return [fragment_address, ZeroStageEnum, LossScaler, DynamicLossScaler]
