"""``report.html``: a study for readers, in one file that needs no network."""

from __future__ import annotations

import base64
import math
import os
from pathlib import Path
from typing import Any

import pandas as pd

from frtune.environment.versions import versions
from frtune.files import staged
from frtune.html import render
from frtune.study.definitions import ADJUSTED, DEFINITIONS, name_of
from frtune.study.findings import findings, headlines, number
from frtune.study.panels import PAIRED, PANELS, cka_pairs
from frtune.study.plots import save_plots
from frtune.study.result import Study
from frtune.study.tables import compared, curve, layers_of, of_checkpoint, same_layer

COLUMNS = 10  # of numbers beside each other
NONE = "none"  # a statistic of a layer that has no value

# subject, heading, plots, statistics of the table
SECTIONS = (
    ("movement", "What moved", ("drift", "distance", "neighbours", "procrustes", "cka"),
     ("drift_cosine", "drift_distance", "neighbours", "procrustes", "cka_debiased", "cka",
      "cka_texts_debiased", "cka_texts")),
    ("cosines", "How alike the tokens are",
     ("convergence", "anisotropy", "first_token", "mean_token", "self_similarity", "next_layer"),
     ("cosine_within", "cosine_within_adjusted", "cosine_between", "cosine_first",
      "cosine_first_adjusted", "cosine_mean", "cosine_mean_adjusted", "self_similarity",
      "self_similarity_adjusted", "cosine_next", "cosine_next_adjusted")),
    ("norms", "How long the vectors are, and which dimensions stand out", ("norms", "outliers"),
     ("norm_q05", "norm_q50", "norm_q95", "norm_mean", "norm_std", "outlier_dimensions",
      "outlier_cosine_share")),
    ("spectrum", "How many directions the vectors use", ("rank", "components", "isotropy"),
     ("effective_rank", "participation_ratio", "top1_share", "top10_share", "isotropy")),
    ("probes", "How well each layer classifies",
     ("probe_mean", "probe_first", "fisher", "silhouette"),
     ("probe_mean_accuracy", "probe_first_accuracy", "fisher_mean", "fisher_first",
      "silhouette_mean", "silhouette_first")),
    ("answer", "Does convergence tell how well a layer classifies?", ("answer",), ()),
)  # fmt: skip


def write_report(study: Study, directory: str | os.PathLike[str]) -> Path:
    """Write ``report.html``, and the plots in it as PNG and SVG files in ``plots/``.

    Args:
        study: What ``frtune.study.study`` returned.
        directory: Where to; created if needed. The files appear whole or not at all.

    Returns:
        The path of ``report.html``.

    Raises:
        ImportError: Without the extra ``plots``.
    """
    with staged(directory) as draft:
        save_plots(study, draft / "plots")
        images = {path.stem: path.read_bytes() for path in (draft / "plots").glob("*.svg")}
        (draft / "report.html").write_text(report_html(study, images), encoding="utf-8")
    return Path(directory) / "report.html"


def report_html(study: Study, images: dict[str, bytes]) -> str:
    """Return the page; ``images`` are SVG files of the plots, by their names in ``save_plots``."""
    names = [checkpoint["name"] for checkpoint in study.checkpoints]
    return render(
        "study/report.html.jinja",
        title=f"{' and '.join(names)}: hidden states, layer by layer",
        subtitle=_subtitle(study),
        meaning=_meaning(names),
        headlines=headlines(study),
        sections=_sections(study, images),
        answers=[_answer_row(answer) for answer in study.answers],
        skipped=study.skipped,
        notes=study.notes,
        data=_data(study.data),
        labels=list((study.data.get("labels") or {}).items()),
        checkpoints=[{"adapter": False, **checkpoint} for checkpoint in study.checkpoints],
        settings=_listed(study.settings),
        versions=_listed(versions("torch", "transformers", "numpy", "scikit-learn", "scipy")),
        data_hash=study.data.get("hash", ""),
        adjusted=ADJUSTED,
        definitions=DEFINITIONS.values(),
    )


def _meaning(names: list[str]) -> str:
    """What the page is about, in plain words."""
    if len(names) == 1:
        return (
            f"How {names[0]} represents texts inside, layer by layer: how alike the vectors of "
            "tokens are, how many directions they use, and which layer tells classes apart."
        )
    return (
        f"What changed inside the model from {names[0]} to {' and '.join(names[1:])}: the same "
        "texts went through each, and the vectors of each layer were compared. A cosine of 1 says "
        "that two vectors point the same way, 0 that they have nothing in common."
    )


def _subtitle(study: Study) -> str:
    depths = sorted({checkpoint["layers"] for checkpoint in study.checkpoints})
    blocks, tokens = " or ".join(map(str, depths)), study.data["tokens"]["real"]
    return f"{study.data['texts']:,} texts, {tokens:,} tokens, {blocks} blocks."


def _sections(study: Study, images: dict[str, bytes]) -> list[dict[str, Any]]:
    """The sections that have something to show."""
    sentences = findings(study)
    found = []
    for key, title, plots, statistics in SECTIONS:
        shown = [each for each in plots if each in images]
        shown += [stem for stem in sorted(images) if stem.startswith("cka_") and "cka" in plots]
        section = {
            "key": key,
            "title": title,
            "sentences": sentences.get(key, []),
            "figures": [_figure(study, name, images[name]) for name in shown],
            "tables": _tables(study, statistics, paired=key == "movement"),
        }
        if section["sentences"] or section["figures"] or section["tables"]:
            found.append(section)
    return found


