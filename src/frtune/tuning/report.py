"""What a search leaves: ``trials.csv``, ``tune.json``, the best ``config.yaml``, ``tune.html``."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from frtune.files import staged, write_json, yaml_text
from frtune.html import figure_data, render
from frtune.plotting import has_matplotlib
from frtune.tuning.figures import history_figure, importance_figure
from frtune.tuning.result import Trial, Tuning, gain_text

TABLE, RESULT, CONFIG, PAGE = "trials.csv", "tune.json", "config.yaml", "tune.html"


def write_report(found: Tuning, config: dict[str, Any]) -> None:
    """Write the files of a search into its folder; ``config`` is that of the best settings."""
    with staged(found.directory) as draft:
        _write_table(draft / TABLE, found)
        write_json(draft / RESULT, result_content(found))
        (draft / CONFIG).write_text(yaml_text(config), encoding="utf-8")
        (draft / PAGE).write_text(page_html(found), encoding="utf-8")


def _write_table(path: Path, found: Tuning) -> None:
    names = [*found.space]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["trial", "state", found.score_name, *names, "epochs", "seconds", "line"])
        for trial in found.trials:
            point = [trial.point.get(name) for name in names]
            last = [trial.epochs, trial.seconds, trial.line]
            writer.writerow([trial.number, trial.state, trial.score, *point, *last])


def result_content(found: Tuning) -> dict[str, Any]:
    """What was found as JSON values."""
    return {
        "task": found.task,
        "meaning": found.sentences(),
        "score": found.score_name,
        "larger_is_better": found.larger_is_better,
        "space": found.space,
        "best": vars(found.best_trial),
        "seeds": found.seeds,
        "gains": [
            {**vars(gain), "difference": gain.difference._asdict(), "verdict": gain.verdict}
            for gain in found.gains
        ],
        "interval": "95 %, Student's t over the seeds, paired",
        "importance": found.importance,
        "trials": [vars(trial) for trial in found.trials],
    }


def page_html(found: Tuning) -> str:
    """The page, as text: what it means, then the trials, and which settings mattered."""
    plots = has_matplotlib()
    shares = found.importance
    return render(
        "tuning/page.html.jinja",
        title=f"Search of settings: {found.task}, {found.directory.resolve().name}",
        sentences=found.sentences(),
        gains=[(gain, gain_text(gain, len(found.seeds))) for gain in found.gains],
        seeds=found.seeds,
        best=found.best,
        space=found.space,
        names=[*found.space],
        score_name=found.score_name,
        trials=ordered(found),
        history=figure_data(history_figure(found)) if plots else None,
        shares=shares,
        chart=figure_data(importance_figure(shares)) if plots and shares else None,
        plots=plots,
    )


def ordered(found: Tuning) -> list[Trial]:
    """The trials, the best first: completed ones by score, then pruned, then failed ones."""
    states, sign = ["complete", "pruned", "failed"], -1 if found.larger_is_better else 1

    def rank(trial: Trial) -> tuple[int, float, int]:
        score = 0.0 if trial.score is None else sign * trial.score
        return states.index(trial.state), score, trial.number

    return sorted(found.trials, key=rank)


def print_result(found: Tuning) -> None:
    """Print the trials, the best first, and what they mean."""
    console = Console()
    table = Table(title="Trials, the best first; trial 0 is the recipe")
    for name in ("trial", "state", found.score_name, *found.space):
        table.add_column(name, justify="left" if name == "state" else "right")
    for trial in ordered(found):
        score = "" if trial.score is None else f"{trial.score:.4f}"
        point = (f"{trial.point[n]:.3g}" if n in trial.point else "" for n in found.space)
        table.add_row(str(trial.number), trial.state, score, *point)
    console.print(table)
    for sentence in found.sentences():
        console.print(sentence, soft_wrap=True, highlight=False)
    where = found.directory
    console.print(f"page: {where / PAGE}", soft_wrap=True, highlight=False)
    command = f"frtune train {found.task} --config {where / CONFIG}"
    console.print(f"train it: {command}", soft_wrap=True, highlight=False)
