"""Messages of other libraries that ask nothing of whoever runs ``frtune``."""

from __future__ import annotations

import logging
import warnings
from functools import partial

# by logger: how messages begin that ask nothing of whoever runs frtune
LOGGED = {
    "DeepSpeed": ("Setting accelerator to CPU", "Setting ds_accelerator to cpu"),
    "transformers.trainer_utils": ("mtime may not be reliable",),
    "bitsandbytes.backends.cpu.ops": ("Failed to load CPU gemm_4bit_forward",),
}
# deprecated functions that PyTorch's and DeepSpeed's own code calls
WARNED = ("`torch.jit.script", "`torch.distributed.all_gather_into_tensor` is")


def leave_out_messages() -> None:
    """Leave out single messages that libraries log when they are imported."""
    for name, starts in LOGGED.items():
        logging.getLogger(name).addFilter(partial(_differs, starts))
    for start in WARNED:
        warnings.filterwarnings("ignore", message=start)


def _differs(starts: tuple[str, ...], record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(starts)
