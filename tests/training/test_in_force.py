"""What a launcher decided is read in one place: recorded, compared, or refused."""

from __future__ import annotations

import json

import pytest
import torch
from transformers import Seq2SeqTrainingArguments
from transformers.integrations.deepspeed import unset_hf_deepspeed_config

from frtune import SequenceClassification, training_arguments
from frtune.errors import InputError
from frtune.run.config import run_config
from frtune.run.settings import RunSettings
from frtune.training.in_force import (
    check_in_force,
    compiles,
    in_force,
    launcher_forgotten,
    precision,
    summary,
)
from frtune.training.resume_checks import conditions

TASK = SequenceClassification(labels=["0", "1"])
ZERO = {"ACCELERATE_USE_DEEPSPEED": "true", "ACCELERATE_DEEPSPEED_ZERO_STAGE": "2"}


@pytest.fixture
def launch(monkeypatch):
    """``launch(MIXED_PRECISION="bf16")``: what ``accelerate launch`` leaves in the environment."""

    def make(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(f"ACCELERATE_{name.removeprefix('ACCELERATE_')}", value)

    yield make
    unset_hf_deepspeed_config()


def arguments(tmp_path, **overrides):
    return training_arguments(TASK, str(tmp_path), use_cpu=True, **overrides)


def test_what_the_launcher_decided_beats_the_recipe_and_is_recorded(launch, tmp_path):
    launch(**ZERO, MIXED_PRECISION="bf16", GRADIENT_ACCUMULATION_STEPS="3", GRADIENT_CLIPPING="0.5")
    args = arguments(tmp_path, per_device_train_batch_size=2)
    check_in_force(args)
    found = in_force(args)
    assert {name: found[name] for name in ("precision", "gradient_accumulation_steps")} == {
        "precision": "bf16", "gradient_accumulation_steps": 3,
    }  # fmt: skip
    assert found["deepspeed"]["stage"] == 2 and found["max_grad_norm"] == 0.5
    assert summary(args) == "bf16, ZeRO-2"
    recorded = conditions(args, torch.nn.Linear(1, 1), train=None, validation=None)
    assert recorded["deepspeed"] == {"stage": 2, "optimizer": None}
    assert recorded["arguments"]["bf16"] and recorded["rows_per_step"] == 6
    assert run_config(TASK, RunSettings(), args)["bf16"] is True
    json.dumps(found)
    with launcher_forgotten():
        assert in_force(arguments(tmp_path, bf16=False))["deepspeed"] is None


def test_plain_arguments_compute_as_the_launcher_says(launch, tmp_path):
    launch(MIXED_PRECISION="bf16", DYNAMO_BACKEND="INDUCTOR")
    args = Seq2SeqTrainingArguments(str(tmp_path), use_cpu=True)
    check_in_force(args)
    assert not args.bf16 and precision(args) == "bf16" and compiles(args)
    assert (
        conditions(args, torch.nn.Linear(1, 1), train=None, validation=None)["arguments"]["bf16"]
        is True
    )


@pytest.mark.parametrize(
    ("variables", "overrides", "message"),
    [
        ({"MIXED_PRECISION": "bf16"}, {"bf16": False}, "bf16=False: accelerate launch decided"),
        ({"MIXED_PRECISION": "fp16"}, {}, "on CPUs nothing computes in it. Pass --bf16"),
        ({"MIXED_PRECISION": "fp8"}, {"bf16": False}, "fp8: not offered"),
        ({"GRADIENT_ACCUMULATION_STEPS": "2"}, {"gradient_accumulation_steps": 4}, "decided gr"),
        ({"GRADIENT_CLIPPING": "0.5"}, {"max_grad_norm": 1.0}, "decided max_grad_norm=0.5"),
        ({"USE_FSDP": "true"}, {}, "shards nothing"),
        ({"USE_MEGATRON_LM": "true"}, {}, "does not train with Megatron-LM"),
        (ZERO | {"DEEPSPEED_ZERO_STAGE": "3"}, {}, "zero3_save_16bit_model"),
        (ZERO | {"DEEPSPEED_CONFIG_FILE": "/none.json"}, {}, "/none.json: there is no such file"),
        (ZERO, {"save_only_model": True, "bf16": False}, "cannot go back to the best"),
    ],
)
def test_what_would_be_ignored_or_fail_late_is_refused(
    variables, overrides, message, launch, tmp_path
):
    launch(**variables)
    with pytest.raises(InputError, match=message):
        check_in_force(arguments(tmp_path, **overrides))


def test_deepspeed_without_a_launcher_says_how_to_start(launch, tmp_path):
    config = {"zero_optimization": {"stage": 2}, "train_micro_batch_size_per_gpu": "auto"}
    args = arguments(tmp_path, deepspeed=config, bf16=False)
    with pytest.raises(InputError, match="Start with torchrun"):
        check_in_force(args)
