"""Losses of single rows are those of the model, whatever stands beside them in a batch."""

from __future__ import annotations

import pytest
import torch
from datasets import Dataset

from frtune import KeyphraseGeneration, build_model
from frtune.inference import Predictor
from frtune.training.row_losses import row_losses


@pytest.mark.parametrize("family", ["t5", "polyglot"])
def test_the_loss_of_a_row_is_the_models_own(family, tiny, corpus):
    task = KeyphraseGeneration(max_source_tokens=64, max_target_tokens=16)
    model, tokenizer = build_model(task, checkpoint=str(tiny(family)), proof=False)
    model.eval()
    phrases = [["budget"], ["school canteen", "public library"], ["river"]]
    rows = Dataset.from_dict({"text": corpus[:3], "keyphrases": phrases})
    encoded = Predictor(task, model, tokenizer).encode(rows, with_labels=True)
    found = row_losses(model, encoded, task, tokenizer, batch_size=2)
    for loss, row in zip(found, encoded, strict=True):
        with torch.no_grad():
            own = model(
                input_ids=torch.tensor([row["input_ids"]]), labels=torch.tensor([row["labels"]])
            ).loss
        assert loss == pytest.approx(own.item(), rel=1e-4)
