"""Paths of the real data, and a cache of its own for every run."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    root = Path(__file__).resolve().parents[2]
    folder = Path(os.environ.get("FRTUNE_SHARED", root.parent / "shared")) / "data"
    if not folder.is_dir():
        pytest.skip("the real data is not here (FRTUNE_SHARED)")
    return folder


@pytest.fixture(autouse=True, scope="session")
def arrow_cache(tmp_path_factory):
    """Arrow copies go to a folder of the run, so that no test meets another run's."""
    from datasets import config, disable_progress_bars

    disable_progress_bars()
    before = config.HF_DATASETS_CACHE
    config.HF_DATASETS_CACHE = str(tmp_path_factory.mktemp("arrow"))
    yield
    config.HF_DATASETS_CACHE = before
