"""One whole run: data, model, training, the best checkpoint's scores, a proven model directory."""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainingArguments

from frtune.failures import SavedModelError
from frtune.files import locked, staged
from frtune.run.config import run_config, write_config
from frtune.run.data import RunData, read_data, tokenise
from frtune.run.manifest import RUN_MANIFEST
from frtune.run.model import build, check_model, starting_checkpoint, with_lora
from frtune.run.next_steps import disputed_rows
from frtune.run.report import write_report
from frtune.run.settings import RunSettings, check_settings
from frtune.run.status import recorded
from frtune.run.training import (
    best_scores,
    build_trainer,
    calibrate,
    checkpoint_to_resume,
    opening,
    score,
    validation_scores,
)
from frtune.tasks.base import Task
from frtune.training.argument_checks import check_callbacks
from frtune.training.saving import MERGED_BASE, TINY, check_output_dir, save
from frtune.training.start_proof import prove_start
from frtune.training.trainer import TaskTrainer
from frtune.training.training_checks import check_training

logger = logging.getLogger(__name__)


def run(
    task: Task,
    settings: RunSettings,
    args: TrainingArguments,
    *,
    callbacks: Sequence[Any] = (),
    validate: bool = False,
    data: RunData | None = None,
) -> dict[str, float]:
    """Train, keep the best checkpoint, test it, and leave a model directory.

    Args:
        task: What to learn.
        settings: Data, checkpoint and adapter.
        args: ``Seq2SeqTrainingArguments``; ``args.output_dir`` becomes the model directory.
        callbacks: Further ``TrainerCallback`` objects.
        validate: Score the validation rows at the end, where training did not: what a model writes,
            or with ``eval_strategy="no"``.
        data: The rows, where ``read_data`` has read them before.

    Returns:
        The scores of ``metrics.json``: ``eval_*`` and ``test_*``.

    Raises:
        InputError: Before anything is loaded or written, if input is bad.
        SavedModelError: At the end, if the saved model could not be proven or merged.
    """
    check_settings(settings, args, task)
    check_callbacks(args, callbacks)
    check_model(task, settings, args)
    main = args.process_index == 0
    with (
        _output_dir(args, resume=settings.resume),
        recorded(args.output_dir, resume=settings.resume, main=main) as status,
    ):
        with _undone_on_error(Path(args.output_dir)) as begun:
            data = read_data(task, settings, args) if data is None else data.copy()
            trainer, settings = _trainer(data, settings, args, callbacks)
            start = checkpoint_to_resume(trainer, resume=settings.resume)
            config = run_config(task, settings, args)
            if main:
                write_config(trainer, data.splits, config)
            for note in [*data.notes, opening(trainer)] if main else ():
                logger.warning(note)
            for callback in (begun, *status):
                trainer.add_callback(callback)
            result = trainer.train(resume_from_checkpoint=start)
        validation = (validation_scores if validate else best_scores)(trainer)
        unfitted, answered = calibrate(trainer), trainer.outputs
        for note in unfitted:
            data.notes.append(note)
            if main:
                logger.warning(note)
        # the weights first: what comes after may fail, and took no hours
        failed = None
        try:
            save(trainer, args.output_dir, proof=settings.proof, merge=settings.merge)
        except SavedModelError as error:  # the model in memory can be scored all the same
            failed = error
        disputed = disputed_rows(trainer, answered) if main and not unfitted else 0
        scores, test_rows = score(trainer, data.splits.get("test"))
        metrics = {"train_loss": result.training_loss, **validation, **scores}
        if main:
            with staged(args.output_dir) as draft:
                metrics = write_report(
                    draft, trainer=trainer, settings=settings, splits=data.splits,
                    notes=data.notes, metrics=metrics, encoded=test_rows,
                    disputed=disputed, config=config,
                )  # fmt: skip
        if failed is not None:
            raise failed
        if args.push_to_hub:
            trainer.push_to_hub("End of training", save=False)
        return metrics


def _trainer(
    data: RunData, settings: RunSettings, args: TrainingArguments, callbacks: Sequence[Any]
) -> tuple[TaskTrainer, RunSettings]:
    """Load the model and tokenise the rows; the trainer, and the settings with its adapter."""
    checkpoint = starting_checkpoint(data, settings, args)
    settings = with_lora(settings, data.task, checkpoint)
    model, tokenizer = build(data.task, settings, args, checkpoint)
    check_training(data.task, model, args, **settings.trainer_options)
    encoded = tokenise(data, model, tokenizer, args)
    trainer = build_trainer(
        data.task, settings, args,
        model=model, tokenizer=tokenizer, encoded=encoded, callbacks=callbacks,
    )  # fmt: skip
    if settings.merge and settings.proof:
        prove_start(trainer, merge=True)
    return trainer, settings


@contextlib.contextmanager
def _output_dir(args: TrainingArguments, *, resume: bool) -> Iterator[None]:
    """Check the output directory and keep other runs out of it.

    The main process does it for all of them: a second one would find the lock of the first, and
    files that are of this very run.
    """
    if args.process_index > 0:
        yield
        return
    check_output_dir(args.output_dir, resume=resume)
    with locked(args.output_dir):
        yield


class _Begun(TrainerCallback):
    """Notes that the first step has begun: from there on a run's files are kept."""

    yes = False

    def on_step_begin(self, args, state, control, **kwargs):
        self.yes = True


@contextlib.contextmanager
def _undone_on_error(output_dir: Path) -> Iterator[_Begun]:
    """Leave no trace of a run that ends before its first step, but what was there before it.

    Else the same command, once the input is mended, would find "another run" there.
    """
    written = ("config.yaml", RUN_MANIFEST, TINY, MERGED_BASE)
    own = [name for name in written if not (output_dir / name).exists()]
    begun = _Begun()
    try:
        yield begun
    except BaseException:
        for name in own if not begun.yes else ():
            shutil.rmtree(output_dir / name, ignore_errors=True)
            with contextlib.suppress(OSError):
                (output_dir / name).unlink()
        raise
