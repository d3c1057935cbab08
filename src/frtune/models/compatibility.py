"""What can be combined with what: shown by a test, or refused.

One table for the code, the docs and ``frtune plan``. Builders ask :func:`check` before they load
anything. ``python tests/compatibility_table.py`` prints the table of ``docs/memory.md``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from frtune.errors import InputError
from frtune.models.families import family_named
from frtune.models.family import Family

Method = Literal["full", "lora", "int8", "nf4"]
Sharding = Literal["none", "ddp", "zero2", "zero2_offload", "zero3", "zero3_offload"]
Feature = Literal["train", "generate", "checkpointing", "new_tokens", "resume"]

METHODS: tuple[Method, ...] = get_args(Method)
SHARDINGS: tuple[Sharding, ...] = get_args(Sharding)
FEATURES: tuple[Feature, ...] = get_args(Feature)
QUANTIZED = ("int8", "nf4")
ALONE = "quantised, without LoRA"  # no method of the table: nothing would train


@dataclass(frozen=True)
class Refusal:
    """A combination that is refused before anything is loaded.

    Attributes:
        what: The argument at fault; ``{family}``, ``{task}`` and ``{quantization}`` are filled in.
        reason: Why.
        instead: What to do.
        families: Says of a family whether it holds for that.
        methods: Methods that it holds for.
        shardings: Shardings that it holds for.
        features: Features that it holds for; empty: the combination itself, with any feature.
    """

    what: str
    reason: str
    instead: str
    families: Callable[[Family], bool] = lambda family: True
    methods: tuple[str, ...] = (*METHODS, ALONE)
    shardings: tuple[str, ...] = SHARDINGS
    features: tuple[str, ...] = ()

    def covers(self, family: str, method: str, sharding: str, features: Iterable[str]) -> bool:
        """Whether the combination is among those refused."""
        return (
            method in self.methods
            and sharding in self.shardings
            and (not self.features or bool(set(self.features) & set(features)))
            and self.families(family_named(family))
        )

    def message(self, **values: object) -> str:
        """The error's one line."""
        return f"{self.what}: {self.reason}. {self.instead}".format(**values)


REFUSALS = (
    Refusal(
        "dtype='float16'",
        "{family} overflows in fp16 and its loss becomes NaN",
        "Use dtype='bfloat16', or leave it out and train with bf16=True.",
        families=lambda family: not family.fp16,
        features=("fp16",),
    ),
    Refusal(
        "gradient_checkpointing=True",
        "{family} does not implement it",
        "Leave it out; smaller batches with gradient accumulation save memory too.",
        families=lambda family: not family.gradient_checkpointing,
        features=("checkpointing",),
    ),
    Refusal(
        "quantization={quantization!r}",
        "with LoRA only, because weights in 8 or 4 bits do not train",
        "Pass lora=lora_config(), too.",
        methods=(ALONE,),
    ),
    Refusal(
        "quantization={quantization!r}",
        "not under ZeRO-3, which splits the weights that are packed",
        "Use ZeRO-2, or leave the quantization out.",
        methods=QUANTIZED,
        shardings=("zero3", "zero3_offload"),
    ),
    Refusal(
        "lora",
        "not with the new tokens of {task!r} on {family}",
        "Train in full.",
        families=lambda family: family.kind == "encoder-decoder",
        methods=("lora", *QUANTIZED),
        features=("new_tokens",),
    ),
)


def method_name(*, lora: bool, quantization: str | None) -> str:
    """Name of the method, or ``ALONE``, which is refused.

    Example:
        >>> method_name(lora=True, quantization="nf4"), method_name(lora=False, quantization=None)
        ('nf4', 'full')
    """
    if quantization:
        return quantization if lora else ALONE
    return "lora" if lora else "full"


def refusal(
    family: str, *, method: str, sharding: str, features: Iterable[str] = ("train",)
) -> Refusal | None:
    """The first refusal that covers the combination, or ``None``.

    Example:
        >>> refusal("t5", method="int8", sharding="zero3").instead
        'Use ZeRO-2, or leave the quantization out.'
    """
    wanted = tuple(features)
    return next((r for r in REFUSALS if r.covers(family, method, sharding, wanted)), None)


def check(
    family: str,
    *,
    method: str,
    sharding: str = "none",
    features: Iterable[str] = ("train",),
    task: str = "",
    quantization: object = None,
) -> None:
    """Refuse a combination.

    Args:
        family: Name of the family.
        method: One of ``METHODS``, or ``ALONE``.
        sharding: One of ``SHARDINGS``.
        features: Those wanted: of ``FEATURES``, or ``"fp16"``.
        task: The task's name, for the message.
        quantization: As the caller gave it, for the message.

    Raises:
        InputError: Says what is refused, why, and what to do.

    Example:
        >>> check("flaubert", method="full", features=["checkpointing"])
        Traceback (most recent call last):
        ...
        frtune.errors.InputError: gradient_checkpointing=True: flaubert does not implement it. ...
    """
    found = refusal(family, method=method, sharding=sharding, features=features)
    if found:
        raise InputError(found.message(family=family, task=task, quantization=quantization))


def combinations(family: str) -> list[tuple[Method, Sharding]]:
    """Method and sharding of each combination that the family may train with.

    Example:
        >>> len(combinations("t5"))  # 4 x 6, less int8 and nf4 under the two of ZeRO-3
        20
    """
    return [
        (method, sharding)
        for method, sharding in itertools.product(METHODS, SHARDINGS)
        if refusal(family, method=method, sharding=sharding) is None
    ]
