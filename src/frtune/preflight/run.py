"""``preflight``: every stage of a run, before it."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from datasets import DatasetDict

from frtune.errors import InputError
from frtune.models.build import check_options
from frtune.models.compatibility import method_name
from frtune.models.deepspeed import zero3_suspended
from frtune.models.lora import lora_config
from frtune.models.tokenizer import add_tokens, load_tokenizer
from frtune.models.tokenizer_verification import prove_texts, prove_tokenizer
from frtune.planning.parameters import architecture, count, empty_model
from frtune.preflight.miniature import write_miniature
from frtune.preflight.miniature_run import (
    EVAL_ROWS,
    Plot,
    few_steps,
    rehearse,
    small_arguments,
    small_settings,
)
from frtune.preflight.resources import check_disk, memory_forecast
from frtune.preflight.resume_check import check_resumable
from frtune.preflight.rows import SAMPLED, cut_report, few_rows, leakage, missing_classes, sample_of
from frtune.preflight.schedule import check_deepspeed_steps, forecasts, schedule
from frtune.preflight.stages import Log, Stage, warnings_to
from frtune.preflight.weights import check_loadable
from frtune.run import run
from frtune.run.settings import is_tiny
from frtune.training.argument_checks import check_arguments
from frtune.training.distributed import on_main
from frtune.training.encoding import check_length, encode_dataset
from frtune.training.make_trainer import check_metric, check_precision
from frtune.training.mixup.collator import check_mixup
from frtune.training.packing import check_packing
from frtune.training.saving import check_output_dir
from frtune.training.trainer import GenerationSchedule

if TYPE_CHECKING:
    from datasets import Dataset

    from frtune.run.settings import RunSettings
    from frtune.tasks.base import Task


@dataclass
class _Flight:
    """What the stages hand on."""

    task: Task
    settings: RunSettings
    args: Any
    log: Log
    folder: Path
    splits: Any = None
    checkpoint: str = ""
    found: Any = None
    encoded: dict[str, Dataset] = dataclasses.field(default_factory=dict)
    schedule: Any = None


def preflight(
    task: Task,
    settings: RunSettings,
    args: Any,
    *,
    on_stage: Callable[[Stage], None] | None = None,
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
        flight = _Flight(task, settings, args, log, folder)
        try:
            with warnings_to(log):
                for stage in (_arguments, _data, _checkpoint, _tokens, _schedule, _resume, _room):
                    stage(flight)
            _rehearsal(flight)
        except Exception as error:
            raise log.fail(error) from error
    return log.stages


@contextlib.contextmanager
def _folder(args: Any) -> Iterator[Path]:
    """A temporary folder, the same for all processes."""
    name = on_main(args, lambda: tempfile.mkdtemp(prefix="frtune-preflight-"))
    try:
        if not Path(name).is_dir():
            raise InputError(
                f"TMPDIR: {name} is not seen on every host. Set TMPDIR to a folder that they share."
            )
        yield Path(name)
    finally:
        if args.process_index == 0:
            shutil.rmtree(name, ignore_errors=True)


def _arguments(flight: _Flight) -> None:

    flight.log.begin("arguments", "as soon as it starts")
    check_arguments(flight.args)
    if flight.args.process_index == 0:
        check_output_dir(flight.args.output_dir, resume=flight.settings.resume)


def _data(flight: _Flight) -> None:

    flight.log.begin("data", "while it reads the data")
    flight.task, flight.splits, notes = run._read(flight.task, flight.settings, flight.args)
    sizes = ", ".join(f"{name} {len(rows):,}" for name, rows in flight.splits.items())
    flight.log.say(f"{sizes} rows")
    for note in notes:
        flight.log.say(note)
    flight.log.warn(*leakage(flight.splits, flight.task))
    flight.log.warn(*missing_classes(flight.splits, flight.task))


def _checkpoint(flight: _Flight) -> None:

    task, settings, args = flight.task, flight.settings, flight.args
    flight.log.begin("checkpoint", "when it loads the model, with the data read")
    elsewhere = dataclasses.replace(args, output_dir=str(flight.folder))
    flight.checkpoint = run._checkpoint(task, settings, elsewhere, flight.splits)
    flight.settings = settings = run.with_lora(settings, task, flight.checkpoint)
    found = flight.found = architecture(flight.checkpoint, task, family=settings.family)
    check_options(
        found.family, task, run._lora(settings), settings.quantization,
        bool(args.gradient_checkpointing), None,
    )  # fmt: skip
    model: Any = SimpleNamespace(config=found.config)
    check_precision(model, args)
    check_length(task, model)
    generation = GenerationSchedule(settings.generate_every_epochs, settings.generate_max_rows)
    check_metric(task, args, generation)
    if settings.mixup:
        with zero3_suspended():
            check_mixup(settings.mixing(), task, empty_model(found), args)
    if settings.packing:
        check_packing(task, model, args)
    with zero3_suspended():
        flight.log.say(f"{found.family.name}; {check_loadable(flight.checkpoint, found)}")


def _tokens(flight: _Flight) -> None:

    task, found, log = flight.task, flight.found, flight.log
    log.begin("tokens", "while it tokenises the rows")
    tokenizer = load_tokenizer(flight.checkpoint, found.family, found.config)
    kind = found.family.kind
    if flight.settings.proof:
        prove_tokenizer(tokenizer, checkpoint=flight.checkpoint, kind=kind)
    rows = found.config.get_text_config().vocab_size
    if len(tokenizer) > rows:
        log.warn(
            f"the tokenizer has {len(tokenizer)} tokens and the checkpoint {rows} embeddings: the "
            f"last {len(tokenizer) - rows} start at random. Is it this model's tokenizer?"
        )
    if tokenizer.pad_token_id is not None and tokenizer.pad_token_id == tokenizer.eos_token_id:
        if kind == "encoder-decoder":
            log.warn(f"padding and end are one token ({tokenizer.eos_token!r})")
    add_tokens(tokenizer, found.family, task.new_tokens(kind))
    prove_texts(tokenizer, task.corpus(flight.splits["train"]))
    with flight.args.main_process_first(desc="tokenising"):
        for name, dataset in flight.splits.items():
            encoded = encode_dataset(sample_of(dataset), task, tokenizer, kind=kind)
            flight.encoded[name] = encoded
            note, warning = cut_report(encoded, task, name)
            log.say(note) if note else None
            log.warn(warning) if warning else None
            if len(dataset) > SAMPLED:
                log.say(f"{name}: tokens of {SAMPLED:,} rows counted, spread over all")


def _schedule(flight: _Flight) -> None:

    settings, args = flight.settings, flight.args
    flight.log.begin("schedule", "when the training starts, with all rows tokenised")
    share = len(flight.encoded["train"]) / len(flight.encoded["train"].unique("row"))
    rows = round(len(flight.splits["train"]) * share) + (settings.mixup_rows or 0)
    found = flight.schedule = schedule(args, rows)
    check_deepspeed_steps(args, found)
    evaluates, saves = found.evaluates_every(args), found.saves_every(args)
    flight.log.say(
        f"{found.steps:,} steps of {found.rows_per_step} rows, {found.epochs:.1f} epochs; "
        f"evaluates {f'every {evaluates}' if evaluates else 'never'}, "
        f"saves {f'every {saves}' if saves else 'never'}"
    )
    flight.log.warn(*forecasts(args, settings, found, lora=bool(settings.lora)))


def _resume(flight: _Flight) -> None:

    if not flight.settings.resume:
        return
    flight.log.begin("resume", "before its first step, with the model loaded")
    if flight.args.process_index > 0:
        return
    whole = all(len(flight.splits[name]) <= SAMPLED for name in ("train", "validation"))
    note = check_resumable(
        flight.args,
        flight.settings,
        flight.task,
        checkpoint=flight.checkpoint,
        config=flight.found.config,
        encoded=flight.encoded if whole else None,
    )
    flight.log.say(note)


def _room(flight: _Flight) -> None:

    task, settings, args, log = flight.task, flight.settings, flight.args, flight.log
    saves = flight.schedule.saves_every(args)
    log.begin("disk", f"at a checkpoint, from step {saves} on" if saves else "at its end")
    method = method_name(lora=bool(settings.lora), quantization=settings.quantization)
    lora = run._lora(settings) or lora_config()
    with zero3_suspended():
        parameters = count(flight.found, lora)
    log.say(check_disk(args, flight.schedule, parameters, method, merge=settings.merge))
    log.begin("memory", "at its longest batch")
    with zero3_suspended():
        note, warning = memory_forecast(
            flight.found, task, args, method=method, lora=lora, checkpoint=flight.checkpoint
        )
    log.say(note)
    log.warn(warning) if warning else None


def _rehearsal(flight: _Flight) -> None:

    args, folder = flight.args, flight.folder
    flight.log.begin("miniature", "never: it is made for the preflight alone")
    small, rows = on_main(args, lambda: _make_miniature(flight))
    flight.log.say(f"2 narrow layers, {rows} training rows")
    settings = small_settings(
        flight.settings,
        data=folder / "rows",
        checkpoint=Path(small),
        lora=bool(flight.settings.lora),
    )
    small_args = small_arguments(
        args, folder / "run", rows, by_tokens=bool(settings.max_tokens_per_batch)
    )
    plot = Plot.of(args, flight.schedule)
    rehearse(flight.task, settings, small_args, flight.log, plot=plot)


def _make_miniature(flight: _Flight) -> tuple[str, int]:
    """Write the small checkpoint and the few rows; return the one's directory, the other's size."""
    found, small = flight.found, flight.checkpoint
    if not is_tiny(flight.settings):
        small = str(flight.folder / "miniature")
        write_miniature(flight.checkpoint, found.config, found.family, Path(small), tied=found.tied)
    counts = {"train": few_steps(flight.args), "validation": EVAL_ROWS, "test": EVAL_ROWS}
    few = DatasetDict()
    for name, wanted in counts.items():
        few[name] = few_rows(flight.splits[name], flight.encoded[name], wanted, flight.task)
    few.save_to_disk(str(flight.folder / "rows"))
    return small, len(few["train"])
