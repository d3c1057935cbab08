"""The help of every command: short, in groups, each option once, as its field documents it."""

from __future__ import annotations

import re
from argparse import SUPPRESS
from collections import Counter
from dataclasses import dataclass, fields

import pytest
from transformers import Seq2SeqTrainingArguments

from frtune import InputError, parse_train_arguments
from frtune.cli import COMMANDS, main
from frtune.cli.arguments import Parser, documented, options_of
from frtune.cli.train import SeedOptions
from frtune.cli.train_arguments import FileOptions
from frtune.data.filters import Filters
from frtune.data.splitting import Cut
from frtune.labelling.budget import Budget
from frtune.labelling.endpoint import Endpoint
from frtune.labelling.prompts import LabelJob
from frtune.run.settings import RunSettings
from frtune.study.settings import Settings
from frtune.tasks.config_file import task_class
from frtune.web.launch import Server

TASKS = ("classification", "similarity", "keywords", "keyphrases")
CALLS = [[name] for name in COMMANDS if name != "train"] + [["train", task] for task in TASKS]
LINE = re.compile(r"^  (--?[\w-]+(?:[ ,][^ ]\S*)*)(?:  +(.*))?$", re.MULTILINE)
FLAG = re.compile(r"(?<![\w-])--[a-zA-Z][\w-]*")


def help_of(argv, capsys, monkeypatch, flag="--help"):
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as left:
        main([*argv, flag])
    assert left.value.code == 0
    return capsys.readouterr().out


def flags_of(text):
    """The options that a help explains, in order."""
    heads = [re.split(r" {2,}", line.strip())[0] for line in text.splitlines()
             if re.match(r"  -", line)]  # fmt: skip
    return [flag for head in heads for flag in FLAG.findall(head)]


@pytest.mark.parametrize("argv", CALLS, ids=" ".join)
def test_a_help_fits_two_screens_and_has_each_option_once_in_a_group(argv, capsys, monkeypatch):
    text = help_of(argv, capsys, monkeypatch)
    lines = text.splitlines()
    assert len(lines) <= 100 and max(map(len, lines)) <= 100
    flags = flags_of(text)
    assert not [flag for flag, count in Counter(flags).items() if count > 1]
    assert not [flag for flag in flags if "_" in flag]
    groups = [line for line in lines if re.fullmatch(r"\w.*:", line)]
    assert len(groups) >= 2 and "optional arguments:" not in groups


def test_train_starts_with_the_task_then_data_model_memory_training(capsys, monkeypatch):
    lines = help_of(["train", "keywords"], capsys, monkeypatch).splitlines()
    groups = [line for line in lines if re.fullmatch(r"[a-z].*:", line)]
    assert groups[:6] == [
        "options:", "the task, keywords:", "data:", "model:", "memory and speed:", "training:",
    ]  # fmt: skip


@pytest.mark.parametrize("task", TASKS)
def test_help_all_is_complete(task, capsys, monkeypatch):
    short = flags_of(help_of(["train", task], capsys, monkeypatch))
    whole = flags_of(help_of(["train", task], capsys, monkeypatch, "--help-all"))
    assert set(short) <= set(whole) and len(whole) == len(set(whole))
    ours = [item for cls in (RunSettings, task_class(task)) for item in fields(cls)]
    wanted = [
        item.name
        for item in (*ours, *fields(Seq2SeqTrainingArguments))
        if item.init and item.metadata.get("help") != SUPPRESS
    ]
    assert {f"--{name.replace('_', '-')}" for name in wanted} <= set(whole)
    assert len(short) < 80 < 140 < len(whole)
    assert {f"--{item.name.replace('_', '-')}" for item in fields(RunSettings)} <= set(short)


DOCUMENTED = [*(task_class(task) for task in TASKS), RunSettings, FileOptions, SeedOptions, Filters,
              Cut, LabelJob, Endpoint, Budget, Settings, Server]  # fmt: skip


@pytest.mark.parametrize("cls", DOCUMENTED, ids=lambda cls: cls.__name__)
def test_the_help_of_an_option_is_what_its_field_documents(cls):
    texts = documented(cls)
    for name, actions in options_of(cls, switches=False).items():
        if actions[0].help != SUPPRESS:
            assert actions[0].help == texts[name].replace("`", "").replace("%", "%%"), name


@pytest.mark.parametrize("argv", CALLS, ids=" ".join)
def test_every_option_has_a_text(argv, monkeypatch):
    shown = []
    monkeypatch.setattr(Parser, "print_help", lambda self, file=None: shown.append(self))
    with pytest.raises(SystemExit):
        main([*argv, "--help"])
    assert [a for a in shown[0]._actions if not (a.help or "").strip()] == []


def test_underscores_are_understood_when_they_are_typed():
    flags = ["--num_train_epochs", "7", "--max_source_tokens=99", "--local_rank=0", "--no_proof"]
    task, settings, args = parse_train_arguments("keyphrases", flags)
    assert (args.num_train_epochs, task.max_source_tokens, settings.proof) == (7, 99, False)
    with pytest.raises(InputError, match=r"Did you mean --num-train-epochs\?"):
        parse_train_arguments("keyphrases", ["--num_train_epoch", "7"])


@dataclass(frozen=True)
class Own:
    """Options of a program.

    Attributes:
        pairs: Where the pairs are.
        fast: Whether it hurries.
    """

    pairs: str = "sample"
    fast: bool = False


def test_a_program_adds_options_and_names_to_those_of_frtune_train():
    aliases = {"-n": "num_train_epochs", "--max-rows": ["max_train_rows", "max_test_rows"]}
    flags = ["-n", "2", "--max-rows", "8", "--fast", "--max-test-rows", "4"]
    task, settings, args, own = parse_train_arguments(
        "keywords", flags, defaults={"output_dir": "x", "weight_decay": 0.5}, aliases=aliases,
        extra=Own, without=["mixup"],
    )  # fmt: skip
    assert (args.num_train_epochs, args.output_dir, args.weight_decay) == (2, "x", 0.5)
    assert (settings.max_train_rows, settings.max_test_rows) == (8, 4)
    assert own == Own(fast=True) and task.name == "keywords"
    with pytest.raises(InputError, match="--mixup: no such option"):
        parse_train_arguments("keywords", ["--mixup"], without=["mixup"])
