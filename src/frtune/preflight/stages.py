"""The stages of a preflight: what was found, how long it took, where the real run would stop."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from transformers.utils import logging as library

from frtune.errors import InputError
from frtune.models.checkpoint_files import first_line

Status = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Stage:
    """One stage that was lived through.

    Attributes:
        name: What was done.
        status: ``failed`` ends the preflight; a ``warning`` is worth a look.
        seconds: How long it took.
        notes: What was found, in plain language.
        warnings: What looks wrong, with numbers.
    """

    name: str
    status: Status
    seconds: float
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class PreflightError(InputError):
    """A stage failed; the message says what, when the real run would meet it, and what to do."""


class Log:
    """Keeps the stages in order; to begin one ends the one before.

    Example:
        >>> log = Log()
        >>> log.begin("data", "at once")
        >>> log.say("100 rows")
        >>> log.begin("disk", "at the first checkpoint")
        >>> log.end()
        >>> [(stage.name, stage.status, stage.notes) for stage in log.stages]
        [('data', 'ok', ('100 rows',)), ('disk', 'ok', ())]
    """

    def __init__(self, on_stage: Callable[[Stage], None] | None = None):
        self.stages: list[Stage] = []
        self._on_stage = on_stage
        self._name: str | None = None
        self._when = ""
        self._start = 0.0
        self._notes: list[str] = []
        self._warnings: list[str] = []

    @property
    def name(self) -> str | None:
        """The stage that has begun and not ended."""
        return self._name

    def begin(self, name: str, when: str) -> None:
        """Begin a stage; ``when`` says at what point the real run would meet its failure."""
        self.end()
        self._name, self._when, self._start = name, when, time.monotonic()
        self._notes, self._warnings = [], []

    def say(self, note: str) -> None:
        """Add what was found."""
        self._notes.append(note)

    def warn(self, *warnings: str) -> None:
        """Add what looks wrong, each once."""
        self._warnings += [text for text in warnings if text not in self._warnings]

    def end(self) -> None:
        """End the stage that has begun, if one has."""
        if self._name is not None:
            self._keep("warning" if self._warnings else "ok")

    def fail(self, error: BaseException) -> PreflightError:
        """End the stage as failed, and return the error to raise."""
        name = self._name or "preflight"
        reason = str(error) if isinstance(error, InputError) else _named(error)
        reason = " ".join(reason.split())
        reason += "" if reason.endswith((".", "?", "!", ")")) else "."
        self._warnings.append(reason)
        self._keep("failed")
        return PreflightError(
            f"preflight failed at '{name}': {reason} The real run would stop {self._when}."
        )

    def _keep(self, status: Status) -> None:
        seconds = time.monotonic() - self._start
        stage = Stage(
            self._name or "preflight", status, seconds, tuple(self._notes), tuple(self._warnings)
        )
        self._name = None
        self.stages.append(stage)
        if self._on_stage is not None:
            self._on_stage(stage)


def _named(error: BaseException) -> str:
    text = first_line(error).rstrip(".")
    return f"{type(error).__name__}: {text}. Run with --debug to see where."


@contextlib.contextmanager
def warnings_to(log: Log) -> Iterator[None]:
    """Turn what frtune logs as a warning into a warning of the stage."""
    with _only(_Collector(log)):
        yield


@contextlib.contextmanager
def warnings_dropped() -> Iterator[None]:
    """Drop frtune's and Transformers' warnings: they would be about a handful of rows."""
    level = library.get_verbosity()
    library.set_verbosity_error()
    try:
        with _only(logging.NullHandler()):
            yield
    finally:
        library.set_verbosity(level)


@contextlib.contextmanager
def _only(handler: logging.Handler) -> Iterator[None]:
    logger = logging.getLogger("frtune")
    kept = logger.handlers, logger.propagate
    logger.handlers, logger.propagate = [handler], False
    try:
        yield
    finally:
        logger.handlers, logger.propagate = kept


class _Collector(logging.Handler):
    def __init__(self, log: Log):
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.warn(record.getMessage())
