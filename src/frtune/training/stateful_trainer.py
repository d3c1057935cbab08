"""A ``Trainer`` that goes on from a checkpoint with what it had counted and decided there."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

from transformers import EarlyStoppingCallback, Trainer, TrainerState
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import ExportableState

from frtune.errors import InputError, first_line
from frtune.files import write_json
from frtune.training.atomic_checkpoints import damage
from frtune.training.distributed import on_main

logger = logging.getLogger(__name__)

PROGRESS_FILE = "frtune_progress.json"
_OTHERS = ("transformers.", "frtune.")  # where callbacks come from that are not the user's


class StatefulTrainer(Trainer):
    """A ``Trainer`` whose resumed run reports and decides as one that was left alone.

    To what a checkpoint of ``Trainer`` holds it adds the sum of the loss, the seconds spent, and
    that a callback had ended the run. Callbacks that are ``ExportableState`` go on with their
    attributes.

    Attributes:
        has_ended: Whether a callback had ended the run that goes on: no step is left.
        cut_tokens: Tokens at once that fit the memory, where that was found out; else ``None``.
    """

    def __init__(self, *args: Any, **settings: Any):
        self.has_ended = False
        self.cut_tokens: int | None = None
        self._progress: dict[str, Any] | None = None
        self._seconds_before = self._began = 0.0
        self._own_callbacks: list[tuple[Any, str]] = []  # the user's, as they were at the start
        super().__init__(*args, **settings)

    # --- into a checkpoint -----------------------------------------------------------------------

    def save_progress(self, directory: Path) -> None:
        """Write into a checkpoint what ``Trainer`` leaves out; all processes call this."""
        # the sum since the last log differs by process
        loss: Any = self._tr_loss
        gathered: Any = self.accelerator.gather(loss.detach().reshape(1))
        pending = gathered.tolist()
        if not self.args.should_save:
            return
        self.state.stateful_callbacks = self._exported()
        write_json(directory / PROGRESS_FILE, {
            "loss_sum": self._total_loss_scalar,
            "loss_since_log": pending,
            "logged_step": self._globalstep_last_logged,
            "cut_tokens": self.cut_tokens,
            "seconds": self._seconds_before + time.time() - self._began,
            "callbacks": [text for _, text in self._own_callbacks],
            "changed_without_state": [
                _name(callback)
                for callback, text in self._own_callbacks
                if not isinstance(callback, ExportableState) and _described(callback) != text
            ],
        })  # fmt: skip

    def _exported(self) -> Any:
        """States of callbacks and control; Trainer's own list of them grows with every save."""
        callbacks: list[Any] = [*self.callback_handler.callbacks, self.control]
        callbacks = [each for each in callbacks if isinstance(each, ExportableState)]
        states: Any = TrainerState(stateful_callbacks=callbacks).stateful_callbacks
        for name, state in states.items():
            try:
                json.dumps(state)
            except (TypeError, ValueError) as error:
                raise InputError(
                    f"callbacks: what {name}.state() returns is not JSON ({error}). Return "
                    "numbers, texts, lists and dicts, which a checkpoint can hold."
                ) from error
        return states

    # --- out of a checkpoint ---------------------------------------------------------------------

    def _init_training_state(
        self, max_steps, num_update_steps_per_epoch, num_train_epochs, resume_from_checkpoint, trial
    ):
        """As ``Trainer``'s; takes note of what the checkpoint had counted and decided."""
        self._began, self._seconds_before = time.time(), 0.0
        self._progress, self.has_ended, self.cut_tokens = None, False, None
        self._own_callbacks = [
            (each, _described(each))
            for each in self.callback_handler.callbacks
            if not type(each).__module__.startswith(_OTHERS)
        ]
        found = super()._init_training_state(
            max_steps, num_update_steps_per_epoch, num_train_epochs, resume_from_checkpoint, trial
        )
        if resume_from_checkpoint is not None:
            checkpoint = Path(resume_from_checkpoint)
            if (checkpoint / PROGRESS_FILE).is_file():  # earlier versions wrote none
                text = (checkpoint / PROGRESS_FILE).read_text(encoding="utf-8")
                self._progress = json.loads(text)
                self.cut_tokens = self._progress.get("cut_tokens")
            stored = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME))
            self._find_best(stored.best_model_checkpoint, checkpoint)
            self.has_ended = self._had_ended(stored)
            self._name_without_state()
        self.state.stateful_callbacks = self._exported()
        return found

    def _load_callback_state(self):
        """As ``Trainer``'s, also unasked, for attributes; settings are the user's to change.

        Trainer starts callbacks anew, or takes over their settings (the patience) too.
        """
        stored: Any = dict(self.state.stateful_callbacks or {})
        super()._load_callback_state()
        for kind in {type(each) for each in self.callback_handler.callbacks}:
            states = stored.get(kind.__name__)
            if not (issubclass(kind, ExportableState) and states):
                continue
            alike = [each for each in self.callback_handler.callbacks if type(each) is kind]
            states = states if isinstance(states, list) else [states]
            for callback, state in zip(alike, states[-len(alike) :], strict=False):
                for name, value in state.get("attributes", {}).items():
                    setattr(callback, name, value)

    def _find_best(self, named: str | None, checkpoint: Path) -> None:
        """Point at the best checkpoint: whole, and in this directory or beside ``checkpoint``."""
        state = self.state
        state.best_model_checkpoint = None
        if named is None:  # the best step was not saved: its score counts all the same
            return
        name = Path(named).name  # its folder may have been another one
        if not name.startswith("checkpoint-"):
            name = f"checkpoint-{state.best_global_step}"
        for place in (Path(str(self.args.output_dir)), checkpoint.parent):
            best = place / name
            # the checkpoint that is gone on from has been read already
            read = best.is_dir() and best.samefile(checkpoint)
            if read or on_main(self.args, lambda best=best: damage(best) is None):
                state.best_model_checkpoint = str(best)
                return
        logger.warning("the best checkpoint, %s, is lost: the best of those to come is kept", name)
        state.best_global_step = state.best_metric = None

    def _had_ended(self, stored: TrainerState) -> bool:
        """Whether a callback had ended the run, before its last step, and would do so again."""
        step, states = stored.global_step, stored.stateful_callbacks
        stops = [
            each for each in self.callback_handler.callbacks
            if isinstance(each, EarlyStoppingCallback)
        ]  # fmt: skip
        if any(
            each.early_stopping_patience_counter >= each.early_stopping_patience for each in stops
        ):
            logger.warning("early stopping had ended this run at step %d: no step is left", step)
            return True
        control: Any = states.get("TrainerControl", {}) if isinstance(states, dict) else {}
        asked = control.get("args", {}).get("should_training_stop", False)
        own = [text for _, text in self._own_callbacks]
        if not (asked and own and step < stored.max_steps):
            return False
        # with other callbacks, or the same with other settings, the user goes on on purpose
        if self._progress is None or self._progress["callbacks"] != own:
            return False
        logger.warning("a callback had ended this run at step %d: no step is left", step)
        return True

    def _name_without_state(self) -> None:
        """Say which callbacks had changed by the checkpoint, and start anew."""
        changed = self._progress["changed_without_state"] if self._progress else []
        own = [_name(each) for each, _ in self._own_callbacks]
        for name in [each for each in changed if each in own]:
            logger.warning(
                "callback %s starts again: no checkpoint has what it had counted. Have it inherit "
                "from transformers.trainer_callback.ExportableState too, and return it in state()",
                name,
            )

    def _load_optimizer_and_scheduler(self, checkpoint):
        """As ``Trainer``'s; raises ``InputError`` where the states are of another optimizer."""
        try:
            super()._load_optimizer_and_scheduler(checkpoint)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{checkpoint}: its optimizer or schedule does not fit this run's "
                f"({first_line(error)}). Pass the optimizers= and arguments that it was saved with."
            ) from error

    def _evaluate(self, trial, ignore_keys_for_eval, skip_scheduler=False):
        """As ``Trainer``'s; ``eval_on_start`` evaluates at the start of the run alone."""
        if skip_scheduler and self.state.global_step > 0:
            return {}
        return super()._evaluate(trial, ignore_keys_for_eval, skip_scheduler)

    def _run_epoch(self, *args, **options):
        self._take_up()
        if self.has_ended or self.state.global_step >= self.state.max_steps:
            self.control.should_training_stop = True  # resumed after the last step
            return
        super()._run_epoch(*args, **options)

    def _take_up(self) -> None:
        """Go on with the sums of the checkpoint: Trainer sets its own to nothing before."""
        progress, self._progress = self._progress, None
        if progress is not None:
            self._tr_loss += progress["loss_since_log"][self.args.process_index]
            self._total_loss_scalar = progress["loss_sum"]
            self._globalstep_last_logged = progress["logged_step"]
            self._seconds_before = progress["seconds"]
            self._initial_global_step = 0

    def _finalize_training(self, trial, num_train_samples, start_time):
        """As ``Trainer``'s; loss, time and speed are those of the whole run."""
        self._take_up()
        return super()._finalize_training(
            trial, num_train_samples, start_time - self._seconds_before
        )


def _name(callback: Any) -> str:
    return f"{type(callback).__module__}.{type(callback).__qualname__}"


def _described(callback: Any) -> str:
    """Name and plain attributes of a callback."""
    plain = {}
    for name, value in vars(callback).items():
        try:
            plain[name] = json.loads(json.dumps(value))
        except (TypeError, ValueError, RecursionError):
            continue
    return f"{_name(callback)} {json.dumps(plain, sort_keys=True)}"
