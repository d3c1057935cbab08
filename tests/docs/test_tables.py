"""Tables of the pages name what the code has: families, commands, extras, tasks and pages."""

from __future__ import annotations

import re
from pathlib import Path

import frtune
from families_table import markdown, own_tasks
from frtune.cli import COMMANDS, GROUPS
from frtune.tasks.config_file import task_class

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def rows(page: str, title: str) -> list[list[str]]:
    """The cells of the rows below a table's head that begins with ``title``."""
    head = re.search(rf"^\| {re.escape(title)} \|.*\n\|[-:| ]+\|\n((?:\|.*\n)+)", page, re.M)
    assert head, title
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in head[1].splitlines()]


def test_the_page_of_families_has_the_table_as_it_is():
    page = (ROOT / "docs" / "families.md").read_text("utf-8")
    shown = page.split("<!-- python tests/families_table.py -->\n")[1].split("<!-- end -->")[0]
    assert shown == markdown(), "run: python tests/families_table.py"


def test_readme_has_every_command_in_its_group():
    found: dict[str, set[str]] = {}
    for cells in rows(README, "command"):
        if title := re.fullmatch(r"\*\*(.+)\*\*", cells[0]):
            group = found.setdefault(title[1].lower(), set())
        else:
            group.add(re.search(r"`frtune (\w+)", cells[0])[1])
    assert found == {title: set(commands) for title, commands in GROUPS.items()}


def test_readme_has_every_extra():
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    section = project.split("[project.optional-dependencies]\n")[1].split("\n\n")[0]
    named = {name for cells in rows(README, "extra") for name in re.findall(r"`(\w+)`", cells[0])}
    assert named == set(re.findall(r"^(\w+) = ", section, re.M)) - {"browser"}


def test_readme_has_every_task():
    named = {name for cells in rows(README, "task") for name in re.findall(r"`(\w+)`", cells[0])}
    assert {task_class(name).__name__ for name in own_tasks()} == named & set(frtune.__all__)


def test_the_first_page_of_the_documentation_leads_to_every_page():
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"index.md"}
    first = (ROOT / "docs" / "index.md").read_text("utf-8")
    assert pages == set(re.findall(r"\]\((\w+\.md)", first))


def test_every_command_has_a_page_or_a_place():
    text = "".join(path.read_text("utf-8") for path in (ROOT / "docs").glob("*.md"))
    assert [name for name in COMMANDS if f"frtune {name}" not in text] == []
