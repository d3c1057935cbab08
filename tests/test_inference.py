"""Computing in bf16 changes no label that fp32 gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from datasets import Dataset

from frtune import SequenceClassification, build_model
from frtune.inference import CLOSE, Predictor, close_calls

TEXTS = [f"le maire ouvre la ville {i}" for i in range(24)]


@pytest.fixture(scope="module")
def outputs(tiny):
    """``outputs(scale, bf16)``: logits, with the weights of the head times ``scale``."""
    rows = Dataset.from_dict({"text": TEXTS, "label": [*"ab"] * 12})
    task = SequenceClassification().fit(rows)
    torch.manual_seed(0)
    model, tokenizer = build_model(task, checkpoint=str(tiny("bert")), proof=False)
    weights = {name: p.detach().clone() for name, p in model.named_parameters()}

    def run(scale, bf16):
        with torch.no_grad():
            for name, p in model.named_parameters():
                p.copy_(weights[name] * (scale if name.startswith("classifier") else 1))
        predictor = Predictor(task, model.eval(), tokenizer, batch_size=5, bf16=bf16)
        return np.stack(predictor.outputs(predictor.encode([{"text": text} for text in TEXTS])))

    return run


def test_close_rows_are_computed_in_fp32_and_others_are_not(outputs):
    fp32, bf16 = outputs(1e-3, bf16=False), outputs(1e-3, bf16=True)
    assert close_calls(list(bf16)) == set(range(len(TEXTS)))
    np.testing.assert_allclose(bf16, fp32, rtol=1e-5, atol=1e-7)
    fp32, bf16 = outputs(300, bf16=False), outputs(300, bf16=True)
    clear = sorted(set(range(len(TEXTS))) - close_calls(list(bf16)))
    assert clear and np.abs(bf16 - fp32)[clear].max() > 1e-4, "bf16 was not used at all"
    assert (bf16.argmax(-1) == fp32.argmax(-1)).all()


@pytest.mark.parametrize(
    ("logits", "expected"),
    [
        ([[0.0, CLOSE], [0.0, 3 * CLOSE]], {0}),  # near a half, half the difference of the logits
        ([[900.0, 900.0, 0.0], [900.0, 0.0, 0.0]], {0}),
        ([[0.0, 5.0], [5.0, 5.0]], {1}),
        ([[2.0], [2.0]], set()),
        ([[[0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]], set()),
        ([], set()),
    ],
)
def test_close_is_said_of_two_best_classes_of_a_text(logits, expected):
    assert close_calls([np.array(row, dtype=np.float32) for row in logits]) == expected
