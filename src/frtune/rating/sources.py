"""A study from the predictions of runs and, if given, the rows that they are for."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from frtune.data.checks import columns_check, separator_check
from frtune.data.cleaning import clean_keyphrases, clean_text
from frtune.data.compression import check_path
from frtune.data.loading import read_noting
from frtune.data.nested_values import phrases_reason, read_phrases
from frtune.data.readers import numbered_rows
from frtune.errors import InputError
from frtune.names import named
from frtune.rating.study import Item, RatingStudy
from frtune.tasks.config_file import TASK_FILE, load_task
from frtune.tasks.keyphrases import KeyphraseGeneration

REFERENCE = "(reference)"
_PHRASES = ("prediction", "keyphrases", "keywords")


def read_run(path: str | Path) -> dict[str, Item]:
    """Read a run: a directory with ``predictions.jsonl``, or a file of ``frtune predict``.

    Returns:
        By cleaned text, an item with the phrases of this run alone.

    Raises:
        InputError: With the line, if it holds no lists of phrases.
    """
    path = Path(path)
    file = path / "predictions.jsonl" if check_path(path) and path.is_dir() else path
    if not check_path(file) or file.is_dir():
        wanted = "frtune evaluate leaves one" if path.is_dir() else "frtune predict writes one"
        raise InputError(f"{file}: no such file. {wanted}.")
    if file.suffix.lower() not in (".jsonl", ".json"):
        raise InputError(f"{file}: not JSON lines. Give what frtune evaluate or predict wrote.")
    found: dict[str, Item] = {}
    for line, row in numbered_rows(file):
        text, true = row.get("input", row.get("text")), row.get("reference")
        key = next((key for key in _PHRASES if isinstance(row.get(key), list)), None)
        if not isinstance(text, str) or key is None:
            raise InputError(
                f"{file}, line {line}: needs a text (input or text) and a list of phrases "
                f"({', '.join(_PHRASES)}). Rate runs of keyphrases or keywords."
            )
        place = clean_text(text)
        before = found[place].reference if place in found else None
        reference = _phrases(true) if isinstance(true, list) else before
        found[place] = Item(text, (_phrases(row[key]),), reference)
    if not found:
        raise InputError(f"{file}: has no rows.")
    return found


def _phrases(values: Sequence[Any]) -> tuple[str, ...]:
    """Phrases, each once; keywords of ``frtune predict`` come with their places."""
    texts = read_phrases(list(values), field="text")
    return tuple(dict.fromkeys(" ".join(text.split()) for text in texts))


def make_study(
    runs: Sequence[str | Path],
    data: str | Path | None = None,
    *,
    max_rows: int | None = None,
    with_reference: bool = False,
    seed: int = 42,
    columns: Mapping[str, str | None] | None = None,
    reading: Mapping[str, Any] | None = None,
    **settings: Any,
) -> RatingStudy:
    """Put a study together: the rows for which every run has a prediction.

    Args:
        runs: As for ``read_run``; named by as much of their path's end as tells them apart.
        data: The rows to judge, with their true phrases; as every command reads them. ``None``
            takes those of the first run.
        max_rows: Number of rows, drawn with a seed.
        with_reference: Let raters judge the true phrases too, as one more run.
        seed: Of the shuffles.
        columns: ``text`` and ``keyphrases``: names of the columns of ``data``; ``separator`` and
            ``field``, how its phrases are written; by default those of the first run's task.
        reading: ``encoding``, ``text_columns`` and ``decimal_comma`` of ``frtune.load_splits``.
        **settings: ``mode``, ``scale`` and ``question`` of ``RatingStudy``.

    Raises:
        InputError: If no row is in all runs, or ``with_reference`` finds no true phrases.
    """
    paths = [str(Path(path)) for path in runs]
    for path in paths:
        if paths.count(path) > 1:
            raise InputError(f"runs: {path} stands there twice. Name each one once.")
    names = named(paths)
    found = [read_run(path) for path in names.values()]
    if data is None:
        rows = ((item.text, item.reference) for item in found[0].values())
    else:
        rows = _rows_of_data(data, map(Path, names.values()), columns or {}, reading or {})
    items, seen = [], set()
    for text, reference in rows:
        key = clean_text(text)
        if key in seen or not all(key in run for run in found):
            continue
        seen.add(key)
        known = (run[key].reference for run in found)
        reference = reference or next((each for each in known if each is not None), None)
        phrases = [run[key].phrases[0] for run in found]
        if with_reference:
            if reference is None:
                continue
            phrases.append(reference)
        items.append(Item(text, tuple(phrases), reference))
    if not items:
        raise InputError(
            f"{', '.join(names)}: have no row{' with true phrases' if with_reference else ''} in "
            f"common{f' that is in {data}' if data else ''}. Predict the same rows with each run."
        )
    random.Random(seed).shuffle(items)
    if max_rows is not None and max_rows < 1:
        raise InputError(f"rows={max_rows}: at least 1. Leave it out to judge all.")
    run_names = (*names, REFERENCE) if with_reference else tuple(names)
    return RatingStudy(run_names, tuple(items[:max_rows]), seed=seed, **settings)


def _rows_of_data(
    data: str | Path,
    runs: Iterable[Path],
    columns: Mapping[str, str | None],
    reading: Mapping[str, Any],
) -> Iterator[tuple[str, tuple[str, ...] | None]]:
    """Text and true phrases of each row; test rows come first."""
    saved = next((run for run in runs if (run / TASK_FILE).is_file()), None)
    task: Any = load_task(saved) if saved else KeyphraseGeneration()
    text_column = columns.get("text") or task.text_columns[0]
    separator = columns.get("separator") or task.separator or "; "
    field = columns.get("field") or task.keyphrase_field
    phrases_column = columns.get("keyphrases") or task.label_columns[0]
    of_columns = {"text_column": text_column, "keyphrases_column": phrases_column}
    reader = KeyphraseGeneration(**of_columns, separator=separator)
    splits = read_noting(data, task=reader, task_name=task.name, **reading)
    for name in sorted(splits):  # test, train, validation
        rows = splits[name]
        columns_check(rows, [text_column], f"{data}, {name}")
        asked = columns.get("keyphrases")
        if asked is not None:
            columns_check(rows, [asked], f"{data}, {name}")
        usual = (asked, *task.label_columns, "keyphrases", "keywords")
        true = next((column for column in usual if column in rows.column_names), None)
        if true is not None:
            separator_check(rows, true, separator, f"{data}, {name}")
        for number, row in enumerate(rows, start=1):
            if not isinstance(row[text_column], str):
                continue
            phrases = None
            if true is not None and row[true] not in (None, ""):
                if detail := phrases_reason(row[true], true, field):
                    raise InputError(f"{data}, {name}, row {number}: {detail}. Correct such rows.")
                phrases = tuple(clean_keyphrases(read_phrases(row[true], separator, field)))
            yield row[text_column], phrases or None


def summary(study: RatingStudy) -> str:
    """What a study holds, in one line."""
    true = sum(item.reference is not None for item in study.items)
    texts = f"{len(study.items)} texts ({true} with true phrases)"
    return f"{texts}, {len(study.runs)} runs: {', '.join(study.runs)}"
