"""``config.yaml`` and ``manifest.json``: what a run was told, written before its first step."""

from __future__ import annotations

import dataclasses
from typing import Any

from datasets import DatasetDict

from frtune.files import staged, write_json, yaml_text
from frtune.run.manifest import RUN_MANIFEST, run_manifest
from frtune.run.settings import RunSettings
from frtune.tasks.base import Task
from frtune.training.arguments import recipe
from frtune.training.in_force import precision
from frtune.training.trainer import TaskTrainer

# training arguments that config.yaml leaves out: secrets, deprecated names, what the recipe derives
NOT_REPEATED = {"hub_token", "push_to_hub_token", "gradient_checkpointing", "report_to", "debug"}


def run_config(task: Task, settings: RunSettings, args: Any) -> dict[str, Any]:
    """What ``config.yaml`` holds: ``frtune train TASK --config`` of it repeats the run."""
    # not by comparing with default arguments: making some resets accelerate's state
    values = args.to_dict() | {name: precision(args) == name for name in ("bf16", "fp16")}
    chosen = recipe(task)  # whose values differ from the Trainer's defaults
    changed = {
        item.name: values[item.name]
        for item in dataclasses.fields(args)
        if item.init
        and item.name not in NOT_REPEATED
        and isinstance(values[item.name], str | int | float | bool | list)
        and (
            item.name in chosen or values[item.name] != getattr(item.default, "value", item.default)
        )
        and (item.default is not None or values[item.name])
    }
    content = {
        **{k: v for k, v in dataclasses.asdict(settings).items() if v is not None},
        **{k: v for k, v in dataclasses.asdict(task).items() if v is not None},
        **changed,
        "output_dir": args.output_dir,
    }
    content.pop("resume")
    return content


def write_config(trainer: TaskTrainer, splits: DatasetDict, config: dict[str, Any]) -> None:
    """Write ``config.yaml`` and ``manifest.json`` before the first step of the trainer."""
    with staged(trainer.args.output_dir) as draft:
        (draft / "config.yaml").write_text(yaml_text(config), encoding="utf-8")
        write_json(draft / RUN_MANIFEST, run_manifest(trainer, splits, config))
