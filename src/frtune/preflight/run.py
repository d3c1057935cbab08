"""``preflight``: every stage of a run, before it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict

from frtune.errors import InputError
from frtune.files import draft_folder
from frtune.models.adapter_base import base_of, is_adapter
from frtune.models.build import check_options
from frtune.models.compatibility import method_name
from frtune.models.deepspeed import zero3_suspended
from frtune.models.lora import lora_config
from frtune.models.tokenizer import add_tokens, load_tokenizer
from frtune.models.tokenizer_verification import prove_texts, prove_tokenizer
from frtune.planning.parameters import Architecture, architecture, count, empty_model
from frtune.preflight import miniature_run
from frtune.preflight.miniature import write_miniature
from frtune.preflight.resources import disk_forecast, memory_forecast
from frtune.preflight.resume_check import check_resumable
from frtune.preflight.rows import SAMPLED, cut_report, few_rows, leakage, missing_classes, sample_of
from frtune.preflight.schedule import Schedule, check_deepspeed_steps, forecasts, schedule
from frtune.preflight.stages import Log, Stage, warnings_to
from frtune.preflight.weights import check_loadable
from frtune.run.data import RunData, read_data
from frtune.run.model import adapter, check_model, starting_checkpoint, with_lora
from frtune.run.settings import RunSettings, check_settings, is_tiny
from frtune.tasks.base import Task
from frtune.training.distributed import on_main
from frtune.training.encoding import encode_dataset
from frtune.training.in_force import launcher_forgotten
from frtune.training.precision_choice import settle_precision
from frtune.training.saving import MERGED_BASE, check_output_dir
from frtune.training.training_checks import check_training


def preflight(
    task: Task, settings: RunSettings, args: Any, *, on_stage: Callable[[Stage], None] | None = None
) -> list[Stage]:
    """Live through a whole run in about a minute, before it.

    The data is read whole. The model is a miniature: its config with few and narrow layers, its
    tokenizer, random weights. Of the real weights the headers alone are read. Nothing is written
    to ``args.output_dir``. With several processes, all of them must call this.

    Args:
        task: What to learn.
        settings: Of the real run.
        args: ``TrainingArguments`` of the real run.
        on_stage: Called with each stage as it ends.

    Returns:
        The stages, with what looks wrong in each.

    Raises:
        PreflightError: At the first stage that fails: what, when the real run would meet it, and
            what to do.
    """
    log = Log(on_stage)
    with _folder(args) as folder:
        try:
            stages = _Stages(task, settings, args, log=log, folder=folder)
            with warnings_to(log):
                stages.arguments()
                stages.data()
                stages.checkpoint()
                stages.tokens()
                stages.schedule()
                stages.resume()
                stages.resources()
            stages.miniature()
        except Exception as error:
            raise log.fail(error) from error
    return log.stages


@contextlib.contextmanager
def _folder(args: Any) -> Iterator[Path]:
    """A temporary folder, the same for all processes."""
    with contextlib.ExitStack() as stack:
        name = on_main(args, lambda: str(stack.enter_context(draft_folder())))
        if not Path(name).is_dir():
            raise InputError(
                f"TMPDIR: {name} is not seen on every host. Set TMPDIR to a folder that they share."
            )
        yield Path(name)


class _Stages:
    """The stages of a preflight; each leaves what the next ones need."""

    found: RunData
    checkpoint_name: str
    architecture: Architecture
    encoded: dict[str, Dataset]
    steps: Schedule

    def __init__(self, task: Task, settings: RunSettings, args: Any, *, log: Log, folder: Path):
        self.task, self.settings, self.args = task, settings, args
        self.log, self.folder = log, folder

    def arguments(self) -> None:
        self.log.begin("arguments", "as soon as it starts")
        check_settings(self.settings, self.args, self.task)
        check_model(self.task, self.settings, self.args)
        if self.args.process_index == 0:
            check_output_dir(self.args.output_dir, resume=self.settings.resume)

    def data(self) -> None:
        log = self.log
        log.begin("data", "while it reads the data")
        self.found = read_data(self.task, self.settings, self.args)
        self.task, splits = self.found.task, self.found.splits
        sizes = ", ".join(f"{name} {len(rows):,}" for name, rows in splits.items())
        log.say(f"{sizes} rows", *self.found.notes)
        log.warn(*leakage(splits, self.task), *missing_classes(splits, self.task))

    def checkpoint(self) -> None:
        task, args, log = self.task, self.args, self.log
        log.begin("checkpoint", "when it loads the model, with the data read")
        checkpoint = starting_checkpoint(self.found, self.settings, args, output_dir=self.folder)
        self.checkpoint_name = checkpoint
        self.settings = settings = with_lora(self.settings, task, checkpoint)
        found = self.architecture = architecture(checkpoint, task, family=settings.family)
        check_options(
            found.family, task, adapter(settings), settings.quantization,
            bool(args.gradient_checkpointing), None,
        )  # fmt: skip
        # the model here is whole and empty, on one process: ZeRO-3 would split what has no data
        with zero3_suspended():
            check_training(task, empty_model(found), args, **settings.trainer_options)
            log.say(f"{found.family.name}; {check_loadable(checkpoint, found)}")

    def tokens(self) -> None:
        task, found, log = self.task, self.architecture, self.log
        log.begin("tokens", "while it tokenises the rows")
        tokenizer = load_tokenizer(self.checkpoint_name, found.family, found.config)
        kind = found.family.kind
        if self.settings.proof:
            prove_tokenizer(tokenizer, checkpoint=self.checkpoint_name, kind=kind)
        rows = found.config.get_text_config().vocab_size
        if len(tokenizer) > rows and not is_adapter(self.checkpoint_name):
            log.warn(
                f"the tokenizer has {len(tokenizer)} tokens and the checkpoint {rows} embeddings: "
                f"the last {len(tokenizer) - rows} start at random. Is it this model's tokenizer?"
            )
        if tokenizer.pad_token_id is not None and tokenizer.pad_token_id == tokenizer.eos_token_id:
            if kind == "encoder-decoder":
                log.warn(f"padding and end are one token ({tokenizer.eos_token!r})")
        self.task = task = task.settled(tokenizer, kind)
        task.fit_tokenizer(tokenizer, kind)
        add_tokens(tokenizer, found.family, task.new_tokens(kind), own_padding=task.own_padding)
        prove_texts(tokenizer, task.corpus(self.found.splits["train"]))
        self.encoded = {}
        with self.args.main_process_first(desc="tokenising"):
            for name, dataset in self.found.splits.items():
                encoded = encode_dataset(sample_of(dataset), task, tokenizer, kind=kind)
                self.encoded[name] = encoded
                note, warning = cut_report(encoded, task, name)
                log.say(note)
                log.warn(warning)
                if len(dataset) > SAMPLED:
                    log.say(f"{name}: tokens of {SAMPLED:,} rows counted, spread over all")

    def schedule(self) -> None:
        settings, args, log = self.settings, self.args, self.log
        log.begin("schedule", "when the training starts, with all rows tokenised")
        sample = self.encoded["train"]
        share = len(sample) / len(sample.unique("row"))
        rows = round(len(self.found.splits["train"]) * share) + (settings.mixup_rows or 0)
        steps = self.steps = schedule(args, rows)
        check_deepspeed_steps(args, steps)
        evaluates, saves = steps.evaluates_every(args), steps.saves_every(args)
        log.say(
            f"{steps.steps:,} steps of {steps.rows_per_step} rows, {steps.epochs:.1f} epochs; "
            f"evaluates {f'every {evaluates}' if evaluates else 'never'}, "
            f"saves {f'every {saves}' if saves else 'never'}"
        )
        log.warn(*forecasts(args, settings, steps, lora=bool(settings.lora)))

    def resume(self) -> None:
        if not self.settings.resume:
            return
        self.log.begin("resume", "before its first step, with the model loaded")
        if self.args.process_index > 0:
            return
        splits = self.found.splits
        whole = all(len(splits[name]) <= SAMPLED for name in ("train", "validation"))
        encoded, config = self.encoded if whole else None, self.architecture.config
        name = MERGED_BASE if self.settings.merge_first else base_of(self.checkpoint_name)
        start: Any = {"checkpoint": name, "config": config, "encoded": encoded}
        self.log.say(check_resumable(self.args, self.settings, self.task, **start))

    def resources(self) -> None:
        settings, args, log = self.settings, self.args, self.log
        saves = self.steps.saves_every(args)
        log.begin("disk", f"at a checkpoint, from step {saves} on" if saves else "at its end")
        method = method_name(lora=bool(settings.lora), quantization=settings.quantization)
        lora = adapter(settings) or lora_config()
        with zero3_suspended():
            parameters = count(self.architecture, lora)
        log.say(disk_forecast(args, self.steps, parameters, method, merge=settings.merge))
        log.begin("memory", "at its longest batch")
        settle_precision(args, self.architecture.family)
        with zero3_suspended():
            note, warning = memory_forecast(
                self.architecture, self.task, args,
                method=method, lora=lora, checkpoint=self.checkpoint_name,
                budget=settings.max_tokens_per_batch,
            )  # fmt: skip
        log.say(note)
        log.warn(warning)

    def miniature(self) -> None:
        args, settings, folder = self.args, self.settings, self.folder
        self.log.begin("miniature", "never: it is made for the preflight alone")
        checkpoint, rows = on_main(args, self._write_miniature)
        self.log.say(f"2 narrow layers, {rows} training rows")
        options = miniature_run.small_settings(settings, folder / "rows", checkpoint)
        when = miniature_run.failure_times(args, self.steps)
        small: Any = {"output_dir": folder / "run", "rows": rows}
        with launcher_forgotten():  # its numbers are those of the real run
            arguments = miniature_run.small_arguments(args, **small)
            miniature_run.run_miniature(self.task, options, arguments, self.log, when=when)

    def _write_miniature(self) -> tuple[str, int]:
        """Write the small checkpoint and the few rows; return its directory and their number."""
        found, small = self.architecture, self.checkpoint_name
        if not is_tiny(self.settings):
            folder = self.folder / "miniature"
            write_miniature(small, found.config, found.family, folder, tied=found.tied)
            small = str(folder)
        counts = dict.fromkeys(("train", "validation", "test"), miniature_run.EVAL_ROWS)
        counts["train"] = miniature_run.few_steps(self.args)
        splits, encoded = self.found.splits, self.encoded
        few = DatasetDict(
            {
                name: few_rows(rows, encoded[name], counts[name], self.task)
                for name, rows in splits.items()
            }
        )
        few.save_to_disk(str(self.folder / "rows"))
        return small, len(few["train"])
