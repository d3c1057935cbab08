"""The stages of a preflight: what was found, how long it took, where the real run would stop."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from transformers.utils import logging as library

from frtune.errors import InputError, first_line

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
        self.name: str | None = None  # of the stage that has begun and not ended
        self._on_stage = on_stage
        self._when, self._start = "", 0.0
        self._notes: list[str] = []
        self._warnings: list[str] = []

    def begin(self, name: str, when: str) -> None:
        """Begin a stage; ``when`` says at what point the real run would meet its failure."""
        self.end()
        self.name, self._when, self._start = name, when, time.monotonic()
        self._notes, self._warnings = [], []

    def say(self, *notes: str | None) -> None:
        """Add what was found, if anything was."""
        self._notes += filter(None, notes)

    def warn(self, *warnings: str | None) -> None:
        """Add what looks wrong, if anything does, each once."""
        self._warnings += [text for text in warnings if text and text not in self._warnings]

    def end(self) -> None:
        """End the stage that has begun, if one has."""
        if self.name is not None:
            self._keep("warning" if self._warnings else "ok")

    def fail(self, error: BaseException) -> PreflightError:
        """End the stage as failed, and return the error to raise."""
        name, reason = self.name or "preflight", str(error)
        if not isinstance(error, InputError):
            text = first_line(error).rstrip(".")
            reason = f"{type(error).__name__}: {text}. Run with --debug to see where."
        reason = " ".join(reason.split())
        reason += "" if reason.endswith((".", "?", "!", ")")) else "."
        self._warnings.append(reason)
        self._keep("failed")
        return PreflightError(
            f"preflight failed at '{name}': {reason} The real run would stop {self._when}."
        )

    def _keep(self, status: Status) -> None:
        name, seconds = self.name or "preflight", time.monotonic() - self._start
        stage = Stage(name, status, seconds, tuple(self._notes), tuple(self._warnings))
        self.name = None
        self.stages.append(stage)
        if self._on_stage is not None:
            self._on_stage(stage)


def warnings_to(log: Log) -> contextlib.AbstractContextManager[None]:
    """Turn what frtune logs as a warning into a warning of the stage."""
    collector = logging.Handler(logging.WARNING)
    collector.emit = lambda record: log.warn(record.getMessage())  # type: ignore[method-assign]
    return _only(collector)


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
