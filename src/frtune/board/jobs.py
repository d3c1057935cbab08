"""The commands that a board starts: a process each, and a file for each that says where it is."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import psutil

from frtune.board.folder import BoardFolder
from frtune.errors import InputError
from frtune.files import is_locked, write_json

JobState = Literal["queued", "running", "ended", "lost"]
_LOG_BYTES = 64_000  # of the end of a log, which are read
_QUEUE = "queue"  # below board/: who holds it works the queue off


@dataclass(frozen=True)
class Job:
    """A command of ``frtune``, and what became of it.

    Attributes:
        name: Of its files: ``NAME.json``, ``NAME.log``, and for a run ``NAME.yaml``.
        words: The command, without ``frtune``.
        queued: Whether it waits for those before it, one at a time.
        created: When it was asked for, in seconds since 1970.
        output: The directory that it writes, seen from the folder.
        pid: Of its process; ``None`` before there is one.
        process_started: When that process began, as the system counts it.
        code: Its exit code; ``None`` before its end, or where nobody saw it.
        keeper: Process that waits for its end, to write that down.
        keeper_started: When that one began.
    """

    name: str
    words: list[str]
    queued: bool
    created: float
    output: str = ""
    pid: int | None = None
    process_started: float | None = None
    code: int | None = None
    keeper: int | None = None
    keeper_started: float | None = None

    @property
    def command(self) -> str:
        """The command as a terminal takes it.

        Example:
            >>> Job("a", ["prepare", "my file.csv"], False, 0.0).command
            "frtune prepare 'my file.csv'"
        """
        return shell(self.words)

    @property
    def state(self) -> JobState:
        """Whether it waits, runs, or has ended; lost is what was killed with its keeper."""
        if self.code is not None:
            return "ended"
        if self.pid is None:
            return "queued"
        # between the end of a process and the word of it there is a moment
        kept = is_alive(self.keeper, self.keeper_started)
        return "running" if kept or is_alive(self.pid, self.process_started) else "lost"


def shell(words: list[str]) -> str:
    """A command of ``frtune`` as a terminal takes it."""
    return shlex.join(["frtune", *words])


def is_alive(pid: int | None, started: float | None) -> bool:
    """Whether a process lives, and is the one that began then."""
    try:
        process = psutil.Process(int(pid or 0))
        same = started is None or abs(process.create_time() - float(started)) < 2
        return bool(pid) and same and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, ValueError):
        return False


class Jobs:
    """All jobs of a folder; every word of them stands in files there.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: BoardFolder):
        self.folder = folder

    def all(self) -> list[Job]:
        """The jobs, the oldest first; a file that is damaged is left out."""
        found = [self.find(path.stem) for path in self.folder.board.glob("*.json")]
        return sorted((job for job in found if job), key=lambda job: (job.created, job.name))

    def find(self, name: str) -> Job | None:
        """The job called ``name``; ``None`` where there is none."""
        try:
            content = json.loads(self._path(name).read_text(encoding="utf-8"))
            return Job(**content)
        except (OSError, ValueError, TypeError):
            return None

    def of_output(self, output: str) -> Job | None:
        """The newest job that writes a directory."""
        return next((job for job in self.all()[::-1] if job.output == output), None)

    def add(self, name: str, words: list[str], *, output: str = "", queued: bool = False) -> Job:
        """Note a command and start it, or have it wait for those before it.

        Raises:
            InputError: If one of that name has not ended.
            DiskFullError: If it cannot be noted.
        """
        before = self.find(name)
        if before is not None and before.state in ("queued", "running"):
            raise InputError(f"{name}: is {before.state} already. Stop it, or take another name.")
        job = Job(name, words, queued, time.time(), output)
        self.write(job)
        self.keep_going(None if queued else name)
        return job

    def write(self, job: Job) -> None:
        """Keep what is known of a job."""
        write_json(self._path(job.name), asdict(job))

    def keep_going(self, name: str | None = None) -> None:
        """Start the keeper of one job, or of the queue where jobs wait and nobody works it off."""
        if name is None:
            if not any(job.queued and job.state == "queued" for job in self.all()):
                return
            if is_locked(self.queue):
                return
        words = [sys.executable, "-m", "frtune.board.worker", str(self.folder.root)]
        _start([*words, name] if name else words, self.folder.root, subprocess.DEVNULL)

    @property
    def queue(self) -> Path:
        """The directory whose lock the keeper of the queue holds."""
        return self.folder.inside(f"{self.folder.board}/{_QUEUE}")

    def run(self, job: Job) -> Job:
        """Run a job and wait for its end; how it ended is written down."""
        log = self.log_path(job.name)
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "ab") as file:
            file.write(f"$ {job.command}\n".encode())
            file.flush()
            process = _start([sys.executable, "-m", "frtune", *job.words], self.folder.root, file)
        started = psutil.Process(process.pid).create_time()
        keeper = psutil.Process()
        job = replace(job, pid=process.pid, process_started=started, keeper=keeper.pid,
                      keeper_started=keeper.create_time())  # fmt: skip
        self.write(job)
        job = replace(job, code=process.wait())
        self.write(job)
        return job

    def stop(self, name: str) -> None:
        """Send a job SIGTERM, or take it out of the queue.

        Raises:
            InputError: If nothing of that name runs or waits.
        """
        job = self.find(name)
        if job is None or job.state not in ("queued", "running"):
            raise InputError(f"{name}: does not run.")
        if job.state == "queued":
            self._path(name).unlink(missing_ok=True)
        else:
            terminate(job.pid, job.process_started)

    def log(self, name: str, lines: int = 20) -> str:
        """The last lines of a job's log; of lines that were written over, what was left."""
        try:
            with open(self.log_path(name), "rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _LOG_BYTES))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return ""
        shown = (line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
        return "\n".join([line for line in shown if line.strip()][-lines:])

    def error(self, name: str) -> str:
        """The line that a job that failed ended with; empty where it said none."""
        told = [line for line in self.log(name, 50).split("\n") if line.startswith("frtune")]
        return told[-1].partition(": ")[2] if told else ""

    def log_path(self, name: str) -> Path:
        """Where a job's output goes."""
        return self._path(name).with_suffix(".log")

    def _path(self, name: str) -> Path:
        return self.folder.inside(f"{self.folder.board}/{Path(name).name}.json")


def terminate(pid: int | None, started: float | None) -> None:
    """Send SIGTERM to a process, if it is the one that began then."""
    if is_alive(pid, started):
        os.kill(int(pid or 0), signal.SIGTERM)


def _start(words: list[str], place: Path, log: int | object) -> subprocess.Popen[bytes]:
    """Start a process of a session of its own: what ends the board does not end it.

    A Python file in the folder, such as ``json.py``, is not imported (from Python 3.11 on).
    """
    return subprocess.Popen(
        words, cwd=place, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,  # type: ignore[arg-type]
        start_new_session=True, env={**os.environ, "PYTHONSAFEPATH": "1"},
    )  # fmt: skip
