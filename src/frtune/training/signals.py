"""SIGTERM and SIGINT while training: finish the step, save, leave; a second one leaves at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import torch

SIGNALS = (signal.SIGTERM, signal.SIGINT)
# launchers pass on a signal that the terminal has already sent to every process
_ECHO_SECONDS = 1.0


class StopRequest:
    """Whether the process was asked to stop; ``signum`` is the signal, 0 while there was none."""

    def __init__(self, processes: int = 1):
        self.signum = 0
        self._processes = processes
        self._since = 0.0
        self._pid = os.getpid()

    def receive(self, signum: int, frame: Any = None) -> None:
        """Note the first signal; end the process at the second."""
        if os.getpid() != self._pid:
            return  # a data loader's worker has the handler too, and ends with the run
        if self.signum:
            if self._processes > 1 and time.monotonic() - self._since < _ECHO_SECONDS:
                return
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)
            return
        self.signum, self._since = signum, time.monotonic()
        name = signal.Signals(signum).name
        text = f"frtune: {name}: stopping after this step; a second signal exits at once\n"
        with contextlib.suppress(OSError):
            os.write(2, text.encode())  # a stream may be in the middle of a write

    def agreed(self, device: Any) -> int:
        """The signal that any process got, on all of them; every process must call this."""
        if self._processes == 1:
            return self.signum

        found = torch.full((), self.signum, device=device)
        torch.distributed.all_reduce(found, torch.distributed.ReduceOp.MAX)
        return int(found)


@contextlib.contextmanager
def listening(processes: int = 1) -> Iterator[StopRequest]:
    """Turn SIGTERM and SIGINT into a request while the block runs.

    A handler that the user's program set stays, and so do all outside of the main thread.
    """
    request = StopRequest(processes)
    before = {}
    if threading.current_thread() is threading.main_thread():
        for signum in SIGNALS:
            if signal.getsignal(signum) in (signal.SIG_DFL, signal.default_int_handler):
                before[signum] = signal.signal(signum, request.receive)
    try:
        yield request
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
