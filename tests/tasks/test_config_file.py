"""``frtune_task.json`` gives back the task that was saved, or one line that says why not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from frtune import (
    InputError,
    KeyphraseGeneration,
    KeywordExtraction,
    SentenceSimilarity,
    SequenceClassification,
)
from frtune.tasks.config_file import TASK_FILE, load_task, save_task, task_class, task_names

TASKS = [
    KeyphraseGeneration(),
    KeyphraseGeneration(
        text_column="본문", title_column="제목", separator=" | ", max_keyphrases=5,
        train_on_prompt=True, language="ko",
    ),
    KeywordExtraction(),
    KeywordExtraction(subwords="first", keyword_weight=3.0, overlap_tokens=16),
    SentenceSimilarity(),
    SentenceSimilarity(head="regression"),
    SequenceClassification(),
    SequenceClassification(labels=["loyer", "école"]),
]  # fmt: skip


@pytest.fixture
def changed(tmp_path):
    """``changed(max_source_tokens="x")``: a directory whose task file has these values."""

    def write(**values):
        save_task(KeyphraseGeneration(), tmp_path)
        path = tmp_path / TASK_FILE
        content = {**json.loads(path.read_text("utf-8")), **values}
        path.write_text(json.dumps(content), encoding="utf-8")
        return tmp_path

    return write


def refused(directory) -> str:
    """The one line that ``load_task`` says of a directory."""
    with pytest.raises(InputError) as error:
        load_task(directory)
    assert "\n" not in str(error.value) and str(directory) in str(error.value)
    return str(error.value)


def test_keywords_saved_so_far_are_read_as_they_were(tmp_path):
    saved = Path(__file__).parents[1] / "fixtures" / "v0_1_0" / "models" / "keywords"
    assert load_task(saved).subwords == "all" != KeywordExtraction().subwords
    content = json.loads((saved / TASK_FILE).read_text("utf-8"))
    del content["subwords"]
    (tmp_path / TASK_FILE).write_text(json.dumps(content), encoding="utf-8")
    assert load_task(tmp_path) == load_task(saved)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_a_task_comes_back_as_it_was(task, tmp_path):
    save_task(task, tmp_path)
    again = load_task(tmp_path)
    assert again == task and type(again) is type(task)
    assert [item.name for item in tmp_path.iterdir()] == [TASK_FILE]


def test_every_task_of_the_command_line_is_tried_here():
    ours = [name for name in task_names() if task_class(name).__module__.startswith("frtune.")]
    assert {task.name for task in TASKS} == set(ours) and len(ours) == 4
    assert all(task_class(name).name == name for name in ours)


def test_the_file_is_json_that_people_can_read(tmp_path):
    save_task(TASKS[1], tmp_path)
    text = (tmp_path / TASK_FILE).read_text("utf-8")
    assert '"text_column": "본문"' in text
    assert {"task", "frtune_version"} < set(json.loads(text))


def test_saving_again_replaces_the_file(tmp_path):
    save_task(KeyphraseGeneration(), tmp_path)
    save_task(KeyphraseGeneration(k=5), tmp_path)
    assert load_task(tmp_path).k == 5


def test_no_task_file_is_an_error(tmp_path):
    assert f"holds no {TASK_FILE}" in refused(tmp_path)


def test_an_unknown_field_is_named_with_the_nearest_and_both_versions(changed):
    message = refused(changed(seperator=", ", frtune_version="9.9"))
    assert "seperator is no field of keyphrases" in message
    assert "Did you mean separator?" in message and "frtune 9.9" in message


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_source_tokens", "1024"),
        ("max_source_tokens", 10.5),
        ("max_source_tokens", True),
        ("max_source_tokens", None),
        ("separator", 3),
        ("title_column", ["a"]),
        ("train_on_prompt", "yes"),
        ("train_on_prompt", 1),
        ("language", {"__reduce__": "os.system"}),
    ],
)
def test_a_value_of_a_wrong_type_is_named(changed, field, value):
    assert f"{field}={value!r}" in refused(changed(**{field: value}))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [("max_source_tokens", 1, "max_source_tokens=1"), ("language", "de", "language='de'")],
)
def test_a_value_that_cannot_be_is_refused_by_the_task(changed, field, value, message):
    with pytest.raises(InputError) as error:
        load_task(changed(**{field: value}))
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "hint"),
    [("keyphrase", "Did you mean keyphrases?"), ("os.system", "one of"), ("__class__", "one of")],
)
def test_an_unknown_task_is_named_with_those_there_are(changed, name, hint):
    with pytest.raises(InputError) as error:
        load_task(changed(task=name))
    message = str(error.value)
    assert f"task={name}" in message and hint in message and "\n" not in message
    assert all(known in message for known in task_names())


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", "null", '"keyphrases"', "{}", '{"task": "keyphrases"}', "\x80"],
)
def test_a_broken_file_is_one_line(tmp_path, text):
    (tmp_path / TASK_FILE).write_text(text, encoding="latin-1")
    assert "is not a task file" in refused(tmp_path)


def test_a_field_of_the_class_that_is_no_setting_cannot_be_set(changed):
    assert "generates is no field" in refused(changed(generates=False))


def test_nothing_in_the_file_is_executed(changed, tmp_path):
    trace = tmp_path / "trace"
    code = f"__import__('pathlib').Path({str(trace)!r}).touch()"
    directory = changed(separator=code, prefix="!!python/object/apply:os.system ['true']")
    assert load_task(directory).separator == code
    assert not trace.exists()
    with pytest.raises(InputError):
        load_task(changed(max_source_tokens=code))
    with pytest.raises(InputError):
        load_task(changed(task=code))
    assert not trace.exists()
