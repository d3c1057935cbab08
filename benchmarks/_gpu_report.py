"""What ``gpu.py`` found, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from _gpu_rows import MODELS, WAYS, Row

GOALS = {"polyglot-1.3b": 0.45, "camembert-base": 0.40}  # of the measured bf16 peak
IDLE = 0.05  # at most


def utilisation(results: dict[str, dict[str, Any]], name: str, way: str) -> float | None:
    """Share of the bf16 peak that a way reached, where all that it hangs on was measured."""
    found = results.get(f"{name}: {way}", {})
    curve = results.get(f"FLOPs: {name}", {}).get("curve")
    peak = results.get("bf16 peak", {}).get("flops_per_second")
    if not (curve and peak and "sums" in found):
        return None
    flops = sum(a * b for a, b in zip(curve, found["sums"], strict=True))
    return flops / found["seconds"] / peak


def speed(results: dict[str, dict[str, Any]]) -> list[str]:
    """The table of the fast part; bold is short of a goal."""
    lines = [
        "| model, method | way | tokens a second | of the bf16 peak | GPU idle | peak, GiB |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, _, _, _, _, method in MODELS:
        for way in WAYS[name]:
            found = results.get(f"{name}: {way}", {"not measured": "it was not asked for"})
            start = f"| {name}, {method} | {way} |"
            if "not measured" in found:
                lines.append(f"{start} not measured: {found['not measured']} | | | |")
                continue
            share, idle = utilisation(results, name, way), found["idle"]
            ours = way.startswith("frtune")
            lines.append(
                f"{start} {found['tokens_per_second']:,.0f} | "
                f"{percent(share, ours and share is not None and share < GOALS.get(name, 0))} | "
                f"{percent(idle, ours and idle is not None and idle > IDLE)} | "
                f"{found.get('peak_gib', '')} |"
            )
    return lines


def percent(share: float | None, bold: bool) -> str:
    """A share as text.

    Example:
        >>> percent(0.5, True), percent(None, False)
        ('**50 %**', 'not measured')
    """
    if share is None:
        return "not measured"
    return f"**{100 * share:.0f} %**" if bold else f"{100 * share:.0f} %"


def checks(rows: Sequence[Row], results: dict[str, dict[str, Any]]) -> list[str]:
    """The table of the correct part."""
    lines = ["| check | result | |", "| --- | --- | --- |"]
    for row in rows:
        if row.part != "correct" or row.do == "hardware":
            continue
        found = dict(results.get(row.name, {"not measured": "it was not asked for"}))
        word = "right"
        for name in ("not measured", "wrong"):
            if name in found:
                word = f"{name}: {found.pop(name)}"
        values = ", ".join(f"{name} {value}" for name, value in found.items())
        lines.append(f"| {row.name} | {word} | {values} |")
    return lines


def summary(
    rows: Sequence[Row], results: dict[str, dict[str, Any]], hardware: dict[str, Any]
) -> str:
    """The whole page."""
    said = ", ".join(f"{name} {value}" for name, value in hardware.items() if name != "name")
    head = f"{hardware.get('name', 'unknown hardware')} ({said})"
    return "\n".join([head, "", *checks(rows, results), "", *speed(results), ""])
