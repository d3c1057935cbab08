"""Which hardware computes in what, and why: in the code and in the documentation."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from frtune.cli import launch
from frtune.environment import precision
from frtune.environment.precision import (
    choose_precision,
    cpu,
    device_in_use,
    fp16_is_right,
    training_device,
)
from frtune.errors import InputError
from pretended import A100, GTX_1080, GTX_1650_TI, H100, T4, TWO_A100, V100, pretend

DOCS = Path(__file__).parents[2] / "docs"

# hardware; what a family that bears fp16 trains in, and one that does not (T5); why
SCENARIOS = {
    "T4": ({"card": T4}, "fp16", "fp32", "T4 (compute capability 7.5) only emulates bf16"),
    "GTX 1650 Ti": ({"card": GTX_1650_TI}, "fp16", "fp32",
                    "GTX 1650 Ti (compute capability 7.5) only emulates bf16"),
    "GTX 1080": ({"card": GTX_1080}, "fp32", "fp32",
                 "GTX 1080 (compute capability 6.1) only emulates bf16, and is slow in fp16"),
    "V100": ({"card": V100}, "fp16", "fp32", "V100 (compute capability 7.0) only emulates bf16"),
    "A100": ({"card": A100}, "bf16", "bf16", "A100 (compute capability 8.0) computes in bf16"),
    "H100": ({"card": H100}, "bf16", "bf16", "H100 (compute capability 9.0) computes in bf16"),
    "two A100": ({"card": TWO_A100}, "bf16", "bf16",
                 "A100 (compute capability 8.0) computes in bf16"),
    "CPU with AVX512-BF16 or AMX": ({"fast_cpu": True}, "bf16", "bf16",
                                    "the CPU (AVX512-BF16 or AMX) computes in bf16"),
    "CPU without": ({}, "fp32", "fp32", "the CPU (no AVX512-BF16 or AMX)"),
    "MPS, where the probe is right": ({"mps": True}, "fp16", "fp32", "MPS (fp16 is right there)"),
    "MPS, where it is not": ({"mps": False}, "fp32", "fp32", "MPS (fp16 is not right there)"),
}  # fmt: skip


@pytest.mark.parametrize("name", SCENARIOS)
def test_each_hardware_has_its_precision_and_a_reason(name, monkeypatch):
    hardware, bearing, other, reason = SCENARIOS[name]
    pretend(monkeypatch, **hardware)
    for device in (training_device(use_cpu=False), device_in_use()):
        found = choose_precision(device, bears_fp16=True)
        assert (found.precision, found.reason) == (bearing, reason)
        found = choose_precision(device, bears_fp16=False)
        assert found.precision == other and found.reason.startswith(reason)
        assert choose_precision(device, bears_fp16=True, bf16=False).precision == "fp32"
        if device.type == "cuda" and not device.bf16:
            with pytest.raises(InputError, match=r"only emulates bf16.* Leave it out"):
                choose_precision(device, bears_fp16=True, bf16=True)
    # plain `frtune train` has a process for each card, and one where there is none
    cards = hardware.get("card", ("", None, 0))[2]
    started = []
    monkeypatch.setattr(
        launch, "torchrun", lambda count, words, **_: started.append(count) or (0, "")
    )
    monkeypatch.setattr(launch, "use_one_device", lambda **_: None)
    code = launch.launched(["train", "classification"], None)
    assert (code, started) == ((0, [cards]) if cards > 1 else (None, []))
    # the processor counts where it computes, whatever stands beside it
    usual = "bf16" if hardware.get("fast_cpu") else "fp32"
    for device in (training_device(use_cpu=True), device_in_use("cpu"), cpu()):
        assert choose_precision(device, bears_fp16=True).precision == usual
        with pytest.raises(InputError, match="on CPUs nothing computes in it"):
            choose_precision(device, bears_fp16=True, fp16=True)


def test_of_cards_that_differ_the_weaker_decides(monkeypatch):
    pretend(monkeypatch, TWO_A100)
    both = {"cuda:0": (8, 0), "cuda:1": (7, 5), 0: (8, 0), 1: (7, 5)}
    monkeypatch.setattr("torch.cuda.get_device_capability", both.__getitem__)
    assert training_device(use_cpu=False).bf16
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert not training_device(use_cpu=False).bf16


@pytest.mark.parametrize("page", ["memory.md", "scaling.md"])
def test_the_documentation_says_the_same(page):
    text = (DOCS / page).read_text(encoding="utf-8")
    for name, (_, bearing, other, reason) in SCENARIOS.items():
        assert f"| {name} | {bearing} | {other} | {reason} |" in text
    assert "With two A100, `frtune train` uses both, with one process each" in text


def test_a_device_that_computes_wrong_in_fp16_is_found(monkeypatch):
    fp16_is_right.cache_clear()
    assert fp16_is_right("cpu")  # which emulates it
    gradients = precision._gradients
    planted = {
        "another value": lambda *args, half: gradients(*args, half=half) * (1.1 if half else 1),
        "not finite": lambda *args, half: gradients(*args, half=half) * (torch.inf if half else 1),
    }
    for fault in planted.values():
        fp16_is_right.cache_clear()
        monkeypatch.setattr(precision, "_gradients", fault)
        assert not fp16_is_right("cpu")
    fp16_is_right.cache_clear()
