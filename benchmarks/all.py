"""All benchmarks but those on a GPU, one after the other, and what they found.

    python benchmarks/all.py [--quick] [--threads N]

Each runs in a fork of this process, which has imported what they need.
"""

from __future__ import annotations

import multiprocessing
import runpy
import sys
import time
from pathlib import Path

from _compare import warm_up

NAMES = (
    "batches", "starting", "scores", "preparing", "prediction", "generation_evaluation",
    "encoder_training", "pair_classification", "causal_training", "packing", "embedding_study",
    "utilisation", "growth", "order_of_rows", "keyword_reading", "several_labels",
    "keyphrase_ranking", "serve", "review", "learning_curve", "tuning",
)  # fmt: skip


def run(name: str, *options: str) -> None:
    """Run a script as ``python benchmarks/NAME.py`` would."""
    script = str(Path(__file__).with_name(f"{name}.py"))
    sys.argv = [script, *options]
    runpy.run_path(script, run_name="__main__")


def main() -> None:
    """Run them; end with 1 at the first that fails."""
    options = sys.argv[1:]
    warm_up()
    names = NAMES if "--quick" in options else (*NAMES, "table")
    for name in names:
        begin = time.perf_counter()
        process = multiprocessing.get_context("fork").Process(
            target=run, args=(name, *(options if name != "table" else ()))
        )
        process.start()
        process.join()
        if process.exitcode:
            raise SystemExit(f"benchmarks/{name}.py failed; the rest was not run")
        seconds = time.perf_counter() - begin
        print(f"benchmarks/{name}.py took {seconds:.0f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
