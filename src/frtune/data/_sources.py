"""Where rows come from: files, folders, saved data sets, the hub, the bundled samples."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frtune.data._arrow import SUFFIXES, read_file
from frtune.errors import InputError, nearest

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

SPLITS = ("train", "validation", "test")

_OTHER_NAMES = {"dev": "validation", "valid": "validation", "val": "validation"}
_SHARD = re.compile(r"-\d+-of-\d+$")
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?(:[\w.-]+)?")


def read_splits(
    source: str | Path | Dataset | DatasetDict,
    *,
    task_name: str = "keyphrases",
    encoding: str | None = None,
) -> tuple[dict[str, Dataset], list[str]]:
    """Read the splits that ``source`` has, whole and in its order; cut none and drop no row."""
    from datasets import Dataset

    if isinstance(source, Dataset):
        return {"train": source}, []
    if isinstance(source, Mapping):
        return _named_splits(source, "the DatasetDict"), []
    if not isinstance(source, (str, Path)):
        raise InputError(
            f"data={type(source).__name__}: a path, a hub name, a Dataset or a DatasetDict. "
            "Turn anything else into a datasets.Dataset first."
        )
    if str(source) == "sample":
        return _sample(task_name), []
    path = Path(source)
    if not path.exists():
        return _from_hub(str(source)), []
    if path.is_dir() and any(
        (path / name).exists() for name in ("state.json", "dataset_dict.json")
    ):
        return _from_disk(path), []
    groups, notes = split_files(path)
    read = {name: [read_file(file, encoding) for file in files] for name, files in groups.items()}
    return _same_types(read, groups), notes


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
    notes = [f"{file.name} was not read: its name is not a split's" for file in others]
    return {name: groups[name] for name in SPLITS if name in groups}, notes


def split_of(name: str) -> str | None:
    """Return the split that a file or split name stands for, or ``None``.

    Example:
        >>> split_of("Dev"), split_of("test"), split_of("articles")
        ('validation', 'test', None)
    """
    name = name.lower()
    return name if name in SPLITS else _OTHER_NAMES.get(name)


def _named_splits(splits: Mapping[Any, Dataset], where: str) -> dict[str, Dataset]:
    """The three splits of a ``DatasetDict``; its only split, whatever its name, is train."""
    named: dict[str, Dataset] = {}
    for key, dataset in splits.items():
        name = split_of(str(key)) or ("train" if len(splits) == 1 else None)
        if name in named:
            raise InputError(f"{where}: has two splits for {name}. Drop one of them.")
        if name:
            named[name] = dataset
    if not named:
        raise InputError(
            f"{where}: its splits are {', '.join(map(str, splits))}. Name them train, validation "
            "and test, or pass one of them."
        )
    return named


def _from_disk(path: Path) -> dict[str, Dataset]:
    from datasets import Dataset, load_from_disk

    try:
        loaded = load_from_disk(str(path))
    except (FileNotFoundError, ValueError, OSError) as error:
        raise InputError(
            f"{path}: looks like a save_to_disk folder but does not open ({error}). "
            "Save the data set again."
        ) from None
    return {"train": loaded} if isinstance(loaded, Dataset) else _named_splits(loaded, str(path))


def _from_hub(name: str) -> dict[str, Dataset]:
    looks_like_path = name.startswith((".", "/", "~")) or Path(name).suffix.lower() in SUFFIXES
    if looks_like_path or not _HUB_NAME.fullmatch(name):
        folder = Path(name).expanduser().parent
        beside = [file.name for file in folder.iterdir()] if folder.is_dir() else []
        raise InputError(
            f"data={name}: no such file or folder.{nearest(Path(name).name, beside)} "
            "Check the path."
        )
    from datasets import load_dataset

    repository, _, config = name.partition(":")
    try:
        return _named_splits(load_dataset(repository, config or None), name)
    except InputError:
        raise
    except Exception as error:  # the hub's client has no common error
        raise InputError(
            f"data={name}: no such file or folder, and the hub gave no data set of that name "
            f"({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''})."
            f"{nearest(name, ['sample'])} Check the name and the connection."
        ) from None


def _sample(task_name: str) -> dict[str, Dataset]:
    from importlib.resources import as_file, files

    bundled = (files("frtune.data") / "samples").iterdir()
    have = {Path(f.name).stem: f for f in bundled if Path(f.name).suffix in SUFFIXES}
    if task_name not in have:
        raise InputError(
            f"data=sample: there is no sample for {task_name}. Samples: {', '.join(sorted(have))}."
        )
    with as_file(have[task_name]) as path:
        return {"train": read_file(path)}


def _same_types(
    read: dict[str, list[Dataset]], groups: dict[str, list[Path]]
) -> dict[str, Dataset]:
    """Join the parts of each split, with one type for a column in all of them."""
    import pyarrow as pa
    from datasets import Features, concatenate_datasets

    schema = pa.schema([])
    files = [file for found in groups.values() for file in found]
    parts = [part for found in read.values() for part in found]
    for file, part in zip(files, parts, strict=True):
        for field in part.features.arrow_schema:
            known = schema.get_field_index(field.name)
            if known < 0:
                schema = schema.append(field)
                continue
            wider = _common_type(schema.field(known).type, field.type, file.suffix.lower())
            if wider is None:
                raise InputError(
                    f"{file}, column {field.name}: holds {field.type}, but "
                    f"{schema.field(known).type} in {files[0].name}. "
                    "Give the column one type in every file."
                )
            schema = schema.set(known, pa.field(field.name, wider))
    joined = {}
    for name, found in read.items():
        cast = []
        for part in found:
            fields = pa.schema([schema.field(column) for column in part.column_names])
            features = Features.from_arrow_schema(fields)
            cast.append(part if part.features == features else part.cast(features))
        joined[name] = concatenate_datasets(cast) if len(cast) > 1 else cast[0]
    return joined


def _common_type(left: Any, right: Any, suffix: str) -> Any:
    """The type that holds both; ``None`` when there is none. Cells of CSV can always be text."""
    import pyarrow as pa

    schemas = [pa.schema([("x", left)]), pa.schema([("x", right)])]
    try:
        return pa.unify_schemas(schemas, promote_options="permissive").field("x").type
    except pa.ArrowException:
        return pa.string() if suffix in (".csv", ".tsv") else None


def listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
