"""Which ways of training fit in the memory at hand, and the flags of each."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from types import SimpleNamespace
from typing import Any

from peft import LoraConfig

from frtune.environment.precision import Precision
from frtune.errors import InputError
from frtune.models.adapter_base import base_of
from frtune.models.checkpoint_files import check_trainable, read_config
from frtune.models.compatibility import METHODS, QUANTIZED, Method, Sharding, combinations, refusal
from frtune.models.families import (
    family_for,
    family_named,
    published_settings,
    trained_by_tests,
)
from frtune.models.lora import lora_config
from frtune.planning.activations import Activations, Casting, Step, activations, casting_of
from frtune.planning.cards import card, card_meant, planned_precision
from frtune.planning.memory import Memory, memory
from frtune.planning.parameters import Architecture, Parameters, architecture, count
from frtune.planning.phases import EVAL_ROWS, Forward, Phases, forward, parts, phases
from frtune.tasks.base import Task
from frtune.tasks.config_file import task_class
from frtune.training.encoding import check_length

CONTEXT = 10**9  # bytes of the CUDA context and libraries on each GPU, seen from 0.5 to 1 GB
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
          "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}  # fmt: skip


@dataclass(frozen=True)
class Option:
    """One way to train.

    Attributes:
        method: ``full``, ``lora``, ``int8`` or ``nf4``.
        sharding: ``none``, ``ddp`` or one of ZeRO's.
        memory: Bytes of weights, gradients, optimizer states and buffers.
        activations: Bytes of activations without gradient checkpointing.
        checkpointed: With it; ``None`` where the family has none.
        fits: ``"yes"``, ``"with checkpointing"`` or ``"no"``.
        shown: Whether a test of frtune trains this family so.
        command: The command line, with gradient checkpointing where it is needed.
        phases: Bytes of each phase of the run; the largest decides.
    """

    method: Method
    sharding: Sharding
    memory: Memory
    activations: int
    checkpointed: int | None
    fits: str
    shown: bool
    command: str
    phases: Phases

    @property
    def peak(self) -> int:
        """Bytes on a GPU, with checkpointing where it is needed or would not be enough."""
        return self.phases.peak + CONTEXT

    @property
    def host(self) -> int:
        """Bytes on the host: of loading, or of training and the proof."""
        return max(self.memory.host, self.memory.host_offloaded + self.phases.host_proof)


@dataclass(frozen=True)
class Plan:
    """What :func:`plan` found.

    Attributes:
        checkpoint: As given.
        family: Its family.
        task: The task's name.
        published: Whether the sizes are frtune's copy of the published ones.
        parameters: Numbers of parameters.
        step: The micro-batch of a GPU.
        gpus: GPUs.
        gpu_bytes: Memory of each.
        cpu_bytes: Memory of the host; ``None`` where it was not given.
        precision: ``bf16``, ``fp16`` or ``fp32``.
        reason: Why.
        gpu: The card; ``None`` where only its memory is known.
        options: All that frtune allows, in the order of preference.
    """

    checkpoint: str
    family: str
    task: str
    published: bool
    parameters: Parameters
    step: Step
    gpus: int
    gpu_bytes: int
    cpu_bytes: int | None
    precision: Precision
    options: tuple[Option, ...]
    reason: str = ""
    gpu: str | None = None

    @property
    def recommended(self) -> Option | None:
        """The first option that fits."""
        return next((option for option in self.options if option.fits != "no"), None)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, bytes as whole numbers."""
        best = self.recommended
        return {
            **{k: v for k, v in asdict(self).items() if k != "options"},
            "options": [
                {**asdict(option), "peak": option.peak, "host": option.host}
                for option in self.options
            ],
            "recommended": best and best.command,
        }


