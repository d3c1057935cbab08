"""Messages of other libraries that ask nothing of whoever runs ``frtune``."""

from __future__ import annotations

import logging
import warnings

# by logger: how messages begin that ask nothing of whoever runs frtune
LOGGED = {
    "DeepSpeed": "Setting accelerator to CPU",
    "bitsandbytes.backends.cpu.ops": "Failed to load CPU gemm_4bit_forward",
}
# deprecated functions that PyTorch's and DeepSpeed's own code calls
WARNED = ("`torch.jit.script", "`torch.distributed.all_gather_into_tensor` is")


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
