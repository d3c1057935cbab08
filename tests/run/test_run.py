"""A run reads its rows once and checks each once; its stages can be called one by one."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from frtune.cli.train_arguments import parse_train_arguments
from frtune.data import sources
from frtune.errors import InputError
from frtune.preflight.run import preflight
from frtune.run.data import check, read_data, tokenise
from frtune.run.model import build, starting_checkpoint, with_lora
from frtune.run.run import run
from frtune.run.settings import check_settings
from frtune.run.training import best_scores, build_trainer, checkpoint_to_resume, score
from frtune.tasks.config_file import task_class
from frtune.training.training_checks import check_training

ROWS = 24
FLAGS = ["--checkpoint", "tiny", "--max-steps", "1", "--per-device-train-batch-size", "2",
         "--max-train-rows", "8", "--disable-tqdm", "true", "--no-proof"]  # fmt: skip


def row(task, i):
    text, label = f"le budget numéro {i} est voté", str(i % 2)
    return {
        "classification": {"text": text, "label": label},
        "similarity": {"sentence1": text, "sentence2": f"un budget, {i}", "label": label},
        "keywords": {"text": text, "keywords": ["budget"]},
        "keyphrases": {"text": text, "keyphrases": ["budget", f"numéro {i}"]},
    }[task]


def written(path, rows):
    path.write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in rows), "utf-8")
    return path


@pytest.fixture
def parsed(tmp_path):
    """Task, settings and arguments of a run of a task on 24 rows."""

    def make(task, name="run"):
        data = written(tmp_path / "rows.jsonl", [row(task, i) for i in range(ROWS)])
        argv = ["--data", str(data), "--output-dir", str(tmp_path / name), *FLAGS]
        return parse_train_arguments(task, argv)

    return make


@pytest.fixture
def seen(monkeypatch):
    """How often the data was read, and each row checked and given a reason."""
    reads, checked, reasons = Counter(), Counter(), Counter()
    read_parts = sources.read_parts

    def counting(source, **settings):
        reads[str(source)] += 1
        return read_parts(source, **settings)

    monkeypatch.setattr(sources, "read_parts", counting)

    def watch(task):
        cls = task_class(task)
        check_all, reason = cls.check, getattr(cls, "reason", None)

        def check_counting(self, dataset, where):
            checked.update(json.dumps(each) for each in dataset)
            return check_all(self, dataset, where)

        def reason_counting(self, each):
            reasons[json.dumps(each)] += 1
            return reason(self, each)

        monkeypatch.setattr(cls, "check", check_counting)
        if reason is not None:
            monkeypatch.setattr(cls, "reason", reason_counting)
        return reads, checked, reasons

    return watch


@pytest.mark.parametrize("task", ["classification", "similarity", "keywords", "keyphrases"])
def test_a_run_reads_its_rows_once_and_checks_each_once(task, parsed, seen):
    reads, checked, reasons = seen(task)
    run(*parsed(task))
    assert list(reads.values()) == [1]
    assert len(checked) == ROWS and set(checked.values()) == {1}
    if task != "keyphrases":  # which are checked by column
        assert len(reasons) == ROWS and set(reasons.values()) == {1}


def test_a_preflight_reads_and_checks_what_is_the_runs_once(parsed, seen, tmp_path):
    reads, checked, _ = seen("classification")
    preflight(*parsed("classification"))
    assert reads[str(tmp_path / "rows.jsonl")] == 1
    few = Counter(checked) - Counter(dict.fromkeys(checked, 1))  # those of the miniature's runs
    assert len(checked) == ROWS and len(few) < ROWS


def test_rows_that_were_not_checked_are_checked_by_the_trainer_and_by_fit(parsed):
    from datasets import Dataset

    import frtune

    task, settings, args = parsed("classification")
    data = read_data(task, settings, args)
    checkpoint = starting_checkpoint(data, settings, args)
    model, tokenizer = build(data.task, settings, args, checkpoint)
    bad = Dataset.from_list([row("classification", 0), {"text": " ", "label": "1"}])
    with pytest.raises(InputError, match="training, row 2: column text is blank"):
        data.task.trainer(model, tokenizer, args, train_dataset=bad, eval_dataset=bad)
    with pytest.raises(InputError, match="training rows, row 2: column text is blank"):
        frtune.SequenceClassification().fit(bad)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_bad_row_has_its_number_in_the_file_and_its_split(split, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("train", "validation", "test"):
        rows = [row("classification", i) for i in range(ROWS)]
        if name == split:
            rows[16]["text"] = " "
        written(folder / f"{name}.jsonl", rows)
    argv = ["--data", str(folder), "--output-dir", str(tmp_path / "run"), *FLAGS]
    with pytest.raises(InputError, match=f"data, {split}, row 17: column text is blank"):
        run(*parse_train_arguments("classification", argv))
    assert not (tmp_path / "run").exists()


def test_the_stages_called_one_by_one_do_what_a_run_does(parsed, tmp_path):
    expected = run(*parsed("classification", "whole"))

    task, settings, args = parsed("classification", "stages")
    check_settings(settings, args)
    data = read_data(task, settings, args)
    check(data.task, data.splits, "the rows")
    checkpoint = starting_checkpoint(data, settings, args, output_dir=tmp_path / "elsewhere")
    settings = with_lora(settings, task, checkpoint)
    model, tokenizer = build(data.task, settings, args, checkpoint)
    check_training(data.task, model, args, **settings.trainer_options)
    encoded = tokenise(data, model, tokenizer, args)
    assert {name: len(rows) for name, rows in encoded.items()} == {"train": 8, "validation": 2}
    trainer = build_trainer(
        data.task, settings, args, model=model, tokenizer=tokenizer, encoded=encoded
    )
    assert checkpoint_to_resume(trainer, resume=False) is None
    trainer.train()
    scores, rows = score(trainer, data.splits["test"])
    found = {**best_scores(trainer), **scores}
    assert len(rows) == 2 and found["test_loss"] == expected["test_loss"]
    names = [name for name in found if not name.endswith(("_runtime", "_per_second"))]
    assert {name: found[name] for name in names} == {name: expected[name] for name in names}
