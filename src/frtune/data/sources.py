"""Where rows come from: files, folders, saved data sets, the hub, the bundled samples."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict, Value, concatenate_datasets, load_dataset, load_from_disk

from frtune.data.arrow_cache import SUFFIXES, read_file
from frtune.data.compression import check_path, suffix_of
from frtune.data.folders import listed, split_files
from frtune.data.parquet_files import left_out
from frtune.data.parts import Part, same_types, words_joined
from frtune.data.reading import Reading
from frtune.data.split_names import assign, likely_split
from frtune.data.splitting import SPLITS
from frtune.data.text_lines import REPLACING, count_bad_bytes
from frtune.errors import InputError, nearest

_DECIMAL_COMMA = re.compile(r"[-+]?[0-9]*,[0-9]+", re.ASCII)
_END = b"\xff\xff\xff\xff\0\0\0\0"  # of a stream in Arrow's format
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?(:[\w.-]+)?(@[\w./-]+)?")


def read_parts(
    source: str | Path | Dataset | DatasetDict,
    *,
    task_name: str = "keyphrases",
    reading: Reading | None = None,
) -> tuple[list[Part], list[str]]:
    """Read all rows of ``source`` in its order, file by file; a column has one type in all.

    Returns:
        The parts, and notes on what was left out.

    Raises:
        InputError: With file and line, for what cannot be read.
    """
    reading = reading or Reading()
    try:
        parts, notes = _parts(source, task_name, reading)
    except (PermissionError, IsADirectoryError, NotADirectoryError) as error:
        raise InputError(
            f"{error.filename or source}: cannot be read ({error.strerror}). Check what it is, and "
            "who may read it."
        ) from None
    parts = [part._replace(rows=_in_nfc(part.rows, part.name)) for part in parts]
    parts, joined = words_joined(same_types(parts, reading), reading.texts)
    if reading.decimal_comma:
        parts = [part._replace(rows=with_points(part.rows, reading.scores)) for part in parts]
    return parts, notes + joined


def with_points(rows: Dataset, columns: Collection[str]) -> Dataset:
    """Write ``3,8`` as ``3.8`` in columns of text that hold scores."""
    for column in columns:
        if column in rows.column_names and rows.features[column] == Value("string"):
            rows = rows.map(
                lambda batch, name=column: {name: [_point(value) for value in batch[name]]},
                batched=True,
            )
    return rows


def _point(value: str | None) -> str | None:
    whole = value is not None and _DECIMAL_COMMA.fullmatch(value.strip())
    return value.replace(",", ".") if value is not None and whole else value


def _parts(source: Any, task_name: str, reading: Reading) -> tuple[list[Part], list[str]]:
    if isinstance(source, Dataset):
        return [Part("train", "Dataset", source)], []
    if isinstance(source, Mapping):
        return _named_splits(source, "DatasetDict")
    if not isinstance(source, (str, Path)):
        raise InputError(
            f"data={type(source).__name__}: a path, a hub name, a Dataset or a DatasetDict. "
            "Turn anything else into a datasets.Dataset first."
        )
    if str(source) == "sample":
        return [_sample(task_name)], []
    path = Path(source)
    if not check_path(path):
        return _from_hub(str(source))
    if any((path / name).exists() for name in ("state.json", "dataset_dict.json")):
        return _from_disk(path)
    groups, notes = split_files(path)
    parts = []
    for split, group in groups.items():
        for file in group:
            parts.append(Part(split, str(file), read_file(file, reading=reading)))
            notes += _notes_of(file, reading)
    return parts, notes


def _notes_of(file: Path, reading: Reading) -> list[str]:
    """What a user should know of how a file was read."""
    notes = []
    if suffix_of(file) == ".parquet":
        notes += [
            f"{file.name}: column {name} was not read: its type is {kind}"
            for name, kind in left_out(file).items()
        ]
    elif reading.encoding == REPLACING and not file.is_dir():
        bad, _ = count_bad_bytes(file)
        if bad:
            notes.append(f"{file.name}: {bad} places that are not UTF-8 were replaced by U+FFFD")
    return notes


def _in_nfc(rows: Dataset, where: str) -> Dataset:
    """Give columns their names in NFC, as people type them."""
    names = {name: unicodedata.normalize("NFC", name) for name in rows.column_names}
    changed = {old: new for old, new in names.items() if old != new}
    if not changed:
        return rows
    if len(set(names.values())) < len(names):
        raise InputError(
            f"{where}: has {', '.join(changed.values())} more than once. Rename the columns."
        )
    return rows.rename_columns(changed)


def read_splits(
    source: str | Path | Dataset | DatasetDict,
    *,
    task_name: str = "keyphrases",
    encoding: str | None = None,
    reading: Reading | None = None,
) -> tuple[dict[str, Dataset], list[str]]:
    """Read the splits that ``source`` has, whole and in its order; cut none and drop no row."""
    reading = reading or Reading(encoding)
    parts, notes = read_parts(source, task_name=task_name, reading=reading)
    return joined_parts(parts), notes


def joined_parts(parts: Iterable[Part]) -> dict[str, Dataset]:
    """The rows of each split, file after file."""
    found: dict[str, list[Dataset]] = {}
    for part in parts:
        found.setdefault(part.split, []).append(part.rows)
    return {
        split: found[split][0] if len(found[split]) == 1 else concatenate_datasets(found[split])
        for split in SPLITS
        if split in found
    }


def name_of(source: Any) -> str:
    """How a source is called in a message: its path or name, or the kind of object."""
    return str(source) if isinstance(source, (str, Path)) else type(source).__name__


def _named_splits(splits: Mapping[Any, Dataset], where: str) -> tuple[list[Part], list[str]]:
    """The three splits of a ``DatasetDict``; its only split, whatever its name, is train."""
    names = [str(key) for key in splits]
    assigned = assign(names) or ({"train": names} if len(names) == 1 else {})
    if not assigned:
        raise InputError(
            f"{where}: its splits are {', '.join(names)}. Name them train, validation "
            "and test, or pass one of them."
        )
    for split, found in assigned.items():
        if len(found) > 1:
            raise InputError(
                f"{where}: has two splits for {split} ({listed(found)}). Drop one of them."
            )
    read = {found[0]: split for split, found in assigned.items()}
    notes = [
        f"split {name} was not read: its name is not a split's"
        for name in names
        if name not in read
    ]
    parts = [
        Part(read[str(key)], f"{where}:{key}", rows)
        for key, rows in splits.items()
        if str(key) in read
    ]
    return parts, notes


def _from_disk(path: Path) -> tuple[list[Part], list[str]]:
    for entry in path.rglob("*"):
        check_path(entry)
    try:
        loaded = load_from_disk(str(path))
    except (IndexError, ValueError, OSError) as error:  # IndexError: a split without rows
        raise InputError(
            f"{path}: looks like a save_to_disk folder but does not open ({error}). "
            "Save the data set again."
        ) from None
    for rows in [loaded] if isinstance(loaded, Dataset) else loaded.values():
        for file in rows.cache_files:
            _check_end(Path(file["filename"]))
    if isinstance(loaded, Dataset):
        return [Part("train", str(path), loaded)], []
    parts, notes = _named_splits(loaded, str(path))
    for folder in sorted(path.iterdir()):  # what the folder's own list of splits does not name
        if folder.is_dir() and folder.name not in loaded and not folder.name.startswith("."):
            split = likely_split(folder.name)
            if split and split not in {part.split for part in parts}:
                raise InputError(
                    f"{folder}: looks like the {split} split, but dataset_dict.json does not name "
                    "it. Save the data set again, or move the folder away."
                )
            notes.append(f"{folder.name} was not read: dataset_dict.json does not name it")
    return parts, notes


def _check_end(file: Path) -> None:
    """Refuse a saved file that was cut between two batches: it opens, with the rows before."""
    with open(file, "rb") as stream:
        stream.seek(max(0, file.stat().st_size - len(_END)))
        if stream.read() != _END:
            raise InputError(
                f"{file}: ends too early, so rows are missing. Save the data set again."
            )


@contextmanager
def quiet_hub() -> Iterator[None]:
    """Keep the hub client's log of every retry off the screen; the error at the end says it."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _from_hub(name: str) -> tuple[list[Part], list[str]]:
    looks_like_path = name.startswith((".", "/", "~")) or suffix_of(Path(name)) in SUFFIXES
    if looks_like_path or not _HUB_NAME.fullmatch(name):
        folder = Path(name).expanduser().parent
        beside = [file.name for file in folder.iterdir()] if folder.is_dir() else []
        raise InputError(
            f"data={name}: no such file or folder.{nearest(Path(name).name, beside)} "
            "Check the path."
        )
    repository, config, revision = hub_name(name)
    try:
        with quiet_hub():
            return _named_splits(load_dataset(repository, config, revision=revision), name)
    except InputError:
        raise
    except Exception as error:  # the hub's client has no common error
        raise InputError(
            f"data={name}: no such file or folder, and the hub gave no data set of that name "
            f"({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''})."
            f"{nearest(name, ['sample'])} Check the name and the connection."
        ) from None


