"""The settings that made a model, beside what they usually are."""

from __future__ import annotations

import dataclasses
from argparse import SUPPRESS
from collections.abc import Iterator, Mapping
from typing import Any

from transformers import TrainingArguments

from frtune.model_cards import markdown
from frtune.run.settings import RunSettings, is_tiny
from frtune.tasks.base import Task
from frtune.training.arguments import recipe

# said elsewhere on the card, or following from the others
_LEFT_OUT = {
    "data", "checkpoint", "output_dir", "do_eval", "dataloader_pin_memory", "use_cpu",
    "include_for_metrics", "hub_model_id",
}  # fmt: skip
_ALWAYS = ("learning_rate", "num_train_epochs", "per_device_train_batch_size", "seed")
_SHOWN_CHARACTERS = 80


def changed_settings(
    config: Mapping[str, Any], task: Task, settings: RunSettings
) -> Iterator[tuple[str, Any, Any]]:
    """Name, value and usual value of the settings that are not as usual, and of the main ones.

    Args:
        config: What ``config.yaml`` holds.
        task: The run's.
        settings: The run's.
    """
    usual: dict[str, Any] = {}
    for cls in (TrainingArguments, RunSettings, type(task)):
        usual |= {item.name: _default(item) for item in dataclasses.fields(cls)}
    usual |= recipe(task, tiny=is_tiny(settings), sample=settings.data == "sample")
    fitted = {f.name for f in dataclasses.fields(task) if f.metadata.get("help") == SUPPRESS}
    absent = () if config.get("lora") else ("lora", "lora_r", "lora_alpha", "lora_dropout")
    for name in sorted(config.keys() - _LEFT_OUT - fitted - {*absent}):
        if name in _ALWAYS or config[name] != usual.get(name):
            yield name, config[name], usual.get(name)


def _default(item: dataclasses.Field) -> Any:
    if item.default is dataclasses.MISSING:
        return None
    return getattr(item.default, "value", item.default)  # of an enum


def settings_table(config: Mapping[str, Any], task: Task, settings: RunSettings) -> str:
    """``changed_settings`` as a table in Markdown."""
    rows = ["| setting | value | usual |", "| --- | --- | --- |"]
    for name, value, usual in changed_settings(config, task, settings):
        other = "" if value == usual else _cell(usual)
        rows.append(f"| {markdown.code(name)} | {_cell(value)} | {other} |")
    return "\n".join(rows) + "\n"


def _cell(value: Any) -> str:
    if value is None:
        return "not set"
    text = str(value)
    if not text or text != " ".join(text.split()):  # white space that a code span does not show
        text = repr(value)
    shown = text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
    return markdown.code(shown).replace("|", "\\|")  # which would divide the table
