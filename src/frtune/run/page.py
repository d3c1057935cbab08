"""Put the page of a run together and write it."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets import Dataset, DatasetDict

from frtune.environment.versions import versions
from frtune.html import figure_data, render
from frtune.names import counted
from frtune.plotting import has_matplotlib
from frtune.run.captions import length_caption, loss_caption, rate_caption, score_caption
from frtune.run.confidence_figures import coverage_figure, reliability_figure
from frtune.run.curves import length_figure, loss_figure, rate_figure, score_figure
from frtune.run.examples import worst_and_best
from frtune.run.lengths import SAMPLE, cut_rows, source_lengths, target_lengths
from frtune.run.model_card import THIS, hardware, is_tested, score_rows
from frtune.run.next_steps import NextStep
from frtune.run.ranking_figures import precision_recall_figure, score_reliability_figure
from frtune.run.settings import RunSettings, is_tiny
from frtune.tasks.base import Task
from frtune.training.arguments import rows_per_step
from frtune.training.in_force import summary
from frtune.training.trainer import TaskTrainer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

logger = logging.getLogger(__name__)

CLASSES = 20  # as many fit into a matrix on a page


def write_page(directory: Path, **parts: Any) -> None:
    """Write ``page_html(directory, **parts)`` to ``report.html`` in ``directory``.

    A failure is logged and costs nothing else: the scores and the weights are worth more.
    """
    try:
        text = page_html(directory, **parts)
        (directory / "report.html").write_text(text, encoding="utf-8")
    except Exception as error:
        logger.warning("no report.html: %s: %s", type(error).__name__, error, exc_info=True)


def page_html(
    directory: Path,
    *,
    trainer: TaskTrainer,
    settings: RunSettings,
    splits: DatasetDict,
    notes: Sequence[str],
    metrics: dict[str, float],
    encoded: Dataset | None,
    steps: Sequence[NextStep] = (),
) -> str:
    """The page of a run, as text.

    The arguments are those of ``write_report``, and what to do next; ``predictions.jsonl`` is in
    ``directory``.
    """
    task, state = trainer.task, trainer.state
    tested = encoded is not None
    lines = []
    if tested:
        with (directory / "predictions.jsonl").open(encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
    measure, worst, best = worst_and_best(task, lines) if tested else ("", [], [])
    cuts, plots = cut_rows(trainer, encoded), has_matplotlib()
    counts = ", ".join(counted(len(rows), f"{name} row") for name, rows in splits.items())
    start = settings.checkpoint or "tiny"
    return render(
        "run/page.html.jinja",
        title=f"{task.name}: {Path(trainer.args.output_dir).resolve().name}",
        subtitle=f"{settings.data}: {counts}. Trained from {start}.",
        headlines=_headlines(task, state, settings, metrics, cuts, len(lines)),
        steps=steps,
        plots=plots,
        curves=_curves(task, state) if plots else [],
        scores=_score_table(task, metrics) if tested else [],
        names=task.headline,
        confidence=[*_confidence(task, lines), *_ranking(task, lines)] if plots else [],
        confusion=_confusion(task, lines),
        measure=measure,
        ends=[("Worst rows", worst), ("Best rows", best)],
        lengths=_lengths(trainer, splits) if plots else [],
        sample=SAMPLE,
        cuts=cuts,
        health=[
            (text, metrics[f"test_{name}"]) for name, text in task.health_scores.items() if tested
        ],
        notes=notes,
        settings=_settings(settings, trainer),
        versions=", ".join(f"{name} {number}" for name, number in versions().items()),
        hardware=hardware(trainer.args),
    )


def _headlines(
    task: Task, state: Any, settings: RunSettings, metrics: dict[str, float], cuts: list, rows: int
) -> list[str]:
    found = ["There were no test rows: the model was not scored."]
    if is_tested(metrics):
        found = [_verdict(task, metrics), _score_sentence(task, metrics, rows)]
        found += task.remarks(metrics)
    if is_tiny(settings):
        found.append(
            "The model started from random weights: the scores show that training works, and "
            "nothing more."
        )
    steps = {entry["step"] for entry in state.log_history if "eval_loss" in entry}
    if state.best_global_step and len(steps) > 1:
        last = state.best_global_step == max(steps)
        found.append(
            f"The weights of step {state.best_global_step} were kept, the best of "
            f"{counted(len(steps), 'evaluation')}" + (", and the last." if last else ".")
        )
    for cut in cuts:
        if cut["cut"]:
            are, were = ("is", "was") if cut["cut"] == 1 else ("are", "were")
            rows_of = counted(cut["rows"], f"{cut['split']} row")
            found.append(
                f"{cut['cut']:,} of {rows_of} {are} longer than {cut['limit']} and {were} cut."
            )
    if metrics.get("test_eos_rate", 1) < 0.95:
        found.append(
            f"{1 - metrics['test_eos_rate']:.0%} of the generated lines did not end by themselves."
        )
    if metrics.get("test_empty_rate", 0) > 0.05:
        found.append(f"{metrics['test_empty_rate']:.0%} of the test rows were given no phrase.")
    return found


def _score_sentence(task: Task, metrics: dict[str, float], rows: int) -> str:
    name = task.main_score
    at = task.headline.index(name)
    table: Any = score_rows(task, metrics)
    (_, own), *others = table
    low, high = (metrics.get(f"test_{name}_{end}", math.nan) for end in ("low", "high"))
    text = f"{name} {own[at]:.3f}"
    text += "" if math.isnan(low) else f" (95 % interval {low:.3f} to {high:.3f})"
    text += f" on {counted(rows, 'test row')}."
    found = _best_baseline(task, others, at)
    if found is None:
        return text
    best, label = found
    greater = task.metric_directions()[name]
    text += f" The best baseline, {label}, has {best:.3f}"
    if low <= best <= high:
        return text + ", which the interval holds: the difference may be chance."
    return text + ("." if (own[at] > best) == greater else ", and is better than the model.")


def _best_baseline(
    task: Task, baselines: Sequence[tuple[str, Any]], at: int
) -> tuple[float, str] | None:
    """The best of the baselines in the headline score at ``at``, and its name."""
    known = [(values[at], label) for label, values in baselines if values[at] is not None]
    greater = task.metric_directions()[task.headline[at]]
    return (max if greater else min)(known) if known else None


def _verdict(task: Task, metrics: dict[str, float]) -> str:
    """Whether the model is worth more than no model, in plain words."""
    name = task.main_score
    at = task.headline.index(name)
    (_, own), *others = score_rows(task, metrics)
    found, value = _best_baseline(task, others, at), own[at]
    if found is None or value is None:
        return f"This page says how well the model answers rows that it has not seen, by {name}."
    low, high = (metrics.get(f"test_{name}_{end}", value) for end in ("low", "high"))
    if low <= found[0] <= high:
        return (
            "On rows that it has not seen, the model does about as well as the best guess without "
            "a model."
        )
    better = (value > found[0]) == task.metric_directions()[name]
    return (
        "On rows that it has not seen, the model does "
        f"{'better than any' if better else 'worse than the best'} guess without a model."
    )


def _score_table(task: Task, metrics: dict[str, float]) -> list[tuple[str, list[dict[str, Any]]]]:
    def cell(label: str, name: str, value: float | None) -> dict[str, Any]:
        ends = [metrics.get(f"test_{name}_{end}") for end in ("low", "high")]
        shown = label == THIS and ends[0] is not None
        return {"value": value, "interval": ends if shown else None}

    return [
        (label, [cell(label, n, v) for n, v in zip(task.headline, values, strict=True)])
        for label, values in score_rows(task, metrics)
    ]


def _figure(figure: Figure | None, alt: str, caption: str = "") -> list[dict[str, str]]:
    if figure is None:
        return []
    return [{"image": figure_data(figure), "alt": alt, "caption": caption or alt + "."}]


def _curves(task: Task, state: Any) -> list[dict[str, str]]:
    history = state.log_history
    names = [name for name in task.headline if name != "mse"][:4]
    return [
        *_figure(loss_figure(history), "Loss by step", loss_caption(history)),
        *_figure(
            score_figure(history, names, state.best_global_step),
            "Validation scores by step",
            score_caption(history, [task.main_score, *names], state.best_global_step),
        ),
        *_figure(rate_figure(history), "Learning rate by step", rate_caption(history)),
    ]


def _lengths(trainer: TaskTrainer, splits: DatasetDict) -> list[dict[str, str]]:
    task, tokenizer = trainer.task, trainer.processing_class
    found = []
    for what, lengths, limit in (
        ("source", source_lengths(splits, task, tokenizer), task.max_source_tokens),
        ("target", target_lengths(splits, task, tokenizer), task.max_target_tokens),
    ):
        if lengths:
            alt = f"Tokens of the {what} by split"
            caption = length_caption(lengths, limit, what)
            found += _figure(length_figure(lengths, limit, what), alt, caption)
    return found


def _confusion(task: Task, lines: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The confusion matrix where rows have labels: whole, or the pairs most confused."""
    found = task.by_class(lines) if lines else None
    if found is None:
        return None
    labels, matrix = found.labels, found.matrix or []
    pairs = [
        (count, labels[i], labels[j])
        for i, row in enumerate(matrix)
        for j, count in enumerate(row)
        if i != j and count
    ]
    pairs.sort(key=lambda pair: -pair[0])
    shares = ([(count, count / max(1, sum(row))) for count in row] for row in matrix)
    return {
        "labels": labels,
        "rows": list(zip(labels, shares, strict=True)) if 0 < len(matrix) <= CLASSES else None,
        "pairs": pairs[:12],
        "classes": found.scores,
    }


