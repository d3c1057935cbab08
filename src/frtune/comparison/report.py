"""A comparison for people: a table in Markdown, the same in JSON, a picture."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frtune.comparison.result import Comparison
from frtune.files import staged, write_json
from frtune.names import counted
from frtune.plotting import COLOURS, has_matplotlib, plain_text, require_matplotlib

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MIB = 2**20


def comparison_rows(found: Comparison) -> tuple[list[str], list[list[str]]]:
    """Headings of the table, and its rows as text."""
    sizes = list(found.models[0]["latency"])
    head = [
        "model", "trained from", "quantised",
        *([found.accuracy_name] if found.accuracy_name else []),
        f"{found.f1_name} (95 %)", "against first", "p", "agreement", "MiB on disk",
        *(f"ms a text, batch {size}" for size in sizes), "memory, MiB",
    ]  # fmt: skip
    return [part for part in head if part], [_row(found, model, sizes) for model in found.models]


def _row(found: Comparison, model: dict[str, Any], sizes: list[str]) -> list[str]:
    first = model["difference"] is None
    times = (model["latency"][size] for size in sizes)
    half = next((name for name in ("bf16", "fp16") if model.get(name)), None)
    return [
        model["name"],
        " → ".join(model["sequence"]),
        model["quantized"] or (f"no, in {half}" if half else "no"),
        *([f"{model['accuracy']:.4f}"] if found.accuracy_name else []),
        f"{model['f1']:.4f} ({model['f1_low']:.3f} to {model['f1_high']:.3f})",
        "" if first else f"{model['difference']:+.4f}",
        "" if first else f"{model['p_value']:.3f}{' (too few)' if model['p_note'] else ''}",
        "" if first else f"{model['agreement']:.1%}",
        f"{model['size_bytes'] / MIB:.1f}",
        *(f"{1000 * time['median']:.1f} (p95 {1000 * time['p95']:.1f})" for time in times),
        f"{model['memory_bytes'] / MIB:.0f}",
    ]


def comparison_markdown(found: Comparison) -> str:
    """The table, and a note on how its numbers came about."""
    head, rows = comparison_rows(found)
    lines = [head, ["---"] * 3 + ["---:"] * (len(head) - 3), *rows]
    escaped = ([part.replace("|", "\\|") for part in line] for line in lines)
    table = "\n".join(f"| {' | '.join(line)} |" for line in escaped)
    machine = found.machine
    return (
        f"# {found.task}: {counted(len(found.models), 'model')} on {counted(found.rows, 'row')}\n\n"
        f"{meaning(found)}\n\n{table}\n\n"
        f"Brackets behind {found.f1_name}: 95 % bootstrap interval over the rows. p: paired "
        "bootstrap test against the first model, on the same draws; from 0.05 on, the difference "
        "may be chance. Agreement: rows with the same answer as the first model's. Times: "
        "median and 95th percentile, from encoded rows to answers, on "
        f"{machine['processor']} ({machine['instructions']}, {machine['threads']} "
        "threads). Memory: the largest of a fresh process that opens the model and answers, "
        f"PyTorch included.\n{_too_few(found)}{_fastest(found)}"
    )


def meaning(found: Comparison) -> str:
    """What a comparison found, in plain words."""
    models, name = found.models, found.f1_name
    most = max(model["f1"] for model in models)
    best = [model["name"] for model in models if f"{model['f1']:.3f}" == f"{most:.3f}"]
    rows = counted(found.rows, "row")
    if len(models) == 1:
        return f"{best[0]} has {name} {most:.3f} on {rows}."
    how = "answers best" if len(best) == 1 else "answer best, equally well"
    text = f"On {rows}, {' and '.join(best)} {how}: {name} {most:.3f}"
    first, *others = models
    sure = [model for model in others if model["p_value"] < 0.05]
    groups = {
        "better": [model["name"] for model in sure if model["difference"] > 0],
        "worse": [model["name"] for model in sure if model["difference"] < 0],
    }
    said = [f"{how} than it {_are(names)}" for how, names in groups.items() if names]
    unsure = [model["name"] for model in others if model["p_value"] >= 0.05]
    if unsure:
        said.append(f"for {', '.join(unsure)} the difference may be chance")
    return f"{text}. Against {first['name']}: {'; '.join(said)}."


def _are(names: list[str]) -> str:
    return f"{'is' if len(names) == 1 else 'are'} {', '.join(names)}"


def _too_few(found: Comparison) -> str:
    """Which models differ from the first on too few rows for a test."""
    notes = [f"{m['name']}: {m['p_note']}." for m in found.models if m["p_note"]]
    return "".join(f"\nToo few, {note}\n" for note in notes)


def _fastest(found: Comparison) -> str:
    """Whose median is the smallest, by size of the batch; nothing of one model alone."""
    if len(found.models) < 2:
        return ""
    names = [
        f"{min(found.models, key=lambda model: model['latency'][size]['median'])['name']} "
        f"(batch {size})"
        for size in found.models[0]["latency"]
    ]
    return f"\nFastest here, by median: {', '.join(names)}.\n"


def write_comparison(found: Comparison, directory: Path) -> None:
    """Write ``comparison.md``, ``comparison.json`` and, where matplotlib is, ``comparison.png``."""
    with staged(directory) as draft:
        (draft / "comparison.md").write_text(comparison_markdown(found), encoding="utf-8")
        write_json(draft / "comparison.json", dataclasses.asdict(found))
        if has_matplotlib():
            picture = comparison_picture(found)
            picture.savefig(draft / "comparison.png", dpi=150, bbox_inches="tight")


def comparison_picture(found: Comparison) -> Figure:
    """Draw score, size and time of each model as bars.

    Raises:
        ImportError: If matplotlib is missing.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    models = found.models
    sizes = list(models[0]["latency"])
    panels: list[tuple[str, list[float]]] = [
        (f"{found.f1_name}, 95 % interval", [model["f1"] for model in models]),
        ("weights on disk (MiB)", [model["size_bytes"] / MIB for model in models]),
        *(
            (f"ms a text, batch {size}", [1000 * m["latency"][size]["median"] for m in models])
            for size in sizes
        ),
        ("memory (MiB)", [model["memory_bytes"] / MIB for model in models]),
    ]
    figure = Figure(figsize=(2.6 * len(panels), 1.1 + 0.45 * len(models)), layout="constrained")
    all_axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    places = range(len(models))
    for axes, (title, values) in zip(all_axes, panels, strict=True):
        colours = [COLOURS[i % len(COLOURS)] for i in places]
        bars = axes.barh(places, values, color=colours)
        axes.set_title(title, fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(x=0.3)
        if axes is all_axes[0]:
            errors = [
                [max(0.0, m["f1"] - m["f1_low"]) for m in models],
                [max(0.0, m["f1_high"] - m["f1"]) for m in models],
            ]
            axes.errorbar(values, places, xerr=errors, fmt="none", ecolor="black", capsize=3)
            for place, model in enumerate(models):
                end = max(model["f1"], model["f1_high"])
                axes.annotate(
                    f"{model['f1']:.3f}", (end, place), xytext=(5, 0),
                    textcoords="offset points", va="center", fontsize=8,
                )  # fmt: skip
            low = min([0.0, *(m["f1_low"] for m in models)])
            high = max([1.0, *(m["f1_high"] for m in models)])
            axes.set_xlim(low, high + 0.3 * (high - low))  # room for the numbers
        else:
            axes.bar_label(bars, fmt="%.1f", padding=2, fontsize=8)
    all_axes[0].set_yticks(places, [plain_text(model["name"]) for model in models])
    all_axes[0].invert_yaxis()
    return figure
