"""The model of a run: the checkpoint to start from, the adapter, the weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from peft import LoraConfig
from transformers import set_seed

from frtune.errors import InputError
from frtune.models.adapter_base import base_of, is_adapter
from frtune.models.bitsandbytes import base_quantization
from frtune.models.build import build_model, check_options
from frtune.models.checkpoint_files import check_family, check_task, read_config
from frtune.models.continued_adapter import further, merge_saved
from frtune.models.families import family_for, family_named
from frtune.models.family import Family
from frtune.models.lora import lora_config
from frtune.models.saved_adapter import read_adapter_config
from frtune.models.tiny import tiny_checkpoint, tiny_config
from frtune.models.weights import Built
from frtune.run.data import RunData
from frtune.run.settings import RunSettings, is_tiny
from frtune.tasks.base import Task
from frtune.training.saving import MERGED_BASE, TINY
from frtune.training.training_checks import check_fit


def starting_checkpoint(
    data: RunData, settings: RunSettings, args: Any, *, output_dir: str | Path | None = None
) -> str:
    """The checkpoint to start from: a directory or a hub name.

    Args:
        data: As ``read_data`` returns it.
        settings: Names checkpoint or family.
        args: ``TrainingArguments``.
        output_dir: Where ``tiny`` is made from the training texts (default: ``args.output_dir``).

    Raises:
        InputError: If neither checkpoint nor family is named.
    """
    if not is_tiny(settings):
        return _named_checkpoint(settings)
    directory = Path(output_dir or args.output_dir) / TINY
    family = settings.family or data.task.tiny_family
    # one process of all hosts: they share the output directory
    with args.main_process_first(local=False, desc="making a tiny checkpoint"):
        if not directory.exists():
            texts = data.task.corpus(data.splits["train"])
            tiny_checkpoint(family, texts, directory, seed=args.seed)
    return str(directory)


def _named_checkpoint(settings: RunSettings) -> str:
    named = settings.family and family_named(settings.family).default_checkpoint
    if found := settings.checkpoint or named:
        return found
    raise InputError("--checkpoint: missing. Give a hub name, a directory, or 'tiny'.")


def check_model(task: Task, settings: RunSettings, args: Any) -> None:
    """Refuse (``InputError``) what does not fit the model, by its config, before data is read.

    What ``check_training`` and ``build_model`` refuse once the task is fitted is left to them.
    """
    if is_tiny(settings):
        family = family_named(settings.family or task.tiny_family)
        config, lora = tiny_config(family), settings.lora
        if settings.merge_first:
            raise InputError("--merge-first: tiny holds no adapter. Leave it out.")
    else:
        checkpoint = _named_checkpoint(settings)
        if is_adapter(checkpoint):
            return
        wanted = family_named(settings.family) if settings.family else None
        config = read_config(checkpoint)
        family, lora = check_family(checkpoint, config.model_type, wanted), settings.lora
        with_lora(settings, task, checkpoint)
    check_task(task, family)
    if lora is None:
        lora = _usual_lora(task, family)
    _check_lora(settings, lora=lora)
    check_options(
        family, task, adapter(replace(settings, lora=lora)), settings.quantization,
        bool(args.gradient_checkpointing), None,
    )  # fmt: skip
    check_fit(task, SimpleNamespace(config=config), args, packing=settings.packing)
    mixup, blocks = settings.mixing(), getattr(config, "num_hidden_layers", None)
    if mixup is not None and blocks and (mixup.layer or 0) > blocks:
        raise InputError(f"--mixup-layer {mixup.layer}: this model has blocks 1 to {blocks}.")


def _usual_lora(task: Task, family: Family) -> bool:
    return family.kind == "decoder" and not task.generates


def _check_lora(settings: RunSettings, *, lora: bool) -> None:
    """Refuse settings of an adapter where none is trained."""
    if lora:
        return
    if settings.merge:
        raise InputError("--merge: needs an adapter to merge. Pass --lora too.")
    usual = with_sizes(RunSettings(), lora_config())  # config.yaml of any run has these
    for name in ("lora_r", "lora_alpha", "lora_dropout"):
        if getattr(settings, name) not in (None, getattr(usual, name)):
            raise InputError(
                f"--{name.replace('_', '-')} {getattr(settings, name)}: no adapter is trained. "
                "Pass --lora too, or leave it out."
            )


def has_new_adapter(task: Task, settings: RunSettings) -> bool:
    """Whether a run trains an adapter that is no saved one, so that its rank is free."""
    if is_tiny(settings):
        family = family_named(settings.family or task.tiny_family)
        return _usual_lora(task, family) if settings.lora is None else settings.lora
    checkpoint = _named_checkpoint(settings)
    if is_adapter(checkpoint) and not settings.merge_first:
        return False
    return bool(with_lora(settings, task, checkpoint).lora)


def with_lora(settings: RunSettings, task: Task, checkpoint: str) -> RunSettings:
    """Decide whether an adapter is trained; by default for a decoder that classifies.

    An adapter that is trained further keeps its settings and the bits of its base.

    Args:
        settings: Of the run.
        task: What to learn.
        checkpoint: As ``starting_checkpoint`` returns it.

    Raises:
        InputError: If an adapter is to be merged and there is none, or it is another task's.
    """
    saved = None
    if settings.merge_first:
        if not is_adapter(checkpoint):
            raise InputError(f"--merge-first: {checkpoint} holds no adapter. Leave it out.")
    elif is_adapter(checkpoint):
        settings, saved = _further(settings, task, checkpoint)
    lora = settings.lora
    if lora is None:
        family = family_for(read_config(base_of(checkpoint)).model_type)
        lora = saved is not None or _usual_lora(task, family)
    _check_lora(settings, lora=lora)
    return replace(with_sizes(settings, saved or lora_config()), lora=lora)


def with_sizes(settings: RunSettings, usual: LoraConfig) -> RunSettings:
    """The settings with rank, scale and dropout of ``usual`` where none are given."""
    kept = {"lora_r": usual.r, "lora_alpha": usual.lora_alpha, "lora_dropout": usual.lora_dropout}
    unset = {name: value for name, value in kept.items() if getattr(settings, name) is None}
    return replace(settings, **unset)


def _further(settings: RunSettings, task: Task, checkpoint: str) -> tuple[RunSettings, LoraConfig]:
    """The settings with the bits of the saved adapter's base, and the adapter's own."""
    if settings.lora is False:
        raise InputError(
            f"--no-lora: {checkpoint} holds an adapter, which is trained further. Leave --no-lora "
            "out, or pass --merge-first too: all weights of the merged model are trained."
        )
    own = read_adapter_config(Path(checkpoint))
    asked = {"r": settings.lora_r or own.r, "alpha": settings.lora_alpha or own.lora_alpha}
    saved = further(checkpoint, task, lora_config(**asked, dropout=own.lora_dropout))
    quantized = base_quantization(checkpoint)
    if quantized is not None and settings.quantization is None:
        settings = replace(settings, int8=quantized.load_in_8bit, nf4=quantized.load_in_4bit)
    return settings, saved


def adapter(settings: RunSettings) -> LoraConfig | None:
    """The adapter that is trained; ``None`` for all weights."""
    if not settings.lora:
        return None
    return lora_config(r=settings.lora_r, alpha=settings.lora_alpha, dropout=settings.lora_dropout)


def build(task: Task, settings: RunSettings, args: Any, checkpoint: str) -> Built:
    """Build the model and the tokenizer of a run; the seed says what a new head holds.

    ``task`` is fitted, and ``settings.lora`` is settled. Refused is what ``build_model`` refuses.
    With ``merge_first`` the merged model is written into ``args.output_dir`` first.
    """
    if settings.merge_first:
        directory = Path(args.output_dir) / MERGED_BASE
        with args.main_process_first(local=False, desc="merging the adapter"):
            if not directory.exists():
                merge_saved(checkpoint, directory)
        checkpoint = str(directory)
    set_seed(args.seed)  # a new head is drawn before the Trainer seeds
    return build_model(
        task,
        checkpoint=checkpoint,
        family=settings.family,
        lora=adapter(settings),
        quantization=settings.quantization,
        gradient_checkpointing=bool(args.gradient_checkpointing),  # refused before any weight
        proof=settings.proof,
    )
