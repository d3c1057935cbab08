"""A board hands texts to an API by the very command, and the key only to the address it is for."""

from __future__ import annotations

import pytest

from frtune.board.folder import BoardFolder
from frtune.board.label_part import label_words
from frtune.errors import InputError
from frtune.runs.record import Run
from frtune.tasks.config_file import save_task, task_class

URL = "http://127.0.0.1:9/v1"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "runs/a").mkdir(parents=True)
    (tmp_path / "new.csv").write_text("libelle\nGaz\n")
    return BoardFolder(tmp_path)


def run(folder, task, **settings):
    save_task(task_class(task)(**settings), folder.root / "runs/a")
    return Run("runs/a", task, "prepared/a", {}, {}, "tiny", {}, "finished")


def test_the_classes_of_the_run_are_asked_for_and_nothing_is_written_over(folder):
    finished = run(folder, "classification", labels=["gaz", "loyer; bail"])
    words = label_words(folder, finished, ["new.csv", "libelle", URL, "m"], dry=True)
    assert words[:2] == ["label", "new.csv"] and words[-1] == "--dry-run"
    place = words.index("--labels")
    assert words[place + 1 : place + 3] == ["gaz", "loyer; bail"]
    assert "--output=labelled/new.jsonl" in words and "--text-column=libelle" in words
    (folder.root / "labelled").mkdir()
    (folder.root / "labelled/new.jsonl").touch()
    again = label_words(folder, finished, ["new.csv", "libelle", URL, "m"], dry=False)
    assert "--output=labelled/new-2.jsonl" in again and "--dry-run" not in again


def test_the_key_goes_to_the_address_of_the_environment_alone(folder, monkeypatch):
    finished = run(folder, "keyphrases")
    monkeypatch.setenv("OPENAI_BASE_URL", URL + "/")
    mine = label_words(folder, finished, ["new.csv", "text", URL, "m"], dry=False)
    assert not [word for word in mine if word.startswith(("--key-env", "--labels"))]
    other = label_words(folder, finished, ["new.csv", "text", URL + ".evil", "m"], dry=False)
    assert "--key-env=none" in other
    monkeypatch.delenv("OPENAI_BASE_URL")
    assert "--key-env=none" in label_words(folder, finished, ["new.csv", "t", URL, "m"], dry=False)


@pytest.mark.parametrize(
    "given, said",
    [
        (["../new.csv", "text", URL, "m"], "outside the folder"),
        (["new.csv", " ", URL, "m"], "column: is blank"),
        (["new.csv", "text", "", "m"], "address: is blank"),
        (["new.csv", "text", URL, None], "model: is blank"),
        ([None, "text", URL, "m"], "texts: is blank"),
    ],
)
def test_a_blank_field_and_another_place_are_refused(folder, given, said):
    with pytest.raises(InputError, match=said):
        label_words(folder, run(folder, "keyphrases"), given, dry=False)
