"""Options of a command from dataclasses: each is documented in its field, and nowhere else."""

from __future__ import annotations

import argparse
import inspect
import re
import shutil
import unicodedata
from argparse import SUPPRESS, Action, BooleanOptionalAction
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, NoReturn, TypeVar

from transformers import HfArgumentParser

from frtune.cli.config_file import MAY_BE_EMPTY
from frtune.errors import InputError, nearest
from frtune.ranges import check_ranges

Made = TypeVar("Made")

WIDTH = 100  # columns of a help text, where the terminal has as many
METAVARS = {"int": "N", "float": "X", "string_to_bool": "BOOL"}


def documented(cls: type) -> dict[str, str]:
    """What the ``Attributes`` section of a class's docstring says of each field, or its base's."""
    inherited = documented(cls.__base__) if is_dataclass(cls.__base__) else {}
    return inherited | _attributes(cls)


def _attributes(cls: type) -> dict[str, str]:
    section = re.split(r"\n\w+:\n", inspect.getdoc(cls) or "", maxsplit=1)[-1]
    lines = re.sub(r"\n {8}", " ", section.partition("\n\n")[0])
    return dict(re.findall(r"^ {4}(\w+): (.+)$", lines, flags=re.MULTILINE))


def options_of(
    cls: type, *, switches: bool = True, positional: Sequence[str] = ()
) -> dict[str, list[Action]]:
    """The options of a dataclass by the names of its fields, for ``Parser.add_options``.

    Args:
        cls: Documents its fields under ``Attributes``, or in their ``metadata["help"]``. Further
            metadata is for ``add_argument``: ``choices``, ``metavar``.
        switches: Whether the option of a ``bool`` takes no value, so that no word behind it is
            taken for one. Otherwise ``--merge false`` is understood too, as ``Trainer``'s scripts
            do.
        positional: Fields that are given by their place.
    """
    texts, found = documented(cls), {}
    for action in HfArgumentParser(cls, add_help=False)._actions:  # type: ignore[arg-type]
        name = action.dest
        action.option_strings = [flag for flag in action.option_strings if "_" not in flag]
        if action.help != SUPPRESS:
            text = texts[name].replace("%", "%%") if name in texts else action.help or ""
            action.help = text.replace("``", "").replace("`", "")
        if name.endswith(("_column", "_columns", "_field")) and action.type is str:
            action.type = nfc
        if name in positional:
            action.option_strings, action.required = [], action.nargs != "*"
        elif action.metavar is None and len(list(action.choices or ())) not in range(1, 7):
            action.metavar = METAVARS.get(getattr(action.type, "__name__", ""), "TEXT")
        found.setdefault(name, []).append(action)
    for name, actions in found.items():
        if switches and getattr(actions[0].type, "__name__", "") == "string_to_bool":
            found[name] = [_switch(actions)]
        elif len(actions) > 1:  # the help shows --no-x in the line of --x
            actions[0].shown = [flag for each in actions for flag in each.option_strings]
            actions[1].help = SUPPRESS
    return found


def nfc(name: str) -> str:
    """The name of a column as data has it: in NFC, however the keyboard wrote it."""
    return unicodedata.normalize("NFC", name)


def _switch(actions: list[Action]) -> Action:
    """A switch for a ``bool``: ``--x``, ``--no-x`` where it is on, both where it may be None."""
    first = actions[0]
    if first.default is None:
        return BooleanOptionalAction(first.option_strings, first.dest, help=first.help)
    kind = argparse._StoreFalseAction if first.default else argparse._StoreTrueAction
    return kind(actions[-1].option_strings, first.dest, default=first.default, help=first.help)


def made(cls: type[Made], chosen: argparse.Namespace, **given: Any) -> Made:
    """The dataclass from what was parsed; ``given`` wins."""
    names = [item.name for item in fields(cls)]  # type: ignore[arg-type]
    return cls(**{**{n: getattr(chosen, n) for n in names if hasattr(chosen, n)}, **given})


