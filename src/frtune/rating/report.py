"""What the raters found: each run's mean, their agreement, and which automatic score agrees."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from frtune.errors import InputError
from frtune.files import staged, write_json
from frtune.metrics.bootstrap import few_rows_note, interval, paired_p_value, resampled
from frtune.names import counted
from frtune.rating.automatic import agreement, automatic_scores, scored_runs
from frtune.rating.store import RatingStore
from frtune.rating.study import Judgement, RatingStudy

Judgements = Mapping[tuple[str, int], Judgement]

FEW_ITEMS = 30  # of fewer, intervals and tests say little
_EXACT_ITEMS = 15  # that differ, of which every sign is tried: 2**15 cases


def rating_report(
    store: RatingStore,
    *,
    k: int = 10,
    language: str | None = None,
    encoder: str | None = None,
    samples: int = 1000,
) -> dict[str, Any]:
    """Evaluate the answers of a file of ratings.

    Args:
        store: The file.
        k: Cut of the automatic ``f1_at_K``.
        language: Two-letter code; adds the F1 of stems.
        encoder: Checkpoint; adds the semantic F1.
        samples: Draws of items for intervals and tests.

    Returns:
        ``mode``, ``items`` (judged ones), ``raters`` (answers by rater), ``runs`` (a dict each:
        ``name``, ``mean``, ``low``, ``high``, ``wrong_share``, and of all but the first
        ``difference``, ``difference_low``, ``difference_high``, ``p_value``, ``test`` (``exact`` or
        ``bootstrap``), maybe ``p_note``), ``caution`` (of few items; else ``None``),
        ``alpha`` (Krippendorff's; ``None`` with ``alpha_note`` saying why), ``automatic`` (score to
        ``agreement``) and ``automatic_items``.

    Raises:
        InputError: If nothing was judged yet.
    """
    study, judgements = store.study, store.judgements()
    if not judgements:
        raise InputError(f"{store.path}: holds no answers yet. Let somebody rate first.")
    items, values = mean_values(study, judgements)
    alpha, note = krippendorff_alpha(study, judgements)
    report: dict[str, Any] = {
        "mode": study.mode,
        "scale": [number for number, _ in study.scale] if study.mode == "score" else None,
        "items": len(items),
        "caution": _caution(len(items)),
        "raters": dict(sorted(Counter(rater for rater, _ in judgements).items())),
        "runs": _runs(study, judgements, values, samples),
        "alpha": alpha,
        "alpha_note": note,
        "automatic": {},
        "automatic_items": 0,
    }
    known = [place for place, item in enumerate(items) if study.items[item].reference]
    if known and (runs := scored_runs(study)):
        people = values[known][:, runs]  # (items, runs)
        scores = automatic_scores(
            study, [items[place] for place in known], k=k, language=language, encoder=encoder
        )
        report["automatic_items"] = len(known)
        report["automatic"] = {
            name: agreement(found, people, samples=samples) for name, found in scores.items()
        }
    return report


def mean_values(study: RatingStudy, judgements: Judgements) -> tuple[list[int], np.ndarray]:
    """The judged items, and the mean over raters of what each run got.

    In mode ``prefer`` the preferred run gets 1 and the others 0; without a preference all get an
    equal share of 1.

    Returns:
        Places of items, and ``(items, runs)``.
    """
    runs = len(study.runs)
    given: dict[int, list[list[float]]] = defaultdict(list)
    for (_, item), judgement in judgements.items():
        if study.mode == "score":
            row = [judgement.ratings[run] for run in range(runs)]
        elif judgement.preferred is None:
            row = [1 / runs] * runs
        else:
            row = [float(run == judgement.preferred) for run in range(runs)]
        given[item].append(row)
    items = sorted(given)
    return items, np.array([np.mean(given[item], axis=0) for item in items])


def _runs(
    study: RatingStudy, judgements: Judgements, values: np.ndarray, samples: int
) -> list[dict[str, Any]]:
    """Each run's mean with its interval over items, and its difference from the first."""
    draws = [
        resampled(lambda picks, own=own: own[picks].mean(axis=1), len(own), samples=samples)
        for own in values.T
    ]
    rows = []
    for run, name in enumerate(study.runs):
        low, high = interval(draws[run])
        row = {"name": name, "mean": float(values[:, run].mean()), "low": low, "high": high}
        shown = sum(len(study.items[item].phrases[run]) for _, item in judgements)
        wrong = sum(len(judgement.wrong.get(run, ())) for judgement in judgements.values())
        row["wrong_share"] = wrong / shown if shown else None
        if run:
            differences = values[:, run] - values[:, 0]
            unlike = int((~np.isclose(differences, 0)).sum())
            row["difference"] = float(differences.mean())
            row["difference_low"], row["difference_high"] = interval(draws[run] - draws[0])
            row["test"] = "exact" if unlike <= _EXACT_ITEMS else "bootstrap"
            row["p_value"] = (
                exact_p_value(differences)
                if unlike <= _EXACT_ITEMS
                else paired_p_value(draws[0], draws[run], rows=unlike)
            )
            if note := few_rows_note(unlike):
                row["p_note"] = note
        rows.append(row)
    return rows


