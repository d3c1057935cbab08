"""Random settings, within and beyond their ranges: a run ends well, or says no before it reads."""

from __future__ import annotations

import contextlib
import copy
import io
import os
import shutil

import pytest
from datasets import Dataset
from transformers import Seq2SeqTrainingArguments

import frtune
import frtune.preflight.run
import frtune.run.report
import frtune.run.run
from drawn_settings import KNOWN, TASKS, draw, rows, write_rows
from frtune.cli import main
from frtune.run.data import read_data
from frtune.tasks.config_file import task_class

pytestmark = pytest.mark.slow

# other draws than these: FRTUNE_DRAWS="5000 2000" takes 2000 from seed 5000 on
FIRST, DRAWS = map(int, os.environ.get("FRTUNE_DRAWS", "0 200").split())
WHOLE = 20  # of the runs that are not refused go to their end, the others until they read
PREFLIGHTS = 15  # of those that are refused are refused by preflight too
IN_PYTHON, TRAINED = (60 if DRAWS == 200 else DRAWS), 12
FAMILIES = {"keyphrases": "t5"}
# what only the rows or their tokenizer can tell
AFTER_READING = ("training rows do not fill a batch", "the prefix leaves no room")


class Reads(BaseException):
    """Where a run begins to read its data."""


@pytest.fixture
def place(tiny, tmp_path):
    """``place(task)``: the rows of a task, and a tiny checkpoint that starts from them."""
    for task in TASKS:
        write_rows(task, tmp_path / task)
    return lambda task: (str(tmp_path / task), str(tiny(FAMILIES.get(task, "bert"))))


def command(argv: list[str]) -> tuple[int | str, list[str]]:
    """Run ``frtune``: its exit code, ``reads`` where it was stopped, and its lines."""
    said = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        try:
            code: int | str = main(argv)
        except Reads:
            code = "reads"
    assert "Traceback" not in said.getvalue(), (argv, said.getvalue())
    return code, [line for line in said.getvalue().splitlines() if line.startswith("frtune: ")]


def test_random_settings_end_well_or_are_refused_in_one_line(place, tmp_path, monkeypatch):
    whole, read = 0, []

    def reading(*args, **options):
        read.append(True)
        if whole >= WHOLE:
            raise Reads
        return read_data(*args, **options)

    monkeypatch.setattr(frtune.run.run, "read_data", reading)
    monkeypatch.setattr(frtune.preflight.run, "read_data", reading)
    monkeypatch.setattr(frtune.run.report, "write_page", lambda *args, **options: None)  # figures
    refused = 0
    for seed in range(FIRST, FIRST + DRAWS):
        drawn, output = draw(seed), tmp_path / "runs" / str(seed)
        data, checkpoint = place(drawn.task)
        argv = [drawn.task, f"--data={data}", f"--checkpoint={checkpoint}", "--report-to=none",
                f"--output-dir={output}", "--max-steps=1", *drawn.flags]  # fmt: skip
        read.clear()
        code, lines = command(["train", *argv])
        told = (seed, drawn, code, lines)
        assert code in (0, 2, "reads"), told
        if code == 0:
            whole += 1
            assert (output / "metrics.json").is_file() and (output / "config.yaml").is_file(), told
            shutil.rmtree(output.parent)
        assert not output.parent.exists(), told
        if code == 2:
            refused += 1
            assert len(lines) == 1 and len(lines[0]) < 700, told
            assert not read or any(words in lines[0] for words in AFTER_READING), told
        if code == 2 and refused <= PREFLIGHTS:
            found, theirs = command(["preflight", "train", *argv])
            assert found == 2 and lines[0].removeprefix("frtune: ")[:60] in theirs[0], (
                told,
                theirs,
            )
    assert DRAWS < 100 or (whole == WHOLE and refused > DRAWS // 3)


def test_random_arguments_train_or_are_refused_in_python(place, tmp_path):
    built, trained, refused = {}, 0, 0
    for task in TASKS:
        data = Dataset.from_list(rows(task))
        fitted = task_class(task)(max_source_tokens=32).fit(data)
        built[task] = fitted, data, *frtune.build_model(fitted, checkpoint=place(task)[1])
    for seed in range(FIRST, FIRST + IN_PYTHON):
        drawn = draw(seed, only=KNOWN - {"output_dir", "report_to"})
        task, data, model, tokenizer = built[drawn.task]
        usual = {"max_steps": 1, "use_cpu": True, "disable_tqdm": True, "report_to": "none"}
        try:
            args = Seq2SeqTrainingArguments(str(tmp_path / "out"), **usual | drawn.settings)
        except Exception:  # refused by Transformers itself
            continue
        try:
            trainer = task.trainer(
                copy.deepcopy(model), tokenizer, args, train_dataset=data, eval_dataset=data
            )
        except frtune.InputError as error:
            assert "\n" not in str(error), (seed, drawn, error)
            refused += 1
            continue
        if trained < TRAINED or DRAWS != 200:
            trained += 1
            try:
                trainer.train()
                assert len(trainer.predict(data).predictions) == len(data)
            except Exception as error:
                raise AssertionError((seed, drawn)) from error
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
    assert trained >= TRAINED and refused > 5