def _confidence(task: Task, lines: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """Figures of how far the probabilities of classes hold."""
    found = task.confidence(lines) if lines else None
    if found is None:
        return []
    *_, chances = found.chances.values()
    shown = _figure(
        reliability_figure(found.chances, found.true),
        "Share of right answers by the model's confidence; below the diagonal it is too sure",
    )
    if not found.of_rows:
        return shown
    return [
        *shown,
        *_figure(
            coverage_figure(chances, found.true, found.precision),
            "Share of wrong answers by the share of rows that are answered, surest first",
        ),
    ]


def _ranking(task: Task, lines: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """Figures of phrases by their scores; of no phrase none."""
    found = task.ranking(lines) if lines else None
    if found is None or not len(found.right):
        return []
    curve = _figure(
        precision_recall_figure(found),
        "Precision and recall of the phrases of at least a score; some scores are named",
    )
    if len(found.scores) == 1:
        return curve
    told = "Share of right phrases by their score; below the diagonal scores are too high"
    return [*curve, *_figure(score_reliability_figure(found), told)]


def _settings(settings: RunSettings, trainer: TaskTrainer) -> str:
    args = trainer.args
    schedule = getattr(args.lr_scheduler_type, "value", args.lr_scheduler_type)
    parts = [
        f"{args.num_train_epochs:g} epochs" if args.max_steps < 1 else f"{args.max_steps} steps",
        f"learning rate {args.learning_rate:g} ({schedule})",
        f"{rows_per_step(args)} rows a step",
        f"seed {args.seed}",
        summary(args),
    ]
    if settings.lora:
        parts.append(f"LoRA of rank {settings.lora_r}")
    if settings.quantization:
        parts.append(f"base in {settings.quantization}")
    if settings.mixup:
        parts.append(f"MixUp of {settings.mixup_level}")
    return ", ".join(parts) + "."
