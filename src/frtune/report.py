"""What a run leaves for people: scores, predictions, the model card, the table at the end."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frtune import __version__
from frtune.inference import text_columns
from frtune.tasks._store import write_json

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

    from frtune.training.run import RunSettings
    from frtune.training.trainer import TaskTrainer

THIS = "this model"

VERSIONED = (
    "torch",
    "transformers",
    "datasets",
    "peft",
    "accelerate",
    "bitsandbytes",
    "deepspeed",
    "rouge-score",
    "kiwipiepy",
)


def write_report(
    directory: Path,
    *,
    trainer: TaskTrainer,
    settings: RunSettings,
    splits: DatasetDict,
    notes: list[str],
    metrics: dict[str, float],
    encoded: Dataset,
) -> dict[str, float]:
    """Write scores, signatures, predictions, trainer state and model card of a run.

    Args:
        directory: Where to.
        trainer: After ``predict`` on the test rows.
        settings: Of the run.
        splits: Raw rows.
        notes: What was decided about the data.
        metrics: Scores of the model.
        encoded: The encoded test rows.

    Returns:
        ``metrics`` with the baselines' scores and the intervals of the model's beside them.
    """
    task = trainer.task
    found = write_scores(
        directory,
        task,
        trainer.processing_class,
        rows=splits["test"],
        encoded=encoded,
        outputs=trainer.outputs or [],
        train=splits["train"],
        metrics=metrics,
    )
    metrics, signatures = found
    trainer.state.save_to_json(str(directory / "trainer_state.json"))
    card = model_card(
        task, settings, trainer.args, splits=splits, notes=notes, metrics=metrics,
        signatures=signatures,
    )  # fmt: skip
    (directory / "README.md").write_text(card, encoding="utf-8")
    return metrics


def write_scores(
    directory: Path,
    task: Any,
    tokenizer: Any,
    *,
    rows: Dataset,
    encoded: Dataset,
    outputs: list[Any],
    train: Dataset | None,
    metrics: dict[str, float],
) -> tuple[dict[str, float], dict[str, str]]:
    """Write ``metrics.json``, ``signatures.json``, ``predictions.jsonl`` of scored test rows.

    Args:
        directory: Where to.
        task: The task.
        tokenizer: The model's tokenizer.
        rows: Raw rows.
        encoded: The same rows encoded, maybe several for a raw one.
        outputs: What the model said of each encoded row.
        train: Raw training rows, for the baselines that learn; ``None`` where there are none.
        metrics: Scores of the model, ``test_*`` among them.

    Returns:
        The metrics written, with baselines, and the signatures.
    """
    references = task.references(encoded, tokenizer)
    answers = task.answers(outputs, encoded, tokenizer)
    intervals = task.intervals(outputs, encoded, tokenizer)
    metrics = {
        **metrics,
        **{f"test_{name}_low": low for name, (low, _) in intervals.items()},
        **{f"test_{name}_high": high for name, (_, high) in intervals.items()},
        **baseline_metrics(task, train, rows, references),
    }
    signatures = task.signatures(references)
    texts = [list(rows[column]) for column in text_columns(task)]
    names = ("input", "input_pair")[: len(texts)]
    lines = [
        {**dict(zip(names, inputs, strict=True)), "reference": reference, **_prediction(answer)}
        for *inputs, reference, answer in zip(*texts, references, answers, strict=True)
    ]
    if task.generates:
        written = task.lines([row.ids for row in outputs], tokenizer)
        for line, text, row in zip(lines, written, outputs, strict=True):
            line.update(generated=text, finished=row.finished)
    write_json(directory / "metrics.json", metrics)
    write_json(directory / "signatures.json", signatures)
    with (directory / "predictions.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    if hasattr(task, "write_details"):
        task.write_details(directory, [line["prediction"] for line in lines], references)
    return metrics, signatures


def _prediction(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer with its first value, whatever the task calls it, under ``prediction``."""
    (_, value), *rest = answer.items()
    if isinstance(value, list) and value and isinstance(value[0], dict):  # keywords with offsets
        return {"prediction": [item["text"] for item in value], "spans": value, **dict(rest)}
    return {"prediction": value, **dict(rest)}


def baseline_metrics(
    task: Any, train: Dataset | None, test: Dataset, references: list[list[str]]
) -> dict[str, float]:
    """Scores of predictors that need no model, as ``test_baseline_<name>_<score>``."""
    texts = list(test[task.columns[0]])
    return {
        f"test_baseline_{name}_{score}": value
        for name, predictions in task.baselines(train, test).items()
        for score, value in task.compute_metrics(predictions, references, texts=texts).items()
        if score in task.headline
    }


