"""What to do after a run: only what its training and its rows give evidence for."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from datasets import Dataset, DatasetDict

from frtune.models.config_sizes import max_positions
from frtune.names import counted
from frtune.run.model_card import is_tested, score_rows
from frtune.run.settings import RunSettings, is_tiny
from frtune.tasks.base import Task
from frtune.training.trainer import TaskTrainer

NEXT_STEPS = "next_steps.json"
FEW = 20  # training rows of a class, under which more of them are worth most
_NAMED = 5  # classes in a sentence
UNLIKELY = 0.05  # calibrated probability of a label, under which it is disputed
_CUT = 0.05  # share of training rows from which on a limit is worth raising
_DISPUTED = 0.01  # share of validation rows from which on labels are worth a look


class NextStep(NamedTuple):
    """What to do, and why.

    Attributes:
        because: What was found, as a sentence.
        do: What to do about it, as a sentence.
    """

    because: str
    do: str


def next_steps(
    trainer: TaskTrainer,
    settings: RunSettings,
    splits: DatasetDict,
    metrics: Mapping[str, float],
    *,
    cuts: Sequence[Mapping[str, Any]],
    disputed: int,
) -> list[NextStep]:
    """What to do after a run, the most pressing first.

    Test rows are not looked at; their scores are, beside those of the baselines.

    Args:
        trainer: It has been trained.
        settings: Those of the run.
        splits: Raw rows.
        metrics: The scores, with those of the baselines.
        cuts: Rows that lost tokens, of ``cut_rows``.
        disputed: What ``disputed_rows`` counted.
    """
    if is_tiny(settings):
        do = "Name a pre-trained model with --checkpoint."
        return [NextStep("The model started from random weights.", do)]
    task = trainer.task
    return [
        *_weak_model(task, metrics),
        *_more_epochs(trainer),
        *_longer_limits(trainer, cuts),
        *_labels_to_review(task, settings, splits, disputed),
        *_small_classes(task, splits["train"]),
    ]


def read_next_steps(directory: str | Path) -> list[NextStep]:
    """The next steps that a run wrote into its directory; of a run that wrote none, none."""
    path = Path(directory) / NEXT_STEPS
    if not path.is_file():
        return []
    return [NextStep(**step) for step in json.loads(path.read_text(encoding="utf-8"))]


def disputed_rows(trainer: TaskTrainer, outputs: Sequence[Any] | None) -> int:
    """How many validation rows have labels that the calibrated model gives nearly no chance.

    Of several labels a row, one that is missing counts, too. Tasks without chances of classes have
    none.

    Args:
        trainer: It has been calibrated.
        outputs: What ``trainer.outputs`` held then.
    """
    task, rows = trainer.task, trainer.eval_dataset
    if task.classes is None or not task.calibrates or outputs is None:
        return 0
    factor = task.logit_factor or 1.0  # of the head since then
    answers = task.answers([factor * row for row in outputs], rows, trainer.processing_class)
    count = 0
    for answer, true in zip(answers, task.references(rows), strict=True):
        right = {true} if isinstance(true, str) else {*true}
        chances = (p if label in right else 1 - p for label, p in answer["scores"].items())
        count += min(chances) < UNLIKELY
    return count


def _weak_model(task: Task, metrics: Mapping[str, float]) -> list[NextStep]:
    if not is_tested(metrics):
        return []
    name, at = task.main_score, task.headline.index(task.main_score)
    (_, values), *others = score_rows(task, dict(metrics))
    own = values[at]
    greater = task.metric_directions()[name]
    known = [(value, label) for label, values in others if (value := values[at]) is not None]
    if not known or own is None:
        return []
    value, label = (max if greater else min)(known)
    if value == own or (value > own) != greater:
        return []
    because = (
        f"{label}, which uses no model, has a better {name} ({value:.3f}) than the model "
        f"({own:.3f})."
    )
    return [NextStep(because, f"Use it, or look for better settings: frtune tune {task.name}.")]


def _more_epochs(trainer: TaskTrainer) -> list[NextStep]:
    state, args = trainer.state, trainer.args
    steps = {entry["step"] for entry in state.log_history if "eval_loss" in entry}
    if len(steps) < 2 or state.best_global_step != max(steps):
        return []
    more = f"--num-train-epochs {2 * args.num_train_epochs:g}"
    if args.max_steps > 0:
        more = f"--max-steps {2 * args.max_steps}"
    because = f"The last of {counted(len(steps), 'evaluation')} was the best."
    return [NextStep(because, f"Train for longer: {more}.")]


def _longer_limits(trainer: TaskTrainer, cuts: Sequence[Mapping[str, Any]]) -> list[NextStep]:
    found = []
    longest = max_positions(getattr(trainer.model, "config", None))
    for cut in cuts:
        if cut["split"] != "training" or cut["cut"] < max(1, _CUT * cut["rows"]):
            continue
        flag, _, limit = cut["limit"].partition("=")
        do = f"Raise --{flag.replace('_', '-')} (now {limit})."
        if longest is not None and int(limit) >= longest:
            do = f"The model reads no more than {longest} tokens. Use one that reads more."
        rows = counted(cut["rows"], "training row")
        share = cut["cut"] / cut["rows"]
        found.append(NextStep(f"{share:.0%} of {rows} lose the end of their {cut['what']}.", do))
    return found


def _labels_to_review(
    task: Task, settings: RunSettings, splits: DatasetDict, disputed: int
) -> list[NextStep]:
    rows = len(splits.get("validation", ()))
    reasons = []
    if disputed >= max(2, _DISPUTED * rows):
        reasons.append(
            f"The model is nearly sure of another label of {disputed:,} of "
            f"{counted(rows, 'validation row')}."
        )
    if twice := _contradictions(task, splits["train"]):
        reasons.append(f"Texts that stand in the data with different labels: {twice:,}.")
    if not reasons:
        return []
    do = f"Look at the labels: frtune review {settings.data} --task {task.name}."
    return [NextStep(" ".join(reasons), do)]


def _contradictions(task: Task, rows: Dataset) -> int:
    """How many texts have labels that cannot all be right."""
    labels = task.references(rows)
    conflict = task.conflict_test(labels)
    first: dict[tuple[str, ...], Any] = {}
    found = set()
    columns = (rows[name] for name in task.text_columns)
    for text, label in zip(zip(*columns, strict=True), labels, strict=True):
        if conflict(first.setdefault(text, label), label):
            found.add(text)
    return len(found)


def _small_classes(task: Task, rows: Dataset) -> list[NextStep]:
    if task.classes is None:
        return []
    counts = Counter(dict.fromkeys(task.classes, 0))
    for label in task.references(rows):
        counts.update([label] if isinstance(label, str) else label)
    small = sorted((count, label) for label, count in counts.items() if count < FEW)
    if not small:
        return []
    named = ", ".join(f"{label} ({count})" for count, label in small[:_NAMED])
    named += ", ..." if len(small) > _NAMED else ""
    because = f"Classes with fewer than {FEW} training rows: {named}."
    return [NextStep(because, "Label more of them, or merge classes.")]
