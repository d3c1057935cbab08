"""A run trains in what its device computes in, its family bears, and the first rows prove."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from frtune import SequenceClassification, build_model, load, quantize, training_arguments
from frtune.cli import main
from frtune.cli.train_arguments import parse_train_arguments
from frtune.errors import InputError
from frtune.models.families import family_named
from frtune.tasks.config_file import save_task
from frtune.training.in_force import precision
from frtune.training.precision_choice import (
    first_choice,
    keep_begun,
    mark,
    marked,
    overflow,
    prove_fp16,
    settle_precision,
)
from pretended import A100, GTX_1650_TI, T4, TWO_A100, pretend

TASK = SequenceClassification(labels=["0", "1"])
NEITHER, BF16, FP16 = (
    {"bf16": bf16, "fp16": fp16} for bf16, fp16 in ((False, False), (True, False), (False, True))
)


@pytest.mark.parametrize(
    ("hardware", "given", "chosen", "note"),
    [
        ({"card": A100}, {}, BF16, "default"),
        ({"card": TWO_A100}, {}, BF16, "default"),
        ({"card": A100}, {"use_cpu": True}, NEITHER, "default"),
        ({"card": A100, "fast_cpu": True}, {"use_cpu": True}, BF16, "default"),
        ({"card": A100}, {"fp16": True}, FP16, None),
        ({"card": A100}, {"fp16": False}, BF16, "not fp16"),
        ({"card": A100}, {"bf16": False}, NEITHER, None),
        ({"card": T4}, {}, NEITHER, "open"),  # the family decides
        ({"card": T4}, {"fp16": False}, NEITHER, "not fp16"),
        ({"card": T4}, {"use_cpu": True}, NEITHER, "default"),
        ({"mps": True}, {}, NEITHER, "open"),
        ({"fast_cpu": True}, {}, BF16, "default"),
        ({}, {"bf16": True}, BF16, None),
    ],
)
def test_the_device_in_use_decides_unless_told(hardware, given, chosen, note, monkeypatch):
    pretend(monkeypatch, **hardware)
    assert first_choice(given) == (chosen, note)
    if not given:
        assert first_choice(given, tiny=True) == (NEITHER, "default")


@pytest.mark.parametrize("card", [T4, GTX_1650_TI])
def test_bf16_that_is_emulated_is_refused_in_every_command(card, monkeypatch, capsys, tmp_path):
    pretend(monkeypatch, card)
    with pytest.raises(InputError, match="only emulates bf16"):
        training_arguments(TASK, str(tmp_path), bf16=True)
    for command in (
        ["train", "classification", "--data", "sample", "--bf16"],
        ["preflight", "train", "classification", "--data", "sample", "--bf16"],
        ["plan", "--checkpoint", "almanach/camembert-base", "--bf16"],
    ):
        assert main(command) == 2
        error = capsys.readouterr().err
        assert f"{card[0]} has compute capability" in error and error.count("\n") == 1


def test_a_flag_and_its_opposite_are_taken_on_the_command_line(monkeypatch):
    flags = ["--data", "rows.csv", "--checkpoint", "x", "--use-cpu", "true"]
    pretend(monkeypatch, fast_cpu=True)
    for more, chosen in (
        ([], "bf16"), (["--no-fp16"], "bf16"), (["--no-bf16"], "fp32"), (["--bf16"], "bf16"),
    ):  # fmt: skip
        args = parse_train_arguments("classification", [*flags, *more])[2]
        assert precision(args) == chosen
        assert (marked(args) is None) == bool({"--bf16", "--no-bf16"} & {*more})
    pretend(monkeypatch, A100)  # beside a CPU that is not fast in bf16
    assert precision(parse_train_arguments("classification", flags)[2]) == "fp32"


def arguments(note="open"):
    args = SimpleNamespace(
        use_cpu=False, bf16=False, fp16=False, mixed_precision="no", process_index=0, world_size=1
    )
    return mark(args, note)


def test_families_that_bear_fp16_are_trained_in_it(monkeypatch, caplog):
    pretend(monkeypatch, T4)
    for note, family, chosen in (
        ("open", "camembert", "fp16"), ("open", "polyglot", "fp16"), ("open", "t5", "fp32"),
        ("open", "gemma2", "fp32"), (None, "camembert", "fp32"), ("default", "camembert", "fp32"),
    ):  # fmt: skip
        args = arguments(note)
        settle_precision(args, family_named(family))
        assert precision(args) == chosen
        assert args.fp16 == (chosen == "fp16")
    assert "fp16: T4 (compute capability 7.5) only emulates bf16" in caplog.text
    assert "and the family overflows in fp16" in caplog.text


@pytest.fixture
def trainer(tiny, rows, tmp_path):
    """A trainer whose arguments say nothing of its precision."""
    task = SequenceClassification(max_source_tokens=32).fit(rows)
    torch.manual_seed(0)
    model, tokenizer = build_model(task, checkpoint=str(tiny("bert")), proof=False)
    args = training_arguments(
        task, str(tmp_path / "run"), use_cpu=True, max_steps=2, save_strategy="steps", save_steps=1,
        eval_strategy="no", load_best_model_at_end=False, disable_tqdm=True,
    )  # fmt: skip
    return task.trainer(model, tokenizer, args, train_dataset=rows, proof=False)


def test_what_overflows_in_fp16_is_found_before_the_first_step(trainer, monkeypatch, caplog):
    switched = []
    path = "frtune.training.precision_choice"
    monkeypatch.setattr(f"{path}.switch", lambda trainer, to: switched.append(to))
    monkeypatch.setattr(f"{path}.precision", lambda args: "fp16")
    mark(trainer.args, "open")
    model, state = trainer.model, torch.get_rng_state()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    prove_fp16(trainer)
    assert not switched and torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[name], weight) for name, weight in model.state_dict().items())
    assert all(weight.grad is None for weight in model.parameters())
    layer = model.get_submodule("bert.encoder.layer.0.output.dense")
    gradient = layer.register_forward_hook(
        lambda module, given, output: output.register_hook(lambda found: found * 1e9) and None
    )
    assert overflow(trainer, torch.device("cpu")) == "gradient"
    gradient.remove()
    with torch.no_grad():
        layer.weight.mul_(1e7)  # finite in fp32
    assert overflow(trainer, torch.device("cpu")) == "loss"
    prove_fp16(trainer)
    assert switched == ["fp32"]
    assert "fp32: in fp16 the loss of the first rows overflows" in caplog.text


def test_a_resumed_run_keeps_what_it_began_with(trainer, monkeypatch, caplog, tmp_path):
    begun = precision(trainer.args)
    trainer.train()
    other = "fp32" if begun == "bf16" else "bf16"
    monkeypatch.setattr("frtune.environment.hardware.has_bf16", lambda: other == "bf16")
    args = training_arguments(
        trainer.task, str(tmp_path / "run"), use_cpu=True, max_steps=3, save_strategy="no",
        eval_strategy="no", load_best_model_at_end=False, disable_tqdm=True,
    )  # fmt: skip
    assert precision(args) == other
    again = trainer.task.trainer(
        trainer.model, trainer.processing_class, args, train_dataset=trainer.train_dataset,
        proof=False,
    )  # fmt: skip
    again.train(resume_from_checkpoint=True)
    assert precision(again.args) == begun == again.accelerator.mixed_precision.replace("no", "fp32")
    assert f"{begun}: the run began with it" in caplog.text
    told = arguments(None)
    keep_begun(SimpleNamespace(args=told), True)  # the user chose: it is compared, not changed
    assert precision(told) == "fp32"


def test_a_model_on_the_cpu_does_not_compute_in_what_an_idle_gpu_has(
    trainer, monkeypatch, tmp_path
):
    for part in (trainer.model, trainer.processing_class):
        part.save_pretrained(tmp_path / "full")
    save_task(trainer.task, tmp_path / "full")
    quantize(tmp_path / "full", tmp_path / "int8", proof=False)
    pretend(monkeypatch, A100)
    assert load(tmp_path / "full", device="cpu").precision == "fp32"
    assert load(tmp_path / "int8").precision == "fp32"  # which computes on CPUs alone
    pretend(monkeypatch, A100, fast_cpu=True)
    assert load(tmp_path / "full", device="cpu").precision == "bf16"
    with pytest.raises(InputError, match="on CPUs nothing computes in it"):
        load(tmp_path / "full", device="cpu", fp16=True)
