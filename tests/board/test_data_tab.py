"""The menus of the data tab, without a browser."""

from __future__ import annotations

import gradio
import pytest

from frtune import SequenceClassification
from frtune.board.data_tab import DataTab
from frtune.board.result_tab import _reads
from frtune.board.session import BoardSession
from frtune.board.translations import WORDS
from frtune.cli.board import check_config, offered
from frtune.tasks.base import TASKS
from frtune.web.translations import PageLanguage


@pytest.fixture
def tab(tmp_path):
    lines = "".join(f"{i};texte long numéro {i * 7919};été {i % 2};budget\n" for i in range(20))
    (tmp_path / "a.csv").write_text(f"id;texte;compte;mots\n{lines}", encoding="cp1252")
    language = PageLanguage(WORDS, "fr")
    with gradio.Blocks():
        session = BoardSession(tmp_path, language, gate=check_config, commands=offered())
        return DataTab(gradio, session)


def test_a_task_of_ones_own_stands_under_its_name(request, monkeypatch):
    monkeypatch.setitem(TASKS, "own", SequenceClassification)
    tab = request.getfixturevalue("tab")
    assert ("own", "own") in tab.task_name.choices
    assert _reads("of a program that is gone") == (False, False)
    assert _reads("similarity") == (False, True) and _reads("keywords") == (True, False)


def settings(tab, found):
    """What is shown, by the names of the tab's parts."""
    value = lambda each: each.value if hasattr(each, "value") else each  # noqa: E731
    return [value(each) for each in found]


def test_another_task_keeps_what_is_read_and_what_is_learnt(tab):
    given = ["cp1252", "; ", False, False, "texte", "compte", None]
    found = tab.change_task(None, "a", "a.csv", "keyphrases", *given)
    columns = settings(tab, found)[7:10]
    assert columns == ["texte", "", "compte"], "no title is made of a label"
    assert "--keyphrases-column=compte" in found[12] and "title" not in found[12]
    found = tab.change_task(None, "a", "a.csv", "similarity", *given)
    assert settings(tab, found)[7:10] == ["texte", "id", "compte"]


def test_a_wrong_encoding_is_told_and_the_menus_stay(tab):
    found = tab.change(None, "a", "a.csv", "classification", "", "; ", False, False, "texte",
                       "compte", None)  # fmt: skip
    assert found[0].visible and "0xE9 is not UTF-8" in found[10]
    assert found[11] == ""


@pytest.mark.parametrize("name", ["../a.csv", "/etc/passwd"])
def test_a_file_outside_is_refused(tab, name):
    assert "outside the folder" in tab.open(name, None)[-1]
