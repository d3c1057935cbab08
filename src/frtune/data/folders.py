"""Which files of a folder are read, as which split; what is not read is named, or refused."""

from __future__ import annotations

from pathlib import Path

from frtune.data.arrow_cache import SUFFIXES
from frtune.data.compression import bare_name, check_path, suffix_of
from frtune.data.key_files import KEY, TEXT, folders_of
from frtune.data.readers import find_delimiter
from frtune.data.split_names import (
    are_siblings,
    assign,
    check_shards,
    likely_split,
    shard_of,
    split_of,
)
from frtune.data.splitting import SPLITS
from frtune.data.text_lines import read_lines
from frtune.errors import InputError

_PREPARED = {"audit.json", "rejected.jsonl"}  # what frtune prepare leaves beside the splits
# what stands beside data and holds no rows
_NO_ROWS = {
    ".md", ".rst", ".py", ".sh", ".ipynb", ".yaml", ".yml", ".toml", ".cfg", ".log", ".pdf",
    ".png", ".svg", ".html", ".lock", ".sha256", ".md5", "",
}  # fmt: skip


def split_files(path: Path) -> tuple[dict[str, list[Path]], list[str]]:
    """Group the files of ``path`` (a file or a folder) by split, with notes on those left out.

    The parts of one split, ``train-00000-of-00002.parquet`` and so on, stand in order. A folder
    ``test`` in the folder holds the parts of test.

    Raises:
        InputError: If nothing can be read, if two files are one split, if a part is missing, or if
            what looks like a split cannot be read: it would be cut from train, or lost.
    """
    check_path(path)
    if path.is_file():
        return _one_file(path)
    if folders_of(path):
        split = split_of(path.name) or "train"
        return {split: [path]}, _beside_keys(path, split)
    entries = [entry for entry in sorted(path.iterdir()) if not entry.name.startswith(".")]
    readable = [entry for entry in entries if _is_readable(entry)]
    if not readable:
        return _inner(path, entries)
    stems = {entry: shard_of(_stem(entry)).name for entry in readable}
    assigned = assign(stems.values()) or {"train": list(stems.values())}
    groups = {
        split: [entry for entry in readable if stems[entry] in names]
        for split, names in assigned.items()
    }
    notes = _check_groups(path, groups)
    taken = {entry for group in groups.values() for entry in group}
    notes += _left_out(path, [entry for entry in entries if entry not in taken], set(groups))
    notes += [
        f"{split} was read from {entry.name}"
        for split, group in groups.items()
        for entry in group
        if split_of(stems[entry]) is None and len(groups) > 1
    ]
    return {
        split: [file for entry in groups[split] for file in _files(entry)]
        for split in SPLITS
        if split in groups
    }, notes


def is_table_of_tabs(path: Path) -> bool:
    """Tell whether a ``.txt`` file is a table: its first line has tabs."""
    try:
        head = next((line for _, line in read_lines(path) if line.strip()), "")
    except InputError:
        return False
    return find_delimiter(head, ".tsv") == "\t" and "\t" in head


def _stem(path: Path) -> str:
    return path.name if path.is_dir() else Path(bare_name(path)).stem


def _is_readable(entry: Path) -> bool:
    """Tell whether an entry of a folder holds rows; a folder does under a split's name alone."""
    if entry.is_dir():
        return likely_split(entry.name) is not None and bool(_files(entry))
    if not entry.is_file() or entry.name in _PREPARED:
        return False
    suffix = suffix_of(entry)
    return suffix in SUFFIXES or (suffix == ".txt" and is_table_of_tabs(entry))


def _files(entry: Path) -> list[Path]:
    """The file itself, or the files of a split's folder in order."""
    if not entry.is_dir() or folders_of(entry):
        return [entry]
    return [
        file
        for file in sorted(entry.iterdir())
        if not file.name.startswith(".") and file.is_file() and _is_readable(file)
    ]


def _one_file(path: Path) -> tuple[dict[str, list[Path]], list[str]]:
    if suffix_of(path) not in SUFFIXES and not (
        suffix_of(path) == ".txt" and is_table_of_tabs(path)
    ):
        raise InputError(
            f"{path}: its extension says no format that is read here ({', '.join(SUFFIXES)}). "
            "Convert or rename it."
        )
    shard = shard_of(_stem(path))
    notes = []
    if shard.parts and shard.parts > 1:
        notes.append(f"{path.name} is one of {shard.parts} parts, and was read alone")
    split = split_of(shard.name) or "train"
    if split == "train" and likely_split(shard.name) in (None, "train"):
        beside = sorted(
            other.name
            for other in path.resolve().parent.iterdir()
            if are_siblings(shard.name, shard_of(_stem(other)).name)
            and likely_split(shard_of(_stem(other)).name) != "train"
            and (_has_files(other) if other.is_dir() else suffix_of(other) not in _NO_ROWS)
        )
        if beside:
            notes.append(f"{listed(beside)} beside {path.name} not read: name the folder")
    return {split: [path]}, notes


