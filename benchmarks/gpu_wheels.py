"""The packages that a machine without an index lacks for ``gpu.py``: list them, or fetch them.

    pip list --format=freeze > there.txt                # on that machine
    python benchmarks/gpu_wheels.py --has there.txt     # here: what it lacks
    python benchmarks/gpu_wheels.py --has there.txt --output wheels

pip resolves ``constraints.txt`` for that machine's Python on x86-64 Linux. A package that is there
is kept where its version goes with all that need it; torch, CUDA's and Triton's packages always
are. The wheels go to ``wheels/part1``, ``part2`` ... of at most ``--part`` MB each; a larger wheel
has a part of its own. A package without a wheel is built here, which deepspeed needs torch for.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
GIVEN = re.compile(r"^(torch|torchvision|torchaudio|triton|nvidia-.*|cuda-.*|pip|setuptools)$")
BUILT = ("deepspeed", "rouge-score")  # PyPI has no wheels of them
PEERS = ("trl", "sentence-transformers", "gradio", "sacremoses")
PLATFORMS = (
    *(f"manylinux_2_{minor}_x86_64" for minor in range(5, 40)),
    "manylinux2014_x86_64", "manylinux1_x86_64",
)  # fmt: skip
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")


def read_freeze(text: str) -> dict[str, str]:
    r"""Versions by name, of ``pip list --format=freeze``.

    Example:
        >>> read_freeze("Torch==2.11.0+cu130\nnumpy==2.5.2\n-e /src/x")
        {'torch': '2.11.0+cu130', 'numpy': '2.5.2'}
    """
    pairs = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)\s*$", text, flags=re.MULTILINE)
    return {canonicalize_name(name): version for name, version in pairs}


def missing(report: dict[str, Any], has: dict[str, str], python: str) -> dict[str, str]:
    """Version of each resolved package that is not there, or there in a version that does not go.

    Args:
        report: Of ``pip install --dry-run --report``.
        has: Versions by name of what is there.
        python: Version of that machine's Python, such as ``3.12``.
    """
    found = {canonicalize_name(item["metadata"]["name"]): item["metadata"]
             for item in report["install"]}  # fmt: skip
    wanted: dict[str, list[Requirement]] = {}
    about = {"python_version": python, "python_full_version": f"{python}.0", "extra": "",
             "sys_platform": "linux", "platform_system": "Linux",
             "platform_machine": "x86_64"}  # fmt: skip
    lines = [line for item in found.values() for line in item.get("requires_dist", ())]
    for line in [*needed(), *lines]:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(about):
            wanted.setdefault(canonicalize_name(requirement.name), []).append(requirement)

    def goes(name: str) -> bool:
        there = has.get(name)
        return there is not None and all(
            requirement.specifier.contains(there, prereleases=True)
            for requirement in wanted.get(name, ())
        )

    return {
        name: item["version"]
        for name, item in sorted(found.items())
        if not GIVEN.match(name) and not goes(name)
    }


def needed() -> list[str]:
    """What frtune and the peers of the benchmark need."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = re.search(r"^dependencies = \[(.*?)^\]", text, flags=re.MULTILINE | re.DOTALL)
    if block is None:
        raise SystemExit("pyproject.toml: has no dependencies.")
    return [*re.findall(r'^\s*"([^"]+)"', block[1], flags=re.MULTILINE), *PEERS]


def parts(sizes: dict[str, int], most: int) -> list[list[str]]:
    """Names in as few folders as a greedy choice finds, each of at most ``most`` bytes.

    Example:
        >>> parts({"a": 50, "b": 30, "c": 20, "d": 70}, 60)
        [['d'], ['a'], ['b', 'c']]
    """
    folders: list[list[str]] = []
    for name in sorted(sizes, key=lambda name: -sizes[name]):
        for folder in folders:
            if sum(sizes[other] for other in folder) + sizes[name] <= most:
                folder.append(name)
                break
        else:
            folders.append([name])
    return folders


def resolve(has: dict[str, str], python: str, built: Path) -> dict[str, Any]:
    """Pip's report of all that a machine with that torch needs."""
    for name, version in constrained(BUILT).items():
        command = [*PIP, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(built)]
        run([*command, f"{name}=={version}"])
    constraints = built / "constraints.txt"
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not GIVEN.match(line.split("==")[0])]
    torch = has.get("torch") or constrained(["torch"])["torch"]
    kept.append(f"torch=={stand_in(built, torch.split('+')[0])}")
    constraints.write_text("\n".join(kept), encoding="utf-8")
    command = [*PIP, "install", "-q", "--dry-run", "--ignore-installed", "--report", "-",
               "--target", str(built / "none"), "-c", str(constraints), *where(python, built),
               *needed()]  # fmt: skip
    return json.loads(run(command))


def stand_in(folder: Path, version: str) -> str:
    """Write a wheel of torch that holds and needs nothing: that of there has what it needs."""
    version = f"{version}+there"
    about = f"torch-{version}.dist-info"
    files = {
        "METADATA": f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n",
        "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(folder / f"torch-{version}-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(f"{about}/{name}", text)
    return version


def where(python: str, built: Path) -> list[str]:
    """Pip's options for that machine."""
    platforms = [option for name in PLATFORMS for option in ("--platform", name)]
    return ["--only-binary", ":all:", "--python-version", python, "--implementation", "cp",
            *platforms, "--find-links", str(built)]  # fmt: skip


def constrained(names: Iterable[str]) -> dict[str, str]:
    """Versions of these in ``constraints.txt``."""
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    found = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", text, flags=re.MULTILINE))
    return {name: found[name] for name in names}


def run(command: list[str]) -> str:
    """What a command prints.

    Raises:
        SystemExit: If it fails.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise SystemExit("\n".join(said or done.stderr.splitlines()[-3:]))
    return done.stdout


def main() -> None:
    """List what is missing, and fetch it with ``--output``."""
    made = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    made.add_argument("--has", type=Path, metavar="FILE", help="pip list --format=freeze of there")
    made.add_argument("--python", default="3.12", help="of that machine (default: %(default)s)")
    made.add_argument("--output", type=Path, metavar="DIR", help="fetch the wheels to here")
    made.add_argument("--part", type=float, default=60, help="MB of a folder at most")
    args = made.parse_args()
    has = read_freeze(args.has.read_text(encoding="utf-8")) if args.has else {}
    with tempfile.TemporaryDirectory() as name:
        built = Path(name)
        lacking = missing(resolve(has, args.python, built), has, args.python)
        for package, version in lacking.items():
            there = f" (there: {has[package]})" if package in has else ""
            print(f"{package}=={version}{there}")
        if args.output is None or not lacking:
            return
        fetched = built / "fetched"
        command = [*PIP, "download", "-q", "--no-deps", "-d", str(fetched)]
        wanted = [f"{package}=={version}" for package, version in lacking.items()]
        run([*command, *where(args.python, built), *wanted])
        sizes = {path.name: path.stat().st_size for path in fetched.iterdir()}
        for number, files in enumerate(parts(sizes, int(args.part * 1e6)), start=1):
            folder = args.output / f"part{number}"
            folder.mkdir(parents=True)
            for file in files:
                shutil.move(fetched / file, folder / file)
            size = sum(sizes[file] for file in files) / 1e6
            print(f"{folder}: {len(files)} wheels, {size:.1f} MB", file=sys.stderr)


if __name__ == "__main__":
    main()
