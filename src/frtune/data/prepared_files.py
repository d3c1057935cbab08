"""Writing what was prepared: JSON lines for each split, the rejected rows, the audit."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from datasets.utils import tqdm

from frtune.data.splitting import SPLITS

if TYPE_CHECKING:
    from frtune.data.assignment import Fate


def write_rows(fate: Fate, folder: Path) -> dict[str, Any]:
    """Write the rows to ``folder`` and return the counts.

    Returns:
        ``rows`` (``read``, ``kept``, ``rejected``, and ``adds_up``), ``files`` (rows read from
        each) and ``rejected`` (rows by reason).

    Raises:
        RuntimeError: If the rows written are not those that were read.
    """
    folder.mkdir(parents=True)
    names = [name for i, name in enumerate(SPLITS) if (fate.split == i).any()]
    written: Counter[str] = Counter()
    kept = dict.fromkeys(("id", "title", *fate.schema.names.values()))
    keys = [name for name in kept if name in fate.table.column_names]
    table = fate.table.select_columns([*keys, "reason", "detail", "part", "row"])
    with ExitStack() as open_files:
        files = {
            name: open_files.enter_context(open(folder / f"{name}.jsonl", "w", encoding="utf-8"))
            for name in (*names, "rejected")
        }
        bar = open_files.enter_context(tqdm(total=len(table), desc="writing", unit=" rows"))
        number = 0
        batches: Any = table.iter(batch_size=1000)
        for batch in batches:
            rows: list[dict[str, Any]] = [
                dict(zip(batch, values, strict=True))
                for values in zip(*batch.values(), strict=True)
            ]
            for row in rows:
                name = _write_row(fate, number, row, keys=keys, files=files)
                written[name] += 1
                number += 1
            bar.update(len(rows))
    rejected = fate.count_reasons()
    count = sum(written[name] for name in names)
    adds_up = (
        count + written["rejected"] == sum(len(part.rows) for part in fate.parts)
        and sum(rejected.values()) == written["rejected"]
    )
    if not adds_up:
        raise RuntimeError(f"rows written={dict(written)}: do not add up to those read.")
    return {
        "rows": {
            "read": number,
            "kept": count,
            "rejected": written["rejected"],
            "adds_up": adds_up,
        },
        "files": {part.name: len(part.rows) for part in fate.parts},
        "rejected": rejected,
    }


def _write_row(
    fate: Fate,
    number: int,
    row: Mapping[str, Any],
    *,
    keys: list[str],
    files: Mapping[str, IO[str]],
) -> str:
    """Write one row to the file it belongs to, and return that file's name."""
    if fate.split[number] >= 0:
        name = SPLITS[fate.split[number]]
        record = {key: row[key] for key in keys}
    else:
        name = "rejected"
        part = fate.parts[row["part"]]
        reason, detail = fate.late.get(number, (row["reason"], row["detail"]))
        record = {
            "reason": reason,
            "detail": detail,
            "file": part.name,
            "row": row["row"] + 1,
            "original": part.rows[row["row"]],
        }
    # what JSON lacks, such as a date in a Parquet file, is written as text
    files[name].write(json.dumps(record, ensure_ascii=False, default=str) + "\n")
    return name


def publish(folder: Path, output: Path, report: dict[str, Any]) -> None:
    """Write ``audit.json`` into ``folder`` and move the folder to its final name."""
    text = json.dumps(report, ensure_ascii=False, indent=2)
    (folder / "audit.json").write_text(text + "\n", encoding="utf-8")
    if output.exists():
        output.rmdir()  # it is empty: that was checked, and it fails if that changed
    os.rename(folder, output)
