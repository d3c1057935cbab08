"""Parameters of a model that is never loaded: counted on the meta device, from its config."""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import transformers
from transformers import AutoConfig
from transformers.integrations import replace_with_bnb_linear

from frtune.models.checkpoint_files import check_family, check_task, read_config
from frtune.models.families import Family, family_named
from frtune.models.lora import add_adapter
from frtune.models.weights import _skipping_heads, head_names
from frtune.planning.shapes import SHAPES

if TYPE_CHECKING:
    from peft import LoraConfig
    from transformers import PreTrainedModel

    from frtune.tasks.base import Task


@dataclass(frozen=True)
class Architecture:
    """What a model's sizes follow from.

    Attributes:
        config: The Transformers config, with the task's settings.
        family: The family's row.
        auto_class: Name of the auto class that carries the task's head.
        new_tokens: Rows that the task adds and trains.
        tied: Whether the output layer is the input embedding; ``None`` where the class decides.
        published: Whether the sizes are frtune's copy of published ones.
    """

    config: Any
    family: Family
    auto_class: str
    new_tokens: int
    tied: bool | None
    published: bool


@dataclass(frozen=True)
class Parameters:
    """Numbers of parameters (tied ones once), and bytes of quantised weights.

    Attributes:
        total: Of the base with its head.
        adapter: What LoRA adds: its updates, and the copy of the head that it trains.
        trained_adapter: Those that a run with LoRA trains: updates, head, rows of new tokens.
        quantizable: Weights of the linear layers that int8 and nf4 pack.
        int8_bytes: Their bytes in int8, row constants included.
        nf4_bytes: Their bytes in nf4 with double quantisation, constants included.
        largest: The largest single parameter.
        width: Hidden size.
    """

    total: int
    adapter: int
    trained_adapter: int
    quantizable: int
    int8_bytes: int
    nf4_bytes: int
    largest: int
    width: int


def architecture(
    checkpoint: str | os.PathLike[str], task: Task, *, family: str | None = None
) -> Architecture:
    """Read what a checkpoint's sizes follow from; weights are neither read nor needed.

    Args:
        checkpoint: Directory, hub name, or one of ``SHAPES``, which needs no network.
        task: The task; it names the head and the new tokens.
        family: The family it must belong to.

    Raises:
        InputError: If there is no such checkpoint, or the task does not fit it.

    Example:
        >>> from frtune import KeyphraseGeneration
        >>> architecture("paust/pko-t5-base", KeyphraseGeneration()).family.name
        't5'
    """
    name = os.fspath(checkpoint)
    published = name in SHAPES and not os.path.isdir(name)
    settings = dict(SHAPES[name]) if published else None
    config = _config_of(settings) if settings else read_config(name)
    row = check_family(name, config.model_type, family_named(family) if family else None)
    auto_class = check_task(task, row)
    for key, value in task.config_overrides().items():
        setattr(config, key, value)
    if config.pad_token_id is None:
        config.pad_token_id = 0  # a classifying decoder looks for padding; builders give it some
    if settings is None:
        settings, _ = type(config).get_config_dict(name)
    tied = settings.get("tie_word_embeddings")
    new_tokens = len(task.new_tokens(row.kind))
    return Architecture(config, row, auto_class, new_tokens, tied, published)


def _config_of(settings: dict[str, Any]) -> Any:

    settings = dict(settings)
    return AutoConfig.for_model(settings.pop("model_type"), **settings)


def empty_model(found: Architecture, *, config: Any = None) -> PreTrainedModel:
    """Make the model on the meta device: shapes without data."""
    loader = getattr(transformers, found.auto_class)
    with torch.device("meta"):
        model = loader.from_config(copy.deepcopy(config or found.config), dtype=torch.float32)
        output = model.get_output_embeddings()
        if found.tied is False and output is not None:
            # v5 calls every T5 tied; frtune loads the layer that the checkpoint has
            if output.weight is model.get_input_embeddings().weight:
                output.weight = torch.nn.Parameter(torch.empty_like(output.weight))
    return model


def adapted(model: PreTrainedModel, found: Architecture, lora: LoraConfig) -> Any:
    """Put the adapter on as the builder does; rows of new tokens stand for those added later."""
    rows = model.config.get_text_config().vocab_size
    with torch.device("meta"):
        return add_adapter(
            model,
            lora,
            found.family,
            auto_class=found.auto_class,
            heads=head_names(model),
            token_ids=list(range(rows - found.new_tokens, rows)),
        )


def count(found: Architecture, lora: LoraConfig) -> Parameters:
    """Count parameters, trained ones and quantised bytes.

    int8 keeps a byte a weight and an fp32 constant a row (LLM.int8(), Dettmers et al. 2022,
    section 2.1). nf4 keeps half a byte a weight, a byte for each block of 64, and an fp32 constant
    for each 256 blocks (QLoRA, Dettmers et al. 2023, section 3).

    Args:
        found: From :func:`architecture`.
        lora: The adapter.

    Example:
        >>> from frtune import SequenceClassification, lora_config
        >>> task = SequenceClassification(labels=["no", "yes"])
        >>> found = architecture("google-bert/bert-base-cased", task)
        >>> count(found, lora_config(r=8)).total
        108311810
    """
    model = empty_model(found)
    sizes = [p.numel() for p in model.parameters()]
    packed = _packed_layers(found)
    numbers = [layer.in_features * layer.out_features for layer in packed]
    wrapped = adapted(model, found, lora)
    return Parameters(
        total=sum(sizes),
        adapter=sum(p.numel() for p in wrapped.parameters()) - sum(sizes),
        trained_adapter=sum(p.numel() for p in wrapped.parameters() if p.requires_grad),
        quantizable=sum(numbers),
        int8_bytes=sum(numbers) + 4 * sum(layer.out_features for layer in packed),
        nf4_bytes=sum(map(_nf4_bytes, numbers)),
        largest=max(sizes),
        width=model.config.hidden_size,
    )


def _packed_layers(found: Architecture) -> list[Any]:
    """The layers that bitsandbytes replaces, by Transformers' own rule."""
    import bitsandbytes

    model: Any = empty_model(found)
    loader = getattr(transformers, found.auto_class)
    settings = _skipping_heads("int8", loader, found.config)
    kept = [*(settings.llm_int8_skip_modules or ()), *(model._keep_in_fp32_modules or ())]
    replace_with_bnb_linear(model, modules_to_not_convert=kept, quantization_config=settings)
    return [m for m in model.modules() if isinstance(m, bitsandbytes.nn.Linear8bitLt)]


def _nf4_bytes(numbers: int) -> int:
    blocks = -(-numbers // 64)
    return -(-numbers // 2) + blocks + 4 * -(-blocks // 256)
