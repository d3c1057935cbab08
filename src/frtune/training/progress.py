"""What a trainer's log shows of an evaluation: the headline scores, loss, epoch and time."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from transformers import PrinterCallback, ProgressCallback, Trainer, TrainerCallback
from transformers.trainer_utils import has_length

from frtune.environment.progress import brief_bar


def shown(logs: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """What is printed of a log: that of a step whole, of an evaluation the scores in ``names``.

    Example:
        >>> shown({"eval_loss": 1, "eval_f1": 0.5, "eval_f1_b": 0.5, "eval_runtime": 2}, ["f1"])
        {'eval_loss': 1, 'eval_f1': 0.5, 'eval_runtime': 2}
        >>> shown({"loss": 1, "grad_norm": 0.5}, ["f1"])
        {'loss': 1, 'grad_norm': 0.5}
    """
    prefix = next((key.removesuffix("runtime") for key in logs if key.endswith("_runtime")), None)
    if prefix is None:
        return dict(logs)
    wanted = {"epoch", *(prefix + name for name in ("loss", "runtime", *names))}
    return {key: value for key, value in logs.items() if key in wanted}


class _Headlines(TrainerCallback):
    """Prints a log as the next class does, but only what is ``shown``."""

    def __init__(self, names: Collection[str]):
        super().__init__()
        self.names = names

    def on_log(self, args, state, control, logs=None, **kwargs):
        super().on_log(args, state, control, logs=shown(logs or {}, self.names), **kwargs)


class HeadlinePrinter(_Headlines, PrinterCallback):
    """A ``PrinterCallback`` for the headline scores."""


class HeadlineProgress(_Headlines, ProgressCallback):
    """A ``ProgressCallback`` for the headline scores, with one bar.

    In a terminal, a step's loss stands behind the bar; in a file it is a line of its own.
    """

    def on_prediction_step(self, args, state, control, eval_dataloader=None, **kwargs):
        """Go on with the bar of an evaluation."""
        first = self.prediction_bar is None and state.is_world_process_zero
        if first and has_length(eval_dataloader):
            self.prediction_bar = brief_bar(total=len(eval_dataloader), desc="Evaluation")
        super().on_prediction_step(args, state, control, eval_dataloader, **kwargs)

    def on_log(self, args, state, control, logs=None, **kwargs):
        """Show a step's loss behind the bar, print anything else."""
        bar, logs = self.training_bar, logs or {}
        if bar is not None and bar.fp.isatty() and "loss" in logs:
            bar.set_postfix(loss=f"{logs['loss']:.4g}")
        else:
            super().on_log(args, state, control, logs=logs, **kwargs)


def show_headlines(trainer: Trainer, names: Collection[str]) -> None:
    """Have a new trainer print headline scores alone; a user's own callback prints as it will.

    ``trainer.state.log_history`` and other callbacks get everything.
    """
    ours = {PrinterCallback: HeadlinePrinter, ProgressCallback: HeadlineProgress}
    callbacks = trainer.callback_handler.callbacks
    if (default := ours.get(type(callbacks[-1]))) is None:  # Trainer adds its own last
        return
    callbacks.pop()
    if not any(isinstance(callback, tuple(ours)) for callback in callbacks):
        trainer.add_callback(default(names))
