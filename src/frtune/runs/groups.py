"""Runs whose scores can be compared: filtered, sorted, and what differs between them."""

from __future__ import annotations

import dataclasses
import fnmatch
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frtune.errors import InputError, nearest
from frtune.runs.record import Run, read_run, run_directories

# names of a run that is looked at, sorted and chosen by; further ones are its settings
COLUMNS = (
    "name", "task", "data", "checkpoint", "state", "step", "started", "seconds", "size_bytes",
    "score",
)  # fmt: skip
# settings that say where, or stand in a column of their own
_NOT_COMPARED = {"output_dir", "data", "checkpoint", "run_name", "hub_model_id", "disable_tqdm"}
_CONDITION = re.compile(r"([\w.]+)(>=|<=|!=|=|>|<)(.*)", re.DOTALL)
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
}


@dataclass(frozen=True)
class RunGroup:
    """Runs of one task whose scores can be compared: the same test rows, the same signature.

    Attributes:
        task: Name of the task.
        score_name: The score; ``None`` in the group of runs that have none yet.
        signature: How it was computed.
        test_rows: Number of test rows.
        test_hash: Their hash.
        runs: The runs.
        differing: Names of the settings in which they differ.
    """

    task: str
    score_name: str | None
    signature: str | None
    test_rows: int | None
    test_hash: str | None
    runs: list[Run]
    differing: list[str]


@dataclass(frozen=True)
class RunTable:
    """All runs below a folder.

    Attributes:
        groups: Runs that can be compared; those with scores first.
        unreadable: One line for each run whose files are damaged, and each closed folder.
    """

    groups: list[RunGroup]
    unreadable: list[str]

    def content(self) -> dict[str, Any]:
        """The table as JSON values."""
        return dataclasses.asdict(self)


def find_runs(
    folder: str | Path = ".",
    *,
    where: Sequence[str] = (),
    sort: str | None = None,
    reverse: bool = False,
) -> RunTable:
    """Read all runs of ``frtune train`` below a folder, also those that are running.

    Args:
        folder: Where to look, in all folders below.
        where: Conditions that a run must meet, each a name, one of ``= != < > <= >=``, and a value:
            ``state=finished``, ``checkpoint=*camembert*``, ``learning_rate>=1e-5``. Names are those
            of ``Run`` and of the settings in ``config.yaml``.
        sort: What the runs of a group are sorted by, of the same names; ``None`` puts the best
            score first, and of runs without one the newest.
        reverse: Turn that order round.

    Returns:
        Runs in groups: scores of other test rows, or computed otherwise, cannot be compared.

    Raises:
        InputError: If the folder does not exist, or no run has such a name.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such directory. Give a folder with runs of frtune train.")
    runs: list[Run] = []
    unreadable: list[str] = []
    for place in run_directories(folder, lambda error: unreadable.append(str(error))):
        try:
            runs.append(read_run(place, place.relative_to(folder).as_posix()))
        except InputError as error:
            unreadable.append(str(error))
    conditions = [_condition(text) for text in where]
    _check_names(runs, [*(name for name, *_ in conditions), *([sort] if sort else [])])
    kept = [run for run in runs if all(_meets(run, *each) for each in conditions)]
    return RunTable(_groups(kept, sort, reverse), unreadable)


def value_of(run: Run, name: str) -> Any:
    """What stands under a name: of a column, else of the settings."""
    return getattr(run, name) if name in COLUMNS else run.settings.get(name)


def _check_names(runs: Sequence[Run], names: Iterable[str]) -> None:
    known = sorted({*COLUMNS, *(name for run in runs for name in run.settings)})
    for name in names:
        if runs and name not in known:
            raise InputError(
                f"{name}: no run has it.{nearest(name, known)} Name one of {', '.join(COLUMNS)}, "
                "or a setting of config.yaml."
            )


def _condition(text: str) -> tuple[str, str, str]:
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise InputError(
            f"where={text}: not NAME=VALUE. Write state=finished or score>0.5, for example."
        )
    return found[1], found[2], found[3]


def _meets(run: Run, name: str, sign: str, wanted: str) -> bool:
    value = value_of(run, name)
    number, other = _number(value), _number(wanted)
    if sign in _ORDERS:
        if number is not None and other is not None:
            return _ORDERS[sign](number, other)
        if value is None:
            return False
        return _ORDERS[sign](str(value), wanted)
    if number is not None and other is not None:
        equal = number == other
    else:
        equal = fnmatch.fnmatchcase(shown(value), wanted)
    return equal is (sign == "=")


def shown(value: Any) -> str:
    """A setting as ``config.yaml`` writes it.

    Example:
        >>> shown(True), shown(None), shown(3e-05), shown([1, 2])
        ('true', 'default', '3e-05', '[1, 2]')
    """
    if value is None:
        return "default"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number(value: Any) -> float | None:
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None


def comparison_key(run: Run) -> tuple[str, str | None, str | None, str | None]:
    """What runs have in common whose scores can be compared: task, score, signature, test rows."""
    test = run.hashes.get("test") if run.signature else None
    return run.task, run.score_name, run.signature, test


def _groups(runs: Sequence[Run], sort: str | None, reverse: bool) -> list[RunGroup]:
    found: dict[tuple[Any, ...], list[Run]] = {}
    for run in runs:
        found.setdefault(comparison_key(run), []).append(run)
    groups = []
    for (task, score, signature, test), members in found.items():
        ordered = _sorted(members, sort, reverse)
        rows = members[0].rows.get("test") if signature else None
        groups.append(RunGroup(task, score, signature, rows, test, ordered, differing(members)))
    return sorted(groups, key=lambda group: (group.signature is None, group.task))


def _sorted(runs: list[Run], sort: str | None, reverse: bool) -> list[Run]:
    """Sorted by what is asked for; runs that lack it come last."""
    if sort is None:
        sort = "score" if runs[0].score is not None else "started"
        largest_first = runs[0].larger_is_better
    else:
        largest_first = False
    have = [run for run in runs if value_of(run, sort) is not None]
    lack = [run for run in runs if value_of(run, sort) is None]
    have.sort(key=lambda run: _key(value_of(run, sort)), reverse=largest_first is not reverse)
    return have + lack


def _key(value: Any) -> tuple[bool, float, str]:
    """Numbers by size, before texts by their letters."""
    number = _number(value)
    return (number is None, number or 0.0, "" if number is not None else str(value))


def differing(runs: Sequence[Run]) -> list[str]:
    """Names of the settings in which runs differ, but for what stands in a column of its own."""
    names = dict.fromkeys(name for run in runs for name in run.settings)
    return [
        name
        for name in names
        if name not in _NOT_COMPARED and len({repr(run.settings.get(name)) for run in runs}) > 1
    ]
