"""A checkpoint's weights under the task's head: read, checked, fitted to the tokenizer."""

from __future__ import annotations

import contextlib
import copy
import functools
import logging
import os
from collections.abc import Iterator
from typing import Any

import torch
import transformers
from transformers import (
    BitsAndBytesConfig,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from frtune.environment.progress import brief_bars
from frtune.errors import InputError, first_line
from frtune.models import deepspeed
from frtune.models.bitsandbytes import (
    QuantizationName,
    computed_here,
    not_emulated,
    quantization_config,
)
from frtune.models.checkpoint_files import (
    local_file,
    stores,
    weights_source,
)
from frtune.models.families import family_for
from frtune.models.weight_verification import check_finite, check_size, check_whole

Built = tuple["PreTrainedModel", "PreTrainedTokenizerBase"]


def as_quantization(
    quantization: QuantizationName | BitsAndBytesConfig | None, skip_modules: tuple[str, ...] = ()
) -> BitsAndBytesConfig | None:
    """Turn a name into its configuration; one's own configuration keeps its settings."""
    if quantization is None or isinstance(quantization, str):
        return quantization_config(quantization, skip_modules=skip_modules)

    if not isinstance(quantization, BitsAndBytesConfig):
        raise InputError(
            f"quantization={quantization!r}: 'int8', 'nf4' or a BitsAndBytesConfig. "
            "Make one with quantization_config()."
        )
    if quantization.llm_int8_skip_modules is None and skip_modules:
        quantization = copy.deepcopy(quantization)
        quantization.llm_int8_skip_modules = list(skip_modules)
    return quantization


def load_weights(
    checkpoint: str | os.PathLike[str],
    auto_class: str,
    config: Any,
    *,
    dtype: Any = None,
    quantization: Any = None,
    new_head: bool = True,
    device: str | None = None,
) -> PreTrainedModel:
    """Load the weights under a task's head.

    Args:
        checkpoint: Hub name or directory.
        auto_class: Name of the class in Transformers that carries the head.
        config: The checkpoint's config, with the task's settings.
        dtype: Type of the weights; ``None`` is fp32.
        quantization: As in :func:`build_model`.
        new_head: Whether the head may be missing in the checkpoint; it is initialised then.
        device: Where weights are quantised; ``None`` takes a GPU where there is one.

    Raises:
        InputError: If weights other than the head's are missing or of another shape.
    """
    family = family_for(config.model_type)
    _clear_generation_settings(config)
    untied: Any = contextlib.nullcontext()
    if deepspeed.zero3_enabled():
        deepspeed.start_process_group()
        if family.own_output is not None and stores(checkpoint, family.own_output):
            untied = deepspeed.output_untied(type(config), family.own_output)
    with untied:
        model, info = read_weights(checkpoint, auto_class, config, dtype, quantization, device)
    if untied_output(model) is not None:
        # v5 calls every T5 tied, and a resize would overwrite the output layer by the embedding
        model.config.tie_word_embeddings = False
    check_whole(checkpoint, model, info, head_names(model) if new_head else [])
    if family.published_output is not None:
        hook = functools.partial(_under_own_names, family.published_output)
        model.register_load_state_dict_pre_hook(hook)
    return model


def untied_output(model: PreTrainedModel) -> Any:
    """The output layer of a model, where it has one that is not tied to the input embedding."""
    output = model.get_output_embeddings()
    tied = output is None or output.weight is model.get_input_embeddings().weight
    return None if tied else output


def untie_output(model: PreTrainedModel) -> None:
    """Give a model that shares them an output layer apart from its input embedding; in place."""
    output = model.get_output_embeddings()
    if output is not None and untied_output(model) is None:
        # v5 ties every T5, and would load an output layer of its own into the embedding
        output.weight = torch.nn.Parameter(output.weight.detach().clone())
        model.config.tie_word_embeddings = False


def unshare(model: PreTrainedModel) -> None:
    """Give each module of a model that is called untied weights of its own; in place.

    Transformers writes a shared weight once, and opens an untied BART without the other copies.
    """
    seen: set[int] = set()
    for module in model.modules():
        for name, weight in module.named_parameters(recurse=False):
            if id(weight) in seen:
                own = torch.nn.Parameter(weight.detach().clone(), weight.requires_grad)
                setattr(module, name, own)
            seen.add(id(weight))


def _under_own_names(
    published: str, model: Any, state_dict: dict[str, Any], prefix: str, *_: Any
) -> None:
    """Find an output layer in a checkpoint, where it has its published name (GPT-NeoX).

    Transformers renames it when it saves, and ``Trainer`` does not when it goes back to the best
    checkpoint or resumes: the layer would silently keep the weights that it has.
    """
    published = f"{prefix}{published}"
    if hasattr(model, "lm_head"):
        for name in [name for name in state_dict if name.startswith(published)]:
            own = f"{prefix}lm_head.{name.removeprefix(published)}"
            state_dict[own] = state_dict.pop(name)


@brief_bars()
def read_weights(
    checkpoint: str | os.PathLike[str],
    auto_class: str,
    config: Any,
    dtype: Any,
    quantization: Any,
    device: str | None = None,
) -> tuple[PreTrainedModel, dict[str, Any]]:
    """Load weights as they are, and what Transformers says of those missing; nothing is checked."""
    loader, family = getattr(transformers, auto_class), family_for(config.model_type)
    name = os.fspath(checkpoint)
    source, files = weights_source(name)
    config = computed_here(config, bears_fp16=family.fp16)
    check_size(name, loader, config, files)
    generation = None
    if source != name:  # weights from the cache; all else is the checkpoint's
        stored = local_file(name, "generation_config.json")
        generation = (
            GenerationConfig.from_pretrained(name)
            if stored
            else GenerationConfig.from_model_config(config)
        )
    try:
        with quiet():
            model, info = loader.from_pretrained(
                source,
                config=config,
                dtype=dtype or torch.float32,
                quantization_config=not_emulated(
                    skipping_heads(quantization, loader, config), bears_fp16=family.fp16
                ),
                device_map={"": device} if device and quantization is not None else None,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # reported, and refused by check_whole
                generation_config=generation,
            )
    # the latter ones for tied weights of other shapes, and for odd values in a config
    except (OSError, NotImplementedError, ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"checkpoint={name!r}: its weights cannot be read ({first_line(error)}). "
            "Copy the whole directory."
        ) from error
    check_finite(f"checkpoint={name!r}", model.named_parameters())
    model.name_or_path = model.config._name_or_path = name
    return model, info


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep Transformers from reporting what this module checks and raises by itself."""
    reporter = logging.getLogger("transformers.modeling_utils")

    def only_errors(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR

    # a filter, since a raised level makes Transformers print other reports
    reporter.addFilter(only_errors)
    try:
        yield
    finally:
        reporter.removeFilter(only_errors)


def skipping_heads(quantization: Any, loader: Any, config: Any) -> Any:
    """The quantization with the task's heads and output layer left out of it."""
    if quantization is None:
        return None

    with torch.device("meta"):
        skeleton = loader.from_config(config)
    return as_quantization(quantization, tuple(kept_names(skeleton)))


def kept_names(model: PreTrainedModel) -> list[str]:
    """Names of the task's heads and of the output layer."""
    output = model.get_output_embeddings()
    names = [name for name, module in model.named_modules() if module is output and name]
    return [*head_names(model), *names]


def head_names(model: PreTrainedModel) -> list[str]:
    """Names of the modules that a task puts on the base: new, trained whole, never quantised.

    They are what stands beside the base model, less the output layer of a language model, and
    BERT's pooler, which a masked language model's checkpoint lacks.
    """
    output = model.get_output_embeddings()
    if output is not None:  # the base is spread over the children of a language model's class
        return []
    names = []
    for name, module in model.named_children():
        if name == model.base_model_prefix:
            names += [f"{name}.{part}" for part, _ in module.named_children() if part == "pooler"]
        elif any(True for _ in module.parameters()):
            names.append(name)
    return names


def _clear_generation_settings(config: Any) -> None:
    """Drop old settings of generation (``num_beams``, ``max_length``) from the model's config."""
    for name in config._get_generation_parameters():
        if name in vars(config):
            delattr(config, name)


def fit_tokens(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, at_least: int = 0
) -> list[int]:
    """Give the model a row for each token, and its special ids; return the rows that were added.

    Rows that the checkpoint has to spare are used first. ``at_least`` so many rows are needed by
    an adapter that was trained with more tokens than its tokenizer has now.
    """
    rows = model.config.get_text_config().vocab_size
    needed = max(len(tokenizer), at_least)
    if needed > rows:
        with torch.random.fork_rng(), quiet():
            torch.manual_seed(0)  # the same rows on every rank and at every load
            model.resize_token_embeddings(needed)
    model.config.pad_token_id = tokenizer.pad_token_id
    if model.can_generate():
        names = ("bos_token_id", "eos_token_id", "decoder_start_token_id")
        ids = {name: getattr(model.config, name, None) for name in names}
        if ids["eos_token_id"] is None:
            ids["eos_token_id"] = model.config.eos_token_id = tokenizer.eos_token_id
        model.generation_config = GenerationConfig(pad_token_id=tokenizer.pad_token_id, **ids)
    return list(range(rows, needed))
