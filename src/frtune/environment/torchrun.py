"""This program again under ``torchrun``, started in this process: several on one host."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import psutil
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import parse_args, run

from frtune.environment.launcher import TOLD
from frtune.environment.threads import cores_allowed

_STOPPED = {signal.SIGINT: 130, signal.SIGTERM: 143}


def torchrun_words(processes: int, program: Sequence[str]) -> list[str]:
    """What to type behind ``torchrun``.

    Example:
        >>> " ".join(torchrun_words(2, ["-m", "frtune", "train", "keywords"]))
        '--standalone --nproc-per-node 2 -m frtune train keywords'
    """
    return ["--standalone", "--nproc-per-node", str(processes), *program]


def torchrun(processes: int, program: Sequence[str], *, all_say: bool = False) -> tuple[int, str]:
    """Run a program in several processes of this host, and wait for them.

    Signals are passed on, once each, and the processes take as long as they need. The first
    process alone writes to the screen.

    Args:
        processes: How many.
        program: ``-m`` and a module, or a script, and its arguments.
        all_say: Every process writes to the screen.

    Returns:
        The exit code of the process that failed first, and the line that it left; 0 and an empty
        one where none did. A process that ended by another signal than SIGINT and SIGTERM has 1.
    """
    args = parse_args(torchrun_words(processes, program))
    args.local_ranks_filter = "" if all_say else "0"
    # its own handlers kill after 30 seconds a process that still writes its checkpoint
    args.signals_to_handle = "SIGQUIT"
    with _environment(processes), _passing_on():
        disabled = logging.root.manager.disable
        logging.disable(logging.ERROR)  # of torchrun's own report
        try:
            run(args)
        except ChildFailedError as error:
            return _failure(error)
        finally:
            logging.disable(disabled)
    return 0, ""


def _failure(error: ChildFailedError) -> tuple[int, str]:
    rank, failure = error.get_first_failure()
    code = failure.exitcode
    if code < 0:
        number = signal.Signals(-code)
        if number in _STOPPED:
            return _STOPPED[number], ""
        killed = "; the host's memory may be full, --gpus 1 needs less" * (number.name == "SIGKILL")
        return 1, f"process {rank} was ended by {number.name}{killed}."
    if code in _STOPPED.values():
        return code, ""  # it has said so itself
    message = failure.error_file_data.get("message")
    if isinstance(message, dict):  # as tell_launcher writes it
        return code, message["message"]
    said = f"process {rank} ended with exit code {code}. --debug shows what each one said."
    return code, said if rank > 0 else ""


@contextlib.contextmanager
def _environment(processes: int) -> Iterator[None]:
    """What the processes see besides: who started them, their threads, where modules are."""
    before = dict(os.environ)
    os.environ[TOLD] = "1"
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores_allowed() // processes)))
    if sys.path[0] not in ("", os.getcwd()):  # -m would look for modules in the user's folder
        os.environ.setdefault("PYTHONSAFEPATH", "1")
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def _passing_on() -> Iterator[None]:
    """Pass SIGTERM, SIGINT and SIGHUP on to the processes, which are not of the terminal."""
    before: dict[int, Any] = {}

    def pass_on(signum: int, frame: Any) -> None:
        processes = psutil.Process().children()
        for process in processes:
            with contextlib.suppress(psutil.Error):
                process.send_signal(signum)
        if not processes:  # none is there yet
            signal.signal(signum, before[signum])
            os.kill(os.getpid(), signum)

    if threading.current_thread() is threading.main_thread():
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(signum) != signal.SIG_IGN:  # as nohup has it
                before[signum] = signal.signal(signum, pass_on)
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
