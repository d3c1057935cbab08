"""Where rows come from: files, folders, saved data sets, the hub, the bundled samples."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from datasets import (
    Dataset,
    DatasetDict,
    Features,
    concatenate_datasets,
    load_dataset,
    load_from_disk,
)

from frtune.data.arrow_cache import SUFFIXES, read_file, wider
from frtune.data.splitting import SPLITS
from frtune.errors import InputError, nearest

_OTHER_NAMES = {"dev": "validation", "valid": "validation", "val": "validation"}
_PREPARED = {"audit.json", "rejected.jsonl"}  # what frtune prepare leaves beside the splits
_SHARD = re.compile(r"-\d+-of-\d+$")
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?(:[\w.-]+)?(@[\w./-]+)?")


class Part(NamedTuple):
    """Rows of one split that came from one place; ``name`` is the file, or the data set's split."""

    split: str
    name: str
    rows: Dataset


def read_parts(
    source: str | Path | Dataset | DatasetDict,
    *,
    task_name: str = "keyphrases",
    encoding: str | None = None,
) -> tuple[list[Part], list[str]]:
    """Read all rows of ``source`` in its order, file by file; a column has one type in all."""
    if isinstance(source, Dataset):
        return [Part("train", "Dataset", source)], []
    if isinstance(source, Mapping):
        return _named_splits(source, "DatasetDict"), []
    if not isinstance(source, (str, Path)):
        raise InputError(
            f"data={type(source).__name__}: a path, a hub name, a Dataset or a DatasetDict. "
            "Turn anything else into a datasets.Dataset first."
        )
    if str(source) == "sample":
        return [_sample(task_name)], []
    path = Path(source)
    if not path.exists():
        return _from_hub(str(source)), []
    if any((path / name).exists() for name in ("state.json", "dataset_dict.json")):
        return _from_disk(path), []
    groups, notes = split_files(path)
    parts = [
        Part(split, str(file), read_file(file, encoding))
        for split, files in groups.items()
        for file in files
    ]
    return _same_types(parts), notes


def read_splits(
    source: str | Path | Dataset | DatasetDict,
    *,
    task_name: str = "keyphrases",
    encoding: str | None = None,
) -> tuple[dict[str, Dataset], list[str]]:
    """Read the splits that ``source`` has, whole and in its order; cut none and drop no row."""
    parts, notes = read_parts(source, task_name=task_name, encoding=encoding)
    found: dict[str, list[Dataset]] = {}
    for part in parts:
        found.setdefault(part.split, []).append(part.rows)
    return {
        split: found[split][0] if len(found[split]) == 1 else concatenate_datasets(found[split])
        for split in SPLITS
        if split in found
    }, notes


def name_of(source: Any) -> str:
    """How a source is called in a message: its path or name, or the kind of object."""
    return str(source) if isinstance(source, (str, Path)) else type(source).__name__


def split_files(path: Path) -> tuple[dict[str, list[Path]], list[str]]:
    """Group the files of ``path`` (a file or a folder) by split, with notes on those left out.

    The parts of one split, ``train-00000-of-00002.parquet`` and so on, stand in order.
    """
    if path.is_file():
        if path.suffix.lower() not in SUFFIXES:
            raise InputError(
                f"{path}: its extension says no format that is read here ({', '.join(SUFFIXES)}). "
                "Convert or rename it."
            )
        return {split_of(_SHARD.sub("", path.stem)) or "train": [path]}, []
    files = sorted(p for p in path.iterdir() if p.is_file() and p.suffix.lower() in SUFFIXES)
    if not files:
        raise InputError(
            f"{path}: holds no file to read ({', '.join(SUFFIXES)}). "
            "Name a folder with train, validation and test files, or one file."
        )
    groups: dict[str, list[Path]] = {}
    for file in files:
        groups.setdefault(split_of(_SHARD.sub("", file.stem)) or "", []).append(file)
    others = groups.pop("", [])
    if not groups:
        groups, others = {"train": others}, []
    for name, found in groups.items():
        whole = [file for file in found if not _SHARD.search(file.stem)]
        if len(found) > 1 and whole:
            raise InputError(
                f"{path}: {listed([file.name for file in found])} are all {name}. "
                "Keep one file for each split, or name the file to read."
            )
    notes = [
        f"{file.name} was not read: its name is not a split's"
        for file in others
        if file.name not in _PREPARED
    ]
    return {name: groups[name] for name in SPLITS if name in groups}, notes


def split_of(name: str) -> str | None:
    """Return the split that a file or split name stands for, or ``None``.

    Example:
        >>> split_of("Dev"), split_of("test"), split_of("articles")
        ('validation', 'test', None)
    """
    name = name.lower()
    return name if name in SPLITS else _OTHER_NAMES.get(name)


def _named_splits(splits: Mapping[Any, Dataset], where: str) -> list[Part]:
    """The three splits of a ``DatasetDict``; its only split, whatever its name, is train."""
    named: dict[str, Part] = {}
    for key, dataset in splits.items():
        name = split_of(str(key)) or ("train" if len(splits) == 1 else None)
        if name in named:
            raise InputError(f"{where}: has two splits for {name}. Drop one of them.")
        if name:
            named[name] = Part(name, f"{where}:{key}", dataset)
    if not named:
        raise InputError(
            f"{where}: its splits are {', '.join(map(str, splits))}. Name them train, validation "
            "and test, or pass one of them."
        )
    return list(named.values())


def _from_disk(path: Path) -> list[Part]:
    try:
        loaded = load_from_disk(str(path))
    except (FileNotFoundError, ValueError, OSError) as error:
        raise InputError(
            f"{path}: looks like a save_to_disk folder but does not open ({error}). "
            "Save the data set again."
        ) from None
    if isinstance(loaded, Dataset):
        return [Part("train", str(path), loaded)]
    return _named_splits(loaded, str(path))


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


def _from_hub(name: str) -> list[Part]:
    looks_like_path = name.startswith((".", "/", "~")) or Path(name).suffix.lower() in SUFFIXES
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


def _same_types(parts: list[Part]) -> list[Part]:
    """Give a column one type in all parts."""
    schema = pa.schema([])
    for part in parts:
        for field in part.rows.features.arrow_schema:
            known = schema.get_field_index(field.name)
            if known < 0:
                schema = schema.append(field)
                continue
            before = schema.field(known).type
            try:
                both = wider(before, field.type)
            except pa.ArrowException:
                if Path(part.name).suffix.lower() not in (".csv", ".tsv"):
                    raise InputError(
                        f"{part.name}, column {field.name}: holds {field.type}, but {before} in "
                        f"{Path(parts[0].name).name}. Give the column one type in every file."
                    ) from None
                both = pa.string()  # as cells of CSV can always be
            schema = schema.set(known, pa.field(field.name, both))
    same = []
    for part in parts:
        fields = pa.schema([schema.field(name) for name in part.rows.column_names])
        wanted = Features.from_arrow_schema(fields)
        as_it_is = part.rows.features == wanted
        same.append(part if as_it_is else part._replace(rows=part.rows.cast(wanted)))
    return same


def listed(names: list[str]) -> str:
    """Join names as a sentence does: ``a, b and c``."""
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


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
