"""The two-node recipes of ``docs/scaling.md``, between two network namespaces joined by a cable."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import frtune

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
TAG = f"frt{os.getpid() % 10_000}"
HOSTS = (f"{TAG}a", f"{TAG}b")
PORT = str(29_500 + os.getpid() % 1_000)

pytestmark = pytest.mark.distributed


@pytest.fixture
def hosts() -> Iterator[tuple[str, str]]:
    """Two namespaces that reach each other alone, at 10.77.0.1 and 10.77.0.2 on ``eth0``."""
    if shutil.which("ip") is None:
        pytest.skip("needs the command ip (package iproute2)")
    made = subprocess.run(
        ["ip", "netns", "add", HOSTS[0]], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        pytest.skip(f"network namespaces are not permitted here: {made.stderr.strip()}")
    try:
        for command in (
            f"ip netns add {HOSTS[1]}",
            f"ip -n {HOSTS[0]} link add eth0 type veth peer name eth0 netns {HOSTS[1]}",
            *(
                f"ip -n {host} {what}"
                for host, address in zip(HOSTS, ("10.77.0.1/24", "10.77.0.2/24"), strict=True)
                for what in (f"addr add {address} dev eth0", "link set eth0 up", "link set lo up")
            ),
        ):
            subprocess.run(command.split(), check=True, capture_output=True)
        yield HOSTS
    finally:
        for host in HOSTS:
            with contextlib.suppress(OSError):
                subprocess.run(["ip", "netns", "del", host], capture_output=True, check=False)


def words(launcher: str, rank: int, hostfile: Path) -> list[object]:
    """What the docs tell to type on one of the hosts, before the script."""
    if launcher == "torchrun":
        return [
            BIN / "torchrun", "--nnodes", "2", "--nproc-per-node", "1", "--node-rank", rank,
            "--master-addr", "10.77.0.1", "--master-port", PORT,
        ]  # fmt: skip
    hostfile.write_text("host1 slots=1\nhost2 slots=1\n")
    return [
        BIN / "deepspeed", "--hostfile", hostfile, "--no_ssh", "--node_rank", rank,
        "--master_addr", "10.77.0.1", "--master_port", PORT,
    ]  # fmt: skip


def start(launcher: str, host: str, rank: int, folder: Path) -> subprocess.Popen[str]:
    """Start one of the hosts."""
    command = [
        "ip", "netns", "exec", host, *words(launcher, rank, folder / f"hostfile{rank}"),
        ROOT / "examples" / "train_kpg.py", "--deepspeed", ROOT / "deepspeed_configs/zero2.json",
        "--output-dir", folder / "run", "--max-steps", "2", "--max-rows", "9", "--batch-size", "2",
        "--max-source-tokens", "64", "--max-target-tokens", "8",
    ]  # fmt: skip
    return subprocess.Popen(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "eth0"},
    )


@pytest.mark.parametrize("launcher", ["torchrun", "deepspeed"])
def test_two_hosts_train_one_model_under_zero2(launcher, hosts, tmp_path):
    running = [start(launcher, host, rank, tmp_path) for rank, host in enumerate(hosts)]
    try:
        printed = [process.communicate(timeout=600)[0] for process in running]
    finally:
        for process in running:
            process.kill()
    assert [process.returncode for process in running] == [0, 0], "\n".join(
        text[-2500:] for text in printed
    )
    # each host says the loss of the step that they took together, once
    assert '"test_loss"' in printed[0] and '"test_loss"' not in printed[1]
    answer = frtune.load(tmp_path / "run").predict("The mayor opened a library.")
    assert list(answer[0]) == ["text", "keyphrases"]
