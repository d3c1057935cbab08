"""What a config from elsewhere may say: sizes that can be, and no kernels from the hub."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any

from transformers import PreTrainedConfig
from transformers.utils import is_flash_attn_2_available, is_flash_attn_3_available

from frtune.errors import InputError
from frtune.models.config_fields import misfits

logger = logging.getLogger(__name__)

_ATTENTION = {
    "eager": lambda: True,
    "sdpa": lambda: True,
    "flex_attention": lambda: True,
    "flash_attention_2": is_flash_attn_2_available,
    "flash_attention_3": is_flash_attn_3_available,
}
_SIZE = re.compile(
    r"(^|_)(size|layers?|heads?|dim|model|ff|kv|embd|inner|positions?|embeddings|ctx|labels|experts)$"
)
_LARGEST = {"layer": 1_000, "layers": 1_000, "labels": 1_000_000}
_LARGEST_ELSE = 100_000_000
# what a model cannot be without; a class may have names of its own for them
_NEEDED = (
    "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
    "encoder_layers", "decoder_layers", "num_decoder_layers", "d_ff", "d_kv", "encoder_ffn_dim",
    "decoder_ffn_dim", "max_position_embeddings", "head_dim",
)  # fmt: skip


def check_sizes(settings: Any, checkpoint: str, class_names: Mapping[str, str]) -> None:
    """Refuse a config whose values no model has, before a config or a model is made of it.

    Args:
        settings: Content of ``config.json``.
        checkpoint: Where it comes from, for the message.
        class_names: The class's own names of sizes (``attribute_map``).

    Raises:
        InputError: For a needed size below 1, a size that is not a number or is absurdly large, or
            another field of which no model can be made.

    Example:
        >>> check_sizes({"num_hidden_layers": 10**12}, "there", {})
        Traceback (most recent call last):
        ...
        frtune.errors.InputError: checkpoint='there': its config.json says num_hidden_layers=... ...
    """
    needed = {*_NEEDED, *(class_names.get(name, name) for name in _NEEDED)}
    for name, value in _sizes(settings):
        word = name.rpartition("_")[2]
        largest = _LARGEST.get(word, _LARGEST_ELSE)
        smallest = 1 if name in needed else -1  # which stands for none
        whole = isinstance(value, int) and not isinstance(value, bool)
        if isinstance(value, str) or (name in needed and not whole):
            allowed = "a whole number"
        elif isinstance(value, (int, float)) and not smallest <= value <= largest:
            allowed = f"from {smallest} to {largest}"
        else:
            continue
        raise _refused(checkpoint, name, value, allowed)
    for name, value, allowed in misfits(settings):
        raise _refused(checkpoint, name, value, allowed)


def _refused(checkpoint: str, name: str, value: Any, allowed: str) -> InputError:
    shown = repr(value) if len(repr(value)) <= 80 else f"{repr(value)[:77]}..."
    return InputError(
        f"checkpoint={checkpoint!r}: its config.json says {name}={shown}: {allowed}. Correct "
        "the file, or choose another checkpoint."
    )


def _sizes(settings: Any) -> Iterator[tuple[str, Any]]:
    """Names and values of the sizes of a config and of those in it; what is not set is left out."""
    for name, value in settings.items() if isinstance(settings, Mapping) else ():
        if isinstance(value, Mapping):
            yield from _sizes(value)
        elif _SIZE.search(str(name)) and value is not None:
            yield str(name), value


def keep_known_attention(config: PreTrainedConfig, checkpoint: str) -> None:
    """Drop an attention that a config names and that would be fetched from the hub, with a warning.

    Transformers takes any other name for a repository of kernels, which is code.
    """
    parts = [getattr(config, name, None) for name in config.sub_configs]
    for part in [config, *parts]:
        named = getattr(part, "_attn_implementation", None)
        if named is None or _ATTENTION.get(str(named), lambda: False)():
            continue
        part._attn_implementation = None  # type: ignore[union-attr]
        logger.warning(
            "%s: its config names attn_implementation=%r, which is not taken over: one of %s that "
            "is installed; Transformers' own choice is used",
            checkpoint,
            named,
            ", ".join(_ATTENTION),
        )
