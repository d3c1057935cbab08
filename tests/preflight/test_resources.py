"""What the preflight says of memory: a step that is cut needs one of its longest rows."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from frtune import SequenceClassification, training_arguments
from frtune.models.lora import lora_config
from frtune.planning.parameters import architecture
from frtune.preflight.resources import memory_forecast


@pytest.mark.parametrize("strategy", ["random", "group_by_length"])
def test_a_batch_that_does_not_fit_fits_in_cuts(strategy, tiny, tmp_path, monkeypatch):
    task = SequenceClassification(labels=["0", "1"], max_source_tokens=512)
    checkpoint = tiny("bert")
    args = training_arguments(
        task, str(tmp_path), per_device_train_batch_size=64, bf16=False, use_cpu=True,
        train_sampling_strategy=strategy,
    )  # fmt: skip

    def forecast(free, **options):
        monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=free))
        found = architecture(str(checkpoint), task)
        return memory_forecast(
            found, task, args, method="full", lora=lora_config(), checkpoint=checkpoint, **options
        )

    def needed(budget):
        note, warning = forecast(10**12, budget=budget)
        assert warning is None and "cuts" not in note
        number, unit = re.match(r"about ([\d.]+) (\w+)", note).groups()
        return float(number) * {"kB": 1e3, "MB": 1e6, "GB": 1e9}[unit]

    one, four = needed(512), needed(4 * 512)
    assert one < 0.5 * four
    note, warning = forecast(int(1.1 * one), budget=4 * 512)
    assert warning is None and note.endswith("cuts of 512 tokens (--max-tokens-per-batch 512)")
    _, warning = forecast(int(0.5 * one), budget=4 * 512)
    assert warning.startswith("one of the longest rows may run out")
    if strategy == "random":
        assert needed(None) == four, "a CPU's cuts have 2048 tokens"
    else:
        assert needed(None) > 10 * four
        assert forecast(int(4 * four))[1].startswith("the longest batch may run out")
