"""On a machine with a CUDA GPU: is training correct there, and how fast is it?

    PYTHONPATH=src python benchmarks/gpu.py --output runs/bench-gpu
    PYTHONPATH=src python benchmarks/gpu.py --wheels wheels/part1 --site /tmp/site --install-only
    PYTHONPATH=src python benchmarks/gpu.py --quick --device cpu    # proves only that it runs

First the rows of ``_gpu_correct.py``, several at once, then those of ``_gpu_fast.py``, one at a
time. Each row runs in a process of its own, which is killed when its time is over. Each result is
a line of ``gpu.jsonl`` in the folder ``--output`` as soon as it is known; a row that failed, or did
not fit, is ``not measured``, with the reason. All ends within ``--minutes``, whatever happens.
No index is needed: ``gpu_wheels.py`` fetches the packages that the machine lacks.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import queue
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from _gpu_report import summary
from _gpu_rows import Row, rows_of

HERE = Path(__file__).resolve().parent
WORKER = (sys.executable, str(HERE / "_gpu_worker.py"))
RESERVE = 6.0  # seconds kept to end everything and to write the summary
TOGETHER = 0.42  # of the time, for the rows that run several at once
SPACE = 40 * 2**30  # bytes of the models that wait for the second part


class Worker:
    """A process that has imported everything and waits for rows."""

    def __init__(self, command: tuple[str, ...], environment: dict[str, str], log: Path):
        self.log = log
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=file, start_new_session=True,
            )  # fmt: skip

    def ask(self, asked: dict[str, Any], seconds: float) -> dict[str, Any]:
        """The row's result; a worker that is late or dies is killed with all it started."""
        stdin, stdout = self.process.stdin, self.process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("a worker has pipes")
        line = b""
        with contextlib.suppress(OSError):
            stdin.write(json.dumps(asked).encode() + b"\n")
            stdin.flush()
            ready, _, _ = select.select([stdout], [], [], max(0.1, seconds))
            if not ready:
                self.kill()
                return not_measured(f"took longer than {seconds:.0f} s")
            line = stdout.readline()
        if not line.endswith(b"\n"):
            self.kill()
            said = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            last = said[-1][:200] if said else "it said nothing"
            return not_measured(f"its process died ({self.process.returncode}): {last}")
        return json.loads(line)

    def kill(self) -> None:
        """End the process and those that it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(2)


def not_measured(reason: str) -> dict[str, Any]:
    """The result of a row that has none."""
    return {"not measured": reason}


class Bench:
    """Rows, their workers and results; ``gpu.jsonl`` has each result once.

    Args:
        rows: In their order; those with ``alone`` run after all others, one at a time.
        output: Folder of the results.
        seconds: After which all is over.
        settings: What each row is asked with.
        environment: Of the workers.
        command: That starts a worker.
        jobs: Workers at once for rows that are not ``alone``.
        reuse: One worker for many rows: faster to start, and a row may spoil the next.
    """

    def __init__(
        self, rows: list[Row], output: Path, *, seconds: float, settings: dict[str, Any],
        environment: dict[str, str], command: tuple[str, ...] = WORKER, jobs: int = 1,
        reuse: bool = False,
    ):  # fmt: skip
        self.rows, self.output, self.settings = rows, output, settings
        self.environment, self.command, self.jobs, self.reuse = environment, command, jobs, reuse
        self.logs = Path(settings.get("scratch", output))
        self.ends = time.monotonic() + seconds
        # what runs alone keeps its time whatever the others do
        share = TOGETHER if any(row.alone for row in rows) else 1.0
        self.together_ends = time.monotonic() + share * seconds
        self.results: dict[str, dict[str, Any]] = {}
        self.hardware: dict[str, Any] = {}
        self.waiting: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        self.workers: list[Worker] = []
        self.lock = threading.Lock()
        self.over = False
        output.mkdir(parents=True, exist_ok=True)
        self.file = (output / "gpu.jsonl").open("w", encoding="utf-8")

    def run(self) -> dict[str, dict[str, Any]]:
        """Run all rows; the results by name."""
        timer = threading.Timer(max(0.0, self.left()), self.stop, ["no time was left"])
        timer.daemon = True
        timer.start()
        try:
            together = [row for row in self.rows if not row.alone]
            alone = [row for row in self.rows if row.alone]
            # twice as many as work at once: the others import
            self.add_workers(min(self.jobs * (1 if self.reuse else 2), len(self.rows)))
            if together:
                self.measure(together.pop(0))  # says what the hardware is
            if reason := self.hardware.get("not measured"):
                self.stop(reason)
                return self.results
            self.measure_together([row for row in together if not row.needs])
            self.measure_together([row for row in together if row.needs])
            if not self.reuse:
                self.add_workers(len(alone))  # they import while none is measured
            for row in alone:
                self.measure(row)
        finally:
            timer.cancel()
            self.stop("was stopped")
            timer.join(10)  # it may be ending the workers
        return self.results

    def left(self) -> float:
        """Seconds."""
        return self.ends - RESERVE - time.monotonic()

    def add_workers(self, count: int) -> None:
        """Start processes that import what they need and wait."""
        for _ in range(count):
            with self.lock:
                if self.over:
                    return
                log = self.logs / f"worker{len(self.workers)}.log"
                worker = Worker(self.command, self.environment, log)
                self.workers.append(worker)
            self.waiting.put(worker)

    def measure_together(self, rows: list[Row]) -> None:
        """As many at once as there are jobs."""
        with ThreadPoolExecutor(self.jobs) as pool:
            try:
                for done in [pool.submit(self.measure, row) for row in rows]:
                    done.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                self.stop("was stopped")
                raise

    def measure(self, row: Row) -> None:
        """One row."""
        seconds = min(row.seconds * self.settings.get("patience", 1), self.left())
        if not row.alone:
            seconds = min(seconds, self.together_ends - time.monotonic())
        if seconds <= 0:
            self.note(row, not_measured("no time was left"), 0.0)
            return
        if missing := [name for name in row.needs if "not measured" in self.results.get(name, {})]:
            self.note(row, not_measured(f"there is no {missing[0]!r}"), 0.0)
            return
        if self.waiting.empty():
            self.add_workers(1)
        try:
            worker = self.waiting.get(timeout=1)
        except queue.Empty:
            return  # all is over
        started = time.monotonic()
        asked = {**self.settings, **row.options, "do": row.do, "seconds_left": self.left()}
        found = worker.ask(asked, seconds)
        self.note(row, found, time.monotonic() - started)
        if self.reuse and not row.apart and worker.process.poll() is None:
            self.waiting.put(worker)
            return
        worker.kill()
        if not row.alone and not self.reuse:
            self.add_workers(1)  # imports while others work

    def note(self, row: Row, found: dict[str, Any], seconds: float, *, say: bool = True) -> None:
        """Write a result at once, and print it if ``say``."""
        with self.lock:
            if row.name in self.results:
                return
            if row.do == "hardware":
                self.hardware = found
            self.results[row.name] = found
            line = {"row": row.name, "part": row.part, "hardware": self.hardware.get("name"),
                    "took_seconds": round(seconds, 1), **found}  # fmt: skip
            self.file.write(json.dumps(line, ensure_ascii=False) + "\n")
            self.file.flush()
            os.fsync(self.file.fileno())
        if say:
            print(f"{row.name}: {json.dumps(found, ensure_ascii=False)}"[:300], flush=True)

    def stop(self, reason: str) -> None:
        """End all workers, and say of each row that has no result why."""
        with self.lock:
            if self.over:
                return
            self.over = True
        for worker in self.workers:
            worker.kill()
        for row in self.rows:
            self.note(row, not_measured(reason), 0.0, say=False)  # the table says it
        said = [
            f"== {worker.log.name}\n{worker.log.read_text('utf-8', 'replace')[-20_000:]}\n"
            for worker in self.workers
        ]
        (self.output / "workers.log").write_text("".join(said), encoding="utf-8")
        text = summary(self.rows, self.results, self.hardware)
        (self.output / "gpu.md").write_text(text, encoding="utf-8")


# --- the command ---------------------------------------------------------------------------------


def install(wheels: list[Path], site: Path) -> None:
    """Put the wheels of the folders into ``site``, without an index and what they need.

    Raises:
        SystemExit: If pip fails.
    """
    files = sorted(str(path) for folder in wheels for path in folder.rglob("*.whl"))
    if not files:
        raise SystemExit(f"--wheels {' '.join(map(str, wheels))}: no wheel is there.")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps",
               "--no-compile", "--no-cache-dir", "--upgrade", "--target", str(site)]  # fmt: skip
    done = subprocess.run([*command, *files], check=False, timeout=150)
    if done.returncode:
        raise SystemExit(f"--wheels: pip ended with {done.returncode}.")


def scratch_folder() -> str:
    """A folder for models: in memory where there is room, which is faster to read."""
    memory = "/dev/shm"
    roomy = os.path.isdir(memory) and shutil.disk_usage(memory).free > SPACE
    return tempfile.mkdtemp(prefix="frtune-gpu-", dir=memory if roomy else None)


def extensions(scratch: str) -> str:
    """A folder for what DeepSpeed compiles, with what it has compiled before.

    It is a copy: a compilation that is killed leaves a lock, at which every later one would wait.
    """
    folder, before = f"{scratch}/extensions", os.environ.get("TORCH_EXTENSIONS_DIR", "")
    if os.path.isdir(before):
        shutil.copytree(before, folder, ignore=shutil.ignore_patterns("lock", ".ninja_lock"))
    return folder


def environment_of(device: str, site: Path, scratch: str) -> dict[str, str]:
    """What the workers see: the source tree, the installed wheels, and one GPU at most."""
    paths = [str(HERE.parent / "src"), str(HERE), str(site), os.environ.get("PYTHONPATH", "")]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "CUDA_VISIBLE_DEVICES": visible if device == "cuda" else "",
        "HF_HUB_OFFLINE": "1",
        "TORCH_EXTENSIONS_DIR": extensions(scratch),
        "TOKENIZERS_PARALLELISM": "false",
    }


def parse(argv: list[str]) -> argparse.Namespace:
    """The options."""
    made = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    made.add_argument("--output", type=Path, default=Path("runs/bench-gpu"), metavar="DIR")
    made.add_argument("--wheels", type=Path, nargs="+", default=[], metavar="DIR",
                      help="folders with wheels to install first, without an index")  # fmt: skip
    made.add_argument("--site", type=Path, metavar="DIR", help="where they are installed")
    made.add_argument("--install-only", action="store_true", help="measure nothing")
    made.add_argument("--minutes", type=float, default=7.8, help="after which all is over")
    made.add_argument("--seconds", type=float, default=7, help="of training, each way")
    made.add_argument("--only", nargs="+", metavar="WORD", help="rows whose name has one of these")
    made.add_argument("--part", choices=["correct", "fast"], help="that part alone")
    made.add_argument("--jobs", type=int, default=max(1, min(4, (os.cpu_count() or 1) // 3)))
    made.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    made.add_argument("--quick", action="store_true", help="tiny shapes: proves only that it runs")
    return made.parse_args(argv)


def chosen_rows(args: argparse.Namespace) -> list[Row]:
    """The rows that were asked for, and those that they need."""
    rows = rows_of(quick=args.quick)
    if args.jobs == 1:  # what compiles would hold up all others
        rows.sort(key=lambda row: row.apart)
    asked = [
        row for row in rows
        if (not args.only or any(word in row.name for word in args.only))
        and args.part in (None, row.part)
    ]  # fmt: skip
    needed = {name for row in asked for name in row.needs}
    return [row for row in rows if row.do == "hardware" or row in asked or row.name in needed]


def main(argv: list[str]) -> int:
    """Measure all rows: 0 if each was, 1 if not, 2 where no GPU is."""
    args = parse(argv)
    began = time.monotonic()
    scratch = scratch_folder()
    site = args.site or Path(scratch) / "site"
    try:
        if args.wheels:
            install(args.wheels, site)
        if args.install_only:
            return 0
        settings = {"device": args.device, "quick": args.quick, "scratch": scratch,
                    "train_seconds": 0.3 if args.quick else args.seconds,
                    "patience": 10 if args.quick else 1}  # fmt: skip
        wanted = chosen_rows(args)
        seconds = 60 * args.minutes - (time.monotonic() - began)
        bench = Bench(
            wanted, args.output, seconds=seconds, settings=settings,
            environment=environment_of(args.device, site, scratch), jobs=args.jobs,
            reuse=args.quick and args.device == "cpu",
        )  # fmt: skip
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        results = bench.run()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if reason := bench.hardware.get("not measured"):
        print(f"benchmarks/gpu.py: {reason}", file=sys.stderr)
        return 2
    print((args.output / "gpu.md").read_text(encoding="utf-8"))
    return int(any("not measured" in found or "wrong" in found for found in results.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
