"""A log shows the headline scores; the state keeps all."""

from __future__ import annotations

import ast
import io
import sys

import pytest
from transformers import PrinterCallback, ProgressCallback, Trainer, TrainerCallback

from frtune.training.progress import HeadlinePrinter, HeadlineProgress, show_headlines


class Mine(PrinterCallback):
    """A user's own."""


class Other(TrainerCallback):
    """A user's own, which prints nothing."""


def printing(trainer: Trainer) -> list[type]:
    kinds = (PrinterCallback, ProgressCallback)
    return [type(call) for call in trainer.callback_handler.callbacks if isinstance(call, kinds)]


@pytest.mark.parametrize("quiet", [True, False])
def test_an_evaluation_shows_the_headline_scores_and_keeps_the_rest(saver, tmp_path, quiet, capsys):
    trainer = saver(
        tmp_path, max_steps=1, save_strategy="no", eval_strategy="steps", eval_steps=1,
        logging_steps=1, disable_tqdm=quiet, predict_with_generate=True,
    )  # fmt: skip
    trainer.train()
    lines = [
        line[line.index("{") :] for line in capsys.readouterr().out.splitlines() if "{" in line
    ]
    step, evaluation, end = map(ast.literal_eval, lines)
    assert {"loss", "grad_norm", "learning_rate", "epoch"} <= step.keys()
    headline = {f"eval_{name}" for name in trainer.task.headline}
    assert evaluation.keys() == {"eval_loss", "eval_runtime", "epoch", *headline}
    assert end.keys() == {"train_loss", "train_runtime", "epoch"}
    (kept,) = [entry for entry in trainer.state.log_history if "eval_loss" in entry]
    assert kept.keys() > evaluation.keys() and len(kept) > 50


class Terminal(io.StringIO):
    """A terminal on which a bar is drawn."""

    def isatty(self) -> bool:
        return True


def test_in_a_terminal_the_loss_stands_behind_the_one_bar(saver, tmp_path, monkeypatch, capsys):
    trainer = saver(
        tmp_path, max_steps=2, save_strategy="no", eval_strategy="steps", eval_steps=2,
        logging_steps=1, disable_tqdm=False, predict_with_generate=True,
    )  # fmt: skip
    monkeypatch.setattr(sys, "stderr", shown := Terminal())
    trainer.train()
    bars = shown.getvalue()
    assert "2/2" in bars and "loss=" in bars and "Evaluation:   0%" not in bars
    evaluation, end = capsys.readouterr().out.split("}")[:2]
    assert "eval_loss" in evaluation and "train_runtime" in end


@pytest.mark.parametrize(
    ("quiet", "given", "expected"),
    [
        (True, None, [HeadlinePrinter]),
        (False, None, [HeadlineProgress]),
        (True, [Other()], [HeadlinePrinter]),
        (True, [Mine()], [Mine]),
        (True, [PrinterCallback()], [PrinterCallback]),
        (False, [Mine()], [Mine]),
    ],
)
def test_a_users_own_callback_prints_in_place_of_ours(saver, tmp_path, quiet, given, expected):
    trainer = saver(tmp_path, save_strategy="no", disable_tqdm=quiet, callbacks=given or ())
    assert printing(trainer) == expected


def test_a_callback_of_another_kind_that_trainer_takes_is_left_alone(saver, tmp_path):
    trainer = saver(tmp_path, save_strategy="no")
    trainer.callback_handler.callbacks[-1] = Other()  # as a notebook's
    show_headlines(trainer, ["loss"])
    assert isinstance(trainer.callback_handler.callbacks[-1], Other) and not printing(trainer)
