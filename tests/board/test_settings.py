"""The settings of the page pass the same gate as those of the command line."""

from __future__ import annotations

import pytest
import yaml

from frtune.board import parts
from frtune.board.folder import BoardFolder
from frtune.board.next_steps import CLICKS, Steps, known
from frtune.board.setting_words import SETTINGS
from frtune.board.settings import (
    MATTER,
    checked_further,
    complaint,
    read_further,
    run_config,
    typed,
    usual,
)
from frtune.board.translations import WORDS
from frtune.cli import COMMANDS
from frtune.cli.board import check_config, offered
from frtune.cli.train_arguments import parse_train_arguments
from frtune.errors import InputError
from frtune.files import yaml_text
from frtune.runs.record import Run
from frtune.tasks.config_file import task_names


@pytest.mark.parametrize("task", task_names())
def test_the_recipes_values_of_all_settings_pass_the_gate(task):
    given = {name: value for name, value in usual(task).items() if value != ""}
    config = run_config("prepared/x", "tiny", "runs/x", options={}, given=given)
    assert complaint(check_config, task, config) == ""
    assert yaml.safe_load(yaml_text(config)) == config
    assert list(usual(task)) == list(MATTER)


@pytest.mark.parametrize(
    "name, text", [("learning_rate", "fast"), ("num_train_epochs", "-1"), ("seed", "1.5"),
                   ("max_source_tokens", "0"), ("learning_rat", "1e-3")],
)  # fmt: skip
def test_what_the_command_refuses_the_page_refuses_without_naming_a_file(name, text):
    said = complaint(check_config, "classification", {name: typed(text)})
    assert said and ".yaml" not in said and "--config" not in said


def test_zero_and_false_are_given_and_blank_is_left_out():
    config = run_config("d", "c", "o", options={}, given={"early_stopping_patience": 0,
                                                          "lora": False, "seed": None})  # fmt: skip
    assert config["early_stopping_patience"] == 0 and config["lora"] is False
    assert "seed" not in config


def test_the_drawer_takes_lines_and_refuses_what_leaves_the_folder_or_the_machine(tmp_path):
    folder = BoardFolder(tmp_path)
    assert read_further("lora_r: 16\n# a note\n\nlr-scheduler-type: cosine") == {
        "lora_r": 16, "lr_scheduler_type": "cosine",
    }  # fmt: skip
    assert checked_further(folder, "deepspeed: configs/zero2.json")
    for line in ("deepspeed: /etc/passwd", "label_tree: ../x", "deepspeed: ~/x.json"):
        with pytest.raises(InputError, match="outside the folder"):
            checked_further(folder, line)
    for name in ("output_dir", "data", "push_to_hub", "hub_token", "report_to", "config"):
        with pytest.raises(InputError, match="is not set here"):
            checked_further(folder, f"{name}: x")
    with pytest.raises(InputError, match="line 2"):
        read_further("lora_r: 16\nlora_alpha")


def test_every_setting_and_step_has_its_words_in_all_languages():
    assert set(SETTINGS) == {*MATTER, *(f"why_{name}" for name in MATTER)}
    assert {f"do_{step}" for step in CLICKS} <= set(WORDS)
    for key, texts in WORDS.items():
        assert len(texts) == 3 and all(texts), key


def test_each_step_is_a_command_that_there_is():
    run = Run("runs/a", "keyphrases", "prepared/a", {}, {}, "models/x", {}, "finished")
    steps = Steps([run], lambda step: f"runs/a-{step}")
    for step in known(CLICKS, offered()):
        words = steps.words(step)
        assert words[0] in COMMANDS and all(isinstance(word, str) for word in words)


@pytest.mark.parametrize(
    ("task", "settings", "flag"),
    [
        ("classification", {"multi_label": True}, "--multi-label"),
        ("similarity", {"head": "regression"}, "--head=regression"),
    ],
)
def test_what_a_row_is_goes_with_the_steps_that_read_rows(task, settings, flag):
    run = Run("runs/a", task, "prepared/a", {}, {}, "tiny", settings, "finished")
    steps = Steps([run], lambda step: f"runs/a-{step}")
    for step in ("review", "tune"):
        assert flag in steps.words(step)
    made, _, args = parse_train_arguments(task, steps.words("tune")[2:])
    assert all(getattr(made, name) == value for name, value in settings.items())
    assert args.output_dir == "runs/a-tune"


def test_what_a_file_says_is_text_and_no_part_of_the_page():
    evil = "<img src=x onerror=alert(1)>"
    for html in (parts.table([evil], [[evil]]), parts.command(evil, evil), parts.log(evil, evil),
                 parts.head(evil), parts.done(evil)):  # fmt: skip
        assert "<img" not in html
