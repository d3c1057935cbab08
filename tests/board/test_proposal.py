"""What a file is guessed to be for, and what would become of its rows."""

from __future__ import annotations

import json
import shlex

import pytest

from frtune.board.checkpoints import CHECKPOINTS, LANGUAGES, checkpoints_for, fits
from frtune.board.folder import BoardFolder
from frtune.board.preview import preview
from frtune.board.proposal import column_fields, likely_encoding, propose, read_sample
from frtune.cli.prepare import main as prepare
from frtune.data.sources import samples
from frtune.errors import InputError
from frtune.tasks.config_file import task_class, task_names


@pytest.mark.parametrize("encoding", ["cp1252", "cp949", "utf-8", "utf-16"])
def test_the_encoding_of_a_file_is_told_by_its_bytes(tmp_path, encoding):
    path = tmp_path / "a.csv"
    korean = "\n".join(f"서울시는 예산안 {i}조 원을 확정했다;경제" for i in range(9))
    french = "\n".join(f"élève à l'école n° {i};été" for i in range(9))
    text = "texte;classe\n" + (korean if encoding == "cp949" else french)
    path.write_bytes(text.encode(encoding))
    found = likely_encoding(path)
    assert found == (encoding if encoding.startswith("cp") else "")
    assert len(read_sample(path, found)) == 9


@pytest.mark.parametrize("task", task_names())
def test_the_bundled_rows_of_each_task_are_known_for_what_they_are(task, tmp_path):
    file = samples()[task]
    path = tmp_path / f"rows{file.name[file.name.index('.') :]}"
    path.write_bytes(file.read_bytes())
    found = propose(path.name, read_sample(path))
    assert found.task == task
    usual = task_class(task)()
    wanted = {name: getattr(usual, name) for name in column_fields(task)}
    assert {**wanted, **found.columns} == wanted or "title_column" in found.columns
    audit = preview(BoardFolder(tmp_path), found).audit
    assert audit["rows"]["kept"] > 0 and audit["settings"]["task"] == task


@pytest.mark.parametrize(
    "row, task, options",
    [
        ({"texte": "le budget de la ville", "mots_cles": "budget, ville"}, "keywords",
         {"separator": ", "}),
        ({"본문": "예산안을 확정했다", "키워드": ["서울시 재정"]}, "keyphrases", {}),
        ({"text": "a long text here", "labels": ["a", "b"]}, "classification",
         {"multi_label": True}),
        ({"text_a": "one text", "text_b": "another", "score": 0.4}, "similarity",
         {"head": "regression"}),
        ({"texte": "Facture du loyer", "compte": "613"}, "classification", {}),
    ],
)  # fmt: skip
def test_columns_of_other_names_are_found(row, task, options):
    found = propose("a.jsonl", [row] * 9)
    assert (found.task, dict(found.options)) == (task, options)
    assert list(found.columns.values()) == list(row)
    found.made()


def test_the_command_of_a_preview_writes_the_same(tmp_path, monkeypatch):
    rows = [
        f"{i};Facture {i * 7919} n° {i * 31} réf;{'été' if i % 2 else 'hiver'}" for i in range(30)
    ]
    (tmp_path / "x.csv").write_bytes(
        "\n".join(["id;libelle;compte", *rows, "30;;x"]).encode("cp1252")
    )
    found = propose("x.csv", read_sample(tmp_path / "x.csv", "cp1252"), "cp1252")
    shown = preview(BoardFolder(tmp_path), found)
    assert [each["row"] for each in shown.rejected] == [31]
    monkeypatch.chdir(tmp_path)
    words = shlex.split(shlex.join(found.words("prepared/x")))
    assert words[0] == "prepare"
    prepare(words[1:])
    audit = json.loads((tmp_path / "prepared/x/audit.json").read_text("utf-8"))
    for each in (audit, shown.audit):
        del each["source"], each["files"]
    assert audit == json.loads(json.dumps(shown.audit))


def test_a_file_that_cannot_be_read_is_named_as_the_page_names_it(tmp_path):
    (tmp_path / "bad.csv").write_text("text,label\na,b\nc,d,e\n")
    found = propose("bad.csv", [{"text": "a", "label": "b"}] * 4)
    with pytest.raises(InputError, match=r"^bad\.csv, line 3: 3 fields"):
        preview(BoardFolder(tmp_path), found)
    (tmp_path / "bad.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        read_sample(tmp_path / "bad.parquet")


def test_listed_checkpoints_are_known_and_planned_without_a_network():
    assert {each.language for each in CHECKPOINTS} == set(LANGUAGES)
    for task in task_names():
        for language in LANGUAGES:
            kinds = {each.kind for each in checkpoints_for(task_class(task), language)}
            assert kinds <= set(task_class(task).auto_classes) and kinds
    first = CHECKPOINTS[0]
    found = fits(first.name, task_class("classification").for_planning(), 8)
    assert round(found.parameters.total / 1e6) == first.millions
    with pytest.raises(InputError, match="nothing/here"):
        fits("nothing/here", task_class("classification").for_planning(), 8)
