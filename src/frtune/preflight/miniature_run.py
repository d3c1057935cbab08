"""The run itself, on a miniature and a few rows: train, kill, resume, save, test, predict."""

from __future__ import annotations

import contextlib
import copy
import gc
import io
import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from frtune.data.sources import read_splits
from frtune.errors import InputError
from frtune.inference import load
from frtune.models.deepspeed import zero3_suspended
from frtune.preflight.miniature import LAYERS
from frtune.preflight.schedule import Schedule
from frtune.preflight.stages import Log, warnings_dropped
from frtune.run.run import run
from frtune.tasks.base import Task
from frtune.training.argument_effects import OF_HUB, OF_TRACKERS
from frtune.training.in_force import deepspeed_config, precision
from frtune.training.precision_choice import mark, marked

BATCH, EVAL_ROWS = 2, 8
_LEFT_OUT = (*OF_TRACKERS, *OF_HUB)  # no tracker and no hub hears of the miniature
_TOLERANCE = 1e-2  # of the loss after resuming: mixed precision on a GPU is not exact

KILL = "kill and resume"


def failure_times(args: Any, found: Schedule) -> dict[str, str]:
    """The stages of a miniature run: at what point the real run would meet the failure of each."""
    total = f"of {found.steps}"
    evaluates, saves = found.evaluates_every(args), found.saves_every(args)
    first = f"at the first evaluation, step {min(evaluates or 0, found.steps)} {total}"
    saved = f"at the first checkpoint, step {min(saves or 0, found.steps)} {total}"
    last = f"after the last of {found.steps} steps"
    return {
        "model": "once the model is loaded and the rows are tokenised",
        "optimizer step": f"at step 1 {total}, with all rows tokenised",
        **({"evaluation": first} if evaluates else {}),
        **({"checkpoint": saved, KILL: "when it is resumed"} if saves else {}),
        "best checkpoint": f"{last}, where it is loaded",
        "save and reload": f"{last}, when the model is saved",
        "test": f"{last}, when the test rows are scored",
        "report": f"{last}, when scores and predictions are written",
        "predict": "when the saved model is used",
    }


class Killed(BaseException):
    """Ends a run where a kill would; no ``Exception``, so that nothing tidies up."""


class _StageCallback(TrainerCallback):
    """Begins a stage when the one before has ended; kills the run where it is told to."""

    def __init__(self, log: Log, when: dict[str, str], *, kill: bool):
        self.log, self.when, self.kill = log, when, kill
        self.loss: dict[int, float] = {}
        self.saved = self.over = False

    def _done(self, name: str) -> None:
        """Begin the stage after ``name``, if ``name`` is the one that has begun."""
        if self.log.name == name:
            self.log.begin(*list(self.when.items())[list(self.when).index(name) + 1])

    def on_train_begin(self, args, state, control, **kwargs):
        self._done("model")

    def on_step_end(self, args, state, control, **kwargs):
        self._done("optimizer step")

    def on_evaluate(self, args, state, control, **kwargs):
        self._done("evaluation")

    def on_save(self, args, state, control, **kwargs):
        self.saved = True
        self._done("checkpoint")

    def on_log(self, args, state, control, logs=None, **kwargs):
        if logs is None or "loss" not in logs:
            return
        self.loss[state.global_step] = logs["loss"]
        if self.kill and self.saved:
            raise Killed

    def on_train_end(self, args, state, control, **kwargs):
        self.over = True
        if self.log.name == KILL and self.kill:
            self.log.warn("not tried: these rows make one step")
        self._done(KILL)
        self._done("checkpoint")
        self._done("best checkpoint")

    def on_prediction_step(self, args, state, control, **kwargs):
        if self.over:
            self._done("save and reload")

    def on_predict(self, args, state, control, **kwargs):
        self._done("test")


def run_miniature(task: Task, settings: Any, args: Any, log: Log, *, when: dict[str, str]) -> None:
    """Live through a run with the miniature and the rows that ``settings`` name.

    ``task`` is fitted to all rows, and ``when`` as ``failure_times`` returns it. Nothing is written
    beside ``args.output_dir``.
    """
    log.begin("model", when["model"])
    with warnings_dropped(), contextlib.redirect_stdout(io.StringIO()):  # Trainer prints its log
        scores = _train(task, settings, args, log, when)
        if log.name != "report":
            log.begin("report", when["report"])
        tested = [name for name in scores if name.startswith("test_") and "baseline" not in name]
        log.say(f"{len(scores)} scores, {len(tested)} of them of the test rows")
        log.begin("predict", when["predict"])
        splits, _ = read_splits(settings.data)
        row = {name: [*splits.values()][-1][0][name] for name in task.columns}
        with zero3_suspended():  # generation shares its rows among all processes
            answers = load(args.output_dir).predict([row])
        answer = {k: v for k, v in answers[0].items() if not k.startswith("text")}
        log.say(f"answers {json.dumps(answer, ensure_ascii=False)[:60]}")
    log.end()


