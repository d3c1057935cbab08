"""``README.md`` of an exported model: what it is, how near it is, and lines that open it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from frtune.data.cleaning import clean_text
from frtune.inference import Predictor
from frtune.model_export.card_code import code_lines
from frtune.model_export.checked_rows import CheckedRows
from frtune.model_export.comparison import ALLOWED, table
from frtune.model_export.greedy import Ends

_CHARACTERS = 100  # of the text that is shown, about
_ROWS, _TRIES = 200, 8


def write_card(
    folder: Path,
    output_dir: Path,
    predictor: Predictor,
    checked: CheckedRows,
    record: Mapping[str, Any],
    *,
    ends: Ends | None,
) -> None:
    """Write the card; its lines of Python are run first, and what they print stands below them.

    Args:
        folder: Where the graphs are, and the card goes.
        output_dir: What the folder will be called.
        predictor: The model in PyTorch.
        checked: The rows, of which a short one is shown.
        record: Of the export.
        ends: What begins and ends a text that is written; ``None`` where none is.

    Raises:
        RuntimeError: If the lines fail.
    """
    merged = ", its adapter merged first" if record["merged_adapter"] else ""
    graphs = [name for name in record["files"] if name.endswith(".onnx")]
    what = f"`{record['source']}` as a graph for ONNX Runtime{merged}: " + ", ".join(
        f"`{name}`" for name in graphs
    )
    sides = table(record["sides"], record["score"])
    text = (
        f"---\nlibrary_name: onnx\ntags:\n- {predictor.task.name}\n- onnx\n---\n\n"
        f"# {predictor.task.name}: {output_dir.resolve().name}\n\n{what}.\n\n{sides}\n"
        f"Compared on {record['rows']}, and with the longest text that is read. Difference: of a "
        "logit, of the largest one. "
        f"In fp32 at most {ALLOWED:g} of it is allowed. Times: medians on "
        f"{record['processor']}, threads: {record['threads']}.\n"
    )
    if code := _code(folder, predictor, checked, graphs, ends):
        text += f"\n## Without frtune\n\nIn this directory, and what they print:\n\n{code}"
        text += _notes(predictor, ends)
    (folder / "README.md").write_text(text, encoding="utf-8")


def _code(
    folder: Path, predictor: Predictor, checked: CheckedRows, graphs: Sequence[str],
    ends: Ends | None,
) -> str:  # fmt: skip
    """The lines, run, and what they print; nothing where no tokenizer but frtune's reads alike."""
    found = _read_alike(folder, predictor, checked, ends)
    if found is None:
        return ""
    texts, published = found
    code = "\n".join(code_lines(predictor, graphs, texts, ends=ends, published=published))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, encoding="utf-8"
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"{folder}: the lines of its README.md fail: {last}")
    return f"```python\n{code}\n```\n\n```text\n{done.stdout.strip()}\n```\n"


def _read_alike(
    folder: Path, predictor: Predictor, checked: CheckedRows, ends: Ends | None
) -> tuple[list[str], bool] | None:
    """Texts of a short row that another library reads as frtune does, and whether tokenizers does.

    ``None`` where none does.
    """
    task = predictor.task
    tokenizer: Any = predictor.tokenizer
    rows = [{name: row[name] for name in task.columns} for row in islice(checked.rows, _ROWS)]
    rows.sort(key=lambda row: abs(sum(len(row[name]) for name in task.text_columns) - _CHARACTERS))
    published = folder / "tokenizer.json"
    reader = Tokenizer.from_file(str(published)) if published.is_file() else None
    for row in rows[:_TRIES]:
        texts = [clean_text(text) for text in task.source_texts(row)]
        ids = predictor.encode_few([row])["input_ids"][0]
        ids = ids if isinstance(ids[0], int) else ids[0]  # of a pair in both orders
        wanted = [ids] if ends is None else [ids, ids[:-1]]  # the lines add the end token
        if reader is not None and reader.encode(*texts).ids in wanted:
            return texts, True
        if tokenizer(*texts)["input_ids"] in wanted:
            return texts, False
    return None


def _notes(predictor: Predictor, ends: Ends | None) -> str:
    """What the lines leave out of what frtune does."""
    task = predictor.task
    notes = ["frtune cleans a text first: NFC, no invisible characters, plain spaces."]
    if ends is not None:
        prefix = task.source_texts(dict.fromkeys(task.columns, ""))[0]
        notes.append(f"Each text begins with {prefix!r}." if prefix else "")
        notes.append("The lines write greedily, as `num_beams=1` does.")
    elif task.labels_tokens:
        notes.append("It reads a longer text in windows, and joins tokens to words.")
    elif not task.scored:
        notes.append(
            "Where `frtune_task.json` has a `temperature`, it divides logits by that; where it has "
            "`thresholds`, a label is given from its own on."
        )
    return "\n" + " ".join(filter(None, notes)) + "\n"
