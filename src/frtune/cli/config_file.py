"""The flat YAML file of ``--config``: options by name, and nothing that YAML could do besides."""

from __future__ import annotations

from argparse import Action
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from frtune.errors import InputError, first_line, nearest

MOST_BYTES = 1_000_000  # longer than thousands of labels
# texts that may be empty, or are checked where they are known
MAY_BE_EMPTY = {"prefix", "separator", "instruction", "text", "text_pair", "question", "debug"}
NOT_THERE = ("help", "help_all", "config", "seeds", "learning_curve")
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_config_file(path: str, options: Mapping[str, Action]) -> dict[str, Any]:
    """What the file says, by the names of options; its keys have dashes or underscores.

    Args:
        path: Of a regular file: ``key: value`` lines, a value being one word or number, or a list.
        options: The options of the command by name.

    Returns:
        Texts and lists of texts, as the command line gives them.

    Raises:
        InputError: If it cannot be read, has no such form, or a key is unknown or comes twice.
    """
    values: dict[str, Any] = {}
    for key, value in _content(path).items():
        name = str(key).replace("-", "_")
        if name not in options or name in NOT_THERE:
            raise InputError(f"--config {path}: {key}: no such key.{nearest(name, [*options])}")
        values[name] = _value(value, options[name], f"--config {path}: {key}")
    return values


def check_config_files(argv: Sequence[str]) -> None:
    """Refuse (``InputError``) a ``--config`` of no such form, before large libraries are loaded."""
    for word, following in zip(argv, [*argv[1:], ""], strict=True):
        if word == "--config":
            _content(following)
        elif word.startswith("--config="):
            _content(word.partition("=")[2])


def _content(path: str) -> dict[Any, Any]:
    text = _read(path)
    try:
        _check_form(text, path)
        content = yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        said = " ".join(str(error).split())[:200]
        raise InputError(f"--config {path}: cannot be read ({said}).") from error
    if not isinstance(content, dict):
        raise InputError(f"--config {path}: holds no 'key: value' lines.")
    for key, value in content.items():
        if value is None:
            raise InputError(f"--config {path}: {key}: has no value. Give one, or remove the line.")
        for each in value if isinstance(value, list) else [value]:
            if not isinstance(each, str | bool | int | float):
                raise InputError(
                    f"--config {path}: {key}: one value, not a {type(each).__name__} ({each}). "
                    "Quote it if it is text."
                )
    return content


def _read(path: str) -> str:
    if not path:
        raise InputError("--config: is empty. Give a YAML file, or leave it out.")
    try:
        file = Path(path)
        if file.exists() and not file.is_file():  # a pipe or a device may never end
            raise InputError(f"--config {path}: is no regular file. Give a YAML file.")
        if (size := file.stat().st_size) > MOST_BYTES:
            raise InputError(
                f"--config {path}: has {size:,} bytes, and options take {MOST_BYTES:,} at most."
            )
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"--config {path}: is not UTF-8 ({first_line(error)}).") from error
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"--config {path}: cannot be read ({error}).") from error


def _check_form(text: str, path: str) -> None:
    """Refuse aliases, which may grow without end, and what is nested: before anything is built."""
    depth, documents = 0, 0
    words: list[str | None] = []  # keys and values by turns
    for event in yaml.parse(text, Loader=_Loader):
        documents += isinstance(event, yaml.DocumentStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth == 1 and isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            words.append(getattr(event, "value", None))
        depth += isinstance(event, yaml.CollectionStartEvent)
        where = f"--config {path}, line {event.start_mark.line + 1}"
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise InputError(f"{where}: an anchor or alias. Write the value.")
        if depth > 2 or documents > 1:
            raise InputError(f"{where}: one value or one list for each key.")
    keys = Counter(str(word).replace("-", "_") for word in words[::2])
    if twice := [key for key, count in keys.items() if count > 1]:
        raise InputError(f"--config {path}: {twice[0]}: stands there twice. Remove one.")


def _value(value: Any, option: Action, where: str) -> Any:
    """A value as the command line would give it, so that a wrong one is an error like there."""
    if isinstance(value, list):
        if option.nargs != "+":
            raise InputError(f"{where}: one value, not a list ({value}). Quote it if it is text.")
        return [_word(each, option, where) for each in value]
    return _word(value, option, where)


def _word(value: Any, option: Action, where: str) -> str:
    if isinstance(value, bool) and getattr(option.type, "__name__", "") in ("str", "nfc"):
        raise InputError(f'{where}: {value} is true or false in YAML. Quote it ("yes").')
    if value == "" and option.dest not in MAY_BE_EMPTY:
        raise InputError(f"{where}: is empty. Give a value, or remove the line.")
    return value if isinstance(value, str) else str(value)
