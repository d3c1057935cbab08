"""Mixing inside the forward pass, by hooks that are on the model for one training batch only."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.nn import ModuleList
from transformers.modeling_layers import GradientCheckpointingLayer

from frtune.errors import InputError
from frtune.models.families import family_for, kind_of
from frtune.models.weights import head_names
from frtune.training.mixup.mixing import blended, united


@contextlib.contextmanager
def mixed(model: Any, inputs: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Prepare a model for one batch of ``MixupCollator`` or ``StoredCollator``.

    A batch without ``mixup`` goes through as it is.

    Yields:
        The inputs of the forward pass, with ``labels`` soft. Outside of the block the model has no
        hook.

    Raises:
        RuntimeError: If the forward pass did not come by the place that mixes.
    """
    inputs = dict(inputs)
    mix = inputs.pop("mixup", None)
    if "soft_labels" in inputs:
        inputs["labels"] = inputs.pop("soft_labels")
    if mix is None:
        yield inputs
        return
    passes: list[str] = []
    inner = _inner(model)
    with contextlib.ExitStack() as stack:
        install = {"embeddings": _at_embeddings, "hidden": _at_block, "sentence": _at_head}
        for handle in install[mix["level"]](inner, mix, inputs, passes.append):
            stack.callback(handle.remove)
        yield inputs
    if not passes:
        raise RuntimeError(
            f"mixup: level {mix['level']} of {type(inner).__name__} was not reached in the forward "
            "pass, so labels were mixed and rows were not. Take another level."
        )


def _inner(model: Any) -> Any:
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _at_embeddings(inner: Any, mix: dict[str, Any], inputs: dict[str, Any], done: Callable) -> list:
    """Look up the rows' own tokens, and put the mixed embeddings in their place."""
    layer = inner.get_input_embeddings()

    def mix_output(module, args, output):
        done("embeddings")
        return _blended_or_stored(output, mix)

    hooks = [layer.register_forward_hook(mix_output)]
    if "input_ids" in mix:
        own = mix["input_ids"].to(inputs["input_ids"].device)
        hooks.append(layer.register_forward_pre_hook(lambda module, args: (own,)))
    return hooks


def _at_head(inner: Any, mix: dict[str, Any], inputs: dict[str, Any], done: Callable) -> list:
    """Mix what the head reads: a vector, or the states of all tokens, of which it picks one."""

    def mix_input(module, args):
        done("sentence")
        return (_blended_or_stored(args[0], mix, place=sentence_place(inner)), *args[1:])

    return [head_of(inner).register_forward_pre_hook(mix_input)]


def _blended_or_stored(values: torch.Tensor, mix: dict[str, Any], place: int | None = None) -> Any:
    """``values`` mixed with those of partners; or with stored ones in place of some rows'."""
    if "values" not in mix:
        return blended(values, mix["share"], mix["partners"].to(values.device))
    kept = mix["values"].to(values)
    stored = mix["stored"].to(values.device)
    if place is None or values.dim() == 2:
        return torch.where(stored.view(-1, *[1] * (values.dim() - 1)), kept, values)
    filled = values.clone()
    filled[:, place] = torch.where(stored[:, None], kept, values[:, place])  # (rows, width)
    return filled


def _at_block(inner: Any, mix: dict[str, Any], inputs: dict[str, Any], done: Callable) -> list:
    """Mix the output of a block; blocks after it see the tokens of a row and of its partner."""
    share, number = mix["share"], mix["layer"]
    partners = mix["partners"].to(inputs["input_ids"].device)

    def mix_output(module, args, output):
        done("hidden")
        if isinstance(output, tuple):
            return (blended(output[0], share, partners), *output[1:])
        return blended(output, share, partners)

    def unite(module, args, kwargs):
        # a mask is (batch, 1 or heads, queries, keys)
        args = tuple(united_mask(arg) if getattr(arg, "ndim", 0) == 4 else arg for arg in args)
        if kwargs.get("attention_mask") is not None:
            kwargs = {**kwargs, "attention_mask": united_mask(kwargs["attention_mask"])}
        return args, kwargs

    def united_mask(mask):  # one that all rows share has no padding to unite
        return united(mask, share, partners) if len(mask) == len(partners) else mask

    if not family_for(inner.config.model_type).block_modules:
        return _at_flaubert_block(inner, inputs, number, (share, partners), mix_output)
    layers = blocks_of(inner)
    hooks = [layers[number - 1].register_forward_hook(mix_output)]
    for layer in list(layers)[number:]:
        hooks.append(layer.register_forward_pre_hook(unite, with_kwargs=True))
    return hooks


def _at_flaubert_block(inner: Any, inputs: dict, number: int, pair: tuple, mix_output: Any) -> list:
    """FlauBERT's blocks are no modules, and each sets padding to 0 by the mask that is passed.

    So the united mask is passed, and attention up to the block gets the rows' own.
    """
    own = inputs["attention_mask"]
    inputs["attention_mask"] = united(own, *pair)
    base = inner.transformer
    hooks = [base.layer_norm2[number - 1].register_forward_hook(mix_output)]
    for attention in list(base.attentions)[:number]:
        hooks.append(
            attention.register_forward_pre_hook(lambda module, args: (args[0], own, *args[2:]))
        )
    return hooks


def blocks_of(inner: Any) -> Any:
    """The blocks of a model: its base's first list of as many modules as it has layers."""
    count = inner.config.num_hidden_layers
    base = getattr(inner, inner.base_model_prefix)
    for module in base.modules():
        if isinstance(module, ModuleList) and len(module) == count:
            return module
    raise RuntimeError(f"{type(inner).__name__}: has no list of {count} blocks.")


def _has_blocks(inner: Any) -> bool:
    """Whether the list that ``blocks_of`` finds is of whole blocks, not of parts of each (XLM)."""
    try:
        return all(isinstance(block, GradientCheckpointingLayer) for block in blocks_of(inner))
    except RuntimeError:  # ALBERT has one block, and runs it again and again
        return False


def block_count(model: Any) -> int:
    """Number of blocks."""
    return _inner(model).config.num_hidden_layers


def check_hidden(model: Any) -> None:
    """Refuse a FlauBERT whose blocks end nowhere, or are left out at random; and types like it."""
    inner = _inner(model)
    config = inner.config
    family = family_for(config.model_type)
    if not family.has_row and not _has_blocks(inner):
        raise InputError(
            f"mixup level='hidden': {config.model_type} has no list of its blocks. Take "
            "'embeddings' or 'sentence'."
        )
    if family.block_modules:
        return
    if getattr(config, "pre_norm", False) or getattr(config, "layerdrop", 0):
        raise InputError(
            "mixup level='hidden': not for a FlauBERT with pre_norm or layerdrop. Take "
            "'embeddings' or 'sentence'."
        )


def head_of(inner: Any) -> Any:
    """The module that makes logits of a sentence's vector, or of the states of its tokens."""
    return inner.get_submodule(head_names(inner)[-1])


def sentence_place(inner: Any) -> int:
    """The token that stands for the sentence: the first of an encoder, the last of a decoder."""
    return -1 if kind_of(inner) == "decoder" else 0
