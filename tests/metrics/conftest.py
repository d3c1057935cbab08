import json
import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    """Keep the morpheme cache out of the user's directory."""
    monkeypatch.setenv("FRTUNE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="session")
def korean_run():
    """The 2,337 real generations, with their Komoran morphemes in the same rows."""
    shared = os.environ.get("FRTUNE_SHARED") or Path(__file__).parents[3] / "shared"
    folder = Path(shared) / "data" / "ko_pko_v3_run3"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here")
    names = ("generations.jsonl", "morphs.jsonl")
    texts, morphemes = ((folder / name).read_text("utf-8").splitlines() for name in names)
    rows = [json.loads(a) | json.loads(b) for a, b in zip(texts, morphemes, strict=True)]
    assert len(rows) == 2337
    return rows
