"""``README.md`` of an exported model: what it is, how near it is, and lines that open it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from frtune.data.cleaning import clean_text
from frtune.errors import first_line
from frtune.inference import Predictor
from frtune.model_cards import markdown
from frtune.model_cards.checked import run_lines
from frtune.model_cards.metadata import derived_metadata, front_matter
from frtune.model_cards.sections import Section
from frtune.model_export.card_code import code_lines
from frtune.model_export.checked_rows import CheckedRows
from frtune.model_export.comparison import ALLOWED, table
from frtune.model_export.greedy import Ends
from frtune.models.families import kind_of
from frtune.training.generation_options import SETTINGS

_CHARACTERS = 100  # of the text that is shown, about
_ROWS, _TRIES = 200, 8
_GREEDY = ("do_sample", "num_beams", "use_cache")  # what writing greedily says by itself


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
    task, name = predictor.task, output_dir.resolve().name
    merged = ", its adapter merged first" if record["merged_adapter"] else ""
    graphs = [each for each in record["files"] if each.endswith(".onnx")]
    data = derived_metadata(
        task, kind_of(predictor.model), record["source"],
        name=name,
        library="onnx",
        tags=["onnx"],
    )  # fmt: skip
    text = (
        f"{front_matter(data)}\n# {task.name}: {markdown.plain(name)}\n\n"
        f"{markdown.code(record['source'])} as a graph for ONNX Runtime{merged}: "
        f"{', '.join(f'`{each}`' for each in graphs)}.\n\n"
        f"{table(record['sides'], record['score'])}\n"
        f"Compared on {markdown.plain(record['rows'])}, and with the longest text that is read. "
        "Largest difference: of a logit, beside the largest logit. In fp32 at most "
        f"{ALLOWED:g} times that is allowed. Times: medians on {record['processor']}, threads: "
        f"{record['threads']}.\n"
    )
    if code := _code(folder, output_dir, predictor, checked, graphs, ends):
        text += "\n## Without frtune\n\nIn the folder that this directory lies in, and what they "
        text += f"print:\n\n{code}{_notes(predictor, ends)}"
    (folder / "README.md").write_text(text, encoding="utf-8")


def _code(
    folder: Path, output_dir: Path, predictor: Predictor, checked: CheckedRows,
    graphs: Sequence[str], ends: Ends | None,
) -> str:  # fmt: skip
    """The lines, run, and what they print; nothing where no tokenizer but frtune's reads alike."""
    found = _read_alike(folder, predictor, checked, ends)
    if found is None:
        return ""
    texts, published = found
    lines = code_lines(predictor, graphs, texts, ends=ends, published=published)
    section = Section("ONNX Runtime", "", lines)
    try:
        printed = run_lines(section.code(os.path.abspath(folder), []))
    except Exception as error:  # of any library
        raise RuntimeError(
            f"{output_dir}: the lines of its README.md fail: {first_line(error)}"
        ) from error
    shown = markdown.block(section.code(output_dir.resolve().name, []), "python")
    return f"{shown}\n{markdown.block(str(printed), 'text')}"


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
        notes.append(f"Each text begins with {markdown.code(repr(prefix))}." if prefix else "")
        notes.append("The lines write greedily, as `num_beams=1` does.")
        config: Any = predictor.model.generation_config
        own = config.to_diff_dict()
        asked = [name for name in SETTINGS if name in own and name not in _GREEDY]
        if own.get("num_beams", 1) != 1:
            asked.append("num_beams")
        if asked:
            names = ", ".join(f"`{name}`" for name in asked)
            notes.append(f"The lines do not use {names}, as `frtune predict` of the original does.")
    elif task.labels_tokens:
        notes.append("It reads a longer text in windows, joins tokens to words, and goes by the "
                     "`threshold` of `frtune_task.json` where there is one.")  # fmt: skip
    elif not task.scored:
        notes.append("Where `frtune_task.json` has `thresholds` or `least_scores`, it gives a "
                     "label from that probability on.")  # fmt: skip
    return "\n" + " ".join(filter(None, notes)) + "\n"