def _has_files(folder: Path) -> bool:
    return bool(folders_of(folder)) or any(map(_is_readable, folder.iterdir()))


def _inner(path: Path, entries: list[Path]) -> tuple[dict[str, list[Path]], list[str]]:
    """What a folder holds that has no rows itself: one other folder, perhaps."""
    folders = [entry for entry in entries if entry.is_dir() and _has_files(entry)]
    if len(folders) == 1:
        groups, notes = split_files(folders[0])
        others = [entry for entry in entries if entry != folders[0]]
        return groups, notes + _left_out(path, others, set(groups))
    if folders:
        raise InputError(
            f"{path}: holds {len(folders)} folders with files "
            f"({listed([folder.name for folder in folders[:5]])}), and one is read. Name it."
        )
    for entry in entries:
        if suffix_of(entry) in SUFFIXES and not entry.is_dir():
            check_path(entry)  # a link to nothing, say
    raise InputError(
        f"{path}: holds no file to read ({', '.join(SUFFIXES)}). "
        "Name a folder with train, validation and test files, or one file."
    )


def _check_groups(path: Path, groups: dict[str, list[Path]]) -> list[str]:
    """Refuse two wholes for a split, and a missing part; return notes on gaps."""
    notes = []
    for split, group in groups.items():
        shards = [shard_of(_stem(entry)) for entry in group]
        numbers = [(shard.name, shard.number) for shard in shards]
        parts = all(
            shard.number is not None and not e.is_dir()
            for shard, e in zip(shards, group, strict=True)
        )
        if len(group) > 1 and (not parts or len(set(numbers)) < len(group)):
            raise InputError(
                f"{path}: {listed([entry.name for entry in group])} are all {split}. "
                "Keep one file for each split, or name the file to read."
            )
        notes += check_shards([_stem(entry) for entry in group], str(path))
        for entry in group:
            if entry.is_dir() and not folders_of(entry):
                files = [file.relative_to(path) for file in _files(entry)]
                others = [
                    f for f in files if likely_split(shard_of(_stem(f)).name) not in (None, split)
                ]
                if others:
                    raise InputError(
                        f"{path / others[0]}: looks like another split than {split}, which its "
                        "folder says. Move it, or name the folder or the file to read."
                    )
                notes += check_shards([_stem(file) for file in files], str(entry))
                inside = [e for e in sorted(entry.iterdir()) if e not in _files(entry)]
                notes += _left_out(entry, inside, set(SPLITS))
    return notes


def _left_out(path: Path, entries: list[Path], read: set[str]) -> list[str]:
    """Say what is not read; refuse what looks like a split that is missing otherwise.

    Args:
        path: The folder.
        entries: What is not read in it.
        read: The splits that are read.
    """
    notes = []
    for entry in entries:
        suffix = suffix_of(entry)
        if entry.name.startswith(".") or entry.name in _PREPARED:
            continue
        split = likely_split(shard_of(_stem(entry)).name) or _split_inside(entry, read)
        holds_none = suffix in _NO_ROWS and not entry.is_dir() and not entry.is_symlink()
        if not entry.is_dir() and (split or suffix in SUFFIXES) and not holds_none:
            check_path(entry)  # a link to nothing, a pipe
        if split and split not in read and not (holds_none and suffix):
            raise InputError(
                f"{path / entry.name}: looks like the {split} split, and is not read "
                f"({_why(entry)}). Write it as one of {', '.join(SUFFIXES[:6])}, or move it away."
            )
        if suffix in SUFFIXES and not entry.is_dir():
            why = f"{split} is read from elsewhere" if split else "its name is not a split's"
            notes.append(f"{entry.name} was not read: {why}")
        elif not holds_none:
            notes.append(f"{entry.name} was not read: {_why(entry)}")
    return notes


def _split_inside(entry: Path, read: set[str]) -> str | None:
    """A split that a folder seems to hold, and that is not read."""
    if not entry.is_dir():
        return None
    inside = (likely_split(shard_of(_stem(e)).name) for e in entry.iterdir() if _is_readable(e))
    return next((split for split in inside if split and split not in read), None)


def _beside_keys(path: Path, split: str) -> list[str]:
    """What is not read beside texts and keys, and in their folders."""
    folders = folders_of(path) or ()
    beside = [e for e in sorted(path.iterdir()) if e not in folders and e.suffix not in (TEXT, KEY)]
    notes = _left_out(path, beside, {split})
    for folder in {*folders} - {path}:
        others = [e for e in folder.iterdir() if e.suffix not in (TEXT, KEY)]
        if others:
            notes.append(f"{folder.name}: {len(others)} files were not read ({others[0].name})")
    return notes


def _why(entry: Path) -> str:
    if entry.is_dir():
        return "a folder without rows" if likely_split(entry.name) else "a folder"
    if suffix_of(entry) == ".txt":
        return "a .txt is read when its header has tabs"
    return f"{suffix_of(entry) or 'no suffix'} is no format that is read here"


def listed(names: list[str]) -> str:
    """Join names as a sentence does: ``a, b and c``."""
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
