"""The capability table: each combination with the tests that show it, or why it is refused.

``python tests/compatibility_table.py`` prints the table of ``docs/memory.md``.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Literal

from evidence import EVIDENCE
from frtune.models.compatibility import (
    FEATURES,
    METHODS,
    SHARDINGS,
    Feature,
    Method,
    Refusal,
    Sharding,
    refusal,
)
from frtune.models.families import FAMILIES
from kinds import IN_DEPTH, OTHERS

Status = Literal["works", "refused", "untested", "absent"]


@dataclass(frozen=True)
class Cell:
    """One cell of the table.

    Attributes:
        status: ``works``: a test shows it. ``refused``: before loading, with the way out.
            ``untested``: neither; of families that tests train by one process alone.
            ``absent``: it does not arise.
        tests: The tests that show it.
        refusal: Why it is refused, and what to do.
    """

    status: Status
    tests: tuple[str, ...] = ()
    refusal: Refusal | None = None


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
    kind = FAMILIES[family].kind
    if (feature == "generate" and kind == "encoder") or (
        feature == "new_tokens" and kind != "decoder"
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


def markdown() -> str:
    """The table as Markdown, as ``docs/memory.md`` has it."""
    lines = [
        "| family | method | " + " | ".join(SHARDINGS) + " |",
        "| --- | --- |" + " --- |" * len(SHARDINGS),
    ]
    for family in IN_DEPTH:
        for method in METHODS:
            shown = " | ".join(_shown(family, method, sharding) for sharding in SHARDINGS)
            lines.append(f"| {family} | {method} | {shown} |")
    lines += ["", "| family | full, one process | lora, one process |", "| --- | --- | --- |"]
    for family in OTHERS:
        alone = (_shown(family, method, "none", marked=("works",)) for method in ("full", "lora"))
        lines.append(f"| {family} | {' | '.join(alone)} |")
    lines += ["", "| shown by | families | methods | sharding | |", "| --- |" + " --- |" * 4]
    names = {IN_DEPTH: "those of the first table", OTHERS: "those of the second table"}
    for row in EVIDENCE:
        kinds = (row.families, row.methods, row.shardings, row.features)
        listed = " | ".join(
            names.get(kind) or ("all" if set(kind) >= set(every) else ", ".join(kind))
            for kind, every in zip(kinds, (FAMILIES, METHODS, SHARDINGS, FEATURES), strict=True)
        )
        lines.append(f"| `{row.test}` | {listed} |")
    return "\n".join(lines) + "\n"


_LETTERS: dict[Feature, str] = dict(zip(FEATURES, "TGCNR", strict=True))


def _shown(
    family: str,
    method: Method,
    sharding: Sharding,
    marked: tuple[Status, ...] = ("works", "refused", "untested"),
) -> str:
    if refusal(family, method=method, sharding=sharding):
        return "refused"
    found: dict[Feature, Status] = {
        feature: cell(family, method, sharding, feature).status for feature in FEATURES
    }
    marks = {"works": "{}", "refused": "~~{}~~", "untested": "{}?"}
    return " ".join(
        marks[status].format(_LETTERS[feature])
        for feature, status in found.items()
        if status in marked
    )


if __name__ == "__main__":
    sys.stdout.write(markdown())
