"""The page of the architecture shows the layers that are checked, and files that are there."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")


def test_the_picture_shows_the_layers_that_are_checked(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "images"))
    from draw_layers import drawn, layers

    picture = (ROOT / "docs" / "images" / "layers.svg").read_text("utf-8")
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    assert drawn(layers(project)) == picture, "run: python docs/images/draw_layers.py"
    sys.modules.pop("draw_layers", None)


def test_every_file_that_the_page_names_is_there():
    named = set(re.findall(r"`(?:frtune/)?([\w/.]+\.py)`", PAGE))
    places = (ROOT, ROOT / "src" / "frtune")
    assert len(named) > 20
    assert [name for name in named if not any((place / name).is_file() for place in places)] == []
