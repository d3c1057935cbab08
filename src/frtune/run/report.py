"""What a run leaves for people: scores, predictions, the model card, the table at the end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict
from rich.console import Console
from rich.table import Table

from frtune.files import write_json
from frtune.models.proof_record import unproven_text, why_unproven
from frtune.moved import moved_names
from frtune.run.card import run_card
from frtune.run.lengths import cut_rows
from frtune.run.model_card import is_tested, number, score_rows
from frtune.run.next_steps import NEXT_STEPS, next_steps, read_next_steps
from frtune.run.page import write_page
from frtune.run.settings import RunSettings
from frtune.score_files import write_scores
from frtune.tasks.base import Task
from frtune.training.resume_checks import save_state
from frtune.training.trainer import TaskTrainer

__getattr__ = moved_names(__name__)


def write_report(
    directory: Path,
    *,
    trainer: TaskTrainer,
    settings: RunSettings,
    splits: DatasetDict,
    notes: list[str],
    metrics: dict[str, float],
    encoded: Dataset | None,
    disputed: int,
    config: Mapping[str, Any],
) -> dict[str, float]:
    """Write scores, signatures, predictions, trainer state, card, next steps and page of a run.

    ``trainer`` has predicted the test rows, ``encoded``; ``splits`` are raw. Without test rows,
    ``encoded`` is ``None`` and there are no scores of them. ``disputed`` is that of
    ``disputed_rows``, and ``config`` what ``config.yaml`` holds. Returned are ``metrics`` with the
    baselines' scores and the intervals of the model's beside them.
    """
    task = trainer.generation.applied(trainer.task)
    signatures: dict[str, str] = {}
    if encoded is None:
        write_json(directory / "metrics.json", metrics)
    else:
        metrics, signatures = write_scores(
            directory,
            task,
            trainer.processing_class,
            rows=splits["test"],
            encoded=encoded,
            outputs=trainer.outputs or [],
            train=splits["train"],
            metrics=metrics,
            generation=trainer.generation.signature,
        )
    save_state(trainer.state, directory / "trainer_state.json")
    reason = why_unproven(trainer.args.output_dir)
    warning = reason and unproven_text(Path(str(trainer.args.output_dir)).name, reason)
    content = {"signatures": signatures, "config": config, "notes": notes, "warning": warning}
    card = run_card(trainer, task, settings, splits, metrics, **content)
    (directory / "README.md").write_text(card, encoding="utf-8")
    steps = next_steps(
        trainer, settings, splits, metrics,
        cuts=cut_rows(trainer, encoded), disputed=disputed,
    )  # fmt: skip
    write_json(directory / NEXT_STEPS, [step._asdict() for step in steps])
    write_page(
        directory, trainer=trainer, settings=settings, splits=splits,
        notes=[*([warning] if warning else []), *notes], metrics=metrics, encoded=encoded,
        steps=steps,
    )  # fmt: skip
    return metrics


def results_table(metrics: dict[str, float], task: Task, directory: str) -> None:
    """Print the scores of a run."""
    if not is_tested(metrics):
        Console().print(f"no test rows, no scores; model directory: {directory}", soft_wrap=True)
        return
    table = Table(title="Scores on the test rows, 0 to 1 (baselines use no model)")
    rows = score_rows(task, metrics)
    table.add_column("score")
    for label, _ in rows:
        table.add_column(label, justify="right")
    for i, name in enumerate(task.headline):
        table.add_row(name, *(number(values[i]) for _, values in rows))
    console = Console()
    console.print(table)
    if task.health_scores:
        health = (f"{name} {metrics[f'test_{name}']:.2f}" for name in task.health_scores)
        console.print("generation: " + ", ".join(health))
    for remark in task.remarks(metrics):
        console.print(remark, soft_wrap=True)
    for step in read_next_steps(directory):
        console.print(f"next: {step.because} {step.do}", soft_wrap=True, markup=False)
    console.print(f"model directory: {directory}", soft_wrap=True)
    if (Path(directory) / "report.html").is_file():
        console.print(f"report: {directory}/report.html", soft_wrap=True)
    pair = ' --text-pair "..."' if len(task.text_columns) > 1 else ""
    console.print(f'try it: frtune predict {directory} --text "..."{pair}', soft_wrap=True)
