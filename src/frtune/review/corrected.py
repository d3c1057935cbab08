"""The data with what a person decided: a file for each split, in the format of the input."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from datasets import Dataset, concatenate_datasets

from frtune.data.compression import suffix_of
from frtune.data.label_sets import item_names
from frtune.data.labels import label_name
from frtune.data.parts import Part
from frtune.data.readers import TABLES, find_layout, numbered_rows
from frtune.data.spreadsheets import SPREADSHEETS
from frtune.data.text_lines import REPLACING, find_encoding, read_lines
from frtune.errors import InputError
from frtune.files import staged
from frtune.review.folder import CORRECTED, Decision
from frtune.review.review import Review
from frtune.review.rows import Place

Row = dict[str, Any]
Numbered = Iterator[tuple[int, Row]]  # rows of a split of the files, each with its number there

TEXT = (".json", ".jsonl", ".ndjson", *TABLES, *SPREADSHEETS)


def write_corrected(review: Review) -> tuple[Path, int, int]:
    """Write ``corrected/``: a file for each split, with all columns of the input.

    Rows that were dropped are left out, changed labels are in the form of those before them, and
    everything else, test rows among it, is as it was. Files have the format of the input: CSV, TSV,
    JSON, JSONL or Parquet. Excel files become CSV, and other data becomes JSONL, or Parquet where
    it came without a file. Where splits were cut from one file, each has a file of its own, so that
    training has the same test rows as before.

    Returns:
        The folder, and how many rows were changed and dropped.
    """
    found, decisions = review.found, review.decisions()
    decided = {found.places[row]: each for row, each in decisions.items() if each.action != "keep"}
    with staged(review.directory) as draft:
        (draft / CORRECTED).mkdir()
        for split in dict.fromkeys(part.split for part in found.parts):
            parts = [part for part in found.parts if part.split == split]
            names = dict.fromkeys([split, *found.cut.values()] if split == "train" else [split])
            for name in names:
                _write(review, parts, name, decided, draft / CORRECTED)
    changed = sum(each.action == "change" for each in decided.values())
    return review.directory / CORRECTED, changed, len(decided) - changed


def changed_value(review: Review, label: str, before: Any) -> Any:
    """The value of a label that was typed, in the form of the one ``before``."""
    task = review.found.task
    return task.label_cell(task.read_label_line(label), before)


def named(value: Any, names: list[str] | None) -> Any:
    """A raw value with the names of its classes in place of their ids, where it has some."""
    if names is None:
        return value
    several = isinstance(value, list)
    return [label_name(v, names) for v in value] if several else label_name(value, names)


def _write(
    review: Review,
    parts: list[Part],
    name: str,
    decided: Mapping[Place, Decision],
    folder: Path,
) -> None:
    """Write the rows of one split that stand in the files of one."""
    split, cut = parts[0].split, review.found.cut
    path = Path(parts[0].name)
    text = all(suffix_of(Path(p.name)) in TEXT and Path(p.name).is_file() for p in parts)

    def kept(number: int) -> bool:
        place = Place(split, number)
        dropped = place in decided and decided[place].action == "drop"
        return cut.get(place, split) == name and not dropped

    def label(number: int) -> str | None:
        found = decided.get(Place(split, number))
        return None if found is None else found.label

    if text:
        rows = _with_labels(review, _raw_rows(parts, review.encoding), label)
        lines = (row for number, row in rows if kept(number))
        if (first := next(lines, None)) is not None:
            _write_text(chain([first], lines), path, review.encoding, folder, name)
        return
    whole = concatenate_datasets([part.rows for part in parts])
    places = [number for number in range(len(whole)) if kept(number)]
    if not places:
        return
    changed = {
        place: text for place, number in enumerate(places) if (text := label(number)) is not None
    }
    rows = _relabelled(review, whole.select(places), changed)
    if suffix_of(path) == ".parquet" or not path.exists():
        rows.to_parquet(str(folder / f"{name}.parquet"))
    else:  # a folder of texts and keys
        rows.to_json(str(folder / f"{name}.jsonl"), force_ascii=False)


def _with_labels(review: Review, rows: Numbered, label: Callable[[int], str | None]) -> Numbered:
    column = review.found.task.label_columns[0]
    for number, row in rows:
        text = label(number)
        if text is not None:
            row = {**row, column: changed_value(review, text, row[column])}
        yield number, row


def _relabelled(review: Review, rows: Dataset, changed: Mapping[int, str]) -> Dataset:
    """Rows of Arrow with other labels, of the same type."""
    if not changed:
        return rows
    column = review.found.task.label_columns[0]
    names, values = item_names(rows, column), list(rows[column])
    for place, text in changed.items():
        value = changed_value(review, text, named(values[place], names))
        if names is not None:
            several = isinstance(value, list)
            value = [names.index(v) for v in value] if several else names.index(value)
        values[place] = value
    feature = rows.features[column]
    order = rows.column_names
    found = rows.remove_columns(column).add_column(column, values, feature=feature)  # type: ignore[call-arg]
    return found.select_columns(order)


# --- files of text -------------------------------------------------------------------------------


def _raw_rows(parts: Iterable[Part], encoding: str | None) -> Numbered:
    rows = chain.from_iterable(numbered_rows(Path(part.name), encoding) for part in parts)
    return ((number, row) for number, (_, row) in enumerate(rows))


def _write_text(
    rows: Iterable[Row], source: Path, encoding: str | None, folder: Path, name: str
) -> None:
    suffix = suffix_of(source)
    found = "utf-8" if suffix in SPREADSHEETS else find_encoding(source, encoding)
    found = "utf-8" if found == REPLACING else found
    suffix = ".csv" if suffix in SPREADSHEETS else suffix
    path = folder / f"{name}{suffix}"
    try:
        with open(path, "w", encoding=found, newline="") as file:
            if suffix in TABLES:
                _write_cells(rows, source, encoding, file)
            elif suffix == ".json" and _is_array(source, encoding):
                _write_array(rows, file)
            else:
                file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    except UnicodeEncodeError as error:
        raise InputError(
            f"{source}: a new label has {error.object[error.start : error.end]!r}, which {found} "
            "has not. Write it otherwise, or convert the file to UTF-8."
        ) from None


def _write_cells(rows: Iterable[Row], source: Path, encoding: str | None, file: Any) -> None:
    delimiter, quoting = ",", csv.QUOTE_MINIMAL
    if suffix_of(source) in TABLES:
        layout = find_layout(source, encoding)
        delimiter = layout.delimiter
        quoting = csv.QUOTE_MINIMAL if layout.quoted else csv.QUOTE_NONE
    options: dict[str, Any] = {} if quoting == csv.QUOTE_MINIMAL else {"quotechar": None}
    writer = csv.writer(file, delimiter=delimiter, quoting=quoting, lineterminator="\n", **options)
    for number, row in enumerate(rows):
        if number == 0:
            writer.writerow(row)
        writer.writerow(["" if cell is None else cell for cell in row.values()])


def _is_array(source: Path, encoding: str | None) -> bool:
    first = next((line for _, line in read_lines(source, encoding) if line.strip()), "")
    return first.lstrip().startswith("[")


def _write_array(rows: Iterable[Row], file: Any) -> None:
    for number, row in enumerate(rows):
        file.write((",\n" if number else "[\n") + json.dumps(row, ensure_ascii=False))
    file.write("\n]\n")
