"""LoRA: which layers it adapts, how new tokens and heads are trained beside it, and the merge."""

from __future__ import annotations

import contextlib
import copy
import functools
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from peft import (
    LoraConfig,
    PeftModel,
    get_peft_model,
    get_peft_model_state_dict,
    set_peft_model_state_dict,
)
from peft.tuners.trainable_tokens import TrainableTokensLayer
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import constants
from peft.utils.integrations import gather_params_ctx
from peft.utils.other import ModulesToSaveWrapper
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from frtune.environment.device_copies import on_device
from frtune.errors import InputError, first_line
from frtune.models.bitsandbytes import torch_dtype
from frtune.models.checkpoint_files import read_config
from frtune.models.family import Family
from frtune.models.probe import made_up_batch, probe_logits
from frtune.models.weights import kept_names, load_weights, untied_output

PEFT_TARGETS = constants.TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING
_TASK_TYPES = {
    "AutoModelForSequenceClassification": "SEQ_CLS",
    "AutoModelForTokenClassification": "TOKEN_CLS",
    "AutoModelForSeq2SeqLM": "SEQ_2_SEQ_LM",
    "AutoModelForCausalLM": "CAUSAL_LM",
}


def lora_config(
    *,
    r: int | None = 8,
    alpha: int | None = 16,
    dropout: float | None = 0.05,
    target_modules: Sequence[str] | str | None = None,
    rslora: bool = False,
    dora: bool = False,
) -> LoraConfig:
    """Make the LoRA configuration that a builder completes (Hu et al., 2021).

    The builder fills in what depends on the model: the layers of our table, the task type, the
    head, and the rows of new tokens.

    Args:
        r: Rank of the update. ``None``, here and of the next two, is the default.
        alpha: The update is scaled by ``alpha / r``. Twice the rank keeps that factor at 2, so
            that a learning rate stays good when the rank changes; raise both together.
        dropout: Dropout in front of the update.
        target_modules: Names of the layers to adapt; ``None`` takes the family's query and value
            projections.
        rslora: Scale by ``alpha / sqrt(r)`` instead (Kalajdzievski, 2023), for high ranks.
        dora: Train magnitude and direction apart (DoRA; Liu et al., 2024).

    Returns:
        A plain ``peft.LoraConfig``.

    Raises:
        InputError: If a number is out of its range.

    Example:
        >>> config = lora_config(r=4, alpha=8)
        >>> config.r, config.lora_alpha, config.target_modules
        (4, 8, None)
    """
    r = 8 if r is None else r
    alpha = 16 if alpha is None else alpha
    dropout = 0.05 if dropout is None else dropout
    for name, value in (("r", r), ("alpha", alpha)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InputError(
                f"{name}={value!r}: a whole number of at least 1. Pass {name}=8, for example."
            )
    if not 0 <= dropout < 1:
        raise InputError(f"dropout={dropout!r}: from 0 to below 1. Pass dropout=0.05, for example.")

    if target_modules is not None and not isinstance(target_modules, str):
        target_modules = list(target_modules)
    return LoraConfig(
        r=r,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=target_modules,
        use_rslora=rslora,
        use_dora=dora,
        bias="none",
    )


def add_adapter(
    model: PreTrainedModel,
    lora: LoraConfig,
    family: Family,
    *,
    auto_class: str,
    heads: Sequence[str] = (),
    token_ids: Sequence[int] = (),
) -> PeftModel:
    """Put LoRA on ``model``, with the heads and the rows of new tokens trained beside it.

    Args:
        model: The base, resized already if it had to be.
        lora: From :func:`lora_config`, or any ``LoraConfig``; it is not changed.
        family: The model's family.
        auto_class: Name of the auto class that the model came from.
        heads: Names of the modules that are new and trained whole.
        token_ids: Rows to train in the input embedding and in the output layer.

    Raises:
        InputError: If a target layer is not in the model, or PEFT refuses the settings.
    """
    completed: Any = copy.deepcopy(lora)
    if completed.target_modules is None:
        completed.target_modules = set(target_modules(family, model))
    completed.task_type = completed.task_type or _TASK_TYPES.get(auto_class)
    completed.modules_to_save = sorted({*(completed.modules_to_save or ()), *heads}) or None
    if token_ids and completed.trainable_token_indices is None:
        names = _embedding_names(model)
        completed.trainable_token_indices = {name: sorted(token_ids) for name in names}
    try:
        return wrap(model, completed)
    except ValueError as error:
        if "target modules" not in str(error).lower():
            raise InputError(
                f"lora: PEFT refuses it for {family.name} ({first_line(error).rstrip('.')}). "
                "Leave that setting out; the rows of new tokens are trained without it."
            ) from error
        raise InputError(
            f"target_modules={sorted(completed.target_modules)}: not in this model. "
            f"Use {', '.join(target_modules(family, model))} for {family.name}, or leave it out."
        ) from error


def target_modules(family: Family, model: PreTrainedModel) -> tuple[str, ...]:
    """Names of the layers that LoRA adapts.

    The row's; or those that PEFT has for the type; or all linear layers but the heads.
    """
    found = family.lora_targets or PEFT_TARGETS.get(family.model_types[0])
    # PEFT's own "all-linear" takes heads of token classification too, and fails on some
    found = found if isinstance(found, list | tuple) else linear_layers(model)
    if not found:
        named = "lora_config(target_modules=[...])"
        raise InputError(f"lora: {family.name} has no linear layers. Name others: {named}.")
    return tuple(found)


def linear_layers(model: PreTrainedModel) -> tuple[str, ...]:
    """Full names of a model's linear layers, without its heads and its output layer."""
    heads = tuple(f"{name}." for name in kept_names(model))
    return tuple(
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear | Conv1D) and not f"{name}.".startswith(heads)
    )