def exact_p_value(differences: np.ndarray) -> float:
    """Two-sided p-value of no difference, from every way to turn the signs (Fisher 1935).

    Args:
        differences: Of two runs, ``(items,)``; of 15 or fewer that are not 0.

    Example:
        >>> exact_p_value(np.array([1.0, 2.0, 1.0, 0.0])), exact_p_value(np.zeros(3))
        (0.25, 1.0)
    """
    unlike = differences[~np.isclose(differences, 0)]
    if not len(unlike):
        return 1.0
    signs = np.array(list(product((1, -1), repeat=len(unlike))))  # (2**items, items)
    sums = np.abs(signs @ unlike)
    return float((sums >= abs(unlike.sum()) - 1e-9).mean())


def _caution(items: int) -> str | None:
    if items >= FEW_ITEMS:
        return None
    were = "was" if items == 1 else "were"
    few = f"{counted(items, 'item')} {were} judged, fewer than {FEW_ITEMS}"
    return f"{few}: take the means for a first impression, not a result"


def krippendorff_alpha(
    study: RatingStudy, judgements: Judgements
) -> tuple[float | None, str | None]:
    """Agreement of the raters (Krippendorff 2011), and why there is none to compute.

    Grades are ordinal, with a unit for each item and run; preferences are nominal, with a unit for
    each item.

    Raises:
        ImportError: If the package is missing; names the extra.
    """
    raters = sorted({rater for rater, _ in judgements})
    runs = len(study.runs)
    width = runs if study.mode == "score" else 1
    data = np.full((len(raters), len(study.items), width), np.nan)
    for (rater, item), judgement in judgements.items():
        row = raters.index(rater)
        if study.mode == "score":
            data[row, item] = [judgement.ratings[run] for run in range(runs)]
        else:
            data[row, item] = runs if judgement.preferred is None else judgement.preferred
    data = data.reshape(len(raters), -1)  # (raters, units)
    paired = (~np.isnan(data)).sum(axis=0) > 1
    if not paired.any():
        return None, "no item was judged by two raters"
    if np.ptp(data[:, paired][~np.isnan(data[:, paired])]) == 0:
        return None, "all answers are the same"
    try:
        import krippendorff
    except ImportError as error:
        raise ImportError("The report needs krippendorff: pip install 'frtune[demo]'.") from error
    level = "ordinal" if study.mode == "score" else "nominal"
    return float(krippendorff.alpha(data, level_of_measurement=level)), None


