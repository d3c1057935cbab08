"""What the tabs of the board share: the folder, its jobs, the gate, and how errors are told."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from frtune.board.folder import BoardFolder
from frtune.board.jobs import Job, Jobs
from frtune.board.settings import Gate
from frtune.demo.session import error_html
from frtune.environment.disk import free_bytes, size_text
from frtune.errors import InputError, first_line
from frtune.failures import failure_line
from frtune.tasks.answer_html import Say
from frtune.web.translations import PageLanguage

logger = logging.getLogger(__name__)

_SCARCE = 50_000_000  # bytes on the disk below which the page says so
_POLL_SECONDS = 0.4


class BoardSession:
    """What a board knows; all else stands in its folder.

    Args:
        root: The folder.
        language: Of ``frtune.board.translations.WORDS``.
        gate: Checks a configuration as ``frtune train`` does.
        commands: What can be done next: commands of ``frtune``, and ``curve``.
    """

    def __init__(
        self, root: str | Path, language: PageLanguage, *, gate: Gate, commands: Collection[str]
    ):
        self.folder = BoardFolder(root)
        self.jobs = Jobs(self.folder)
        self.language, self.gate, self.commands = language, gate, commands

    def say(self, request: Any) -> Say:
        """Words in the visitor's language."""
        return partial(self.language.say, request=request)

    def scarce(self, say: Say) -> str:
        """That the disk is full, as HTML; empty where it is not."""
        free = free_bytes(self.folder.root)
        return error_html(say("disk_full", free=size_text(free))) if free < _SCARCE else ""

    def told(self, error: Exception, say: Say) -> str:
        """An error as HTML: bad input and a full disk by their line, anything else in the log."""
        if isinstance(error, InputError):
            return error_html(say("refused", line=first_line(error)))
        if line := failure_line(error):
            return error_html(say("machine", line=line))
        logger.error("the board failed", exc_info=error)
        return error_html(say("unexpected"))

    def attempt(self, function: Callable[[], str], say: Say) -> str:
        """HTML of a function, or of its error: the page stays up."""
        try:
            return function()
        except Exception as error:
            return self.told(error, say)

    def followed(self, name: str) -> Iterator[Job]:
        """A job again and again until it has ended; the last time it has."""
        while True:
            job = self.jobs.find(name)
            if job is None:
                return
            yield job
            if job.state in ("ended", "lost"):
                return
            time.sleep(_POLL_SECONDS)


def with_request(gradio: Any, *functions: Any) -> None:
    """Have Gradio pass the request to methods that take one: it goes by annotations."""
    for function in functions:
        getattr(function, "__func__", function).__annotations__["request"] = gradio.Request
