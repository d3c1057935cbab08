"""Sizes are read off a config on one rank, also where ZeRO-3 splits the run's own model."""

from __future__ import annotations

import pytest
import torch
import transformers
from transformers.integrations import HfDeepSpeedConfig

from frtune.models.config_sizes import max_positions
from frtune.models.families import FAMILIES

ZERO3 = {"zero_optimization": {"stage": 3}, "train_micro_batch_size_per_gpu": 1}


@pytest.mark.parametrize("family", FAMILIES)
def test_positions_are_measured_without_the_other_ranks(family, monkeypatch):
    deepspeed = pytest.importorskip("deepspeed")

    def split(*args, **settings):
        raise AssertionError("the model was split over the ranks")

    model_type = FAMILIES[family].model_types[0]
    config = transformers.AutoConfig.for_model(model_type)
    expected = max_positions(config)
    alive = HfDeepSpeedConfig(ZERO3)  # as TrainingArguments(deepspeed=...) keeps it
    monkeypatch.setattr(deepspeed.zero, "Init", split)
    try:
        assert max_positions(config) == expected
        with pytest.raises(AssertionError, match="split over the ranks"), torch.device("meta"):
            transformers.AutoModel.from_config(transformers.BertConfig(num_hidden_layers=1))
    finally:
        transformers.integrations.deepspeed.unset_hf_deepspeed_config()
        del alive
