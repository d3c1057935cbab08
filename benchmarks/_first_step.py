"""Run a program up to its first optimizer step of a whole model, and end there.

python benchmarks/_first_step.py PROGRAM ARGUMENTS
"""

from __future__ import annotations

import os
import runpy
import sys
from typing import Any

from torch.optim.optimizer import register_optimizer_step_post_hook

WHOLE = 10**6  # weights; what is tried on a few numbers is no step of the training


def ended(optimizer: Any, *_: Any) -> None:
    """End the process, as it is."""
    if (
        sum(weight.numel() for group in optimizer.param_groups for weight in group["params"])
        > WHOLE
    ):
        os._exit(0)


if __name__ == "__main__":
    register_optimizer_step_post_hook(ended)
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
    raise SystemExit("the program ended without a step")
