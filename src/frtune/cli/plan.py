"""``frtune plan``: says which ways of training fit, before anything is downloaded."""

from __future__ import annotations

from argparse import SUPPRESS
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from rich.console import Console
from rich.table import Table

from frtune.cli.arguments import Parser, made, options_of
from frtune.environment.precision import Precision
from frtune.errors import InputError
from frtune.files import json_text
from frtune.planning.plan import CONTEXT, Option, Plan, default_task, plan
from frtune.tasks.config_file import task_class

# the table has 80 columns
COLUMNS = ("model", "grads", "optim", "buf", "acts", "ckpt", "peak", "host")
FITS = {"with checkpointing": "ckpt"}


@dataclass(frozen=True)
class Options:
    """What is to be trained, and on which machine.

    Attributes:
        checkpoint: Directory or hub name; default checkpoints of families need no network.
        family: Model family, if the checkpoint does not say it.
        gpus: GPUs of one host.
        gpu: Name of the GPU: t4, "GTX 1650 Ti", a100-80gb, ... (default: the one that is present).
        gpu_memory: Memory of each GPU, as 24GB or 80GiB (default: the card's; without one, 24GB).
        cpu_memory: Memory of the host (default: not checked).
        batch: Number of longest rows at once on a GPU; training cuts a step to what fits.
        task: What is learnt (default: classification for encoders, else keyphrases).
        tokens: Tokens of a source (default: the task's).
        target_tokens: Tokens of a target, where there is one.
        precision: Precision of the training (default: that of the GPU, if the family allows it;
            without a GPU, bf16).
        json: Print everything as JSON, sizes in bytes.
    """

    checkpoint: str
    family: str | None = None
    gpus: int = 1
    gpu: str | None = field(default=None, metadata={"metavar": "NAME"})
    gpu_memory: str | None = field(default=None, metadata={"metavar": "SIZE"})
    cpu_memory: str | None = field(default=None, metadata={"metavar": "SIZE"})
    batch: int = 8
    task: str | None = field(default=None, metadata={"metavar": "TASK"})
    tokens: int | None = None
    target_tokens: int | None = None
    precision: Precision | None = None
    json: bool = False


def main(argv: list[str]) -> None:
    """Work the plan out and print it."""
    parser = Parser(
        prog="frtune plan",
        description="Compute the memory of full, LoRA, int8 and nf4 training under DDP and "
        "ZeRO-2/3, with and without offload. Show what fits, and the command of the "
        "best. Only the config of the checkpoint is read.",
        epilog="example: frtune plan --checkpoint EleutherAI/polyglot-ko-5.8b --gpus 6 "
        "--gpu-memory 24GB --cpu-memory 256GB",
    )
    groups = options_of(Options)
    parser.add_options("model", groups, ["checkpoint", "family"])
    parser.add_options("machine", groups, ["gpus", "gpu", "gpu_memory", "cpu_memory"])
    training = ["task", "batch", "tokens", "target_tokens", "precision"]
    parser.add_options("training", groups, training)
    flags = (("--bf16", "bf16"), ("--fp16", "fp16"), ("--no-bf16", "fp32"))
    for flag, precision in flags:  # as frtune train has them
        parser.add_argument(
            flag, dest="precision", action="store_const", const=precision, default=SUPPRESS,
            help=f"The same as --precision {precision}.",
        )  # fmt: skip
    parser.add_options("output", groups, ["json"])
    options = asdict(made(Options, parser.parse(argv)))
    if options["gpus"] < 1:  # 0 is the CPU where something is computed
        raise InputError(f"gpus={options['gpus']}: at least 1, a whole number. Pass another.")

    name = options.pop("task") or default_task(options["checkpoint"], options["family"])
    task = _task(name, options.pop("tokens"), options.pop("target_tokens"))
    as_json = options.pop("json")
    found = plan(options.pop("checkpoint"), task=task, **options)
    if as_json:
        print(json_text(found.to_dict(), indent=2))
    else:
        _show(found)


def _task(name: str, tokens: int | None, target_tokens: int | None) -> Any:
    cls = task_class(name)
    limits = {"max_source_tokens": tokens, "max_target_tokens": target_tokens}
    given = {limit: value for limit, value in limits.items() if value is not None}
    if not given.keys() <= {item.name for item in fields(cls)}:
        raise InputError(f"--target-tokens {target_tokens}: {name} has no target. Leave it out.")
    return cls.for_planning(**given)


def _gigabytes(size: int) -> str:
    """In five characters, up to 99 TB."""
    amount = size / 1e9
    return f"{amount:.{2 if amount < 9.995 else 1 if amount < 999.95 else 0}f}"


def _show(found: Plan) -> None:
    """Print the plan as a table, and the command to run."""
    step, best = found.step, found.recommended
    target = f" and {step.target_tokens} of target" if step.target_tokens else ""
    console = Console(highlight=False)
    console.print(
        f"{found.checkpoint}: {found.family}, {found.parameters.total / 1e6:,.1f} million "
        f"parameters{', published sizes' if found.published else ''}; {found.task}, "
        f"{step.rows} rows of {step.source_tokens} tokens{target} a GPU of "
        f"{found.gpu_bytes / 1e9:.1f} GB, in {found.precision}: {found.reason}. "
        "In GB; host: all processes together; ckpt: with gradient checkpointing; peak: what "
        "a GPU needs; tested: whether a test trains this family so.",
        markup=False,
    )
    table = Table("method", "sharding", *COLUMNS, "fits", "tested",
                  box=None, padding=(0, 1, 0, 0), pad_edge=False)  # fmt: skip
    for column in table.columns:
        column.no_wrap = True
    for column in table.columns[2:-2]:
        column.justify = "right"
    for option in found.options:
        memory = option.memory
        sizes = (memory.weights, memory.gradients, memory.optimizer, memory.buffers,
                 option.activations, option.checkpointed, option.peak, option.host)  # fmt: skip
        cells = ["-" if size is None else _gigabytes(size) for size in sizes]
        cells += [FITS.get(option.fits, option.fits), "yes" if option.shown else "no"]
        style = None if option.fits != "no" else "dim"
        table.add_row(option.method, option.sharding, *cells, style=style)
    console.print(table)
    if best is None:
        console.print(
            f"nothing fits in {found.gpu_bytes / 1e9:.0f} GB a GPU with {step.rows} rows at once. "
            "Lower --batch (1 is the least that a step needs) or --tokens, or raise --gpus."
        )
        return
    console.print(f"recommended: {best.method}, {best.sharding}")
    console.print(phases_line(best))
    print(best.command)  # the console would break the line


def phases_line(option: Option) -> str:
    """The phases of a way of training, in GB a GPU with the CUDA context."""
    found = option.phases
    names = ("load", "step", "evaluation", "proof", "merge")
    sizes = [(name, getattr(found, name)) for name in names if getattr(found, name)]
    shown = ", ".join(f"{name} {(size + CONTEXT) / 1e9:.1f}" for name, size in sizes)
    merging = f", with --merge {found.host_merge / 1e9:.1f}" if found.host_merge else ""
    return (
        f"a GPU's GB by phase: {shown} (evaluation: {found.eval_rows} rows at once); "
        f"host of the proof: {found.host_proof / 1e9:.1f}{merging}"
    )
