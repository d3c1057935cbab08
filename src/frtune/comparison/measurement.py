"""Size, speed and memory of a saved model, measured in a process of its own."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from frtune.files import draft_folder
from frtune.inference import load
from frtune.models.adapter_base import ADAPTER_CONFIG, find_base
from frtune.models.checkpoint_files import weight_files
from frtune.models.onnx_graph import export_record
from frtune.tasks.base import Task
from frtune.tasks.config_file import import_program

_WARM_UP, _TEXTS, _BATCHES, _SECONDS = 2, 40, 12, 30.0


def size_bytes(directory: str | Path) -> int:
    """Size of a model's weights on disk, or of its graph; an adapter's with those of its base."""
    directory = Path(directory)
    if (record := export_record(directory)) is not None:
        return sum((directory / name).stat().st_size for name in record["files"])
    files = list(directory.glob("*.safetensors"))
    if (directory / ADAPTER_CONFIG).is_file():
        files += weight_files(find_base(directory))
    return sum(file.stat().st_size for file in files or weight_files(directory))


def measure(
    directory: str | Path,
    rows: Sequence[Mapping[str, Any]],
    *,
    task: Task,
    batch_sizes: Sequence[int],
    bf16: bool | None = None,
    fp16: bool | None = None,
) -> dict[str, Any]:
    """Open a directory in a fresh process, time it there, and take the process's memory.

    Returns:
        ``memory_bytes``, the largest resident memory of the process, PyTorch included;
        ``latency``: for each batch size (as text) seconds a text, ``median`` and ``p95``, from
        encoded rows to logits (or generated ids), and ``batches``, how many were timed; ``bf16``
        and ``fp16``, whether it was computed in.

    Raises:
        RuntimeError: If the process fails.
    """
    with draft_folder() as folder:
        asked, answered = folder / "rows.json", folder / "found.json"
        content = {
            "rows": [dict(row) for row in rows],
            "batch_sizes": list(batch_sizes),
            "bf16": bf16,
            "fp16": fp16,
        }
        asked.write_text(json.dumps(content), encoding="utf-8")
        program = f"{import_program(task)}; from {__name__} import _measured"
        program += "; _measured(*sys.argv[1:])"
        done = subprocess.run(
            [sys.executable, "-c", program, str(directory), str(asked), str(answered)],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise RuntimeError(f"{directory}: cannot be measured in a process of its own: {last}")
        return json.loads(answered.read_text(encoding="utf-8"))


def _measured(directory: str, asked: str, answered: str) -> None:
    content = json.loads(Path(asked).read_text(encoding="utf-8"))
    predictor = load(directory, bf16=content["bf16"], fp16=content["fp16"])
    encoded = predictor.encode(content["rows"])
    latency = {str(size): _latency(predictor, encoded, size) for size in content["batch_sizes"]}
    computed = {"bf16": predictor.bf16, "fp16": predictor.fp16}
    found = {"latency": latency, **computed, "memory_bytes": _peak_memory()}
    Path(answered).write_text(json.dumps(found), encoding="utf-8")


def _latency(predictor: Any, encoded: Any, size: int) -> dict[str, float]:
    """Seconds a text, over batches of consecutive rows; the rows start again when they end."""
    predictor = dataclasses.replace(predictor, batch_size=size)
    count = _TEXTS if size == 1 else _BATCHES
    order = np.resize(np.arange(len(encoded)), (count + _WARM_UP) * size).reshape(-1, size)
    seconds: list[float] = []
    begun = time.perf_counter()
    for i, picks in enumerate(order):
        batch = encoded.select(picks)
        start = time.perf_counter()
        predictor.outputs(batch)
        if i >= _WARM_UP:
            seconds.append((time.perf_counter() - start) / size)
        if seconds and time.perf_counter() - begun > _SECONDS:
            break
    median, p95 = np.quantile(seconds, [0.5, 0.95]).tolist()
    return {"median": median, "p95": p95, "batches": len(seconds)}


def _peak_memory() -> int:
    """Largest resident memory of this process, in bytes."""
    status = Path("/proc/self/status").read_text() if sys.platform == "linux" else ""
    if "VmHWM:" in status:  # ru_maxrss there counts the parent's memory before exec, too
        return int(status.split("VmHWM:")[1].split()[0]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS
