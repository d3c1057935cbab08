"""Writing what was prepared: JSON lines for each split, the rejected rows, the audit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from datasets.utils import tqdm

from frtune.data.assignment import RowAssignment
from frtune.data.row_checks import rows_of
from frtune.data.splitting import SPLITS
from frtune.files import json_text
from frtune.files import publish as publish_folder


def write_rows(assignment: RowAssignment, folder: Path) -> dict[str, Any]:
    """Write the rows to ``folder`` and return the counts.

    Returns:
        ``rows`` (``read``, ``kept``, ``rejected``, and ``adds_up``), ``files`` (rows read from
        each) and ``rejected`` (rows by reason).

    Raises:
        RuntimeError: If the rows written are not those that were read.
    """
    folder.mkdir(parents=True)
    names = [name for i, name in enumerate(SPLITS) if (assignment.split == i).any()]
    written: Counter[str] = Counter()
    kept = dict.fromkeys(("id", "title", *assignment.schema.names.values()))
    keys = [name for name in kept if name in assignment.table.column_names]
    table = assignment.table
    with ExitStack() as open_files:
        files = {
            name: open_files.enter_context(open(folder / f"{name}.jsonl", "w", encoding="utf-8"))
            for name in (*names, "rejected")
        }
        bar = open_files.enter_context(tqdm(total=len(table), desc="writing", unit=" rows"))
        for number, row in enumerate(rows_of(table, [*keys, "reason", "detail", "part", "row"])):
            written[_write_row(assignment, number, row, keys=keys, files=files)] += 1
            bar.update()
    rejected = assignment.count_reasons()
    count = sum(written[name] for name in names)
    adds_up = (
        count + written["rejected"] == sum(len(part.rows) for part in assignment.parts)
        and sum(rejected.values()) == written["rejected"]
    )
    if not adds_up:
        raise RuntimeError(f"rows written={dict(written)}: do not add up to those read.")
    left_out = written["rejected"]
    rows = {"read": len(table), "kept": count, "rejected": left_out, "adds_up": adds_up}
    sizes = {part.name: len(part.rows) for part in assignment.parts}
    return {"rows": rows, "files": sizes, "rejected": rejected}


def _write_row(
    assignment: RowAssignment,
    number: int,
    row: Mapping[str, Any],
    *,
    keys: list[str],
    files: Mapping[str, IO[str]],
) -> str:
    """Write one row to the file it belongs to, and return that file's name."""
    if assignment.split[number] >= 0:
        name = SPLITS[assignment.split[number]]
        record = {key: row[key] for key in keys}
    else:
        name = "rejected"
        part = assignment.parts[row["part"]]
        reason, detail = assignment.late.get(number, (row["reason"], row["detail"]))
        record = {
            "reason": reason,
            "detail": detail,
            "file": part.name,
            "row": row["row"] + 1,
            "original": part.rows[row["row"]],
        }
    # what JSON lacks, such as a date in a Parquet file, is written as text
    files[name].write(json_text(record, default=str) + "\n")
    return name


def publish(folder: Path, output: Path, report: dict[str, Any]) -> None:
    """Write ``audit.json`` into ``folder`` and move the folder to its final name."""
    text = json_text(report, indent=2)
    (folder / "audit.json").write_text(text + "\n", encoding="utf-8")
    publish_folder(folder, output)
