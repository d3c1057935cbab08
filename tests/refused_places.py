"""Places that a command refuses which makes one model directory from another."""

from __future__ import annotations

import pytest

from frtune import InputError


def check_refused_places(make, directory, tmp_path):
    """``make(directory, output)`` refuses them in one line, and makes nothing."""
    out, full = tmp_path / "out", tmp_path / "full"
    full.mkdir()
    (full / "a").touch()
    for source, output, message in (
        (tmp_path / "nothing", out, "no such directory"),
        (tmp_path, out, "holds no frtune_task"),
        (directory, directory, "is inside"),
        (directory, directory / "inside", "is inside"),
        (directory, full, "holds files"),
    ):
        with pytest.raises(InputError, match=message):
            make(source, output)
    assert not out.exists()
