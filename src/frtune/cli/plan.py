"""``frtune plan``: says which ways of training fit, before anything is downloaded."""

from __future__ import annotations

from argparse import SUPPRESS
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from frtune.cli.arguments import Parser, made, options_of
from frtune.errors import InputError
from frtune.files import json_text
from frtune.planning.plan import Plan, default_task, plan
from frtune.tasks.config_file import task_class


@dataclass(frozen=True)
class Options:
    """What is to be trained, and on which machine.

    Attributes:
        checkpoint: Directory or hub name; default checkpoints of families need no network.
        family: Family, where the checkpoint cannot say.
        gpus: GPUs of one host.
        gpu_memory: Memory of each GPU, as 24GB or 80GiB.
        cpu_memory: Memory of the host (default: not checked).
        batch: Longest rows at once on a GPU; training cuts a step to what fits.
        task: What is learnt (default: classification for encoders, else keyphrases).
        tokens: Tokens of a source (default: the task's).
        target_tokens: Tokens of a target, where there is one.
        precision: Precision of the training.
        json: Print everything as JSON, sizes in bytes.
    """

    checkpoint: str
    family: str | None = None
    gpus: int = 1
    gpu_memory: str = field(default="24GB", metadata={"metavar": "SIZE"})
    cpu_memory: str | None = field(default=None, metadata={"metavar": "SIZE"})
    batch: int = 8
    task: str | None = field(default=None, metadata={"metavar": "TASK"})
    tokens: int | None = None
    target_tokens: int | None = None
    precision: Literal["bf16", "fp32"] = "bf16"
    json: bool = False


def main(argv: list[str]) -> None:
    """Work the plan out and print it."""
    parser = Parser(
        prog="frtune plan",
        description="Work out the memory of full, LoRA, int8 and nf4 training under DDP and "
        "ZeRO-2/3 with and without offload; say which fit, and print the command of the best. "
        "Only the checkpoint's config is read.",
        epilog="example: frtune plan --checkpoint EleutherAI/polyglot-ko-5.8b --gpus 6 "
        "--gpu-memory 24GB --cpu-memory 256GB",
    )
    groups = options_of(Options)
    parser.add_options("model", groups, ["checkpoint", "family"])
    parser.add_options("machine", groups, ["gpus", "gpu_memory", "cpu_memory"])
    training = ["task", "batch", "tokens", "target_tokens", "precision"]
    parser.add_options("training", groups, training)
    for flag, precision in (("--bf16", "bf16"), ("--no-bf16", "fp32")):  # as frtune train has them
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


def _show(found: Plan) -> None:
    """Print the plan as a table, and the command to run."""
    step, best = found.step, found.recommended
    target = f" and {step.target_tokens} of target" if step.target_tokens else ""
    console = Console(highlight=False)
    console.print(
        f"{found.checkpoint}: {found.family}, {found.parameters.total / 1e6:,.1f} million "
        f"parameters{', published sizes' if found.published else ''}; {found.task}, "
        f"{step.rows} rows of {step.source_tokens} tokens{target} a GPU, {found.precision}. "
        "In GB; host: all processes together.",
        markup=False,
    )
    table = Table("method", "sharding", "weights", "gradients", "optimizer", "buffers",
                  "activations", "checkpointed", "peak", "host", "fits", "tested")  # fmt: skip
    for option in found.options:
        memory = option.memory
        sizes = (memory.weights, memory.gradients, memory.optimizer, memory.buffers,
                 option.activations, option.checkpointed, option.peak, memory.host)  # fmt: skip
        cells = ["-" if size is None else f"{size / 1e9:.2f}" for size in sizes]
        cells += [option.fits, "yes" if option.shown else "not yet"]
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
    print(best.command)  # the console would break the line
