"""A classifier's logits, scaled by its own weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
)

from frtune import SequenceClassification, build_model, lora_config
from frtune.models.families import FAMILIES
from frtune.models.head_scale import _last_layers, scale_logits

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


@pytest.mark.parametrize("family", CLASSIFIERS)
def test_a_new_head_begins_with_the_shares_of_its_labels(family, tiny, tmp_path):
    rows = Dataset.from_dict({"text": ["a", "b", "c"] * 3, "label": [["x", "y"], ["y"], []] * 3})
    task = SequenceClassification(multi_label=True, max_source_tokens=32).fit(rows)
    model, tokenizer = build_model(task, checkpoint=str(tiny(family)), proof=False)
    (layer,) = _last_layers(model)
    if layer.bias is None:
        return
    expected = np.log(np.array([3.5 / 6.5, 6.5 / 3.5]))
    assert layer.bias.tolist() == pytest.approx(expected.tolist(), abs=1e-5)
    # one that has learnt is left as it is, and so is one of weighted rows
    with torch.no_grad():
        layer.bias.fill_(0.25)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    again, _ = build_model(task, checkpoint=str(tmp_path), proof=False)
    assert _last_layers(again)[0].bias.tolist() == [0.25, 0.25]
    weighted = replace(task, class_weights="balanced")
    plain, _ = build_model(weighted, checkpoint=str(tiny(family)), proof=False)
    assert _last_layers(plain)[0].bias.tolist() == [0.0, 0.0]
