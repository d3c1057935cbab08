"""Options that say how the columns of a file are called and read, the same in every command."""

from __future__ import annotations

import argparse
from argparse import SUPPRESS, Action
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from frtune.cli.arguments import options_of
from frtune.tasks.config_file import task_class, task_names


@dataclass(frozen=True)
class ReadingOptions:
    """How files are read.

    Attributes:
        encoding: Encoding of text files, such as cp1252 or cp949; utf-8-replace writes U+FFFD for
            bytes that are not UTF-8 (default: utf-8, or that of the byte order mark).
        text_columns: Columns of CSV, TSV and Excel files whose cells stay text, also when they
            look like numbers.
        decimal_comma: Read cells such as 3,8 as numbers.
    """

    encoding: str | None = None
    text_columns: list[str] | None = None
    decimal_comma: bool = False


def column_options(
    names: Collection[str] | None = None, *, further: Collection[str] = (), defaults: bool = False
) -> dict[str, list[Action]]:
    """The options of all tasks that say what stands in which column, as their fields document them.

    What was not given is left out of the parsed options.

    Args:
        names: Those of some fields; ``None`` takes all of columns.
        further: Fields besides.
        defaults: Whether the help tells what the tasks have by default.
    """
    found: dict[str, list[Action]] = {}
    for task in task_names():
        for name, (action, *_) in options_of(task_class(task)).items():
            of_columns = name.endswith("_column") or name == "keyphrase_field"
            if name in further or (of_columns if names is None else name in names):
                if defaults and action.default is not None:
                    action.help = f"{action.help} [{action.default}]"
                action.default = SUPPRESS  # so that it shows which ones were given
                found.setdefault(name, [action])
    return found


def given_columns(
    parsed: argparse.Namespace, columns: Mapping[str, list[Action]]
) -> dict[str, str]:
    """The columns that were named, by the fields of a task."""
    return {name: value for name, value in vars(parsed).items() if name in columns}
