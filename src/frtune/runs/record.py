"""What one run left in its directory, read without opening its model."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from frtune.errors import InputError, first_line
from frtune.files import is_locked
from frtune.run.status import State, read_status
from frtune.tasks.base import Task
from frtune.tasks.config_file import TASK_FILE, load_task
from frtune.training.atomic_checkpoints import checkpoints, step_of

CONFIG, MANIFEST = "config.yaml", "manifest.json"
# what stands inside a run and is none itself
_INSIDE = ("checkpoint-", "damaged-", ".")
_OWN = {"tiny", "merged", "base", "evaluation"}


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        name: Its directory, as seen from the folder that was searched.
        task: Name of the task.
        data: What ``--data`` said.
        hashes: Hash of the rows of each split.
        rows: Number of rows of each split.
        checkpoint: What it started from.
        settings: All of ``config.yaml``.
        state: ``running``, ``stopped``, ``failed`` or ``finished``.
        step: The last step known; of a stopped run, the one that ``--resume`` goes on from.
        steps: Steps of the whole run; ``None`` where it is not known.
        line: Why it stopped or failed.
        started: When its last part began (UTC, ISO 8601).
        seconds: Time of all its parts.
        size_bytes: Weights on disk, without those of an adapter's base.
        score_name: The task's main score; ``None`` before there are scores.
        score: That score on the test rows.
        low: Lower end of its 95 % interval.
        high: Upper end.
        signature: How the score was computed.
        larger_is_better: Whether the best run has the largest score.
        metrics: All of ``metrics.json``.
    """

    name: str
    task: str
    data: str
    hashes: dict[str, str]
    rows: dict[str, int]
    checkpoint: str
    settings: dict[str, Any]
    state: State
    step: int | None = None
    steps: int | None = None
    line: str | None = None
    started: str | None = None
    seconds: float | None = None
    size_bytes: int | None = None
    score_name: str | None = None
    score: float | None = None
    low: float | None = None
    high: float | None = None
    signature: str | None = None
    larger_is_better: bool = True
    metrics: dict[str, float] = field(default_factory=dict, repr=False)

    @property
    def state_text(self) -> str:
        """The state in words.

        Example:
            >>> run = Run("a", "keywords", "x.csv", {}, {}, "tiny", {}, "stopped", 40, 90)
            >>> run.state_text
            'stopped at step 40 of 90'
        """
        if self.state == "finished" or self.step is None:
            return self.state if self.line is None else f"{self.state}: {self.line}"
        at = f"{self.state} at step {self.step}" + (f" of {self.steps}" if self.steps else "")
        return f"{at}: {self.line}" if self.state == "failed" and self.line else at


def run_directories(folder: Path, closed: Callable[[OSError], Any]) -> Iterator[Path]:
    """Directories below ``folder``, itself among them, that hold a run, in order of their names.

    ``closed`` is told of those that cannot be looked into.
    """
    for place, inner, files in os.walk(folder, onerror=closed):
        inner[:] = sorted(
            name for name in inner if name not in _OWN and not name.startswith(_INSIDE)
        )
        if CONFIG in files and MANIFEST in files:
            yield Path(place)


def read_run(directory: Path, name: str) -> Run:
    """Read what a run left.

    Raises:
        InputError: If one of its files is damaged; the message names the file.
    """
    config, manifest = _read(directory / CONFIG), _read(directory / MANIFEST)
    config = {str(setting): value for setting, value in config.items()}
    metrics = _read(directory / "metrics.json", needed=False)
    data = manifest.get("data")
    data = data if isinstance(data, dict) else {}
    splits = {str(split): value for split, value in data.items() if isinstance(value, dict)}
    files = directory.glob("*.safetensors")
    weights = [file.stat().st_size for file in files if file.is_file()]  # a link may lead nowhere
    found = {
        **_progress(directory, finished=bool(metrics)),
        **_score(directory, metrics),
    }
    return Run(
        name=name,
        task=str(manifest.get("task")),
        data=str(config.get("data")),
        hashes={split: str(value.get("hash")) for split, value in splits.items()},
        rows={split: value.get("rows", 0) for split, value in splits.items()},
        checkpoint=str(config.get("checkpoint", "default")),
        settings=config,
        started=manifest.get("started"),
        size_bytes=sum(weights) if weights else None,
        metrics=metrics,
        **found,
    )


def _progress(directory: Path, *, finished: bool) -> dict[str, Any]:
    """State, step, steps, line and seconds."""
    status = read_status(directory)
    found = {name: status.get(name) for name in ("state", "line")}
    found |= {name: _number(status.get(name)) for name in ("step", "steps", "seconds")}
    if not status:  # of an earlier version
        trained = _read(directory / "trainer_state.json", needed=False)
        found |= {"step": trained.get("global_step"), "steps": trained.get("max_steps")}
        history = trained.get("log_history")
        last = history[-1] if isinstance(history, list) and history else None
        found["seconds"] = _number(last.get("train_runtime")) if isinstance(last, dict) else None
        found["state"] = "finished" if finished else "stopped"
    if is_locked(directory):
        return {**found, "state": "running", "line": None}
    if found["state"] == "running":  # it was killed, and said nothing
        found["state"] = "stopped"
    if found["state"] == "stopped":
        saved = checkpoints(directory)
        found["step"] = step_of(saved[0]) if saved else 0
    return found


def _score(directory: Path, metrics: dict[str, Any]) -> dict[str, Any]:
    """The main score of the test rows, with its interval and its signature."""
    signatures = _read(directory / "signatures.json", needed=False)
    tested = [name for name in signatures if _number(metrics.get(f"test_{name}")) is not None]
    if not tested:
        return {}
    name, larger = tested[0], True
    task = _task(directory)
    if task is not None and task.main_score in tested:
        name = task.main_score
        larger = task.metric_directions().get(name, True)
    return {
        "score_name": name,
        "score": metrics[f"test_{name}"],
        "low": _number(metrics.get(f"test_{name}_low")),
        "high": _number(metrics.get(f"test_{name}_high")),
        "signature": str(signatures[name]),
        "larger_is_better": larger,
    }


def _task(directory: Path) -> Task | None:
    """The task of a run; ``None`` for one that is not known here."""
    if not (directory / TASK_FILE).is_file():
        return None
    try:
        return load_task(directory)
    except InputError:
        return None


def _number(value: Any) -> Any:
    """``value`` if it is a finite number, else ``None``: a file may be damaged."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value if is_number and math.isfinite(value) else None


def _read(path: Path, *, needed: bool = True) -> dict[str, Any]:
    if not needed and not path.is_file():
        return {}
    try:
        text = path.read_text(encoding="utf-8")
        content = yaml.safe_load(text) if path.suffix == ".yaml" else json.loads(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read ({first_line(error)}).") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds no names and values.")
    return content
