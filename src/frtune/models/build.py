"""The one road from a checkpoint to a model and tokenizer that are ready to train."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from transformers import BitsAndBytesConfig, PreTrainedModel

from frtune.errors import InputError
from frtune.models import deepspeed
from frtune.models.adapter_base import base_of, is_adapter
from frtune.models.bitsandbytes import QuantizationName, base_quantization, torch_dtype
from frtune.models.checkpoint_files import check_weights, read_for_task
from frtune.models.compatibility import check, method_name
from frtune.models.continued_adapter import further
from frtune.models.families import family_named
from frtune.models.family import Family
from frtune.models.head_scale import start_from_shares
from frtune.models.lora import add_adapter
from frtune.models.proof_record import warn_unproven
from frtune.models.saved_adapter import put_adapter, trained_rows
from frtune.models.served_config import serve
from frtune.models.tokenizer import add_tokens, load_tokenizer
from frtune.models.tokenizer_verification import prove_tokenizer
from frtune.models.type_proof import prove_type
from frtune.models.weights import (
    Built,
    as_quantization,
    fit_tokens,
    head_names,
    load_weights,
)
from frtune.tasks.base import Task


def build_model(
    task: Task,
    *,
    checkpoint: str | os.PathLike[str],
    family: str | None = None,
    lora: LoraConfig | None = None,
    quantization: QuantizationName | BitsAndBytesConfig | None = None,
    gradient_checkpointing: bool = False,
    dtype: Any = None,
    proof: bool = True,
) -> Built:
    """Build the model and tokenizer for a task from any checkpoint that fits.

    A checkpoint of a type that has no row in the table of families is taken when Transformers has
    the task's head for the type, and a tiny model of it trains, is saved and opens again.

    Args:
        task: What the model is to learn; it names the head and the new tokens.
        checkpoint: Hub name, or directory with config, weights and tokenizer. A directory with an
            adapter that frtune saved for the task is trained further, in the bits of its base.
        family: The family the checkpoint must belong to; ``None`` goes by its config.
        lora: From ``lora_config()``: train low-rank updates, the head and new tokens only. An
            adapter that is trained further keeps its own settings, but for the dropout.
        quantization: ``"int8"``, ``"nf4"`` or a ``BitsAndBytesConfig``: load the base in 8 or 4
            bits. With ``lora`` only, and not under ZeRO-3.
        gradient_checkpointing: Compute activations again in the backward pass: less memory for
            about a third more time.
        dtype: Type of the weights; ``None`` is fp32, whatever type the checkpoint has. For mixed
            precision leave it and pass ``bf16=True`` to the training arguments.
        proof: Check the tokenizer against its own file and on probe texts.

    Returns:
        A Transformers model (a PEFT model with ``lora``) in training mode, and its tokenizer.

    Raises:
        InputError: If the checkpoint does not exist, is of another kind, or is not whole; if the
            task does not fit; if options exclude each other; or if a type without a row cannot
            be proven. All but a missing weight is found before any weight is loaded.
        ImportError: If an optional package is missing.
    """
    if lora is not None and not isinstance(lora, LoraConfig):
        raise InputError(
            f"lora={type(lora).__name__}: a LoraConfig, such as lora_config() makes. For another "
            "method pass peft.get_peft_model(model, ...) of the model to task.trainer."
        )
    wanted = family_named(family) if family else None
    base, saved = base_of(checkpoint), is_adapter(checkpoint)
    config, row, auto_class = read_for_task(base, task, wanted)
    dtype = torch_dtype(dtype)
    warn_unproven(checkpoint)
    if saved:
        lora = further(checkpoint, task, lora)
        quantization = quantization or base_quantization(checkpoint)
    check_options(row, task, lora, quantization, gradient_checkpointing, dtype)
    prove_type(config, row, auto_class, lora=lora)
    check_weights(base)
    tokenizer = load_tokenizer(checkpoint, row, config)
    if proof:
        prove_tokenizer(tokenizer, checkpoint=checkpoint, kind=row.kind)
    adapted: Any
    task = task.settled(tokenizer, row.kind)
    task.fit_tokenizer(tokenizer, row.kind)
    new_ids = add_tokens(tokenizer, row, task.new_tokens(row.kind), own_padding=task.own_padding)
    model = load_weights(base, auto_class, config, dtype=dtype, quantization=quantization)
    rows = trained_rows(Path(checkpoint)) if saved else 0
    grown = fit_tokens(model, tokenizer, at_least=rows)
    if task.head_bias is not None and not saved:
        start_from_shares(model, task.head_bias)
    serve(model, task.served_settings(tokenizer, row.kind))
    if gradient_checkpointing:
        _checkpoint_activations(model, with_lora=lora is not None)
    if saved and lora is not None:
        adapted = put_adapter(model, Path(checkpoint), trainable=True, dropout=lora.lora_dropout)
        adapted.continued_from = os.fspath(checkpoint)  # the lineage goes on from there
        return adapted.train(), tokenizer
    if lora is not None:
        ids, heads = sorted({*new_ids, *grown}), head_names(model)
        adapted = add_adapter(model, lora, row, auto_class=auto_class, heads=heads, token_ids=ids)
        return adapted.train(), tokenizer
    return model.train(), tokenizer


def check_options(
    family: Family,
    task: Task,
    lora: LoraConfig | None,
    quantization: Any,
    gradient_checkpointing: bool,
    dtype: Any,
) -> None:
    """Refuse options that exclude each other, before any weight is loaded."""
    packed = as_quantization(quantization)
    nf4 = getattr(packed, "load_in_4bit", False)
    compute_dtype = getattr(packed, "bnb_4bit_compute_dtype", None) if nf4 else None
    name = packed and ("nf4" if nf4 else "int8")
    wanted = {
        "checkpointing": gradient_checkpointing,
        "new_tokens": bool(task.new_tokens(family.kind)),
        "fp16": torch.float16 in (dtype, compute_dtype),
    }
    check(
        family.name,
        method=method_name(lora=lora is not None, quantization=name),
        sharding="zero3" if deepspeed.zero3_enabled() else "none",
        features=[name for name, is_wanted in wanted.items() if is_wanted],
        task=task.name,
        quantization=quantization,
    )


def _checkpoint_activations(model: PreTrainedModel, *, with_lora: bool) -> None:
    enable = getattr(model, "activation_checkpointing_enable", None)
    enable = enable or model.gradient_checkpointing_enable  # its name before Transformers 5.20
    enable({"use_reentrant": False})
    if with_lora:
        model.enable_input_require_grads()
