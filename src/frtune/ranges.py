"""The numbers of all settings: the range of each, in one table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from numbers import Integral, Real
from typing import Any, NamedTuple

from frtune.errors import InputError


class Range(NamedTuple):
    """From ``lowest`` to ``highest``.

    Attributes:
        lowest: The least value.
        highest: The greatest value.
        kind: ``whole`` numbers, any ``number``, or ``steps``: a whole number, or a share of all
            steps below 1.
        ends: Which ends belong to the range, as in mathematics: ``[]``, ``(]``, ``[)`` or ``()``.
        off: A further value, which turns the setting off.
    """

    lowest: float
    highest: float
    kind: str = "whole"
    ends: str = "[]"
    off: float | None = None

    def holds(self, value: Any) -> bool:
        """Whether ``value`` is a number of this range.

        Example:
            >>> Range(0, 1, "number", "[)").holds(1.0), Range(1, 9).holds(2.5)
            (False, False)
        """
        if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
            return False
        if value == self.off:
            return True
        if self.kind == "whole" and not isinstance(value, Integral):
            return False
        if self.kind == "steps" and float(value) >= 1.0 and float(value) != int(value):
            return False
        low, high = float(value) - self.lowest, self.highest - float(value)
        return (low > 0 or (low == 0 and self.ends[0] == "[")) and (
            high > 0 or (high == 0 and self.ends[1] == "]")
        )

    def __str__(self) -> str:
        """What is allowed, in words.

        Example:
            >>> str(Range(0, 1, "number", "[)")), str(Range(1, 10**9, off=-1))
            ('at least 0 and below 1', 'at least 1, a whole number, or -1 to turn it off')
        """
        said = f"{'at least' if self.ends[0] == '[' else 'above'} {self.lowest:g}"
        if self.highest < MOST:
            said += f" and {'at most' if self.ends[1] == ']' else 'below'} {self.highest:,.10g}"
        said += {"whole": ", a whole number", "steps": ", whole or a share below 1"}.get(
            self.kind, ""
        )
        return said + ("" if self.off is None else f", or {self.off:g} to turn it off")


MOST = 10**9  # of rows, tokens and steps: more than any run has
COUNT, ROWS, SHARE = Range(1, MOST), Range(0, MOST), Range(0, 1, "number", "[)")
SEED = Range(0, 2**32 - 1)  # numpy takes no other
TOKENS = Range(1, 10**7)

# by the name of a setting, which means the same wherever it is taken
RANGES = {
    # training arguments
    "per_device_train_batch_size": Range(1, 10**6),
    "per_device_eval_batch_size": Range(1, 10**6),
    "num_train_epochs": Range(0, MOST, "number", "(]"),
    "max_steps": Range(1, MOST, off=-1),
    "learning_rate": Range(0, 100, "number"),
    "warmup_steps": Range(0, MOST, "steps"),
    "weight_decay": Range(0, 100, "number"),
    "adam_beta1": SHARE,
    "adam_beta2": SHARE,
    "adam_epsilon": Range(0, 1, "number", "(]"),
    "gradient_accumulation_steps": Range(1, 10**6),
    "max_grad_norm": Range(0, MOST, "number"),
    "label_smoothing_factor": SHARE,
    "neftune_noise_alpha": Range(0, 1000, "number", "(]"),
    "torch_empty_cache_steps": COUNT,
    "logging_steps": Range(0, MOST, "steps", "(]"),
    "eval_steps": Range(0, MOST, "steps", "(]"),
    "save_steps": Range(0, MOST, "steps", "(]"),
    "eval_delay": Range(0, MOST, "number"),
    "eval_accumulation_steps": COUNT,
    "save_total_limit": COUNT,
    "seed": SEED,
    "data_seed": SEED,
    "dataloader_num_workers": Range(0, 256),
    "dataloader_prefetch_factor": Range(1, 1000),
    "ddp_bucket_cap_mb": Range(1, 10**6),
    "ddp_timeout": Range(1, 10**8),
    "generation_max_length": TOKENS,
    "generation_num_beams": Range(1, 1000),
    # runs
    "max_train_rows": COUNT,
    "max_eval_rows": COUNT,
    "max_test_rows": ROWS,
    "max_rows": COUNT,
    "lora_r": Range(1, 10**5),
    "lora_alpha": Range(1, 10**6),
    "lora_dropout": SHARE,
    "max_tokens_per_batch": COUNT,
    "mixup_alpha": Range(0, 10**6, "number", "(]"),
    "mixup_layer": COUNT,
    "mixup_rows": COUNT,
    "early_stopping_patience": ROWS,
    "generate_every_epochs": COUNT,
    "generate_max_rows": COUNT,
    # tasks
    "max_source_tokens": TOKENS,
    "max_target_tokens": TOKENS,
    "max_keyphrases": COUNT,
    "k": COUNT,
    "keyword_weight": Range(0, 10**6, "number", "(]"),
    "focal_gamma": Range(0, 100, "number"),
    "overlap_tokens": Range(0, 10**7),
    # other commands
    "batch": COUNT,
    "batch_size": Range(1, 10**6),
    "batch_sizes": Range(1, 10**6),
    "num_beams": Range(1, 1000),
    "votes": Range(2, 64),
    "calibrate_scores": Range(1, 64),
    "min_score": Range(0, 1, "number"),
    "top_k": COUNT,
    "gpus": Range(0, 10**6),
    "tokens": TOKENS,
    "target_tokens": TOKENS,
    "max_tokens": TOKENS,
    "token_budget": COUNT,
    "sample_texts": COUNT,
    "sample_tokens": COUNT,
    "max_characters": COUNT,
    "max_file_mb": Range(0, 10**6, "number", "(]"),
    "max_texts": Range(1, 10**5),
    "max_body_mb": Range(0, 10**4, "number", "(]"),
    "max_waiting": Range(1, 10**7),
    "batch_tokens": COUNT,
    "batch_wait_ms": Range(0, 10**4, "number"),
    "stop_seconds": Range(0, 10**6),
    "port": Range(1, 65535),
    "num_proc": Range(1, 1024),
    "min_source_tokens": Range(0, 10**7),
    "min_keyphrases": ROWS,
    "threshold": Range(0, 1, "number"),
    "min_precision": Range(0, 1, "number", "()"),
    "near_threshold": Range(0, 1, "number"),
    "validation_rows": ROWS,
    "test_rows": ROWS,
    "count": COUNT,
    "concurrency": Range(1, 10**4),
    "max_output_tokens": TOKENS,
    "retries": Range(0, 1000),
    "timeout_seconds": Range(0, 10**6, "number", "(]"),
    "price_input": Range(0, MOST, "number"),
    "price_output": Range(0, MOST, "number"),
    "budget_tokens": Range(1, 10**15),
    "budget_cost": Range(0, 10**12, "number", "(]"),
}


def check_ranges(values: Mapping[str, Any]) -> None:
    """Refuse a number out of its range.

    Args:
        values: By the names of settings; ``None`` is a setting that was not given. A list is
            checked number by number.

    Raises:
        InputError: Names the first one, and its range.

    Example:
        >>> check_ranges({"lora_dropout": 2})
        Traceback (most recent call last):
        ...
        frtune.errors.InputError: lora_dropout=2: at least 0 and below 1. Pass another.
    """
    for name, value in values.items():
        for number in value if isinstance(value, list | tuple) else [value]:
            if name not in RANGES or number is None or RANGES[name].holds(number):
                continue
            raise InputError(f"{name}={number!r}: {RANGES[name]}. Pass another.")


def check_fields(settings: Any) -> None:
    """Refuse (``InputError``) a number out of its range among the fields of a dataclass.

    So is ``None`` where a number is the default, but for ``max_grad_norm``, which it turns off.
    """
    for item in fields(settings):
        value = getattr(settings, item.name, item.default)
        missing = value is None and isinstance(item.default, Real) and item.name in RANGES
        if missing and item.name != "max_grad_norm":
            raise InputError(f"{item.name}=None: {RANGES[item.name]}. Leave it out.")
        check_ranges({item.name: value})