def report_markdown(report: Mapping[str, Any]) -> str:
    """The report as Markdown."""
    answers = counted(sum(report["raters"].values()), "answer")
    title = "mean rating" if report["mode"] == "score" else "share of preferences"
    lines = [
        "# Human evaluation", "", _summary(report), "",
        f"{counted(report['items'], 'item')}, {answers} of "
        f"{counted(len(report['raters']), 'rater')}.", "",
        *([f"**Caution**: {report['caution']}.", ""] if report["caution"] else []),
        f"| run | {title} (95 %) | against first (95 %) | p | phrases marked wrong |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(_run_line(row) for row in report["runs"]), "",
        "Intervals: bootstrap over items, paired for differences. p: an exact test of all signs "
        f"where {_EXACT_ITEMS} items or fewer differ (marked exact), else the paired bootstrap. "
        "From p = 0.05 on, a difference may be chance.", *_too_few(report["runs"]), "",
        _alpha_line(report), "",
        "## Which automatic score agrees with the raters", "",
    ]  # fmt: skip
    if not report["automatic"]:
        return "\n".join([*lines, "No judged item has true phrases to score against.", ""])
    ranked = sorted(report["automatic"].items(), key=lambda item: -(item[1]["spearman"] or -2.0))
    lines += [
        "| score | Spearman with the rating (95 %) | same order of two runs |",
        "| --- | ---: | ---: |",
        *(_score_line(name, found) for name, found in ranked),
        "",
        f"On {counted(report['automatic_items'], 'item')} with true phrases. Same order: of "
        f"{counted(ranked[0][1]['pairs'], 'pair')} of runs of an item that raters put apart, those "
        "that the score puts in the same order; 50 % is chance.",
        "",
    ]
    return "\n".join(lines)


def _summary(report: Mapping[str, Any]) -> str:
    """What the report says, in plain words."""
    rows, scale = report["runs"], report["scale"]
    most = max(row["mean"] for row in rows)
    shown = "{:.2f}" if scale else "{:.0%}"
    best = [row["name"] for row in rows if shown.format(row["mean"]) == shown.format(most)]
    if scale:
        what = f"mean {most:.2f} on a scale from {scale[0]:g} (worst) to {scale[-1]:g}"
    else:
        what = f"preferred in {most:.0%} of the judgements"
    if len(rows) == 1:
        return f"The raters gave {best[0]} a {what} (best)."
    alike = ", equally well" if len(best) > 1 else ""
    text = f"The raters liked {' and '.join(best)} best{alike}: {what}{' (best)' if scale else ''}."
    unsure = [row["name"] for row in rows[1:] if row["p_value"] >= 0.05]
    first = rows[0]["name"]
    if not unsure:
        return f"{text} Each difference from {first} is more than chance."
    return f"{text} Between {first} and {', '.join(unsure)} the difference may be chance."


def _too_few(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for each run that differs from the first on too few items for a test."""
    return [f"Too few, {row['name']}: {row['p_note']}." for row in rows if row.get("p_note")]


def _run_line(row: Mapping[str, Any]) -> str:
    wrong = "" if row["wrong_share"] is None else f"{row['wrong_share']:.1%}"
    against = p_value = ""
    if "difference" in row:
        against = _interval(*(row[f"difference{end}"] for end in ("", "_low", "_high")), sign="+")
        exact = ", exact" if row["test"] == "exact" else ""
        p_value = f"{row['p_value']:.3f}{exact}{' (too few)' if row.get('p_note') else ''}"
    name, mean = row["name"].replace("|", "\\|"), _interval(row["mean"], row["low"], row["high"])
    return f"| {name} | {mean} | {against} | {p_value} | {wrong} |"


def _interval(value: float, low: float, high: float, sign: str = "") -> str:
    return f"{value:{sign}.3f} ({low:{sign}.3f} to {high:{sign}.3f})"


def _alpha_line(report: Mapping[str, Any]) -> str:
    if report["alpha"] is None:
        return f"Krippendorff's alpha: none, {report['alpha_note']}."
    level = "ordinal" if report["mode"] == "score" else "nominal"
    return (
        f"Krippendorff's alpha ({level}): {report['alpha']:.3f}. 1 is full agreement, 0 chance; "
        "Krippendorff asks for 0.8, and 0.667 for tentative conclusions."
    )


def _score_line(name: str, found: Mapping[str, Any]) -> str:
    spearman = "none: it never varies"
    if found["spearman"] is not None:
        spearman = _interval(found["spearman"], found["low"], found["high"])
    same = "" if found["same_order"] is None else f"{found['same_order']:.1%}"
    return f"| {name} | {spearman} | {same} |"


def write_report(report: Mapping[str, Any], directory: str | Path) -> Path:
    """Write ``ratings.md`` and ``ratings.json``; returns the directory."""
    with staged(directory) as draft:
        (draft / "ratings.md").write_text(report_markdown(report), encoding="utf-8")
        write_json(draft / "ratings.json", report)
    return Path(directory)
