"""The rows of ``gpu.py``: what is done, in which order, for how long at most."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

FAMILIES = ("camembert", "t5", "polyglot")
# name, checkpoint, family, tokens of a row at most, rows a batch, method
MODELS = (
    ("camembert-base", "almanach/camembert-base", "camembert", 256, 64, "full"),
    ("pko-t5-base", "paust/pko-t5-base", "t5", 512, 16, "full"),
    ("polyglot-1.3b", "EleutherAI/polyglot-ko-1.3b", "polyglot", 768, 8, "lora"),
    ("polyglot-5.8b", "EleutherAI/polyglot-ko-5.8b", "polyglot", 768, 4, "int8"),
)
WAYS = {
    "camembert-base": ("frtune", "Trainer", "frtune, pairs", "CrossEncoderTrainer"),
    "pko-t5-base": ("frtune", "Trainer"),
    "polyglot-1.3b": ("frtune", "Trainer", "frtune, bf16 base", "SFTTrainer"),
    "polyglot-5.8b": ("frtune", "Trainer"),
}
PEERS = {"CrossEncoderTrainer": "sentence_transformers", "SFTTrainer": "trl"}
PLANNED = (("camembert-base", "full"), ("pko-t5-base", "full"), ("polyglot-1.3b", "lora"),
           ("polyglot-1.3b", "int8"))  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes:
        name: In results.
        do: Which function does it, of ``_gpu_correct.WORK`` or ``_gpu_fast.WORK``.
        part: ``correct`` or ``fast``.
        seconds: It may take, starting with the imports of its process.
        options: What the function is told.
        needs: Rows that come first.
        alone: Nothing else runs meanwhile.
        apart: It needs a process of its own even where others share one.
    """

    name: str
    do: str
    part: str
    seconds: float
    options: dict[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    alone: bool = False
    apart: bool = False


def rows_of(*, quick: bool) -> list[Row]:
    """All rows: what is correct in three minutes, what is fast in five."""
    return [Row("hardware", "hardware", "correct", 120), *models(quick=quick),
            *correct(quick=quick), *fast(quick=quick)]  # fmt: skip


def correct(*, quick: bool) -> list[Row]:
    """Training on the GPU beside training on the CPU, and what only a GPU shows."""
    rows = [
        Row(f"{zero}: loss as without", "sharded", "correct", 120,
            {"sharding": zero, "packages": ["deepspeed"]}, apart=True)
        for zero in ("zero2_offload", "zero3_offload", "zero2", "zero3")
    ]  # fmt: skip  # offload compiles first, which takes long
    rows += [
        Row(f"same as on the CPU: {family}, {method}", "same_as_cpu", "correct", 60,
            {"family": family, "method": method})
        for family in FAMILIES for method in ("full", "lora")
    ]  # fmt: skip
    rows += [
        Row(f"{precision}: loss beside fp32", "precision", "correct", 60, {"precision": precision})
        for precision in ("bf16", "fp16")
    ]
    rows += [
        Row("resumed run is bit-equal", "resumed", "correct", 60),
        Row("MixUp as on the CPU", "mixup", "correct", 60),
        Row("packed rows as rows alone, SDPA", "packing", "correct", 60),
        *(Row(f"texts as of generate: {family}", "generation", "correct", 60, {"family": family})
          for family in ("t5", "polyglot")),
        *(Row(f"{bits}: train, save, load", "quantized", "correct", 60,
              {"method": bits, "packages": ["bitsandbytes"]}) for bits in ("int8", "nf4")),
        Row("page answers", "page", "correct", 60, {"packages": ["gradio"]}),
    ]  # fmt: skip
    rows += [
        Row(f"peak memory beside plan: {name}, {method}", "memory", "correct", 60,
            {**model(name, quick=quick), "method": method, "batch": 2,
             "packages": ["bitsandbytes"] if method == "int8" else []},
            needs=(f"made: {name}",))
        for name, method in PLANNED
    ]  # fmt: skip
    return rows


def models(*, quick: bool) -> list[Row]:
    """The models and their FLOPs; the largest first, which takes longest."""
    return [
        Row(f"{word}: {name}", do, "fast", 100, model(name, quick=quick))
        for word, do in (("made", "make"), ("FLOPs", "count_flops"))
        for name, *_ in reversed(MODELS)
    ]


def fast(*, quick: bool) -> list[Row]:
    """Speed, of published shapes with random weights."""
    rows = [Row("bf16 peak", "peak", "fast", 60, alone=True)]
    ways = [(name, way) for name, *_ in MODELS for way in WAYS[name]]
    # the pairs of frtune and Trainer first, then other peers, should time run out
    ways.sort(key=lambda pair: pair[1] not in ("frtune", "Trainer"))
    for name, way in ways:
        options = {**model(name, quick=quick), "way": way, "packages": []}
        if options["method"] == "int8":
            options["packages"] = ["bitsandbytes"]
        if way in PEERS:
            options["packages"] = [PEERS[way]]
        limit = 75 if name == "polyglot-5.8b" else 45
        needs = (f"made: {name}",)
        rows.append(Row(f"{name}: {way}", "train", "fast", limit, options, needs, alone=True))
    return rows


def model(wanted: str, *, quick: bool = False) -> dict[str, Any]:
    """The options that say which model a row is of."""
    for name, checkpoint, family, length, batch, method in MODELS:
        if name == wanted:
            return {"name": name, "checkpoint": checkpoint, "family": family, "method": method,
                    "length": 32 if quick else length, "batch": 2 if quick else batch}  # fmt: skip
    raise KeyError(wanted)
