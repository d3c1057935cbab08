"""The formulas, against hand-computed numbers, the shipped ZeRO files and what training holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from frtune.models.compatibility import METHODS, SHARDINGS
from frtune.planning.memory import LIVE_PARAMETERS, REDUCE_BUCKET, SUB_GROUP, memory
from frtune.planning.parameters import Parameters

ROOT = Path(__file__).parents[2]
MODEL = Parameters(
    total=10**9, adapter=10**6, trained_adapter=10**6, quantizable=8 * 10**8,
    int8_bytes=801 * 10**6, nf4_bytes=413 * 10**6, largest=10**8, width=1000,
)  # fmt: skip


def test_full_training_in_fp32_holds_sixteen_bytes_a_parameter():
    assert memory(MODEL, "full", "none").states == 16 * 10**9


def test_ddp_keeps_a_bucket_for_each_gradient():
    assert memory(MODEL, "full", "ddp", gpus=4).buffers == 4 * 10**9


def test_lora_keeps_gradients_and_moments_of_the_adapter_alone():
    found = memory(MODEL, "lora", "none")
    assert found.weights == 4 * 1_001_000_000
    assert found.gradients == 4 * 10**6 and found.optimizer == 8 * 10**6


def test_quantised_layers_are_packed_and_the_rest_is_not():
    rest = 1_001_000_000 - 8 * 10**8
    assert memory(MODEL, "int8", "none").weights == 801 * 10**6 + 4 * rest
    assert memory(MODEL, "nf4", "zero2").weights == 413 * 10**6 + 2 * rest


def test_zero_divides_what_it_shards():
    zero2, zero3 = (memory(MODEL, "full", stage, gpus=4) for stage in ("zero2", "zero3"))
    assert zero2.weights == 2 * 10**9 and zero3.weights == 5 * 10**8
    for found in (zero2, zero3):  # bf16 and fp32 gradients; fp32 copy and two moments
        assert found.gradients == 6 * 10**9 // 4 and found.optimizer == 12 * 10**9 // 4


def test_offload_moves_states_to_the_host():
    zero2, zero3 = (
        memory(MODEL, "full", stage, gpus=4) for stage in ("zero2_offload", "zero3_offload")
    )
    assert zero2.gradients == zero2.optimizer == zero3.optimizer == zero3.weights == 0
    assert zero2.host_states == 18 * 10**9 and zero3.host_states == 20 * 10**9


@pytest.mark.parametrize("sharding", SHARDINGS)
@pytest.mark.parametrize("method", METHODS)
def test_more_gpus_never_need_more_on_each(method, sharding):
    peaks = [memory(MODEL, method, sharding, gpus=n).states for n in (1, 2, 4, 8)]
    assert peaks == sorted(peaks, reverse=True)


def test_the_buckets_are_those_of_the_shipped_files():
    for stage in ("zero2", "zero2_offload"):
        zero = json.loads((ROOT / "deepspeed_configs" / f"{stage}.json").read_text())
        assert zero["zero_optimization"]["reduce_bucket_size"] == REDUCE_BUCKET
        assert zero["zero_optimization"]["overlap_comm"] is True
    for stage in ("zero3", "zero3_offload"):
        zero = json.loads((ROOT / "deepspeed_configs" / f"{stage}.json").read_text())
        assert zero["zero_optimization"]["stage3_max_live_parameters"] == LIVE_PARAMETERS
        assert zero["zero_optimization"]["sub_group_size"] == SUB_GROUP
