"""The table of families: what each builder opens, and the tasks that it can be trained for.

``python tests/families_table.py`` prints the table of ``docs/families.md``.
"""

from __future__ import annotations

import sys

import frtune
from frtune.models.families import FAMILIES
from frtune.models.family import Family, has_head
from frtune.models.lora import PEFT_TARGETS
from frtune.tasks.config_file import task_class, task_names

HEAD = (
    "builder", "default checkpoint", "kind", "tasks", "LoRA on", "gradient checkpointing",
    "fp16 weights", "pads",
)  # fmt: skip


def own_tasks() -> list[str]:
    """Names of frtune's tasks, without those that a program registers."""
    package = frtune.__name__ + "."
    return [name for name in task_names() if task_class(name).__module__.startswith(package)]


def tasks_of(family: Family) -> list[str]:
    """Names of the tasks whose head Transformers has for the family.

    Example:
        >>> tasks_of(FAMILIES["granite"])
        ['keyphrases']
    """
    heads = {name: task_class(name).auto_classes.get(family.kind) for name in own_tasks()}
    return [name for name, head in heads.items() if head and has_head(family.model_types[0], head)]


def cells(family: Family) -> list[str]:
    """The row of a family."""
    targets = family.lora_targets or PEFT_TARGETS[family.model_types[0]]
    return [
        f"`{family.builder}`",
        f"`{family.default_checkpoint}`",
        family.kind,
        ", ".join(tasks_of(family)),
        ", ".join(f"`{name}`" for name in targets),
        "yes" if family.gradient_checkpointing else "**no**",
        "yes" if family.fp16 else "**no**",
        family.padding_side,
    ]


def markdown() -> str:
    """The table in Markdown."""
    rows = [HEAD, ["---"] * len(HEAD), *(cells(family) for family in FAMILIES.values())]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


if __name__ == "__main__":
    sys.stdout.write(markdown())