def _figure(study: Study, name: str, image: bytes) -> dict[str, str]:
    if name == "answer":
        title = "Convergence against probe accuracy, one point a layer"
        caption = (
            f"{title}. Points on a slope: convergence tells the accuracy. Look whether one layer "
            "far from the others makes the slope alone."
        )
    elif name.startswith("cka_"):
        statistic, a, b = cka_pairs(study)[name.replace("_", " ")]
        title = f"{DEFINITIONS[statistic].name} between the layers of {a} and {b}"
        caption = f"{title}. {DEFINITIONS[statistic].text}"
    else:
        title = f"{PANELS[name].title} by layer"
        caption = DEFINITIONS[PANELS[name].statistic].text
        if name not in PAIRED:
            title += ", " + " and ".join(c["name"] for c in study.checkpoints)
    return {"alt": title, "caption": caption, "image": base64.b64encode(image).decode()}


def _tables(study: Study, statistics: tuple[str, ...], *, paired: bool) -> list[dict[str, Any]]:
    """Statistics by layer, as many beside each other as a page has room for."""
    found: list[dict[str, pd.Series]] = [{}]
    for statistic in statistics:
        cells = {name: _cells(rows, statistic) for name, rows in _sources(study, statistic, paired)}
        cells = {
            f"{name_of(statistic)}\n{name}": column for name, column in cells.items() if len(column)
        }
        if found[-1] and len(found[-1]) + len(cells) > COLUMNS:
            found.append({})
        found[-1] |= cells
    return [_table(columns) for columns in found if columns]


def _table(columns: dict[str, pd.Series]) -> dict[str, Any]:
    """Groups of columns, rows of cells, and what a cell is called where it stands alone."""
    groups: dict[str, list[str]] = {}
    for label in columns:
        statistic, name = label.split("\n")
        groups.setdefault(statistic, []).append(name)
    layers = sorted({layer for column in columns.values() for layer in column.index})
    rows = [[layer, *(column.get(layer, "") for column in columns.values())] for layer in layers]
    labels = ["layer", *(label.replace("\n", ", ") for label in columns)]
    return {"groups": list(groups.items()), "rows": rows, "labels": labels}


def _sources(study: Study, statistic: str, paired: bool) -> list[tuple[str, pd.DataFrame]]:
    if paired:
        pairs = compared(study, statistic)
        if statistic.startswith("cka_texts"):  # where tokens cannot be compared
            pairs = [pair for pair in pairs if pair not in compared(study, "cka")]
        return [(f"{a} to {b}", same_layer(study.pairs, a, b)) for a, b in pairs]
    return [(c["name"], of_checkpoint(study, c["name"])) for c in study.checkpoints]


def _cells(rows: pd.DataFrame, statistic: str) -> pd.Series:
    values = curve(rows, statistic)
    if statistic == "outlier_dimensions":
        return values.map("{:.0f}".format)
    if not statistic.startswith("probe"):
        texts = values.map(number)
        return texts.reindex(layers_of(rows, statistic), fill_value=NONE) if len(texts) else texts
    low, high = curve(rows, statistic, "low"), curve(rows, statistic, "high")
    texts = values.map(number)
    for layer in low.index.intersection(values.index):
        texts[layer] += f" ({number(low[layer])} to {number(high[layer])})"
    return texts


def short_table(study: Study) -> tuple[list[str], list[list[str]]]:
    """Return the main numbers by layer: names of columns, in two lines, and rows of text."""
    columns: dict[str, pd.Series] = {}
    named = {"drift_cosine": "1 - cosine", "cosine_within": "within", "cosine_between": "between"}
    named["probe_mean_accuracy"] = "probe"
    for statistic, name in named.items():
        for source, rows in _sources(study, statistic, statistic == "drift_cosine"):
            values = curve(rows, statistic)
            if len(values):
                columns[f"{name}\n{source}"] = values.map(number)
    layers = sorted({layer for column in columns.values() for layer in column.index})
    rows = [[str(i), *(column.get(i, "") for column in columns.values())] for i in layers]
    return ["layer", *columns], rows


def _answer_row(answer: dict[str, Any]) -> list[str]:
    low, high = answer["low"], answer["high"]
    interval = f"{number(low)} to {number(high)}" if math.isfinite(low) else ""
    names = [answer["checkpoint"], name_of(answer["x"]), name_of(answer["y"])]
    size = [number(answer["value"]), interval, str(answer["n"])]
    return [*names, answer["statistic"].capitalize(), *size]


def _data(data: dict[str, Any]) -> str:
    tokens = data["tokens"]["real"]
    parts = [f"{data['texts']:,} texts with {tokens:,} tokens, special ones not counted"]
    if data.get("blank_texts"):
        parts.append(f"{data['blank_texts']:,} blank texts were left out")
    if data.get("cut_texts"):
        longer = f"longer than {data['max_tokens']} tokens and lost their end"
        parts.append(f"{data['cut_texts']:,} texts were {longer}")
    return "; ".join(parts) + "."


def _listed(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
