"""What a program does before PyTorch and what stands on it are imported; ``frtune`` does."""

from __future__ import annotations

import logging
import os
import warnings

# by logger: how messages begin that ask nothing of whoever runs frtune
LOGGED = {
    "DeepSpeed": "Setting accelerator to CPU",
    "bitsandbytes.backends.cpu.ops": "Failed to load CPU gemm_4bit_forward",
}
# deprecated functions that PyTorch's and DeepSpeed's own code calls
WARNED = ("`torch.jit.script", "`torch.distributed.all_gather_into_tensor` is")


def wait_briefly() -> None:
    """Let idle threads sleep after microseconds; before PyTorch is imported.

    GNU OpenMP's threads otherwise spin for milliseconds while they wait for each other. Where
    another process needs the cores, they then spin away the time in which the other could have run,
    and a step takes many times as long. What the environment says is left alone.

    Example:
        >>> wait_briefly()
        >>> bool({"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys())
        True
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "2000")


def leave_out_messages() -> None:
    """Leave out single messages that libraries log when they are imported."""
    for name, start in LOGGED.items():
        logging.getLogger(name).addFilter(_Without(start))
    for start in WARNED:
        warnings.filterwarnings("ignore", message=start)


class _Without(logging.Filter):
    """Pass all messages but one."""

    def __init__(self, start: str) -> None:
        super().__init__()
        self.start = start

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is another message."""
        return not str(record.msg).startswith(self.start)
