"""Scripts of the repository, run in the process of the tests."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest


def run_script(path: Path, monkeypatch: pytest.MonkeyPatch, *flags: object) -> int | str | None:
    """Run a script as ``python PATH FLAG ...`` does, and return what it exits with."""
    monkeypatch.setattr(sys, "argv", [str(path), *map(str, flags)])
    monkeypatch.syspath_prepend(path.parent)  # one example imports another
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(path), run_name="__main__")
    return ended.value.code
