"""Time to import and to print help: frtune beside TRL.

    python benchmarks/starting.py

TRL is installed in an environment of its own on first use, over the packages of this one.
"""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path

from _compare import Timer, compare, parser, peer_python, report


def start(timer: Timer, command: list[str]) -> dict[str, float]:
    """Run a command; its processor time is that of the child."""
    with timer:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return {}


def main() -> None:
    """Measure the row of the table."""
    args = parser(__doc__, rounds=5).parse_args()
    if args.quick:
        args.rounds = 1
    trl = peer_python("trl", "trl")
    own, theirs = Path(sys.executable).parent / "frtune", trl.parent / "trl"
    table = []
    for what, ours, peer in (
        ("import", [sys.executable, "-c", "import frtune"],
         [str(trl), "-c", "from trl import SFTTrainer"]),
        ("--help", [str(own), "--help"], [str(theirs), "--help"]),
    ):  # fmt: skip
        ways = {
            "frtune": functools.partial(start, command=ours),
            "TRL": functools.partial(start, command=peer),
        }
        table.append(compare(what, ways, goals={"TRL": 10}, args=args))
    report(__file__, table, args)


if __name__ == "__main__":
    main()
