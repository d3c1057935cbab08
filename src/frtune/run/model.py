"""The model of a run: the checkpoint to start from, the adapter, the weights."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from peft import LoraConfig
from transformers import set_seed

from frtune.errors import InputError
from frtune.models.adapter_base import base_of, is_adapter, read_adapter_config
from frtune.models.bitsandbytes import base_quantization
from frtune.models.build import build_model
from frtune.models.checkpoint_files import read_config
from frtune.models.continued_adapter import further, merge_saved
from frtune.models.families import family_for, family_named
from frtune.models.lora import lora_config
from frtune.models.tiny import tiny_checkpoint
from frtune.models.weights import Built
from frtune.run.data import RunData
from frtune.run.settings import RunSettings, is_tiny
from frtune.tasks.base import Task
from frtune.training.saving import MERGED_BASE, TINY


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
        if settings.checkpoint:
            return settings.checkpoint
        named = settings.family and family_named(settings.family).default_checkpoint
        if named:
            return named
        raise InputError("--checkpoint: missing. Give a hub name, a directory, or 'tiny'.")
    directory = Path(output_dir or args.output_dir) / TINY
    family = settings.family or data.task.tiny_family
    # one process of all hosts: they share the output directory
    with args.main_process_first(local=False, desc="making a tiny checkpoint"):
        if not directory.exists():
            texts = data.task.corpus(data.splits["train"])
            tiny_checkpoint(family, texts, directory, seed=args.seed)
    return str(directory)


def with_lora(settings: RunSettings, task: Task, checkpoint: str) -> RunSettings:
    """Settle whether an adapter is trained, and how: by default of a decoder that classifies.

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
        kind = family_for(read_config(base_of(checkpoint)).model_type).kind
        lora = saved is not None or (kind == "decoder" and not task.generates)
    if settings.merge and not lora:
        raise InputError("--merge: needs an adapter to merge. Pass --lora too.")
    return dataclasses.replace(with_sizes(settings, saved or lora_config()), lora=lora)


def with_sizes(settings: RunSettings, usual: LoraConfig) -> RunSettings:
    """The settings with rank, scale and dropout of ``usual`` where none are given."""
    kept = {"lora_r": usual.r, "lora_alpha": usual.lora_alpha, "lora_dropout": usual.lora_dropout}
    unset = {name: value for name, value in kept.items() if getattr(settings, name) is None}
    return dataclasses.replace(settings, **unset)


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
        settings = dataclasses.replace(
            settings, int8=quantized.load_in_8bit, nf4=quantized.load_in_4bit
        )
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
