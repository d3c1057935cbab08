"""What can be combined with what: shown by a test, or refused.

One table for the code, the docs and ``frtune plan``. Builders ask :func:`check` before they load
anything. ``python -m frtune.models.compatibility`` prints the table of ``docs/memory.md``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from frtune._evidence import EVIDENCE
from frtune.errors import InputError
from frtune.models.families import FAMILIES, Family

Method = Literal["full", "lora", "int8", "nf4"]
Sharding = Literal["none", "ddp", "zero2", "zero2_offload", "zero3", "zero3_offload"]
Feature = Literal["train", "generate", "checkpointing", "new_tokens", "resume"]
Status = Literal["works", "refused", "untested", "absent"]

METHODS: tuple[Method, ...] = get_args(Method)
SHARDINGS: tuple[Sharding, ...] = get_args(Sharding)
FEATURES: tuple[Feature, ...] = get_args(Feature)
QUANTIZED = ("int8", "nf4")
ALONE = "quantised, without LoRA"  # no method of the table: nothing would train


def _names(kept: Iterable[Family]) -> tuple[str, ...]:
    return tuple(family.name for family in kept)


_ALL = tuple(FAMILIES)
_SEQ2SEQ = _names(f for f in FAMILIES.values() if f.kind == "encoder-decoder")
_DECODERS = _names(f for f in FAMILIES.values() if f.kind == "decoder")


@dataclass(frozen=True)
class Refusal:
    """A combination that is refused before anything is loaded.

    Attributes:
        what: The argument at fault; ``{family}``, ``{task}`` and ``{quantization}`` are filled in.
        reason: Why.
        instead: What to do.
        families: Families that it holds for.
        methods: Methods that it holds for.
        shardings: Shardings that it holds for.
        features: Features that it holds for; empty: the combination itself, with any feature.
    """

    what: str
    reason: str
    instead: str
    families: tuple[str, ...] = _ALL
    methods: tuple[str, ...] = (*METHODS, ALONE)
    shardings: tuple[str, ...] = SHARDINGS
    features: tuple[str, ...] = ()

    def covers(self, family: str, method: str, sharding: str, features: Iterable[str]) -> bool:
        """Whether the combination is among those refused."""
        return (
            family in self.families
            and method in self.methods
            and sharding in self.shardings
            and (not self.features or bool(set(self.features) & set(features)))
        )

    def message(self, **values: object) -> str:
        """The error's one line."""
        return f"{self.what}: {self.reason}. {self.instead}".format(**values)


REFUSALS = (
    Refusal(
        "dtype='float16'",
        "{family} overflows in fp16 and its loss becomes NaN",
        "Use dtype='bfloat16', or leave it out and train with bf16=True.",
        families=_names(f for f in FAMILIES.values() if not f.fp16),
        features=("fp16",),
    ),
    Refusal(
        "gradient_checkpointing=True",
        "{family} does not implement it",
        "Leave it out; smaller batches with gradient accumulation save memory too.",
        families=_names(f for f in FAMILIES.values() if not f.gradient_checkpointing),
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
        families=_SEQ2SEQ,
        methods=("lora", *QUANTIZED),
        features=("new_tokens",),
    ),
)


@dataclass(frozen=True)
class Cell:
    """One cell of the table.

    Attributes:
        status: ``works``: a test shows it. ``refused``: before loading, with the way out.
            ``untested``: neither; no cell is. ``absent``: it does not arise.
        tests: The tests that show it.
        refusal: Why it is refused, and what to do.
    """

    status: Status
    tests: tuple[str, ...] = ()
    refusal: Refusal | None = None


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
    for rule in REFUSALS:
        if rule.covers(family, method, sharding, wanted):
            return rule
    return None


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


def cell(family: str, method: Method, sharding: Sharding, feature: Feature) -> Cell:
    """Look a combination up.

    Example:
        >>> cell("polyglot", "lora", "zero3", "train").status
        'works'
        >>> cell("bert", "nf4", "zero3", "resume").status
        'refused'
    """
    found = refusal(family, method=method, sharding=sharding, features=[feature])
    if found:
        return Cell("refused", refusal=found)
    if (feature == "generate" and family not in (*_SEQ2SEQ, *_DECODERS)) or (
        feature == "new_tokens" and family not in _DECODERS
    ):
        return Cell("absent")
    tests = tuple(
        row.test
        for row in EVIDENCE
        if family in row.families
        and method in row.methods
        and sharding in row.shardings
        and feature in row.features
    )
    return Cell("works" if tests else "untested", tests=tests)


def combinations(family: str) -> list[tuple[Method, Sharding]]:
    """Method and sharding of each combination that the family may train with.

    Example:
        >>> len(combinations("t5"))  # 4 x 6, less int8 and nf4 under the two of ZeRO-3
        20
    """
    return [
        (method, sharding)
        for method in METHODS
        for sharding in SHARDINGS
        if refusal(family, method=method, sharding=sharding) is None
    ]


def markdown() -> str:
    """The table as Markdown, as ``docs/memory.md`` has it."""
    lines = [
        "| family | method | " + " | ".join(SHARDINGS) + " |",
        "| --- | --- |" + " --- |" * len(SHARDINGS),
    ]
    for family in FAMILIES:
        for method in METHODS:
            shown = " | ".join(_shown(family, method, sharding) for sharding in SHARDINGS)
            lines.append(f"| {family} | {method} | {shown} |")
    lines += ["", "| shown by | families | methods | sharding | |", "| --- |" + " --- |" * 4]
    for row in EVIDENCE:
        kinds = (row.families, row.methods, row.shardings, row.features)
        listed = " | ".join(
            "all" if set(kind) >= set(every) else ", ".join(kind)
            for kind, every in zip(kinds, (_ALL, METHODS, SHARDINGS, FEATURES), strict=True)
        )
        lines.append(f"| `{row.test}` | {listed} |")
    return "\n".join(lines) + "\n"


_LETTERS: dict[Feature, str] = dict(zip(FEATURES, "TGCNR", strict=True))


def _shown(family: str, method: Method, sharding: Sharding) -> str:
    if refusal(family, method=method, sharding=sharding):
        return "refused"
    found: dict[Feature, Status] = {
        feature: cell(family, method, sharding, feature).status for feature in FEATURES
    }
    marks = {"works": "{}", "refused": "~~{}~~", "untested": "{}?"}
    return " ".join(
        marks[status].format(_LETTERS[feature])
        for feature, status in found.items()
        if status != "absent"
    )


if __name__ == "__main__":
    sys.stdout.write(markdown())
