import multiprocessing
import sqlite3
from pathlib import Path

import pytest

from frtune.errors import InputError
from frtune.metrics import morphemes
from frtune.metrics.morphemes import Morphemes, cache_directory, read_cache, write_cache


@pytest.fixture
def analysed(monkeypatch):
    """Replace Kiwi by one that splits characters and records what it was asked."""
    asked = []

    def load(analyser):
        def analyse(texts):
            asked.extend(texts)
            return [list(text) for text in texts]

        return analyse

    monkeypatch.setattr(morphemes, "load_analyser", load)
    return asked


def test_each_text_is_analysed_once(tmp_path, analysed):
    first = Morphemes("kiwi", cache_directory=tmp_path)
    assert first.tokenize_all(["가나", "다", "가나"]) == [["가", "나"], ["다"], ["가", "나"]]
    first.tokenize("다")
    assert analysed == ["가나", "다"]
    second = Morphemes("kiwi", cache_directory=tmp_path)
    assert second.tokenize_all(["다", "라"]) == [["다"], ["라"]]
    assert analysed == ["가나", "다", "라"]


def test_new_version_does_not_meet_old_answers(tmp_path, analysed, monkeypatch):
    Morphemes("kiwi", cache_directory=tmp_path).tokenize("가")
    monkeypatch.setattr(morphemes, "version", lambda package: "99.0")
    Morphemes("kiwi", cache_directory=tmp_path).tokenize("가")
    assert analysed == ["가", "가"]


def test_without_a_directory_nothing_is_written(tmp_path, analysed, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Morphemes("kiwi", cache_directory=None).tokenize("가")
    assert list(tmp_path.iterdir()) == []


def test_broken_cache_costs_time_but_not_the_score(tmp_path, analysed, caplog):
    (tmp_path / "morphemes.sqlite3").write_bytes(b"not a database, but long enough to be read" * 50)
    assert Morphemes("kiwi", cache_directory=tmp_path).tokenize("가") == ["가"]
    assert "not read" in caplog.text


def test_cache_directory_follows_the_environment(monkeypatch):
    monkeypatch.setenv("FRTUNE_CACHE", "/somewhere")
    assert cache_directory() == Path("/somewhere")
    monkeypatch.setenv("FRTUNE_CACHE", "")
    assert cache_directory() is None
    monkeypatch.delenv("FRTUNE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_directory() == Path("/xdg/frtune")


def _write(file, start):
    for i in range(start, start + 40):
        write_cache(file, {f"key-{i}": [str(i), "가"]})


def test_processes_may_write_at_once(tmp_path):
    file = tmp_path / "deep" / "morphemes.sqlite3"
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_write, args=(file, 40 * n)) for n in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    keys = [f"key-{i}" for i in range(120)]
    assert read_cache(file, [*keys, "key-120"]) == {
        key: [str(i), "가"] for i, key in enumerate(keys)
    }
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT count(*) FROM morphemes").fetchone() == (120,)


def test_unknown_analyser_is_named():
    with pytest.raises(InputError, match="analyser='mecab'"):
        Morphemes("mecab")


def test_kiwi_finds_morphemes():
    assert Morphemes("kiwi").tokenize("서울의 봄") == ["서울", "의", "봄"]
    assert Morphemes("kiwi").tokenize("") == []