def parse_size(text: str | int, what: str = "size") -> int:
    """Turn ``24GB`` or ``24GiB`` into bytes; a GB has 10^9, a GiB 2^30.

    Raises:
        InputError: If it is no size.

    Example:
        >>> parse_size("24GB"), parse_size("0.5 GiB")
        (24000000000, 536870912)
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", str(text))
    unit = found and _UNITS.get(found[2].upper())
    if not found or unit is None or float(found[1]) <= 0:
        raise InputError(
            f"{what}={text!r}: a number with a unit. Write 24GB or 24GiB, for example."
        )
    return int(float(found[1]) * unit)


def plan(
    checkpoint: str | os.PathLike[str],
    *,
    task: Task | None = None,
    family: str | None = None,
    gpus: int = 1,
    gpu: str | None = None,
    gpu_memory: str | int | None = None,
    cpu_memory: str | int | None = None,
    batch: int = 8,
    precision: Precision | None = None,
) -> Plan:
    """Find what fits: methods and shardings that frtune allows, with their memory.

    Nothing is loaded or downloaded but the config: parameters are counted on the meta device, and
    activations on tensors without data. A GPU's peak is that of the largest phase (loading, step,
    evaluation, proof, merge) and 1 GB for the CUDA context. Options are sorted by what a
    specialist would rather do: train in full before LoRA, LoRA before quantisation, no sharding
    before ZeRO-2 before ZeRO-3, and offload last, because it is slow.

    Args:
        checkpoint: Directory, hub name, or a default checkpoint, which needs no network.
        task: The task, with its numbers of tokens; ``None`` takes classification for encoders and
            keyphrases for the others.
        family: The family, where the checkpoint cannot say.
        gpus: GPUs of one host.
        gpu: Their name, such as ``"t4"`` (``frtune.planning.cards``); ``None`` takes the one that
            is present.
        gpu_memory: Memory of each: ``"24GB"``, ``"80GiB"`` or bytes; ``None`` takes the card's, and
            24 GB where there is none.
        cpu_memory: Memory of the host; ``None`` does not check it.
        batch: Rows a GPU and micro-batch.
        precision: ``"bf16"``, ``"fp16"`` or ``"fp32"``; ``None`` takes what the card computes in
            and the family bears, and bf16 where there is no card.

    Raises:
        InputError: If the checkpoint, the task, the card or a number cannot be, the card only
            emulates the precision, or the weights do not train.

    Example:
        >>> found = plan("paust/pko-t5-base", gpu_memory="24GB")
        >>> found.recommended.method, found.recommended.sharding
        ('full', 'none')
    """
    for name, value in (("gpus", gpus), ("batch", batch)):
        if value < 1:
            raise InputError(f"{name}={value}: at least 1. Leave it out for the default.")
    asked = None if gpu_memory is None else parse_size(gpu_memory, "gpu_memory")
    used = card(gpu) if gpu is not None else card_meant(asked, precision)
    gpu_bytes = asked or (24 * 10**9 if used is None else used.memory)
    cpu_bytes = None if cpu_memory is None else parse_size(cpu_memory, "cpu_memory")
    task = task or task_class(default_task(checkpoint, family)).for_planning()
    if os.path.isdir(checkpoint):
        check_trainable(base_of(checkpoint))
    found = architecture(checkpoint, task, family=family)
    if getattr(found.config, "quantization_config", None) is not None:
        raise InputError(
            f"checkpoint={os.fspath(checkpoint)!r}: its weights are quantised. "
            "Plan for the model that it was made from."
        )
    check_length(task, SimpleNamespace(config=found.config))
    chosen = planned_precision(used, found.family, precision)
    lora = lora_config()
    step = Step(batch, task.max_source_tokens, task.max_target_tokens)
    whole = Plan(
        os.fspath(checkpoint), found.family.name, task.name, found.published, count(found, lora),
        step, gpus, gpu_bytes, cpu_bytes, chosen.precision, (), chosen.reason, used and used.name,
    )  # fmt: skip
    options = sorted(_options(found, lora, whole), key=_preference)
    return replace(whole, options=tuple(options))


def default_task(checkpoint: str | os.PathLike[str], family: str | None = None) -> str:
    """Name of the task that is planned unless told: classification for encoders, else keyphrases.

    Example:
        >>> default_task("almanach/camembert-base")
        'classification'
    """
    if family is not None:
        found = family_named(family)
    elif settings := published_settings(os.fspath(checkpoint)):
        found = family_for(settings["model_type"])
    else:
        found = family_for(read_config(base_of(checkpoint)).model_type)
    return "classification" if found.kind == "encoder" else "keyphrases"


def _options(found: Architecture, lora: LoraConfig, whole: Plan) -> Iterator[Option]:
    """Every allowed combination with its bytes, its verdict and its command."""
    name, step, gpus, precision = found.family.name, whole.step, whole.gpus, whole.precision
    no_recomputing = refusal(name, method="full", sharding="none", features=["checkpointing"])
    known: dict[tuple[bool, Casting], Activations] = {}
    forwards: dict[Casting, Forward] = {}
    proven = parts(found)
    for method, sharding in combinations(name):
        if sharding == ("none" if gpus > 1 else "ddp"):
            continue
        casting = casting_of(precision, sharding)
        key = (method == "full", casting)
        if key not in known:
            adapter = None if method == "full" else lora
            known[key] = activations(found, step, lora=adapter, casting=casting)
        kept = known[key]
        copies = kept.weight_copies if method in QUANTIZED else 0  # made for fp32 weights only
        used = kept.saved + kept.loss - copies
        checkpointed = None if no_recomputing else kept.recomputed + kept.loss
        needed = memory(whole.parameters, method, sharding, gpus=gpus, precision=precision)
        if casting not in forwards:
            forwards[casting] = forward(found, step, casting=casting)
        room = whole.gpu_bytes - CONTEXT
        held = needed.states + needed.buffers
        recompute = checkpointed is not None and held + used > room
        phased = phases(
            needed, method, step=held + (checkpointed if recompute else used),  # type: ignore[operator]
            run=forwards[casting], proven=proven, parameters=whole.parameters,
            size=2 if casting == "bf16" else 4, recomputes=recompute,
            fits=lambda size, room=room: size <= room,
        )  # fmt: skip
        option = Option(
            method, sharding, needed, used, checkpointed, "no",
            name in trained_by_tests(method, sharding), "", phased,
        )  # fmt: skip
        if phased.peak <= room and (whole.cpu_bytes is None or option.host <= whole.cpu_bytes):
            option = replace(option, fits="with checkpointing" if recompute else "yes")
        yield replace(option, command=_command(option, whole))


def _command(option: Option, whole: Plan) -> str:
    """The command line that trains so."""
    method, sharding, rows = option.method, option.sharding, option.phases.eval_rows
    zero = sharding.startswith("zero")
    words = ["frtune"]
    if zero or whole.gpus > 1:  # DeepSpeed wants a launcher on one GPU, too
        words = ["torchrun", "--nproc-per-node", str(whole.gpus), "-m", "frtune"]
    words += ["train", whole.task, "--checkpoint", whole.checkpoint]
    words += ["--data", "DATA", "--per-device-train-batch-size", str(whole.step.rows)]
    words += ["--max-source-tokens", str(whole.step.source_tokens)]
    if whole.step.target_tokens:
        words += ["--max-target-tokens", str(whole.step.target_tokens)]
    if method != "full":
        words += ["--lora"]
    elif family_named(whole.family).kind == "decoder" and not whole.step.target_tokens:
        words += ["--no-lora"]  # a decoder with a classification head gets LoRA unless told
    if method in QUANTIZED:
        words += [f"--{method}"]
    if zero:
        words += ["--deepspeed", f"deepspeed_configs/{sharding}.json"]
    if rows < EVAL_ROWS[0]:
        words += ["--per-device-eval-batch-size", str(rows)]
    if option.fits == "with checkpointing":
        words += ["--activation-checkpointing"]
    words += ["--no-bf16" if whole.precision == "fp32" else f"--{whole.precision}"]
    return shlex.join(words)


def _preference(option: Option) -> tuple[bool, int, int]:
    """Offload last; then full before LoRA before quantised; then the least sharding."""
    shardings = ("none", "ddp", "zero2", "zero3", "zero2_offload", "zero3_offload")
    offload, method = option.sharding.endswith("offload"), METHODS.index(option.method)
    return offload, method, shardings.index(option.sharding)
