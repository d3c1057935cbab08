"""``status.json``: whether a run is under way, finished, stopped or failed, and at which step."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import psutil
import torch
from transformers import TrainerCallback, TrainerState

from frtune.errors import RunStopped, first_line
from frtune.failures import DiskFullError, SavedModelError, failure_line
from frtune.files import write_json
from frtune.training.arguments import rows_per_step

STATUS_FILE = "status.json"
State = Literal["running", "finished", "stopped", "failed"]
_EVERY_SECONDS = 2.0  # at most so often is the step of a running run written
_MOST_POINTS = 300  # of a curve: more are thinned out evenly


class RunPruned(Exception):
    """A search ended a run, since others did better by then; the message says so."""


class StatusWriter(TrainerCallback):
    """Keeps ``status.json`` of a run from its first step on.

    Args:
        directory: The run's.
        resume: Whether the time of its earlier parts counts too.
    """

    def __init__(self, directory: str | Path, *, resume: bool = False):
        self.path = Path(directory) / STATUS_FILE
        self.begun = False
        self._progress: TrainerState | None = None
        self._since, self._written = time.monotonic(), 0.0
        self._first: tuple[float, int] | None = None  # when this part's first step began, and which
        self._rows_per_step: int | None = None
        process = psutil.Process()
        self._process = {"pid": process.pid, "process_started": process.create_time()}
        earlier = read_status(directory) if resume else {}
        self._earlier = float(earlier.get("seconds") or 0)

    def on_train_begin(self, args, state, control, **kwargs):
        """Take the state that knows the step: a resumed run may have none left."""
        self._progress = state

    def on_step_begin(self, args, state, control, **kwargs):
        """Say that the run is under way."""
        if not self.begun:
            self.begun = True
            self._first = (time.monotonic(), state.global_step)
            self._rows_per_step = rows_per_step(args)
            self.write("running")

    def on_log(self, args, state, control, **kwargs):
        """Write the step down."""
        if self.begun and time.monotonic() - self._written > _EVERY_SECONDS:
            self.write("running")

    def write(self, state: State, line: str | None = None) -> None:
        """Write the file: ``state``, ``step``, ``steps``, ``seconds`` and ``line``, why it ended.

        Further ``seconds_per_step``, evaluation counted in, ``rows_per_step``, ``memory_bytes`` (of
        the GPU, else of the process), ``history`` (the losses and scores so far), and the process.
        A disk that is full is told by what the run itself writes.
        """
        self._written = time.monotonic()
        progress = self._progress
        content = {
            "state": state,
            "step": progress and progress.global_step,
            "steps": progress and progress.max_steps,
            "line": line,
            "seconds": round(self._earlier + self._written - self._since, 1),
            "seconds_per_step": self._seconds_per_step(),
            "rows_per_step": self._rows_per_step,
            "memory_bytes": _memory(),
            "history": thinned(progress.log_history) if progress else [],
            **self._process,
        }
        with contextlib.suppress(OSError, DiskFullError):
            write_json(self.path, content)

    def _seconds_per_step(self) -> float | None:
        if self._first is None or self._progress is None:
            return None
        since, first = self._first
        done = self._progress.global_step - first
        return (self._written - since) / done if done else None


def _memory() -> int:
    """Most bytes of the GPU that were held, or bytes of the process where there is none."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        return torch.cuda.max_memory_reserved()
    return psutil.Process().memory_info().rss


def thinned(
    history: Sequence[Mapping[str, Any]], most: int = _MOST_POINTS
) -> list[Mapping[str, Any]]:
    """At most ``most`` entries with losses and as many with scores, spread evenly; the last stays.

    Example:
        >>> thinned([{"step": i, "loss": 1.0} for i in range(10)], 3)
        [{'step': 1, 'loss': 1.0}, {'step': 5, 'loss': 1.0}, {'step': 9, 'loss': 1.0}]
    """
    scored = [any(name.startswith("eval_") for name in entry) for entry in history]
    kept = set()
    for wanted in (True, False):
        places = [place for place, has in enumerate(scored) if has is wanted]
        every = -(-len(places) // most) or 1
        kept |= set(places[::-1][::every])
    return [entry for place, entry in enumerate(history) if place in kept]


@contextlib.contextmanager
def recorded(directory: str | Path, *, resume: bool, main: bool) -> Iterator[list[StatusWriter]]:
    """Write how a run ends; the callbacks that are given must see its steps.

    A run that ends before its first step leaves no word. Of several processes, ``main`` writes.
    """
    if not main:
        yield []
        return
    status = StatusWriter(directory, resume=resume)
    try:
        yield [status]
    except BaseException as error:
        if status.begun:
            status.write(*_ending(error))
        raise
    status.write("finished")


def _ending(error: BaseException) -> tuple[State, str]:
    """What an error made of a run, and its line."""
    if isinstance(error, RunStopped):
        return "stopped", error.message
    if isinstance(error, RunPruned):
        return "finished", str(error)
    if isinstance(error, KeyboardInterrupt):
        return "stopped", "interrupted"
    if isinstance(error, ValueError | SavedModelError):  # their text is the line
        return "failed", first_line(error)
    line = failure_line(error) if isinstance(error, Exception) else None
    return "failed", line or f"{type(error).__name__}: {first_line(error)}"


def read_status(directory: str | Path) -> dict[str, Any]:
    """What ``status.json`` of a directory says; nothing where there is none, or no whole one."""
    try:
        content = json.loads((Path(directory) / STATUS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
