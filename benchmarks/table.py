"""The table of all measured rows, as Markdown, from the files in ``benchmarks/results/``.

    python benchmarks/table.py             # print it
    python benchmarks/table.py --write     # put it into README.md and docs/performance.md

A ratio is in bold where it is short of its goal.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from _compare import RESULTS

ROOT = Path(__file__).parents[1]
SCRIPTS = (
    "encoder_training", "pair_classification", "causal_training", "generation_evaluation",
    "prediction", "scores", "preparing", "embedding_study", "starting",
)  # fmt: skip
TIMED = {"seconds", "cpu_seconds", "peak_mib", "rows"}
BEGIN, END = "<!-- python benchmarks/table.py -->", "<!-- end of the table -->"


def lines(columns: int = 6) -> list[str]:
    """The table's lines, of the first so many columns."""
    rows = [
        ["what", "against", "goal", "ratio", "of processor time", "reached, frtune / other"],
        ["---", "---", "---:", "---:", "---:", "---"],
    ]
    for script in SCRIPTS:
        path = RESULTS / f"{script}.json"
        if not path.is_file():
            rows.append([f"`benchmarks/{script}.py`", "", "", "not measured", "", ""])
            continue
        for row in json.loads(path.read_text(encoding="utf-8"))["table"]:
            rows.extend(cells(row, peer) for peer in row["ratios"])
    return [f"| {' | '.join(row[:columns])} |" for row in rows]


def cells(row: dict[str, Any], peer: str) -> list[str]:
    """One row of the table."""
    ratio, goal = row["ratios"][peer], row["goals"][peer]
    own = next(iter(row["runs"].values()))
    return [
        row["what"],
        peer,
        f"{goal:g}",
        *(spread(ratio[clock], goal) for clock in ("seconds", "cpu_seconds")),
        reached(own, row["runs"][peer]),
    ]


def spread(ratio: dict[str, float], goal: float) -> str:
    """Median with lowest and highest; bold if short of the goal."""
    median, *ends = (f"{ratio[name]:.3g}" for name in ("median", "lowest", "highest"))
    median = f"**{median}**" if ratio["median"] < goal else median
    return median if ends[0] == ends[1] else f"{median} ({ends[0]} to {ends[1]})"


def reached(own: list[dict], other: list[dict]) -> str:
    """What both reached besides their times: medians of numbers; texts as equal or not."""
    found = []
    for name in own[0]:
        if name in TIMED or name not in other[0]:
            continue
        values = [[run[name] for run in runs] for runs in (own, other)]
        if isinstance(own[0][name], str):
            same = values[0] == values[1]
            found.append(f"{'same' if same else 'other'} {name}")
        else:
            shown = [f"{statistics.median(numbers):.4g}" for numbers in values]
            found.append(f"{name} {' / '.join(shown)}")
    return ", ".join(found).replace("_", " ")


def write(path: Path, table: list[str]) -> None:
    """Put the table between its marks."""
    text = path.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    path.write_text(
        "\n".join([before + BEGIN, *table, END + after]), encoding="utf-8", newline="\n"
    )


def main() -> None:
    """Print the table or write it."""
    made = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    made.add_argument("--write", action="store_true", help="into README.md and docs")
    if not made.parse_args().write:
        print("\n".join(lines()))
        return
    write(ROOT / "README.md", lines(columns=4))
    write(ROOT / "docs" / "performance.md", lines())


if __name__ == "__main__":
    main()
