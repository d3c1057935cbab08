"""A ``Trainer`` whose run can be killed at any moment and goes on: it knows no task."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers.trainer import TRAINER_STATE_NAME, TRAINING_ARGS_NAME
from transformers.trainer_utils import rotate_checkpoints

from frtune.errors import InputError, RunStopped
from frtune.files import locked, staged, write_json
from frtune.training.atomic_checkpoints import (
    checkpoints,
    draft_of,
    finish,
    newest_whole,
    read_manifest,
)
from frtune.training.deepspeed_checkpoints import safe_deepspeed
from frtune.training.distributed import on_main
from frtune.training.hub import push, push_checkpoint
from frtune.training.in_force import precision
from frtune.training.precision_choice import keep_begun
from frtune.training.resource_errors import (
    check_room,
    disk_full,
    is_disk_full,
    is_memory_full,
    memory_full,
)
from frtune.training.resume_checks import (
    check_conditions,
    check_state,
    check_whole,
    conditions,
    given_optimizers,
    save_state,
)
from frtune.training.signals import StopRequest, listening
from frtune.training.stateful_trainer import StatefulTrainer

logger = logging.getLogger(__name__)

NON_FINITE_FILE = "non_finite_rows.json"


class NonFiniteLossError(RuntimeError):
    """Loss or gradients became NaN or infinite; the message names the step and the rows."""


class ResumableTrainer(StatefulTrainer):
    """A ``Trainer`` that may be killed, stopped, or run out of disk or memory, and goes on.

    Checkpoints are whole or not there. SIGTERM and SIGINT finish the step, save it and raise
    ``RunStopped``. A loss or gradient that is not finite names its rows, where batches have their
    numbers in ``row``.

    Attributes:
        checked: The checkpoint that the run goes on from; ``None`` where it started anew.
        batch_shape: Rows and tokens of the last batch; empty before the first.
        step_parts: ``row``, if there is any, and the loss of each batch that the step has had.
    """

    def __init__(self, *args: Any, **settings: Any):
        self.stop = StopRequest()
        self.checked: str | None = None
        self.batch_shape: tuple[int, ...] = ()
        self.draft_dir: str | None = None
        self.last_step = self.saved_step = -1
        self.step_parts: list[tuple[Any, torch.Tensor]] = []
        self._conditions: dict[str, Any] | None = None
        super().__init__(*args, **settings)
        self._optimizers = given_optimizers(self)

    # --- a run from its first step, or from a checkpoint, to its end ------------------------------

    def train(self, resume_from_checkpoint=None, *args, **options):
        """As ``Trainer.train``; checkpoints are checked before they are resumed from.

        Raises:
            InputError: If the checkpoint is damaged or of another run, or another run writes here.
            RunStopped: After SIGTERM or SIGINT, when the step is done and a checkpoint saved.
        """
        with self._surviving():
            checkpoint = self.checked_resume(resume_from_checkpoint)
            self.last_step = self.saved_step = -1  # of an earlier trial
            if self.args.process_index == 0:
                Path(str(self.args.output_dir), NON_FINITE_FILE).unlink(missing_ok=True)
            try:
                result = super().train(checkpoint, *args, **options)
            finally:
                self.is_in_train = False  # a trial may be pruned
            if signum := self.stop.agreed(self.args.device):
                raise RunStopped(signum, "training was done; pass --resume for what comes after")
            return result

    @contextlib.contextmanager
    def _surviving(self) -> Iterator[None]:
        """Hold the directory, listen for signals, load nothing unsafe, explain what runs out."""
        args = self.args
        saves = args.save_strategy != "no" and args.process_index == 0
        with (
            locked(str(args.output_dir)) if saves else contextlib.nullcontext(),
            listening(args.world_size) as self.stop,
            safe_deepspeed() if self.is_deepspeed_enabled else contextlib.nullcontext(),
            self._explained_memory("training"),
        ):
            if self.model is not None:  # a search drops its models
                on_main(args, lambda: check_room(self))
            try:
                yield
            except (pickle.UnpicklingError, SafetensorError) as error:
                if self.checked is None:
                    raise
                first = (str(error).strip().splitlines() or [""])[0][:160]
                raise InputError(
                    f"{self.checked}: one of its files cannot be opened ({first}). "
                    "Remove that checkpoint and pass --resume to continue from the one before."
                ) from error

    def conditions(self) -> dict[str, Any]:
        """What a run must share with this one to go on from its checkpoints, as JSON values."""
        if self._conditions is None:  # takes seconds for large data
            found = conditions(
                self.args, self.model, train=self.train_dataset, validation=self.eval_dataset
            )
            self._conditions = {**found, "optimizers": self._optimizers}
        return self._conditions

    def checked_resume(self, resume: str | bool | None) -> str | None:
        """Find and check the checkpoint to go on from; all processes call this.

        ``resume`` is a checkpoint's directory, or ``True`` for the newest whole one in the output
        directory.

        Returns:
            The checkpoint, which ``train`` takes; ``None`` where ``resume`` asks for none.

        Raises:
            InputError: If it is not whole, of another run, or there is none.
        """
        if resume is None or resume is False:
            return None
        if resume == self.checked:
            return str(resume)
        output_dir = str(self.args.output_dir)
        keep_begun(self, resume)

        def choose() -> str:
            found = newest_whole(output_dir) if resume is True else check_whole(Path(resume))
            if found is None:
                raise InputError(
                    f"output_dir={output_dir}: holds no checkpoint to resume from. "
                    "Leave out resume_from_checkpoint to start."
                )
            check_conditions(self.conditions(), read_manifest(found)["conditions"], found)
            check_state(found, deepspeed=self.is_deepspeed_enabled)
            logger.warning("resuming from %s", found)
            return str(found)

        self.checked = on_main(self.args, choose)
        return self.checked

    def _issue_warnings_after_load(self, load_result):
        """As ``Trainer``'s, but silent on a missing name whose weight was loaded under another."""
        model: Any = self.model
        weights = model.state_dict()
        missing = set(load_result.missing_keys)
        loaded = {tensor.data_ptr() for name, tensor in weights.items() if name not in missing}
        load_result.missing_keys[:] = [
            name
            for name in load_result.missing_keys
            if name not in weights or weights[name].data_ptr() not in loaded
        ]
        super()._issue_warnings_after_load(load_result)

    # --- signals --------------------------------------------------------------------------------

    def _maybe_log_save_evaluate(self, tr_loss, grad_norm, model, trial, *args, **options):
        super()._maybe_log_save_evaluate(tr_loss, grad_norm, model, trial, *args, **options)
        self._stop_if_asked(model, trial)

    def _stop_if_asked(self, model: Any, trial: Any) -> None:
        """After a step, and again at the end of an epoch: save and stop if a signal came."""
        args, step = self.args, self.state.global_step
        # what comes at the end of an epoch, its evaluation above all, is part of its last step
        last = float(self.state.epoch or 0).is_integer() or step >= self.state.max_steps
        wait, self.last_step = last and step != self.last_step, step
        # A signal reaches processes between different steps, or one of them alone. One that left by
        # its own account would have the others wait for it in the next step's sum of gradients,
        # so all ask each other here, at the same step, and leave together.
        signum = 0 if wait else self.stop.agreed(args.device)
        if not signum:
            return
        if self.saved_step != step or args.save_only_model:
            only_model, args.save_only_model = args.save_only_model, False  # it shall go on
            try:
                self._save_checkpoint(model, trial)
            finally:
                args.save_only_model = only_model
        raise RunStopped(
            signum, f"stopped after step {step}; checkpoint-{step} is saved, continue with --resume"
        )

    # --- checkpoints that are whole or not there --------------------------------------------------

    def _get_output_dir(self, trial):
        return self.draft_dir or super()._get_output_dir(trial)

    def _save_checkpoint(self, model, trial):
        run_dir = self._get_output_dir(trial)
        checkpoint = Path(run_dir) / f"checkpoint-{self.state.global_step}"
        with self._drafted(checkpoint):
            super()._save_checkpoint(model, trial)
        if self.args.should_save:
            rotate_checkpoints(
                output_dir=run_dir,
                save_total_limit=self.args.save_total_limit,
                best_model_checkpoint=self.state.best_model_checkpoint,
                use_mtime=True,
            )
        self.saved_step = self.state.global_step
        if self.args.push_to_hub:
            self._push_from_checkpoint(str(checkpoint))

    @contextlib.contextmanager
    def _drafted(self, checkpoint: Path) -> Iterator[None]:
        """Have ``Trainer._save_checkpoint`` write a draft, named at the end; tells a full disk."""
        args, wait, draft = self.args, self.accelerator.wait_for_everyone, draft_of(checkpoint)
        if args.process_index == 0:
            shutil.rmtree(draft.parent, ignore_errors=True)
            draft.parent.mkdir(parents=True, exist_ok=True)
        wait()
        self.draft_dir = str(draft.parent)
        try:
            yield
            self._complete(checkpoint)
            # A folder with the final name must be whole whenever the run is killed. So it gets the
            # name by one rename, when every process has written its part, and none goes on (and
            # counts on it) before it has the name.
            wait()
            if args.process_index == 0:
                finish(checkpoint, self.conditions())
            wait()
            # of hosts without a common disk, each finishes its own part
            if args.local_process_index == 0 and draft.is_dir():
                finish(checkpoint, self.conditions())
        except Exception as error:
            if not is_disk_full(error):
                raise
            raise disk_full(self, checkpoint) from error
        finally:
            self.draft_dir = None
            if args.local_process_index == 0:
                shutil.rmtree(draft.parent, ignore_errors=True)

    def _complete(self, checkpoint: Path) -> None:
        """Put the final name where the draft's stands, and drop what nothing loads."""
        state, draft = self.state, draft_of(checkpoint)
        if state.best_global_step == state.global_step:
            state.best_model_checkpoint = str(checkpoint)
        self.save_progress(draft)
        if self.args.should_save:
            save_state(state, draft / TRAINER_STATE_NAME)
            (draft / TRAINING_ARGS_NAME).unlink(missing_ok=True)

    # --- memory ---------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _explained_memory(self, phase: str) -> Iterator[None]:
        """Turn running out of memory into a ``MemoryFullError``: where, and what to try."""
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            # while training, auto_find_batch_size must see an evaluation's error as it is
            if not is_memory_full(error) or (phase != "training" and self.is_in_train):
                raise
            raise memory_full(self, phase, self.batch_shape) from error

    def _prepare_inputs(self, inputs):
        """As ``Trainer``'s, before each batch of training and evaluation; notes its shape."""
        shapes = (tuple(value.shape) for value in inputs.values() if torch.is_tensor(value))
        self.batch_shape = next((shape for shape in shapes if len(shape) == 2), ())
        return super()._prepare_inputs(inputs)

    def evaluate(self, *args, **options):
        """As ``Trainer.evaluate``; raises ``MemoryFullError`` where memory runs out."""
        with self._explained_memory("evaluation"):
            return super().evaluate(*args, **options)

    def predict(self, *args, **options):
        """As ``Trainer.predict``; raises ``MemoryFullError`` where memory runs out."""
        with self._explained_memory("prediction"):
            return super().predict(*args, **options)

    # --- losses and gradients that are not finite -------------------------------------------------

    def _run_epoch(self, *args, **options):
        """As ``Trainer``'s, whose own look at each loss would make it wait for the GPU twice."""
        own, self.args.logging_nan_inf_filter = self.args.logging_nan_inf_filter, False
        self.step_parts = []
        try:
            return super()._run_epoch(*args, **options)
        finally:
            self.args.logging_nan_inf_filter = own

    def training_step(self, model, inputs, *args, **options):
        """As ``Trainer.training_step``; notes rows and loss, which the end of the step looks at."""
        rows = inputs.get("row")
        loss = super().training_step(model, inputs, *args, **options)
        self.step_parts.append((rows, loss))
        return loss

    def compute_loss(self, model, inputs, return_outputs=False, *args, **options):
        """As ``Trainer.compute_loss``; raises ``NonFiniteLossError`` outside of training."""
        rows = inputs.pop("row", None)
        result = super().compute_loss(model, inputs, return_outputs, *args, **options)
        loss: Any = result[0] if return_outputs else result
        if not model.training and not torch.isfinite(loss).all():
            value = loss.detach().float().mean().item()
            self._raise_non_finite("loss", value, [rows])
        return result

    def _get_grad_norm(self, model, grad_norm=None):
        """As ``Trainer``'s; raises ``NonFiniteLossError`` for it, or for a loss of the step."""
        norm: Any = super()._get_grad_norm(model, grad_norm)
        parts, self.step_parts = self.step_parts, []
        # one question to the GPU a step, for the norm and all losses: it waits for all before it
        asked = [loss.detach() for _, loss in parts]
        whole = norm.full_tensor() if hasattr(norm, "full_tensor") else norm  # FSDP's is in parts
        asked += [whole.detach()] if torch.is_tensor(whole) else []
        device = self.args.device
        found = torch.stack([value.to(device).float() for value in asked]).tolist() if asked else []
        for (rows, _), value in zip(parts, found, strict=False):
            if not math.isfinite(value):
                self._raise_non_finite("loss", value, [rows])
        value = found[-1] if torch.is_tensor(whole) else norm
        scaled = precision(self.args) == "fp16"  # its scaler skips a step whose gradients overflow
        # DeepSpeed says -1 for a norm that is not finite
        if value is not None and not scaled and not 0 <= float(value) < float("inf"):
            self._raise_non_finite("gradient norm", float(value), [rows for rows, _ in parts])
        return norm

    def _raise_non_finite(self, what: str, value: float, batches: list[Any]) -> None:
        """Write the rows of the batch, or of the step's batches, of this process, and raise."""
        rows = [number for rows in batches if rows is not None for number in rows.tolist()]
        model: Any = self.model
        phase = "training" if model.training else "evaluation"
        step, output_dir = self.state.global_step + 1, Path(str(self.args.output_dir))
        output_dir.mkdir(parents=True, exist_ok=True)
        found = {"what": what, "value": str(value), "phase": phase, "step": step}
        path, said = output_dir / NON_FINITE_FILE, {}
        if self.args.world_size > 1 and what != "loss" and path.is_file():
            said = json.loads(path.read_text(encoding="utf-8"))
        # where the loss of another process made the norm so, that one names the rows
        if (said.get("what"), said.get("step")) != ("loss", step):
            write_json(path, {**found, "rows": rows})
        where = f"rows {rows}" if rows else "unknown rows"
        half = ", or pass --no-fp16 and another --output-dir" * (precision(self.args) == "fp16")
        saved = checkpoints(output_dir)
        kept = f" {saved[0].name} in {output_dir} is whole." if saved else ""
        raise NonFiniteLossError(
            f"{what}={value} in {phase} at step {step}, {where} of the {phase} set (counted from "
            f"0; also in {NON_FINITE_FILE}). Look at these rows; lower --learning-rate"
            f"{half}.{kept}"
        )

    # --- the finished model, and the hub: without pickles, and without rows of the data -----------

    def write_model(self, directory: str | Path) -> None:
        """Write model and tokenizer without pickles, and push nothing; all processes call this."""
        self.save_model(str(directory), _internal_call=True)
        if self.args.process_index == 0:
            (Path(directory) / TRAINING_ARGS_NAME).unlink(missing_ok=True)

    def push_to_hub(self, *args, save: bool = True, **options):
        """As ``Trainer.push_to_hub``; ``frtune.training.hub.push`` says what is left out.

        ``save`` saves the model into ``args.output_dir`` first.
        """
        if save:
            place, main = Path(str(self.args.output_dir)), self.args.process_index == 0
            with staged(place) if main else contextlib.nullcontext(place) as draft:
                self.write_model(draft)
            self.accelerator.wait_for_everyone()
        return push(self, *args, **options)

    def _push_from_checkpoint(self, checkpoint_folder):
        if self.draft_dir is None:  # a draft is about to be renamed
            push_checkpoint(self, checkpoint_folder)
