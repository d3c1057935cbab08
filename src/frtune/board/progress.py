"""Where the runs of a folder are, read from what they and their jobs wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frtune.board.folder import RUNS, BoardFolder
from frtune.board.jobs import Job, Jobs, is_alive, terminate
from frtune.errors import InputError
from frtune.files import is_locked
from frtune.plotting import legend, line_style, new_frame, plain_text, whole_numbers
from frtune.run.curves import DASHES, points
from frtune.run.status import read_status, thinned
from frtune.runs.record import Run, read_run, run_directories

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class RunView:
    """A run as the page shows it.

    Attributes:
        name: Its directory, seen from the folder.
        state: ``queued``, ``starting``, ``running``, ``stopped``, ``failed`` or ``finished``.
        run: What it left; ``None`` before its first step.
        job: The command that a board started for it; ``None`` for one of a terminal.
        line: Why it failed.
        step: The last step known.
        steps: Of the whole run.
        rows_per_second: How fast it learns.
        seconds_left: Until its last step, at this speed.
        memory_bytes: Of the GPU, else of the process.
        history: Losses and scores by step.
    """

    name: str
    state: str
    run: Run | None = None
    job: Job | None = None
    line: str = ""
    step: int | None = None
    steps: int | None = None
    rows_per_second: float | None = None
    seconds_left: float | None = None
    memory_bytes: int | None = None
    history: Sequence[Mapping[str, Any]] = field(default=(), repr=False)

    @property
    def active(self) -> bool:
        """Whether it runs, or is about to."""
        return self.state in ("queued", "starting", "running")


def all_runs(folder: BoardFolder, jobs: Jobs) -> list[str]:
    """Directories of all runs below the folder, and of those that wait; the newest first."""
    started: dict[str, float] = {}
    for place in run_directories(folder.root, lambda error: None):
        if place != folder.root and place.resolve().is_relative_to(folder.root):
            started[folder.name_of(place)] = (place / "manifest.json").stat().st_mtime
    for job in jobs.all():
        if job.words[0] == "train" and job.output:  # a learning curve is no run
            started[job.output] = max(job.created, started.get(job.output, 0.0))
    return sorted(started, key=lambda name: -started[name])


def view(folder: BoardFolder, jobs: Jobs, name: str) -> RunView:
    """Look at one run."""
    directory = folder.inside(name)
    job = jobs.of_output(name)
    status = read_status(directory)
    try:
        run = read_run(directory, name) if (directory / "manifest.json").is_file() else None
    except InputError as error:
        return RunView(name, "failed", job=job, line=str(error))
    state, line = _state(run, job, directory), (run.line if run else "") or ""
    if state == "failed" and not line and job is not None:
        line = jobs.error(job.name) or f"exit code {job.code}"
    seconds, rows = status.get("seconds_per_step"), status.get("rows_per_step")
    steps, step = (run.steps, run.step) if run else (None, None)
    left = None
    if state == "running" and seconds and steps and step is not None:
        left = (steps - step) * seconds
    return RunView(
        name, state, run, job, line, step, steps,
        rows_per_second=rows / seconds if rows and seconds else None,
        seconds_left=left,
        memory_bytes=status.get("memory_bytes"), history=_history(directory, status),
    )  # fmt: skip


def _state(run: Run | None, job: Job | None, directory: Path) -> str:
    if job is not None and job.state == "queued":
        return "queued"
    if job is not None and job.state == "running" and not is_locked(directory):
        return "starting"
    if is_locked(directory):
        return "running" if run is not None else "starting"
    if run is None or (job is not None and job.code not in (0, None, 130, 143)):
        return "stopped" if job is not None and job.code in (130, 143) else "failed"
    return run.state


def _history(directory: Path, status: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if status.get("state") == "finished":
        try:
            content = json.loads((directory / "trainer_state.json").read_text(encoding="utf-8"))
            return thinned(content["log_history"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
    return list(status.get("history") or [])


def stop(folder: BoardFolder, jobs: Jobs, name: str) -> None:
    """Stop a run: its step ends, and a checkpoint is saved; one that waits is taken out.

    Raises:
        InputError: If it does not run.
    """
    status, job = read_status(folder.inside(name)), jobs.of_output(name)
    if job is not None and job.state in ("queued", "running"):
        jobs.stop(job.name)
    elif is_alive(status.get("pid"), status.get("process_started")):
        terminate(status.get("pid"), status.get("process_started"))
    else:
        raise InputError(f"{name}: does not run.")


def resume(folder: BoardFolder, jobs: Jobs, name: str) -> Job:
    """Have a run that was stopped or killed go on from its newest checkpoint.

    Raises:
        InputError: If it runs, or nothing is known of it.
    """
    found = view(folder, jobs, name)
    if found.active or found.state == "finished":
        raise InputError(f"{name}: is {found.state}. Only a run that was stopped is resumed.")
    job = found.job
    if job is not None:
        words = [word for word in job.words if word != "--resume"]
        again = found.run is not None  # one that failed before its first step begins anew
        return jobs.add(job.name, [*words, *["--resume"] * again], output=name, queued=True)
    if found.run is None:
        raise InputError(f"{name}: holds no run.")
    config = f"{name}/config.yaml"
    words = ["train", found.run.task, "--config", config, "--output-dir", name, "--resume"]
    return jobs.add(folder.free_name(RUNS, Path(name).name), words, output=name, queued=True)


def curves(
    histories: Mapping[str, Sequence[Mapping[str, Any]]], names: Sequence[str]
) -> Figure | None:
    """Draw entries of the histories of runs, by step; ``None`` where none has any.

    The figure has no title: its font may lack the letters of the page's language.

    Args:
        histories: Name of a run to its losses and scores.
        names: Of the entries, such as ``loss`` and ``eval_loss``.
    """
    figure, axes = new_frame("", "step", "")
    count = 0
    for i, (run, history) in enumerate(histories.items()):
        for j, name in enumerate(names):
            steps, values = points(history, name)
            if not steps:
                continue
            style = line_style(i if len(histories) > 1 else j)
            style["linestyle"] = DASHES[j % 3]
            if len(steps) > 30:  # markers would be one thick line
                style["marker"] = ""
            shown = f"{run}, {name}" if len(histories) > 1 and len(names) > 1 else (
                run if len(histories) > 1 else name)  # fmt: skip
            axes.plot(steps, values, label=plain_text(shown), clip_on=False, **style)
            count += 1
    if not count:
        return None
    whole_numbers(axes.xaxis)
    legend(figure)
    return figure
