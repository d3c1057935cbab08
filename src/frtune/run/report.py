"""What a run leaves for people: scores, predictions, the model card, the table at the end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict
from rich.console import Console
from rich.table import Table

from frtune.files import write_json
from frtune.model_cards.checked import checked, examples_of
from frtune.model_cards.metadata import (
    LANGUAGE_ROWS,
    languages_of,
    metadata,
    origin_of,
    results_of,
)
from frtune.model_cards.sections import remarks_for, sections_for
from frtune.models.families import kind_of
from frtune.models.proof_record import unproven_text, why_unproven
from frtune.moved import moved_names
from frtune.run.lengths import cut_rows
from frtune.run.model_card import is_tested, model_card, number, score_rows
from frtune.run.next_steps import NEXT_STEPS, next_steps, read_next_steps
from frtune.run.page import write_page
from frtune.run.settings import RunSettings, is_tiny
from frtune.score_files import write_scores
from frtune.tasks.base import Task
from frtune.training.resume_checks import save_state
from frtune.training.saving import MERGED
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
    card = _card(
        trainer, task, settings, splits=splits, notes=notes, metrics=metrics,
        signatures=signatures, config=config, warning=warning,
    )  # fmt: skip
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


def _card(
    trainer: TaskTrainer,
    task: Task,
    settings: RunSettings,
    *,
    splits: DatasetDict,
    metrics: dict[str, float],
    warning: str | None,
    **content: Any,
) -> str:
    """Text of ``README.md``, with the lines that open the model; they are run."""
    directory, model = Path(str(trainer.args.output_dir)), trainer.model
    merged = settings.merge and (directory / MERGED).is_dir()
    found = sections_for(task, model, trainer.processing_class, directory=directory, merged=merged)
    unchecked = "the model is not proven" if warning else None
    if not settings.proof:
        unchecked = "--no-proof"
    lines = checked(
        found, task, examples_of(task, splits, public=bool(trainer.args.push_to_hub)),
        directory=directory, name=directory.resolve().name, unchecked=unchecked,
    )  # fmt: skip
    kind = kind_of(model)
    lora = hasattr(model, "peft_config")
    tags = ["lora"] if lora else []
    tags += ["cross-encoder"] if not lora and task.cross_encoder_lines(kind) else []
    train = splits["train"]
    data = metadata(
        task, kind,
        name=directory.resolve().name,
        origin=origin_of(None if is_tiny(settings) else settings.checkpoint),
        relation="adapter" if lora else "finetune",
        library="peft" if lora else "transformers",
        tags=tags,
        data=settings.data,
        languages=languages_of(task, train.select(range(min(LANGUAGE_ROWS, len(train))))),
        results=results_of(task, kind, metrics, data=settings.data),
    )  # fmt: skip
    return model_card(
        task, settings, trainer.args, splits=splits, metrics=metrics, metadata=data,
        history=trainer.state.log_history,
        plain="\n".join([lines, *remarks_for(model, merged=merged)]) if found else "",
        warning=warning, **content,
    )  # fmt: skip


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