def _train(task: Task, settings: Any, args: Any, log: Log, when: dict[str, str]) -> dict[str, Any]:
    """Run; where checkpoints are saved, kill the run after the first one and resume it."""
    killed = _StageCallback(log, when, kill=KILL in when)
    with contextlib.suppress(Killed):
        return run(task, settings, args, callbacks=[killed])
    gc.collect()  # the killed run's model
    if log.name != KILL:
        log.begin(KILL, when[KILL])
    resumed = _StageCallback(log, when, kill=False)
    args = replace(args)  # Accelerate takes DeepSpeed's settings once
    settings = replace(settings, resume=True)
    scores = run(task, settings, args, callbacks=[resumed])
    _compare(killed.loss, resumed.loss)
    return scores


def _compare(before: dict[int, float], after: dict[int, float]) -> None:
    """The step that both took must have one loss: the rows and weights are the same."""
    step = max(before.keys() & after.keys(), default=None)
    if step is None:
        raise InputError(
            f"the resumed run logged steps {sorted(after)}, not the step {max(before)} at which "
            "it was killed. Report the arguments."
        )
    lost = abs(after[step] - before[step]) / max(1e-6, abs(before[step]))
    if lost > _TOLERANCE:
        raise InputError(
            f"step {step} has loss {before[step]:.6g} at first and {after[step]:.6g} after "
            "resuming: other rows or other weights. Train without interruption, and report it."
        )


# --- the miniature run's data, settings and arguments --------------------------------------------


def few_steps(args: Any) -> int:
    """Rows of the two optimizer steps that the miniature run takes."""
    return 2 * _batch(args) * _accumulated(args) * args.world_size * max(1, args.n_gpu)


def _batch(args: Any) -> int:
    return min(BATCH, args.per_device_train_batch_size)


def _accumulated(args: Any) -> int:
    return min(2, args.gradient_accumulation_steps)


def small_settings(settings: Any, data: Path, checkpoint: str) -> Any:
    """``RunSettings`` of the miniature run."""
    return replace(
        settings,
        data=str(data),
        checkpoint=checkpoint,
        **dict.fromkeys(("encoding", "text_columns", "max_train_rows", "max_eval_rows")),
        max_test_rows=0 if settings.max_test_rows == 0 else None,
        lora=bool(settings.lora),
        merge_first=False,  # the miniature is of the merged model
        mixup_layer=settings.mixup_layer and min(settings.mixup_layer, LAYERS),
        mixup_rows=settings.mixup_rows and min(settings.mixup_rows, 4),
        resume=False,
    )


def small_arguments(args: Any, output_dir: Path, rows: int) -> Any:
    """Training arguments of the miniature run: two steps, and an event of each kind after each.

    ``args`` are the real run's, and ``rows`` the miniature's training rows.
    """
    by_epoch = "epoch" in (args.eval_strategy.value, args.save_strategy.value)
    one_step = few_steps(args) // 2
    epochs = 2 if by_epoch or rows <= one_step else 1
    small = replace(
        args,
        output_dir=str(output_dir),
        num_train_epochs=epochs,
        max_steps=-1 if epochs == 2 else 2,
        per_device_train_batch_size=_batch(args),
        per_device_eval_batch_size=min(4, args.per_device_eval_batch_size),
        gradient_accumulation_steps=_accumulated(args),
        eval_steps=1 if args.eval_strategy.value == "steps" else None,
        eval_delay=0,
        save_steps=1 if args.save_strategy.value == "steps" else args.save_steps,
        logging_strategy="steps",
        logging_steps=1,
        disable_tqdm=True,
        report_to="none",
        torch_compile=False,
        torch_compile_backend=None,  # would turn it on
        torch_compile_mode=None,
        push_to_hub=False,
        **{each.name: each.default for each in fields(args) if each.name in _LEFT_OUT},
        deepspeed=_open_ends(args),
        **{name: precision(args) == name for name in ("bf16", "fp16")},
    )
    return mark(small, marked(args))


def _open_ends(args: Any) -> Any:
    """The DeepSpeed configuration with "auto" for the numbers that follow from rows and steps."""
    launched = deepspeed_config(args)
    deepspeed = args.deepspeed or (launched and launched.config)
    if not deepspeed:
        return None
    config = copy.deepcopy(deepspeed)
    if not isinstance(config, dict):
        config = json.loads(Path(deepspeed).read_text(encoding="utf-8"))
    batches = ("train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps")
    scheduler = config.get("scheduler", {}).get("params", {})
    for part, names in ((config, batches), (scheduler, ("total_num_steps", "warmup_num_steps"))):
        part.update({name: "auto" for name in names if name in part})
    return config
