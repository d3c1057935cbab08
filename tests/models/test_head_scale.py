"""A classifier's logits, scaled by its own weights."""

from __future__ import annotations

import pytest
import torch
from datasets import Dataset
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
)

from frtune import SequenceClassification, build_model, lora_config
from frtune.models.families import FAMILIES
from frtune.models.head_scale import scale_logits

ROWS = Dataset.from_dict({"text": ["Le vent.", "La mer.", "Le sel."], "label": ["a", "b", "c"]})
CLASSIFIERS = [
    name
    for name, family in FAMILIES.items()
    if family.kind != "encoder-decoder"
    and {*family.model_types} & {*MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES}
]


@pytest.mark.parametrize("lora", [False, True], ids=["whole", "lora"])
@pytest.mark.parametrize("family", CLASSIFIERS)
@torch.no_grad()
def test_logits_of_each_family_are_scaled(family, lora, tiny):
    task = SequenceClassification(max_source_tokens=32).fit(ROWS)
    model, tokenizer = build_model(
        task, checkpoint=str(tiny(family)), lora=lora_config() if lora else None, proof=False
    )
    model.eval().float()
    inputs = tokenizer("Le vent souffle.", return_tensors="pt")
    inputs = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    before = model(**inputs).logits
    scale_logits(model, 0.4)
    assert torch.allclose(model(**inputs).logits, 0.4 * before, atol=1e-5)
    assert before.abs().max() > 1e-3
