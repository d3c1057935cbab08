"""What the fields of a config may hold beside sizes, and which field is at fault."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from transformers import CONFIG_MAPPING
from transformers.activations import ACT2FN

_BLAME_SECONDS = 10.0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_share(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


def _is_finite(value: Any) -> bool:
    return _is_number(value) and math.isfinite(value) and value >= 0


def _is_dtype(value: Any) -> bool:
    name = value.rpartition(".")[2] if isinstance(value, str) else ""
    return name == "auto" or isinstance(getattr(torch, name, None), torch.dtype)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


# names of fields, whether a value may stand there, and what is allowed, in words
_RULES: list[tuple[str, Callable[[Any], bool], str]] = [
    (r"model_type", lambda v: isinstance(v, str) and v in CONFIG_MAPPING,
     "a kind that Transformers has itself; code from the hub is never run"),
    (r"(\w*_)?dropout(_rate|_prob|_p)?|\w+_pdrop|\w*layerdrop", _is_share, "from 0 to 1"),
    (r"initializer_range|init_std|initializer_factor|\w*norm_eps(ilon)?", _is_finite,
     "a number from 0 on"),
    (r"hidden_act|activation_function|hidden_activation|activation|dense_act_fn|pooler_hidden_act",
     lambda v: isinstance(v, str) and v in ACT2FN, "the name of an activation"),
    (r"dtype|torch_dtype", lambda v: isinstance(v, Mapping) or _is_dtype(v),
     "a type such as float32"),
    (r"num_labels", _is_whole, "a whole number"),
    (r"chunk_size_feed_forward", lambda v: _is_whole(v) and v < 2, "0, for rows differ in length"),
    (r"output_hidden_states|output_attentions", lambda v: isinstance(v, bool), "true or false"),
    (r"return_dict|use_return_dict", lambda v: v is True, "true"),
    (r"quantization_config", lambda v: isinstance(v, Mapping) and "quant_method" in v,
     "an object with quant_method"),
    (r"rope_scaling|rope_parameters|id2label|label2id|auto_map",
     lambda v: isinstance(v, Mapping), "an object"),
    (r"rotary_dim", lambda v: _is_whole(v) and v % 2 == 0 and v > 0, "an even number from 2"),
]  # fmt: skip
_RULES_BY_NAME = [(re.compile(names), fits, allowed) for names, fits, allowed in _RULES]
_PADDING = ("pad_token_id", "decoder_start_token_id")  # rows that are looked up


def misfits(settings: Any) -> Iterator[tuple[str, Any, str]]:
    """Name, value and what is allowed, of each field that holds what no model can be made of.

    Example:
        >>> [*misfits({"hidden_dropout_prob": 2, "text_config": {"dtype": "x"}})]
        [('hidden_dropout_prob', 2, 'from 0 to 1'), ('dtype', 'x', 'a type such as float32')]
    """
    for name, value in settings.items() if isinstance(settings, Mapping) else ():
        if value is None:
            continue
        for names, fits, allowed in _RULES_BY_NAME:
            if names.fullmatch(str(name)) and not fits(value):
                yield str(name), value, allowed
        if str(name).endswith("_config") and isinstance(value, Mapping):
            yield from misfits(value)
    rows: Any = settings.get("vocab_size") if isinstance(settings, Mapping) else None
    for name in _PADDING if _is_whole(rows) else ():
        value = settings.get(name)
        if value is not None and not (isinstance(value, int) and -1 <= value < rows):
            yield name, value, f"a token of the {rows} that vocab_size says"


def field_at_fault(settings: Mapping[str, Any], fails: Callable[[dict[str, Any]], bool]) -> str:
    """The field without which, by the default of its class, ``fails`` no longer; may be empty.

    Example:
        >>> field_at_fault({"a": 1, "b": 0}, lambda kept: kept.get("b") == 0)
        'b'
    """
    end = time.monotonic() + _BLAME_SECONDS
    for name in settings:
        if time.monotonic() > end:
            break
        if name != "model_type" and not fails({k: v for k, v in settings.items() if k != name}):
            return str(name)
    return ""
