"""What the rest of frtune asks of a task stands in ``Task``, and nothing asks which task it is."""

from __future__ import annotations

import ast
from inspect import getdoc
from pathlib import Path

import pytest

from frtune.tasks.answers import Answers
from frtune.tasks.base import Task
from frtune.tasks.card_lines import CardLines
from frtune.tasks.config_file import task_class
from frtune.tasks.label_doubts import LabelReview

ROOT = Path(__file__).parents[2] / "src" / "frtune"
OUTSIDE = [path for path in sorted(ROOT.rglob("*.py")) if "tasks" not in path.parts]
NAMES = ("classification", "similarity", "keywords", "keyphrases")
# a job of labelling is no task; "keyphrases" is also the name of a limit on rows
OTHER_NAMES = ("labelling", "metrics", "filters.py")


def is_task(node):
    """Whether an expression is a task by its name: ``task``, ``x.task``, ``tasks[0]``."""
    if isinstance(node, ast.Subscript):
        return isinstance(node.value, ast.Name) and node.value.id == "tasks"
    name = node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")
    return isinstance(node, ast.Name | ast.Attribute) and name == "task"


def is_name(node):
    """Whether an expression is a task's name."""
    return isinstance(node, ast.Attribute) and node.attr == "name" and is_task(node.value)


def asked(source):
    """The public attributes that ``source`` reads of tasks."""
    nodes = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute))
    return {node.attr for node in nodes if is_task(node.value) and not node.attr.startswith("__")}


def distinctions(source, names=NAMES):
    """The lines of ``source`` that ask which task a task is, or what it has."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if isinstance(node.ops[0], ast.In | ast.NotIn):
                sides += getattr(sides.pop(), "elts", [])
                constants = {side.value for side in sides[1:] if isinstance(side, ast.Constant)}
            else:
                constants = {side.value for side in sides if isinstance(side, ast.Constant)}
            asks = any(map(is_name, sides)) or bool(constants & set(names))
        elif isinstance(node, ast.Subscript):
            asks = is_name(node.slice)
        elif isinstance(node, ast.Match):
            asks = is_name(node.subject)
        elif isinstance(node, ast.Dict):
            keys = {key.value for key in node.keys if isinstance(key, ast.Constant)}
            asks = len(keys & set(names)) > 1
        else:
            asks = (
                isinstance(node, ast.Call)
                and getattr(node.func, "id", "") in ("hasattr", "getattr", "isinstance")
                and is_task(node.args[0])
            )
        if asks:
            found.add(node.lineno)
    return sorted(found)


def declared():
    parts = (Task, Answers, LabelReview, CardLines)
    return {name for cls in parts for name in (*vars(cls), *cls.__annotations__)}


def test_what_is_asked_of_a_task_is_in_the_contract():
    wanted = {path: asked(path.read_text("utf-8")) for path in OUTSIDE}
    missing = {path.name: names - declared() for path, names in wanted.items()}
    assert not {name: names for name, names in missing.items() if names}
    assert len(set.union(*wanted.values())) > 40, "the search finds what is asked"


def test_nothing_outside_asks_which_task_it_is():
    for path in OUTSIDE:
        names = () if any(part in OTHER_NAMES for part in path.parts) else NAMES
        assert not distinctions(path.read_text("utf-8"), names), path


@pytest.mark.parametrize(
    "line",
    [
        'if self.task.name == "keywords": pass',
        "x = tasks[0].name != first",
        "x = RECIPES[task.name]",
        "x = task_name in ('keywords', 'b')",
        "x = hasattr(predictor.task, 'source')",
        "x = getattr(task, 'scored', False)",
        "x = isinstance(trainer.task, Some)",
        "x = name == 'similarity'",
        'x = {"keywords": 1, "similarity": 2}',
        "match task.name:\n    case 'keywords': pass",
    ],
)
def test_the_search_finds_a_distinction(line):
    module = (ROOT / "score_files.py").read_text("utf-8")
    assert distinctions(f"{module}\n{line}\n")
    assert not distinctions(f"{module}\nload_splits(data, task_name=task.name)\n")


def test_the_search_finds_an_attribute_that_no_contract_has():
    module = (ROOT / "score_files.py").read_text("utf-8")
    assert "k" in asked(f"{module}\nx = trainer.task.k\n") - declared()


def test_every_method_of_the_contract_is_documented():
    for cls in (Task, Answers, CardLines):
        attributes = getdoc(cls).partition("Attributes:")[2]
        for name, value in vars(cls).items():
            if callable(value) or isinstance(value, property | classmethod):
                assert name.startswith("_") or getdoc(value), name
        for name in cls.__annotations__:
            assert name.startswith("_") or f"{name}: " in attributes, name


def test_what_tasks_share_stands_once():
    tasks = [task_class(name) for name in NAMES]
    in_all = set.intersection(*({*vars(cls)} for cls in tasks))
    shared = {name for name in in_all if callable(getattr(tasks[0], name)) and name[0] != "_"}
    # each has its own answer to these
    assert shared <= {
        "reason", "encode", "loss", "answers", "compute_metrics", "intervals", "metric_directions",
        "signatures", "baselines", "decode", "row_values", "described", "answer_cells",
        "answer_html", "read_answer", "answer_intervals", "score_answers",
    }  # fmt: skip
