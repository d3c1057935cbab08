"""The plan: what it lists, what it recommends, and that its commands can be run."""

from __future__ import annotations

import json
import shlex
import shutil

import pytest

from frtune import InputError, SequenceClassification
from frtune.cli import main
from frtune.planning.plan import CONTEXT, parse_size, plan
from pretended import T4, pretend


@pytest.fixture(scope="module")
def small(tiny):
    return plan(tiny("polyglot"), gpus=2, gpu_memory="24GB", batch=2)


def test_it_lists_what_is_allowed(small):
    found = {(option.method, option.sharding) for option in small.options}
    assert ("full", "ddp") in found and ("full", "none") not in found
    assert ("int8", "zero2") in found and ("int8", "zero3") not in found
    assert len(found) == 16


def test_the_best_that_fits_is_recommended(small, tiny):
    assert (small.recommended.method, small.recommended.sharding) == ("full", "ddp")
    option = small.options[0]
    short = option.phases.step + CONTEXT - option.activations + option.checkpointed
    tight = plan(tiny("polyglot"), gpus=2, gpu_memory=short, batch=2)
    assert tight.options[0].fits == "with checkpointing"
    assert "checkpointing" in tight.options[0].command
    nothing = plan(tiny("polyglot"), gpus=2, gpu_memory="10MB", batch=2)
    assert nothing.recommended is None and {o.fits for o in nothing.options} == {"no"}


@pytest.mark.parametrize(
    ("card", "family", "precision", "flag"),
    [
        ("t4", "polyglot", "fp16", "--fp16"),
        ("GTX 1650 Ti", "t5", "fp32", "--no-bf16"),
        ("NVIDIA A100-SXM4-80GB", "t5", "bf16", "--bf16"),
    ],
)
def test_a_card_is_planned_in_what_it_computes_in(tiny, card, family, precision, flag, capsys):
    found = plan(tiny(family), gpu=card, gpus=2, batch=2)
    assert found.precision == precision and found.reason
    assert all(flag in option.command.split() for option in found.options)
    argv = ["plan", "--checkpoint", str(tiny(family)), "--gpu", card, "--gpus", "2", "--batch", "2"]
    assert main(argv) == 0
    shown = capsys.readouterr().out.split("recommended")[0].splitlines()
    assert all(len(line) <= 80 for line in shown)
    names = {line.split()[1] for line in shown if line.startswith("full")}
    assert names == {"ddp", "zero2", "zero3", "zero2_offload", "zero3_offload"}


def test_the_card_that_is_present_is_planned(tiny, monkeypatch):
    pretend(monkeypatch, T4)
    monkeypatch.setattr("frtune.environment.hardware.gpu_memory", lambda: 15 * 10**9)
    found = plan(tiny("polyglot"), batch=2)
    assert (found.gpu, found.gpu_bytes, found.precision) == ("T4", 15 * 10**9, "fp16")
    assert plan(tiny("polyglot"), gpu_memory="8GB", batch=2).gpu_bytes == 8 * 10**9
    assert plan(tiny("polyglot"), gpu="a100", batch=2).precision == "bf16"


def test_a_small_host_rules_offload_and_loading_out(small, tiny):
    packed = [o.host for o in small.options if o.method == "int8" and "offload" not in o.sharding]
    found = plan(tiny("polyglot"), gpus=2, gpu_memory="24GB", cpu_memory=max(packed), batch=2)
    assert found.recommended.method in ("int8", "nf4")


def test_flaubert_is_never_offered_checkpointing(tiny):
    found = plan(tiny("flaubert"), gpu_memory="24GB", batch=2)
    assert {option.checkpointed for option in found.options} == {None}


def test_full_training_of_a_classifying_decoder_is_asked_for(tiny):
    task = SequenceClassification(labels=["0", "1"])
    found = plan(tiny("llama"), task=task, gpu_memory="24GB", batch=2)
    assert {("--no-lora" in o.command, "--lora" in o.command) for o in found.options} == {
        (True, False),
        (False, True),
    }
    assert found.options[0].method == "full" and "--no-lora" in found.options[0].command


def test_each_command_can_be_parsed(small, tiny, monkeypatch):
    from transformers.integrations.deepspeed import unset_hf_deepspeed_config

    from frtune.cli.train_arguments import parse_train_arguments

    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    for option in small.options:
        words = shlex.split(option.command)
        task, *rest = words[words.index("train") + 1 :]
        rest.remove("--bf16")  # the one flag that asks for hardware
        try:
            _, settings, args = parse_train_arguments(task, rest)
        finally:
            unset_hf_deepspeed_config()
        assert bool(settings.lora) == (option.method != "full")
        assert (settings.quantization or option.method) == option.method
        assert bool(args.deepspeed) == option.sharding.startswith("zero")


@pytest.mark.parametrize(
    ("text", "size"), [("24GB", 24 * 10**9), ("1 GiB", 2**30), ("512mb", 512 * 10**6), (7, 7)]
)
def test_sizes_are_read(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--gpu-memory", "lots"], "gpu_memory='lots': a number with a unit"),
        (["--cpu-memory", "0GB"], "cpu_memory='0GB'"),
        (["--gpus", "0"], "gpus=0: at least 1"),
        (["--gpu", "t4", "--bf16"], "T4 has compute capability 7.5 and only emulates bf16"),
        (["--gpu", "gtx 1651"], "Did you mean gtx 165"),
        (["--tokens", "9999"], "Pass --max-source-tokens 512 or less"),
        (["--target-tokens", "9"], "has no target"),
        (["--task", "keyphrases"], "not for bert, which is an encoder"),
        (["--gpu-memry", "1GB"], "Did you mean --gpu-memory"),
    ],
)
def test_bad_input_is_one_line(flags, message, capsys):
    argv = ["plan", "--checkpoint", "google-bert/bert-base-cased", *flags]
    assert main(argv) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_the_table_and_the_json_name_the_same_command(tiny, capsys):
    argv = ["plan", "--checkpoint", str(tiny("bert")), "--batch", "2", "--tokens", "32"]
    assert main(argv) == 0
    shown = capsys.readouterr().out
    assert main([*argv, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["recommended"] in shown
    assert found["options"][0]["memory"]["weights"] == 4 * found["parameters"]["total"]


def test_a_checkpoint_that_is_not_there_is_named():
    with pytest.raises(InputError, match="neither a directory here nor a hub model"):
        plan("nobody/nothing")


@pytest.mark.parametrize("name", ["tf_model.h5", "model.int8.safetensors"])
def test_weights_that_do_not_train_get_no_command(tiny, tmp_path, name):
    directory = shutil.copytree(tiny("bert"), tmp_path / "bert")
    (directory / "model.safetensors").rename(directory / name)
    with pytest.raises(InputError, match=r"does not train|another library alone"):
        plan(directory)


def test_quantised_weights_get_no_command(tiny, tmp_path):
    directory = shutil.copytree(tiny("bert"), tmp_path / "bert")
    path = directory / "config.json"
    settings = {"quant_method": "bitsandbytes", "load_in_8bit": True}
    config = {**json.loads(path.read_text("utf-8")), "quantization_config": settings}
    path.write_text(json.dumps(config))
    with pytest.raises(InputError, match="its weights are quantised"):
        plan(directory)