def hub_name(name: str) -> tuple[str, str | None, str | None]:
    """Take apart ``owner/name:config@revision``, of which the last two may be missing.

    Example:
        >>> hub_name("getalp/flue:CLS@refs/convert/parquet")
        ('getalp/flue', 'CLS', 'refs/convert/parquet')
        >>> hub_name("cornell-movie-review-data/rotten_tomatoes")
        ('cornell-movie-review-data/rotten_tomatoes', None, None)
    """
    whole, _, revision = name.partition("@")
    repository, _, config = whole.partition(":")
    return repository, config or None, revision or None


def samples() -> dict[str, Any]:
    """The bundled samples, as resources, by the name of the task that they are for."""
    bundled = (files("frtune.data") / "samples").iterdir()
    return {Path(file.name).stem: file for file in bundled if Path(file.name).suffix in SUFFIXES}


def _sample(task_name: str) -> Part:
    have = samples()
    if task_name not in have:
        raise InputError(
            f"data=sample: there is no sample for {task_name}. Samples: {', '.join(sorted(have))}."
        )
    with as_file(have[task_name]) as path:
        return Part("train", f"sample/{have[task_name].name}", read_file(path))


def scored_split(splits: Collection[str], split: str | None, where: object) -> str:
    """Name the split that is read without training: ``split``, else test, validation or train.

    Raises:
        InputError: If the data has no split of that name.

    Example:
        >>> scored_split({"train": [], "test": []}, None, "reviews")
        'test'
    """
    if split is None:
        return next(name for name in ("test", "validation", "train") if name in splits)
    if split not in splits:
        raise InputError(f"split={split}: {where} has {', '.join(splits)}. Name one of these.")
    return split
