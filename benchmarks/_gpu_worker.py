"""A process of ``gpu.py``: imports what rows need, then answers a line of JSON with a line of JSON.

What libraries print goes to stderr. SIGALRM, whose default is the end of the process, comes from
the kernel when the time of all rows is over, so that no row outlives the benchmark.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import sys
import traceback
from typing import Any


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """Do a row; what is missing, or fails, is said in its result."""
    import _gpu_correct
    import _gpu_fast
    import _gpu_memory

    work = {**_gpu_correct.WORK, **_gpu_fast.WORK, **_gpu_memory.WORK}[asked["do"]]
    for name in asked.get("packages", ()):
        if importlib.util.find_spec(name) is None:
            return {"not measured": f"{name} is not installed"}
    try:
        return work(asked)
    except Exception as error:
        traceback.print_exc()
        said = " ".join(str(error).split())[:300]
        return {"not measured": f"{type(error).__name__}: {said}"}


def main() -> None:
    """Answer until the input ends."""
    results = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    import _gpu_correct  # noqa: F401
    import _gpu_memory  # noqa: F401

    for line in sys.stdin:
        asked = json.loads(line)
        signal.alarm(int(asked.get("seconds_left", 600)) + 3)
        print(json.dumps(answer(asked), ensure_ascii=False), file=results, flush=True)


if __name__ == "__main__":
    main()
