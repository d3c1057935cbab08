"""What the preflight says of memory: a step that is cut needs one of its longest rows."""

from __future__ import annotations

import re
from types import SimpleNamespace

from frtune import SequenceClassification, training_arguments
from frtune.models.lora import lora_config
from frtune.planning.parameters import architecture
from frtune.preflight.resources import memory_forecast


def test_a_batch_that_does_not_fit_fits_in_cuts(tiny, tmp_path, monkeypatch):
    task = SequenceClassification(labels=["0", "1"], max_source_tokens=512)
    checkpoint = tiny("bert")
    args = training_arguments(
        task, str(tmp_path), per_device_train_batch_size=64, bf16=False, use_cpu=True
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

    one = needed(512)
    assert needed(None) > 2 * one, "a CPU's cuts have 2048 tokens"
    note, warning = forecast(int(1.1 * one), budget=2 * 512)
    assert warning is None and note.endswith("cuts of 512 tokens (--max-tokens-per-batch 512)")
    args.train_sampling_strategy = "group_by_length"
    assert needed(None) > 20 * one
