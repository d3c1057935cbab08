"""``frtune plan``: says which ways of training fit, before anything is downloaded."""

from __future__ import annotations

import argparse
import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from frtune.cli import Parser
from frtune.errors import InputError
from frtune.planning.plan import default_task, plan
from frtune.tasks.config_file import task_class, task_names

if TYPE_CHECKING:
    from frtune.planning.plan import Option, Plan


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="frtune plan",
        description="Work out the memory of full, LoRA, int8 and nf4 training under DDP and "
        "ZeRO-2/3 with and without offload; say which fit, and print the command of the best. "
        "Only the checkpoint's config is read.",
        epilog="example: frtune plan --checkpoint EleutherAI/polyglot-ko-5.8b --gpus 6 "
        "--gpu-memory 24GB --cpu-memory 256GB",
    )
    add = parser.add_argument
    add("--checkpoint", required=True, help="directory or hub name; the default checkpoints of "
        "the families need no network")  # fmt: skip
    add("--family", help="family, where the checkpoint cannot say")
    add("--gpus", type=int, default=1, metavar="N", help="GPUs of one host (1)")
    add("--gpu-memory", default="24GB", metavar="SIZE", help="of each GPU, as 24GB or 80GiB (24GB)")
    add("--cpu-memory", metavar="SIZE", help="of the host (not checked)")
    add("--batch", type=int, default=8, metavar="N", help="rows a GPU and micro-batch (8)")
    add("--task", choices=task_names(), help="(classification for encoders, else keyphrases)")
    add("--tokens", type=int, metavar="N", help="tokens of a source (the task's default)")
    add("--target-tokens", type=int, metavar="N", help="tokens of a target, where there is one")
    add("--precision", choices=["bf16", "fp32"], default="bf16", help="of the training (bf16)")
    add("--json", action="store_true", help="print everything as JSON, sizes in bytes")
    return parser


def main(argv: list[str]) -> None:
    """Run ``frtune plan`` with ``argv``."""
    options = _parser().parse(argv)  # type: ignore[attr-defined]

    name = options.task or default_task(options.checkpoint, options.family)
    found = plan(
        options.checkpoint,
        task=_task(name, options.tokens, options.target_tokens),
        family=options.family,
        gpus=options.gpus,
        gpu_memory=options.gpu_memory,
        cpu_memory=options.cpu_memory,
        batch=options.batch,
        precision=options.precision,
    )
    if options.json:
        print(json.dumps(found.to_dict(), indent=2))
    else:
        _show(found)


def _task(name: str, tokens: int | None, target_tokens: int | None) -> Any:

    cls = task_class(name)
    known = {item.name for item in fields(cls)}
    settings: dict[str, Any] = {}
    given = {"max_source_tokens": tokens, "max_target_tokens": target_tokens}
    for field, value in given.items():
        if value is None:
            continue
        if field not in known:
            raise InputError(f"--target-tokens {value}: {name} has no target. Leave it out.")
        settings[field] = value
    return cls.for_planning(**settings)


def _show(found: Plan) -> None:
    """Print the plan as a table, and the command to run."""
    step = found.step
    console = Console()
    table = Table("method", "sharding", "weights", "gradients", "optimizer", "buffers",
                  "activations", "checkpointed", "peak", "host", "fits", "tested")  # fmt: skip
    for option in found.options:
        table.add_row(*_row(option), style=None if option.fits != "no" else "dim")
    console.print(
        f"{found.checkpoint}: {found.family}, {found.parameters.total / 1e6:,.1f} million "
        f"parameters{', published sizes' if found.published else ''}; {found.task}, "
        f"{step.rows} rows of {step.source_tokens} tokens"
        + (f" and {step.target_tokens} of target" if step.target_tokens else "")
        + f" a GPU, {found.precision}. In GB; host: all processes together.",
        highlight=False,
        markup=False,
    )
    console.print(table)
    best = found.recommended
    if best is None:
        console.print(
            f"nothing fits in {found.gpu_bytes / 1e9:.0f} GB a GPU. Lower --batch or --tokens, "
            "or raise --gpus.",
            highlight=False,
        )
        return
    console.print(f"recommended: {best.method}, {best.sharding}", highlight=False)
    # not through the console, which would break the line
    print(best.command)


def _row(option: Option) -> list[str]:
    memory = option.memory
    sizes = (memory.weights, memory.gradients, memory.optimizer, memory.buffers,
             option.activations, option.checkpointed, option.peak, memory.host)  # fmt: skip
    return [
        option.method,
        option.sharding,
        *("-" if size is None else f"{size / 1e9:.2f}" for size in sizes),
        option.fits,
        "yes" if option.shown else "not yet",
    ]