def wrap(model: PreTrainedModel, lora: Any) -> PeftModel:
    """PEFT's ``get_peft_model``, also under ZeRO-3, and with what it leaves open mended."""
    with _token_rows_under_zero3(), warnings.catch_warnings():
        # PEFT asks by a name that Transformers calls deprecated
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`")
        # GPT-2's layers are transposed, and PEFT sees that itself
        warnings.filterwarnings("ignore", message="fan_in_fan_out is set to False")
        return _finish(get_peft_model(model, lora))  # type: ignore[arg-type]


class Merged(NamedTuple):
    """A model with its adapter merged in.

    Attributes:
        model: A plain Transformers model.
        max_logit_difference: Largest difference of a logit, before against after, on a probe.
            On a full-precision base it is rounding; on a quantised one it is what quantisation
            had cost.
    """

    model: PreTrainedModel
    max_logit_difference: float


def merge(model: PeftModel, *, dtype: Any = None, batch: Mapping[str, Any] | None = None) -> Merged:
    """Merge an adapter into its base, and return the largest change of a logit.

    A quantised base is not merged into, because that rounds the update away: the base is loaded
    again in full precision, on the host. A full-precision base is merged in place, so that
    ``model`` is spent.

    Args:
        model: A PEFT model of a builder or of ``load_saved``.
        dtype: Type of the merged weights; ``None`` keeps the base's, and fp32 for a quantised one.
        batch: Model inputs to compare logits on; ``None`` takes a few made-up ids.

    Returns:
        The merged model and the largest difference of a logit.

    Raises:
        InputError: If the model has no adapter, or its base is not found.
    """
    if not hasattr(model, "merge_and_unload"):
        raise InputError(f"model={type(model).__name__}: has no adapter. Pass a model with LoRA.")
    dtype = torch_dtype(dtype)
    batch = made_up_batch(model) if batch is None else batch
    before = probe_logits(model, batch)
    if getattr(model.config, "quantization_config", None) is not None:
        model = _on_full_base(model, dtype or torch.float32)
    kept = next(m for m in model.modules() if isinstance(m, torch.nn.Embedding)).weight.dtype
    _own_weights(model)
    merged: Any = model.merge_and_unload(safe_merge=True)
    merged.to(dtype or kept)
    difference = (probe_logits(merged, batch) - before).abs().max().item()
    return Merged(merged, difference)


def _own_weights(model: PeftModel) -> None:
    """Give an adapted layer whose weight is shared (a tied output layer) one of its own; in place.

    Merged into the shared one, the update would act in the other layer too.
    """
    shared: dict[int, int] = {}
    for _, weight in model.named_parameters(remove_duplicate=False):
        shared[id(weight)] = shared.get(id(weight), 0) + 1
    for layer in model.modules():
        if isinstance(layer, BaseTunerLayer) and not isinstance(layer, TrainableTokensLayer):
            weight = getattr(base := layer.get_base_layer(), "weight", None)
            if isinstance(weight, torch.nn.Parameter) and shared.get(id(weight), 0) > 1:
                base.weight = torch.nn.Parameter(weight.detach().clone(), requires_grad=False)


def _on_full_base(model: PeftModel, dtype: Any) -> PeftModel:
    """The same adapter on its base, loaded again without quantisation."""
    lora: Any = copy.deepcopy(model.peft_config["default"])
    quantized: Any = model.get_base_model()
    rows = quantized.config.vocab_size
    settings = quantized.config.to_dict()
    settings.pop("quantization_config")
    settings["vocab_size"] = read_config(lora.base_model_name_or_path).vocab_size
    # made anew, because T5's config in memory differs from one that is read
    config = type(quantized.config).from_dict(settings)
    base = load_weights(lora.base_model_name_or_path, type(quantized).__name__, config, dtype=dtype)
    if rows != base.config.vocab_size:
        base.resize_token_embeddings(rows)
    adapted = wrap(base, lora)
    trained = get_peft_model_state_dict(model, save_embedding_layers=False)
    set_peft_model_state_dict(adapted, trained)
    return adapted


def _finish(model: PeftModel) -> PeftModel:
    """Correct what PEFT leaves open on a model that was just adapted or loaded; in place.

    Trained heads become fp32, as LoRA's own weights are; the rows of new tokens keep the output
    layer's bias; and saving stores those rows alone, never the whole embedding, whoever saves.
    A base in a directory is named by its whole path, for other working directories.
    """
    for lora in model.peft_config.values():
        if os.path.isdir(base := lora.base_model_name_or_path or ""):
            lora.base_model_name_or_path = os.path.abspath(base)
    for module in model.modules():
        if isinstance(module, ModulesToSaveWrapper):
            for head in module.modules_to_save.values():
                if any(p.dtype in (torch.bfloat16, torch.float16) for p in head.parameters()):
                    head.float()
                head.register_forward_pre_hook(_match_dtype)
        elif type(module) is TrainableTokensLayer:
            biased = getattr(module.base_layer, "bias", None) is not None
            module.__class__ = _BiasedTokenRows if biased else _TokenRows
    _keep_quantized_base(model)
    # Trainer saves its checkpoints without the argument, and PEFT would add a resized embedding
    save = functools.partial(model.save_pretrained, save_embedding_layers=False)
    model.save_pretrained = save  # type: ignore[method-assign]
    return model


def _match_dtype(head: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Give an fp32 head on a bf16 base its input in its own type."""
    if torch.is_autocast_enabled(inputs[0].device.type) if inputs else True:
        return inputs
    dtype = next(head.parameters()).dtype
    return tuple(
        value.to(dtype) if isinstance(value, torch.Tensor) and value.is_floating_point() else value
        for value in inputs
    )


def _embedding_names(model: PreTrainedModel) -> list[str]:
    """Full names of the input embedding and, where it has weights of its own, the output layer."""
    modules = [model.get_input_embeddings(), untied_output(model)]
    names = {id(module): name for name, module in model.named_modules()}
    return [names[id(module)] for module in modules if module is not None]


class _TokenRows(TrainableTokensLayer):
    """Keeps the ids of new tokens on the device: PEFT copies them, and waits, in each pass."""

    def get_merged_weights(self, active_adapters):  # type: ignore[no-untyped-def]
        merged = self.base_layer.weight
        for name in active_adapters:
            tokens: Any = self.token_indices[name]
            index = on_device(tokens, dtype=torch.int64, device=merged.device)
            rows = self.trainable_tokens_delta[name].to(merged)
            merged = merged.index_copy(dim=0, index=index, source=rows)  # type: ignore[operator]
        return merged


class _BiasedTokenRows(_TokenRows):
    """Keeps the bias of an output layer (GPT-J, Phi), which PEFT's token rows leave out."""

    def forward_adapters(self, x, active_adapters, *args, **kwargs):  # type: ignore[no-untyped-def]
        if self.disable_adapters or not active_adapters or self.merged:
            return super().forward_adapters(x, active_adapters, *args, **kwargs)
        self._check_overlapping_tokens(active_adapters)
        return F.linear(x, self.get_merged_weights(active_adapters), self.base_layer.bias)  # type: ignore[arg-type]


def _keep_quantized_base(model: PeftModel) -> None:
    """Keep frozen int8 and nf4 weights as they are when checkpoints are loaded, and in evaluation.

    DeepSpeed's checkpoints hold the constants of int8 layers, which bitsandbytes refuses to load
    once the layers have run. On a CPU with AVX512-BF16 it packs nf4 weights anew at an evaluation,
    for a product that has no gradient, so that layers below would train no more.
    """
    from bitsandbytes.nn import Linear4bit, Linear8bitLt

    for module in model.modules():
        if isinstance(module, Linear8bitLt):
            module.register_load_state_dict_pre_hook(_without_constants)
        elif isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False


def _without_constants(module: Any, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
    for name in ("SCB", "weight_format"):
        state_dict.pop(prefix + name, None)


@contextlib.contextmanager
def _token_rows_under_zero3() -> Iterator[None]:
    """Let PEFT copy the rows of new tokens out of a split embedding, on any device.

    PEFT broadcasts them from rank 0 through a CUDA device. Every rank has the whole embedding
    while it is gathered, so that each can copy for itself.
    """

    def collect(self, weight, rows, embed_dim):  # type: ignore[no-untyped-def]
        with gather_params_ctx([weight], modifier_rank=None):
            return weight.detach()[rows].clone()

    original = TrainableTokensLayer._collect_token_weights
    TrainableTokensLayer._collect_token_weights = collect  # type: ignore[method-assign]
    try:
        yield
    finally:
        TrainableTokensLayer._collect_token_weights = original  # type: ignore[method-assign]