def score_rows(task: Any, metrics: dict[str, float]) -> list[tuple[str, list[float | None]]]:
    """The results table: the model and each baseline against the task's headline scores."""
    prefix = "test_baseline_"
    longest_first = sorted(task.headline, key=len, reverse=True)  # f1_at_10 ends partial_f1_at_10
    names = {
        key[len(prefix) : -len(score) - 1]: None
        for key in metrics
        if key.startswith(prefix)
        for score in [next(s for s in longest_first if key.endswith(f"_{s}"))]
    }
    rows = [(THIS, "test_"), *((name, f"{prefix}{name}_") for name in names)]
    return [(label, [metrics.get(f"{start}{s}") for s in task.headline]) for label, start in rows]


def results_table(metrics: dict[str, float], task: Any, directory: str) -> None:
    """Print the scores of a run."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Scores on the test rows, 0 to 1 (baselines use no model)")
    rows = score_rows(task, metrics)
    table.add_column("score")
    for label, _ in rows:
        table.add_column(label, justify="right")
    for i, name in enumerate(task.headline):
        table.add_row(name, *(_number(values[i]) for _, values in rows))
    console = Console()
    console.print(table)
    if task.health_scores:
        health = (f"{name} {metrics[f'test_{name}']:.2f}" for name in task.health_scores)
        console.print("generation: " + ", ".join(health))
    console.print(f"model directory: {directory}", soft_wrap=True)
    pair = ' --text-pair "..."' if len(text_columns(task)) > 1 else ""
    console.print(f'try it: frtune predict {directory} --text "..."{pair}', soft_wrap=True)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _interval(metrics: dict[str, float], name: str) -> str:
    low, high = (metrics.get(f"test_{name}_{end}") for end in ("low", "high"))
    return "" if low is None else f" ({low:.3f} to {high:.3f})"


def versions() -> dict[str, str]:
    """Versions of frtune, Python and the libraries that a score depends on."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"frtune": __version__, "python": platform.python_version()}
    for name in VERSIONED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def model_card(
    task: Any,
    settings: RunSettings,
    args: Any,
    *,
    splits: DatasetDict,
    notes: list[str],
    metrics: dict[str, float],
    signatures: dict[str, str],
) -> str:
    """Text of ``README.md``: data, scores with signatures and baselines, settings, versions."""
    base = settings.checkpoint or "tiny"
    sections = [
        f"---\nlibrary_name: frtune\ntags:\n- {task.name}\n---\n",
        f"# {task.name}: {Path(args.output_dir).resolve().name}\n",
        f"Fine-tuned from `{_code(base)}`"
        + (" with LoRA" if settings.lora else "")
        + (f" on an {settings.quantization} base" if settings.quantization else "")
        + ".\n",
        "```python\nimport frtune\n\n"
        f'model = frtune.load("{_code(Path(args.output_dir).name)}")\n'
        'model.predict(["..."])\n```\n',
        "## Data\n",
        f"`{_code(settings.data)}`: "
        + ", ".join(f"{len(rows)} {name}" for name, rows in splits.items())
        + " rows.\n",
        *(f"- {note}" for note in notes),
        "\n## Scores\n",
        _score_section(task, metrics, signatures),
        "\n## Settings\n",
        "`config.yaml` beside this file repeats the run: "
        f"`frtune train {task.name} --config config.yaml`.\n",
        "## Versions\n",
        ", ".join(f"{name} {number}" for name, number in versions().items()) + "\n",
    ]
    return "\n".join(sections)


def _code(text: str) -> str:
    return str(text).replace("`", "'")


def _score_section(task: Any, metrics: dict[str, float], signatures: dict[str, str]) -> str:
    lines = [
        "On the test rows, fractions from 0 to 1; the baselines use no model. In brackets: 95 % "
        "bootstrap interval over the rows.\n",
        "| | " + " | ".join(task.headline) + " |",
        "| --- |" + " ---: |" * len(task.headline),
    ]
    for label, values in score_rows(task, metrics):
        cells = [_number(value) for value in values]
        if label == THIS:
            cells = [
                f"{cell}{_interval(metrics, name)}"
                for cell, name in zip(cells, task.headline, strict=True)
            ]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    if task.health_scores:
        lines.append("\nGeneration health:\n")
        lines += [f"- {name}: {_number(metrics[f'test_{name}'])}" for name in task.health_scores]
    if "eval_loss" in metrics:
        lines.append(f"\nValidation loss of the checkpoint kept: {metrics['eval_loss']:.4f}.")
    lines.append("\nTwo scores are comparable when their signatures are equal:\n")
    lines += [f"- `{signatures[name]}`" for name in task.headline if name in signatures]
    return "\n".join(lines) + "\n"
