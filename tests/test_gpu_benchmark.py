"""The benchmark of GPUs, up to the device: its rows on the CPU, its end in time, its wheels."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
WORKER = """
import json, os, sys, time
for line in sys.stdin:
    asked = json.loads(line)
    if asked["do"] == "hang": time.sleep(60)
    if asked["do"] == "die": sys.exit("out of luck")
    print(json.dumps({"name": "a card", "pid": os.getpid()}), flush=True)
"""


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield
    for name in [name for name in sys.modules if name.startswith(("_gpu", "gpu"))]:
        del sys.modules[name]


def bench(tmp_path, rows, **more):
    from gpu import Bench

    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    return Bench(rows, tmp_path / "out", settings={}, environment=dict(os.environ),
                 command=(sys.executable, str(script)), **more)  # fmt: skip


def test_a_row_that_hangs_or_dies_is_not_measured_and_the_others_are(tmp_path, monkeypatch):
    from _gpu_rows import Row

    import gpu

    monkeypatch.setattr(gpu, "RESERVE", 0.0)
    rows = [Row("hardware", "hardware", "correct", 9), Row("hangs", "hang", "correct", 0.2),
            Row("dies", "die", "correct", 9), Row("needs it", "x", "correct", 9, needs=("dies",)),
            Row("alone", "x", "fast", 9, alone=True), Row("late", "hang", "fast", 60, alone=True),
            Row("last", "x", "fast", 9, alone=True)]  # fmt: skip
    began = time.monotonic()
    made = bench(tmp_path, rows, seconds=3.0, jobs=2)
    made.run()
    assert time.monotonic() - began < 20
    lines = (tmp_path / "out" / "gpu.jsonl").read_text().splitlines()
    found = {line["row"]: line for line in map(json.loads, lines)}
    assert len(lines) == len(found) == len(rows)
    assert {line["hardware"] for line in found.values()} == {"a card"}
    assert found["hangs"]["not measured"] == "took longer than 0 s"
    assert found["dies"]["not measured"].endswith("out of luck")
    assert found["needs it"]["not measured"] == "there is no 'dies'"
    assert found["alone"]["pid"] != found["hardware"]["pid"]
    assert "not measured" in found["late"]
    assert found["last"]["not measured"] == "no time was left"
    assert all(worker.process.poll() is not None for worker in made.workers)
    assert "| dies | not measured: its process died" in (tmp_path / "out" / "gpu.md").read_text()


def test_the_share_of_the_peak_and_the_goals_stand_in_the_table(monkeypatch):
    from _gpu_report import speed, utilisation

    row = {"tokens_per_second": 5.0, "seconds": 2.0, "sums": [4.0, 2.0, 1.0], "idle": 0.2}
    results = {"polyglot-1.3b: frtune": row, "polyglot-1.3b: Trainer": row,
               "FLOPs: polyglot-1.3b": {"curve": [1.0, 2.0, 3.0]},
               "bf16 peak": {"flops_per_second": 22.0}}  # fmt: skip
    assert utilisation(results, "polyglot-1.3b", "frtune") == 0.25  # (4 + 4 + 3) / 2 / 22
    lines = speed(results)
    assert "| polyglot-1.3b, lora | frtune | 5 | **25 %** | **20 %** |  |" in lines
    assert "| polyglot-1.3b, lora | Trainer | 5 | 25 % | 20 % |  |" in lines
    assert any("SFTTrainer | not measured" in line for line in lines)


def test_only_what_a_machine_lacks_is_fetched():
    from gpu_wheels import missing, parts

    def package(name, version, *needs):
        return {"metadata": {"name": name, "version": version, "requires_dist": list(needs)}}

    report = {"install": [
        package("torch", "2.11.0"), package("nvidia-cublas", "13"), package("peft", "0.21.2"),
        package("transformers", "5.23.0", "tokenizers>=0.23", "dill; python_version < '3.4'"),
        package("tokenizers", "0.23.3"), package("numpy", "2.4.6"), package("dill", "0.4.1"),
    ]}  # fmt: skip
    has = {"transformers": "5.17.0", "tokenizers": "0.23.2", "numpy": "2.5.2", "dill": "0.1"}
    assert missing(report, has, "3.12") == {"peft": "0.21.2", "transformers": "5.23.0"}
    folders = parts({"a": 70, "b": 50, "c": 9, "d": 2}, 60)
    assert folders == [["a"], ["b", "c"], ["d"]]


def test_the_wheels_are_installed_without_an_index(tmp_path, monkeypatch):
    import gpu

    ran = []
    done = subprocess.CompletedProcess([], 0)
    monkeypatch.setattr(subprocess, "run", lambda command, **more: ran.append(command) or done)
    options = ["--install-only", "--wheels", str(tmp_path), "--site", str(tmp_path / "site")]
    with pytest.raises(SystemExit, match="no wheel is there"):
        gpu.main(options)
    (tmp_path / "part1").mkdir()
    (tmp_path / "part1" / "a-1-py3-none-any.whl").touch()
    assert gpu.main(options) == 0
    (command,) = ran
    assert {"--no-index", "--no-deps", "--target", str(tmp_path / "site")} < {*command}
    assert command[-1].endswith("a-1-py3-none-any.whl")


def _in_a_process(asked):
    """What a worker of its own answers, as a row with a process group needs one."""
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "_gpu_worker.py")], input=json.dumps(asked) + "\n",
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0 and done.stdout, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_what_was_compiled_is_copied_without_the_lock_of_a_killed_compilation(
    tmp_path, monkeypatch
):
    from gpu import environment_of

    before = tmp_path / "before" / "cpu_adam"
    before.mkdir(parents=True)
    for name in ("cpu_adam.so", "lock"):
        (before / name).touch()
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(before.parent))
    seen = environment_of("cpu", tmp_path / "site", str(tmp_path))["TORCH_EXTENSIONS_DIR"]
    assert [path.name for path in Path(seen).glob("*/*")] == ["cpu_adam.so"]
    monkeypatch.delenv("TORCH_EXTENSIONS_DIR")
    fresh = environment_of("cpu", tmp_path / "site", str(tmp_path / "new"))
    assert fresh["TORCH_EXTENSIONS_DIR"] == str(tmp_path / "new" / "extensions")


def test_with_one_job_what_compiles_comes_last(monkeypatch):
    from gpu import chosen_rows, parse

    for jobs in (1, 4):
        names = [row.apart for row in chosen_rows(parse(["--jobs", str(jobs)]))]
        assert any(names) and (names == sorted(names)) == (jobs == 1)


@pytest.mark.slow
def test_each_row_runs_on_the_cpu(tmp_path):
    from _gpu_rows import rows_of
    from _gpu_worker import answer

    allowed = ("fp16 with a scaler is for GPUs", "only a GPU's allocator counts its peak")
    settings = {"device": "cpu", "quick": True, "scratch": str(tmp_path), "train_seconds": 0.1}
    for row in sorted(rows_of(quick=True), key=lambda row: (row.alone, bool(row.needs))):
        asked = {**settings, **row.options, "do": row.do}
        found = _in_a_process(asked) if row.apart else answer(asked)
        reason = found.get("not measured", "")
        assert not reason or reason in allowed or "is not installed" in reason, (row.name, reason)
        assert "wrong" not in found, (row.name, found)


def test_what_is_wrong_is_said():
    from _gpu_correct import distance, verdict
    from _gpu_fast import idle_share
    from torch import tensor

    assert "wrong" not in verdict({"loss": distance(tensor([1.0]), tensor([1.0]))}, 1e-3)
    for one in (1.01, float("nan")):
        assert "wrong" in verdict({"loss": distance(tensor([one]), tensor([1.0]))}, 1e-3)
    assert idle_share([(0, 4), (2, 5), (9, 10)]) == 0.4