class Parser(argparse.ArgumentParser):
    """A parser of groups of options that raises ``InputError`` and names the nearest option.

    Option names have dashes; underscores are understood when they are typed.
    """

    def __init__(self, **settings: Any):
        super().__init__(allow_abbrev=False, formatter_class=_HelpFormatter, **settings)

    def add_options(
        self,
        title: str | None,
        options: Mapping[str, Iterable[Action]],
        names: Sequence[str] | None = None,
        *,
        hidden: bool = False,
    ) -> None:
        """Add a group with the options of some fields, of all by default.

        Args:
            title: Of the group; ``None`` adds them to ``--help``'s own.
            options: As ``options_of`` returns them.
            names: The fields, in the order of the help.
            hidden: Understand them, and leave them out of the help.
        """
        group = self if title is None else self.add_argument_group(title)
        for name in options if names is None else names:
            for action in options[name]:
                if hidden:
                    action.help = SUPPRESS
                group._add_action(action)  # as argparse does with the options of parents

    def add_alias(self, flag: str, *names: str) -> None:
        """Add another name of the options of some fields; its value is that of each."""
        actions = [self._option_string_actions[f"--{name.replace('_', '-')}"] for name in names]
        first, words = actions[0], [action.option_strings[0] for action in actions]
        self.add_argument(
            flag, action=_Alias, dest=SUPPRESS, default=SUPPRESS, const=actions, type=first.type,
            choices=first.choices, metavar=first.metavar, help=f"The same as {' '.join(words)}.",
        )  # fmt: skip

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[override]
        """As argparse does, with ``--num_train_epochs`` for ``--num-train-epochs``."""
        return super().parse_known_args([self._dashed(word) for word in args or ()], namespace)

    def _dashed(self, word: str) -> str:
        flag, equals, value = word.partition("=")
        dashed = flag.replace("_", "-")
        known = flag.startswith("--") and dashed in self._option_string_actions
        return dashed + equals + value if known else word

    def error(self, message: str) -> NoReturn:
        """Raise ``InputError``, where argparse would print its usage and exit."""
        raise InputError(f"{message}. See {self.prog} --help.")

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """Parse ``argv``; an unknown flag is an ``InputError``."""
        found, unknown = self.parse_some(argv)
        if unknown:
            flag = unknown[0].split("=")[0]
            known = [name for name in self._option_string_actions if name.startswith("--")]
            raise InputError(
                f"{flag}: no such option of {self.prog}.{nearest(flag.replace('_', '-'), known)} "
                f"See {self.prog} --help."
            )
        return found

    def parse_some(self, argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
        """Parse what is known of ``argv``, and return what is not as well."""
        found, unknown = self.parse_known_args(argv)
        self._check(vars(found))
        return found, unknown

    def _check(self, found: Mapping[str, Any]) -> None:
        """Refuse numbers out of their ranges, and texts that are empty."""
        check_ranges(found)
        for action in self._actions:
            value = found.get(action.dest)
            words = value if isinstance(value, list) else [value]
            if "" in words and action.dest not in MAY_BE_EMPTY:
                flag = (action.option_strings or [action.metavar or action.dest])[0]
                raise InputError(f"{flag}: is empty. Give a value, or leave it out.")


class _Alias(Action):
    """Give a value to the actions in ``const``."""

    def __call__(self, parser, namespace, values, option_string=None):
        for action in self.const:
            action(parser, namespace, values, option_string)


class _HelpFormatter(argparse.HelpFormatter):
    """One option a line where it fits, its value named once; defaults in brackets."""

    def __init__(self, prog: str):
        width = min(WIDTH, shutil.get_terminal_size((WIDTH, 50)).columns) - 2
        super().__init__(prog, max_help_position=36, width=width)

    def add_usage(self, usage, actions, groups, prefix=None):
        """Show what is required; the options stand below."""
        needed = [each for each in actions if each.required or not each.option_strings]
        rest = Action([], "options", metavar="[options]")
        super().add_usage(usage, [*needed, rest], [], prefix)

    def _format_action_invocation(self, action: Action) -> str:
        if not action.option_strings:
            return super()._format_action_invocation(action)
        flags = ", ".join(getattr(action, "shown", action.option_strings))
        if action.nargs == 0 or action.const is True:  # a value is understood, and never needed
            return flags
        return f"{flags} {self._format_args(action, action.dest.upper())}"

    def _get_help_string(self, action: Action) -> str:
        text, default = action.help or "", getattr(action.default, "value", action.default)
        told = default is None or isinstance(default, bool) or default in (SUPPRESS, [], "")
        if told or not action.option_strings:
            return text
        shown = " ".join(map(str, default)) if isinstance(default, list) else str(default)
        shown = repr(shown) if shown != shown.strip() else shown
        return f"{text.rstrip('.')} [{shown.replace('%', '%%')}]"
