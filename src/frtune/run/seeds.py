"""The same run under several seeds: one model directory each, and mean and interval of scores."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from rich.console import Console
from rich.table import Table

from frtune.errors import InputError
from frtune.files import staged, write_json
from frtune.html import render
from frtune.models.adapter_base import is_adapter
from frtune.models.lora import lora_config
from frtune.names import counted
from frtune.run.config import run_config
from frtune.run.model import with_sizes
from frtune.run.model_card import baselines_in
from frtune.run.part_runs import final_scores, finished, free_memory
from frtune.run.run import run
from frtune.run.seed_statistics import mean_of_runs
from frtune.tasks.base import Task
from frtune.training.saving import check_output_dir

logger = logging.getLogger(__name__)

SEEDS_FILE = "seeds.json"
# what may differ between the seeds of one run; the adapter is settled by the checkpoint, and all of
# it where a saved one is trained further
OWN = {"seed", "output_dir", "lora"}
FURTHER = {"lora_r", "lora_alpha", "lora_dropout", "int8", "nf4"}
NO_SCORES = ("_runtime", "_per_second", "_low", "_high")

# from a seed and an output directory to task, RunSettings and training arguments
Make = Callable[[int, str], tuple[Any, Any, Any]]


@dataclass(frozen=True)
class SeedScores:
    """Scores of several seeds.

    Attributes:
        task: Name of the task.
        seeds: The seeds, in order.
        scores: By name of ``metrics.json``: ``values`` (one a seed), ``mean``, ``std`` (of the
            seeds, divided by their number less one), ``low`` and ``high`` (95 % interval of the
            mean).
    """

    task: str
    seeds: list[int]
    scores: dict[str, dict[str, Any]]


def mean_interval(values: Sequence[float]) -> dict[str, float]:
    """Mean of a score over seeds with its 95 % interval by Student's t.

    The interval is about what the seed changes, and not about other test rows.

    Example:
        >>> {name: round(value, 4) for name, value in mean_interval([0.5, 0.6, 0.7]).items()}
        {'mean': 0.6, 'std': 0.1, 'low': 0.3516, 'high': 0.8484}
    """
    mean, low, high = mean_of_runs(values)
    return {"mean": mean, "std": float(np.std(values, ddof=1)), "low": low, "high": high}


def run_seeds(
    make: Make, count: int, *, output_dir: str, first: int = 42, resume: bool = False
) -> SeedScores:
    """Run ``count`` seeds from ``first`` on, each in ``output_dir/seed-N``.

    The rows of train, validation and test are the same for every seed. Seeds that are finished are
    skipped with ``resume``, and one that was interrupted goes on. ``seeds.json`` and
    ``report.html`` stand beside the seeds' directories.

    Raises:
        InputError: For fewer than two seeds, several processes, or finished seeds of another run.
    """
    seeds = list(range(first, first + count))
    root = Path(output_dir)
    _check(make, seeds, root, resume)
    metrics = []
    for number, seed in enumerate(seeds, start=1):
        place = root / f"seed-{seed}"
        task, settings, args = make(seed, str(place))
        if finished(place):
            logger.warning("seed %d (%d of %d): finished before", seed, number, count)
            metrics.append(final_scores(place))
            continue
        logger.warning("seed %d (%d of %d): %s", seed, number, count, place)
        metrics.append(run(task, settings, args))
        free_memory()
    found = SeedScores(task.name, seeds, summary(metrics))
    with staged(root) as draft:
        how = {"task": task.name, "seeds": seeds, "interval": "95 %, Student's t over the seeds"}
        write_json(draft / SEEDS_FILE, {**how, "scores": found.scores})
        page = seeds_page(found, task, root.resolve().name)
        (draft / "report.html").write_text(page, encoding="utf-8")
    return found


def seeds_page(found: SeedScores, task: Task, name: str) -> str:
    """The page, as text: what the seeds say of the scores, then each of them."""
    rows = [(score, cells) for score, cells in rows_of(found, task) if cells[0]]
    return render(
        "run/seeds.html.jinja",
        title=f"{found.task}: {name}, {counted(len(found.seeds), 'seed')}",
        seeds=found.seeds,
        meaning=meaning(task.main_score, dict(rows)),
        baselines=baselines_in(found.scores, task.headline),
        rows=rows,
    )


def meaning(name: str, rows: Mapping[str, Any]) -> str:
    """What the seeds say of the main score, in plain words."""
    if name not in rows:
        return ""
    own = rows[name][0]
    least, most = min(own["values"]), max(own["values"])
    return (
        f"Trained anew with another seed, the same model gets {name} from {least:.3f} to "
        f"{most:.3f}, {own['mean']:.3f} in the mean. A difference between two settings that is "
        "smaller than that may come from the seed alone."
    )


def summary(metrics: Sequence[Mapping[str, float]]) -> dict[str, dict[str, Any]]:
    """Values, mean and interval of every score that each run has; times and intervals left out."""
    return {
        name: {"values": (values := [each[name] for each in metrics]), **mean_interval(values)}
        for name in metrics[0]
        if all(name in each for each in metrics) and not name.endswith(NO_SCORES)
    }


def _check(make: Make, seeds: Sequence[int], root: Path, resume: bool) -> None:
    """Refuse what would fail later, or give a mean over runs that differ."""
    if len(seeds) < 2:
        raise InputError(f"--seeds {len(seeds)}: at least 2. Leave it out for one run.")
    if not resume:
        check_output_dir(root)
    for seed in seeds:
        place = root / f"seed-{seed}"
        task, settings, args = make(seed, str(place))
        if args.world_size > 1:
            raise InputError(
                f"--seeds: with one process only, and there are {args.world_size}. Launch a run "
                f"for each seed with --seed N --output-dir {root}/seed-N; then --seeds "
                f"{len(seeds)} --resume without the launcher reads their scores."
            )
        if finished(place):
            check_same_run(place, task, settings, args)


def check_same_run(place: Path, task: Task, settings: Any, args: Any) -> None:
    """Refuse (``InputError``) a finished run with other options than these, but for its place."""
    theirs = yaml.safe_load((place / "config.yaml").read_text(encoding="utf-8"))
    ours = run_config(task, with_sizes(settings, lora_config()), args)
    further = (
        not settings.merge_first and bool(settings.checkpoint) and is_adapter(settings.checkpoint)
    )
    for name in sorted({*ours, *theirs} - OWN - (FURTHER if further else set())):
        if ours.get(name) != theirs.get(name):
            raise InputError(
                f"{place}: was run with {name}={theirs.get(name)}, and this command has "
                f"{ours.get(name)}. Give the same options, or another --output-dir."
            )


def rows_of(found: SeedScores, task: Task) -> list[tuple[str, list[Any]]]:
    """A line for each headline score: its name, and mean, ends, then baselines."""
    names = baselines_in(found.scores, task.headline)
    rows = []
    for score in task.headline:
        own = found.scores.get(f"test_{score}")
        others = [found.scores.get(f"test_baseline_{name}_{score}") for name in names]
        rows.append((score, [own, *(other and other["mean"] for other in others)]))
    return rows


def seeds_table(found: SeedScores, task: Task, directory: str) -> None:
    """Print mean and interval of the headline scores."""
    console, where = Console(), f"{directory}/{SEEDS_FILE}, {directory}/report.html"
    if not any(own for _, (own, *_) in rows_of(found, task)):
        console.print(f"no test rows, no scores; {where}", soft_wrap=True)
        return
    table = Table(title=f"Scores on the test rows: mean of {len(found.seeds)} seeds, 95 % (t)")
    table.add_column("score")
    for name in ("mean", "interval", *baselines_in(found.scores, task.headline)):
        table.add_column(name, justify="right")
    for score, (own, *others) in rows_of(found, task):
        if own is None:
            continue
        span = f"{own['low']:.3f} to {own['high']:.3f}"
        shown = ("" if value is None else f"{value:.4f}" for value in others)
        table.add_row(score, f"{own['mean']:.4f}", span, *shown)
    console.print(table)
    console.print(where, soft_wrap=True)
