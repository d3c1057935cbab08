"""Prints the memory tables of ``docs/memory.md``: planned, and measured where this machine can.

    python benchmarks/memory_table.py

The planned ones come from ``frtune plan``; the measured one is what ``benchmarks/memory_plan.py``
wrote.
"""

from __future__ import annotations

import json
from pathlib import Path

from frtune.planning.plan import CONTEXT, Plan, plan

RESULTS = Path(__file__).parent / "results" / "memory_plan.json"
SHAPES = (
    "paust/pko-t5-base",
    "EleutherAI/polyglot-ko-1.3b",
    "EleutherAI/polyglot-ko-5.8b",
    "huggyllama/llama-7b",
)
GPUS = 6


def planned(checkpoint: str) -> None:
    """Print a table of one shape: one GPU without sharding, then six."""
    plans = [(1, plan(checkpoint, gpus=1)), (GPUS, plan(checkpoint, gpus=GPUS))]
    step = plans[0][1].step
    print(f"\n### {checkpoint}, {plans[0][1].parameters.total / 1e6:,.0f} million parameters\n")
    print(f"Planned: {step.rows} rows of {step.source_tokens} + {step.target_tokens} tokens a GPU, "
          "bf16; GB a GPU, host in all.\n")  # fmt: skip
    print("| GPUs | method | sharding | weights | gradients | optimizer | buffers | activations | "
          "with checkpointing | peak | fits 24 GB | host |")  # fmt: skip
    print("| --- " * 12 + "|")
    for gpus, found in plans:
        _rows(gpus, found)


def _rows(gpus: int, found: Plan) -> None:
    for option in found.options:
        if gpus == 1 and option.sharding != "none":
            continue
        memory = option.memory
        peak = option.phases.step + CONTEXT
        sizes = (memory.weights, memory.gradients, memory.optimizer, memory.buffers,
                 option.activations, option.checkpointed or 0, peak)  # fmt: skip
        shown = " | ".join(f"{size / 1e9:.1f}" for size in sizes)
        print(f"| {gpus} | {option.method} | {option.sharding} | {shown} | {option.fits} | "
              f"{memory.host / 1e9:.0f} |")  # fmt: skip


def measured() -> None:
    """Print planned beside measured states, and Accelerate's estimate."""
    content = json.loads(RESULTS.read_text("utf-8"))
    print("| case | method | planned, MB | measured, MB | planned / measured | with activations, "
          "planned / RSS | Accelerate / measured |")  # fmt: skip
    print("| --- " * 7 + "|")
    for row in content["measured"]:
        print(f"| {row['case']} | {row['method']} | {row['planned']['states'] / 1e6:.1f} | "
              f"{row['measured']['states'] / 1e6:.1f} | {row['ratio']:.3f} | "
              f"{row['rss_ratio']:.2f} | {row.get('accelerate_ratio', '-')} |")  # fmt: skip
    print("\nPlanned, beside DeepSpeed's estimators:\n")
    print("| shape, six GPUs, full | sharding | planned, GB a GPU | DeepSpeed's estimator | "
          "planned, GB of host | DeepSpeed's |")  # fmt: skip
    print("| --- " * 6 + "|")
    for row in content["estimates"]:
        print(f"| {row['checkpoint']} | {row['sharding']} | {row['planned_gpu'] / 1e9:.1f} + "
              f"{row['planned_buffers'] / 1e9:.1f} of buffers | {row['deepspeed_gpu'] / 1e9:.1f} | "
              f"{row['planned_host'] / 1e9:.0f} | {row['deepspeed_host'] / 1e9:.0f} |")  # fmt: skip


if __name__ == "__main__":
    measured()
    for shape in SHAPES:
        planned(shape)
