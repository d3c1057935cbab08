"""The model card that a run leaves: data, scores, settings, versions, hardware, use, limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import DatasetDict
from huggingface_hub import ModelCardData

from frtune.environment.versions import versions
from frtune.model_cards import markdown
from frtune.model_cards.metadata import front_matter
from frtune.model_cards.usage import use_lines
from frtune.names import counted
from frtune.run import manifest
from frtune.run.changed_settings import settings_table
from frtune.run.settings import RunSettings, is_tiny
from frtune.tasks.base import Task
from frtune.training.in_force import summary
from frtune.training.resume_checks import data_hash

THIS = "this model"
BASELINE = "test_baseline_"


def baselines_in(metrics: Mapping[str, Any], headline: Sequence[str]) -> list[str]:
    """The baselines whose scores are among metrics, in their order.

    Example:
        >>> baselines_in({"test_baseline_tfidf_f1": 0.1, "test_f1": 0.5}, ["f1"])
        ['tfidf']
    """
    longest_first = sorted(headline, key=len, reverse=True)  # f1_at_10 ends partial_f1_at_10
    names = {
        key[len(BASELINE) : -len(score) - 1]: None
        for key in metrics
        if key.startswith(BASELINE)
        for score in [next((s for s in longest_first if key.endswith(f"_{s}")), None)]
        if score
    }
    return list(names)


def score_rows(task: Task, metrics: dict[str, float]) -> list[tuple[str, list[float | None]]]:
    """The results table: the model and each baseline against the task's headline scores."""
    names = baselines_in(metrics, task.headline)
    rows = [(THIS, "test_"), *((name, f"{BASELINE}{name}_") for name in names)]
    return [(label, [metrics.get(f"{start}{s}") for s in task.headline]) for label, start in rows]


def is_tested(metrics: Mapping[str, Any]) -> bool:
    """Tell whether there were test rows to score."""
    return any(name.startswith("test_") for name in metrics)


def number(value: float | None) -> str:
    """Four decimals, or nothing."""
    return "" if value is None else f"{value:.4f}"


def _interval(metrics: dict[str, float], name: str) -> str:
    low, high = (metrics.get(f"test_{name}_{end}") for end in ("low", "high"))
    return "" if low is None else f" ({low:.3f} to {high:.3f})"


def hardware(args: Any) -> str:
    """What the run had, in words: GPUs or processor, threads, memory, processes."""
    found = manifest.hardware(args.world_size)
    gpus = [] if args.use_cpu else found["gpus"]
    parts = [f"{gpus.count(name)} x {name}" for name in dict.fromkeys(gpus)]
    parts += [found["cpu"], f"{found['threads']} of {found['cores']} threads"]
    parts += [f"{found['memory_bytes'] / 2**30:.0f} GiB memory"]
    parts.append(f"{args.world_size} process" + ("es" if args.world_size > 1 else ""))
    return ", ".join(parts)


def model_card(
    task: Task,
    settings: RunSettings,
    args: Any,
    *,
    splits: DatasetDict,
    notes: Sequence[str],
    metrics: dict[str, float],
    signatures: dict[str, str],
    config: Mapping[str, Any],
    metadata: ModelCardData,
    history: Sequence[Mapping[str, Any]] = (),
    plain: str = "",
    warning: str | None = None,
) -> str:
    """Text of ``README.md``.

    ``metrics`` and ``signatures`` are those of their files, ``config`` is what ``config.yaml``
    holds, ``metadata`` the front matter, ``notes`` what was decided about the data, ``history`` is
    ``trainer.state.log_history``, and ``plain`` says how to use the model without frtune.
    ``warning`` is what must be read first.
    """
    name = Path(args.output_dir).resolve().name
    sections = [
        front_matter(metadata),
        f"# {task.name}: {markdown.plain(name)}\n",
        *([f"**{markdown.plain(warning)}**\n"] if warning else []),
        f"Fine-tuned from {markdown.code(settings.checkpoint or 'tiny')}"
        + (" with LoRA" if settings.lora else "")
        + (f" on an {settings.quantization} base" if settings.quantization else "")
        + ".\n",
        "## Use\n",
        use_lines(task, name),
        *(["## Use without frtune\n", plain] if plain else []),
        "## Data\n",
        f"{markdown.code(settings.data)}: "
        + ", ".join(counted(len(rows), f"{name} row") for name, rows in splits.items())
        + ".\n",
        *(f"- {markdown.plain(note)}" for note in notes),
        *(f"- {name}: hash `{data_hash(rows)}`" for name, rows in splits.items()),
        "\n## Scores\n",
        _score_section(task, metrics, signatures),
        "\n## Limits\n",
        *(f"- {sentence}" for sentence in limits(task, settings, splits)),
        "\n## Settings\n",
        settings_table(config, task, settings),
        "`config.yaml` beside this file repeats the run: "
        f"`frtune train {task.name} --config config.yaml`. `manifest.json` has what it was made "
        "with. `report.html` shows its curves, and the rows it answered worst and best.\n",
        "## Hardware and versions\n",
        f"{hardware(args)}, {summary(args)}{_duration(history)}.\n",
        ", ".join(f"{name} {number}" for name, number in versions().items()) + "\n",
    ]
    return "\n".join(sections)


def limits(task: Task, settings: RunSettings, splits: Mapping[str, Any]) -> list[str]:
    """What a reader must not expect of the model, as far as the run itself tells."""
    found = [
        "What is wrong or one-sided in the training rows and in the checkpoint, the model may "
        "repeat. The licences of both hold for it.",
    ]
    if "test" in splits:
        found.insert(
            0,
            "The scores hold for rows like the test rows; of other sources, languages and times "
            "they say nothing.",
        )
    if is_tiny(settings):
        found.insert(0, "It started from random weights: for trying things out, not for use.")
    if len(splits.get("test", ())) < 200 and "test" in splits:
        tested = counted(len(splits["test"]), "test row")
        are = "is" if len(splits["test"]) == 1 else "are"
        found.append(f"{tested} {are} few: mind the intervals.")
    return [*found, task.limitation]


def _duration(history: Sequence[Mapping[str, Any]]) -> str:
    seconds = [entry["train_runtime"] for entry in history if "train_runtime" in entry]
    return f"; training took {sum(seconds):.0f} s" if seconds else ""


def _score_section(task: Task, metrics: dict[str, float], signatures: dict[str, str]) -> str:
    loss = ""
    if "eval_loss" in metrics:
        loss = f"\nValidation loss of the checkpoint kept: {metrics['eval_loss']:.4f}."
    if not is_tested(metrics):
        return f"There were no test rows: the model was not scored.\n{loss}\n"
    lines = [
        "On the test rows, fractions from 0 to 1; the baselines use no model. In brackets: 95 % "
        "bootstrap interval over the rows.\n",
        "| | " + " | ".join(task.headline) + " |",
        "| --- |" + " ---: |" * len(task.headline),
    ]
    for label, values in score_rows(task, metrics):
        cells = [number(value) for value in values]
        if label == THIS:
            ends = (_interval(metrics, name) for name in task.headline)
            cells = [cell + end for cell, end in zip(cells, ends, strict=True)]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    lines += [f"\n{remark}" for remark in task.remarks(metrics)]
    if task.health_scores:
        lines.append("\nGeneration health:\n")
        lines += [f"- {name}: {number(metrics[f'test_{name}'])}" for name in task.health_scores]
    lines += [loss] if loss else []
    lines.append("\nTwo scores are comparable when their signatures are equal:\n")
    lines += [f"- `{signatures[name]}`" for name in task.headline if name in signatures]
    return "\n".join(lines) + "\n"
