"""Sizes of a model by its config, whatever names its family gives them."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from typing import Any

import torch
from transformers import AutoModel

from frtune.models.deepspeed import zero3_suspended

_STACKS = ("num", "encoder", "decoder")
_HEADS = ("num_key_value_heads", *(f"{stack}_attention_heads" for stack in _STACKS))
_INNER = (
    "intermediate_size", "d_ff", "ffn_dim", "encoder_ffn_dim", "decoder_ffn_dim", "hidden_dim",
    "ffn_hidden_size", "moe_intermediate_size", "shared_expert_intermediate_size",
)  # fmt: skip
_EMBEDDED = (  # often the width, not always
    "embedding_size", "word_embed_proj_dim", "input_embedding_size", "pooler_hidden_size",
)  # fmt: skip


def narrowed(
    config: Any,
    *,
    layers: int | None,
    width: int,
    heads: int,
    inner: int,
    kept: Collection[str] = (),
) -> Any:
    """Copy a config with few and narrow layers; vocabulary, positions and the rest stay.

    Args:
        config: A Transformers config.
        layers: Blocks; of an encoder-decoder, of each of its two stacks. ``None`` keeps them all.
        width: Hidden size.
        heads: Attention heads, of keys and values too.
        inner: Width of the feed-forward layers, where the config names one.
        kept: Names of sizes that stay as they are.

    Example:
        >>> from transformers import GPTJConfig
        >>> small = narrowed(GPTJConfig(), layers=2, width=64, heads=4, inner=128)
        >>> small.n_layer, small.n_embd, small.rotary_dim, small.vocab_size
        (2, 64, 8, 50400)
    """
    sizes = {
        **dict.fromkeys(_HEADS, heads),
        **dict.fromkeys(_INNER, inner),
        "hidden_size": width,
        "head_dim": width // heads,
        "rotary_dim": width // heads // 2,
        **{name: width for name in _EMBEDDED if getattr(config, name, 0) == config.hidden_size},
    }
    depths = {} if layers is None else dict.fromkeys(depth_names(config), layers)
    small = shallow(config, depths)
    for name, size in sizes.items():
        if name not in kept and getattr(small, name, None) is not None and _is_set(small, name):
            setattr(small, name, size)
    _fit_rope(small, width // heads)
    return small


def _fit_rope(small: Any, head_dim: int) -> None:
    """Cut the factors of LongRoPE (Phi-3), one for each pair of dimensions that is turned."""
    rope = getattr(small, "rope_parameters", None)
    if isinstance(rope, dict) and "long_factor" in rope:
        pairs = int(head_dim * rope.get("partial_rotary_factor", 1.0)) // 2
        for name in ("short_factor", "long_factor"):
            rope[name] = rope[name][:pairs]


def shallow(config: Any, depths: Mapping[str, int]) -> Any:
    """Copy a config with other numbers of blocks.

    Lists that say what each block is keep as many kinds as there is room for.

    Example:
        >>> from transformers import Gemma3TextConfig
        >>> shallow(Gemma3TextConfig(), {"num_hidden_layers": 2}).layer_types
        ['sliding_attention', 'full_attention']
    """
    small = copy.deepcopy(config)
    for listed, values in vars(config).items():
        for name, depth in depths.items():
            if isinstance(values, list | tuple) and len(values) == getattr(config, name):
                setattr(small, listed, _first_kinds(values, depth))
                break  # LED lists its encoder's blocks, and may have as many in its decoder
    for name, depth in depths.items():
        setattr(small, name, depth)
    return small


def _is_set(config: Any, name: str) -> bool:
    """Whether a size stands in the config, and does not follow from others."""
    if name == "head_dim" and hasattr(config, "qk_rope_head_dim"):  # latent attention
        return False
    found = getattr(type(config), name, None)
    return not isinstance(found, property) or found.fset is not None


def _first_kinds(values: Any, count: int) -> list[Any]:
    """Distinct values in their order, then the last of them again, ``count`` in all."""
    kinds = list(dict.fromkeys(values))[:count]
    return kinds + kinds[-1:] * (count - len(kinds))


def depth_names(config: Any) -> tuple[str, ...]:
    """Names of a config's numbers of blocks: one, or an encoder's and a decoder's.

    Example:
        >>> from transformers import BartConfig, BertConfig
        >>> depth_names(BertConfig()), depth_names(BartConfig())
        (('num_hidden_layers',), ('num_hidden_layers', 'decoder_layers'))
    """
    if not config.is_encoder_decoder:
        return ("num_hidden_layers",)
    decoders = ("num_decoder_layers", "decoder_layers")
    return ("num_hidden_layers", *(name for name in decoders if hasattr(config, name)))


def max_positions(config: Any) -> int | None:
    """Longest row that a model can embed, in tokens; ``None`` where positions are relative.

    RoBERTa and its kind number positions from behind the padding's id, and have as many fewer.

    Example:
        >>> from transformers import BertConfig, CamembertConfig, T5Config
        >>> max_positions(BertConfig()), max_positions(T5Config())
        (512, None)
        >>> max_positions(CamembertConfig(max_position_embeddings=514))
        512
    """
    found = getattr(config, "max_position_embeddings", None)
    if not found:
        return None
    small = shallow(config, dict.fromkeys(depth_names(config), 1))
    # where ZeRO-3 splits the run's own model, ranks would wait for each other here
    with zero3_suspended(), torch.device("meta"):
        model = AutoModel.from_config(small)
    for name, module in model.named_modules():
        padding = getattr(module, "padding_idx", None)  # of an embedding
        if "position" in name and padding is not None:
            return found - padding - 1
    return found
