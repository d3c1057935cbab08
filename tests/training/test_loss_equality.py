"""A step's loss and gradients do not depend on how its rows were cut into batches.

That they do not depend on the number of processes either stands in ``tests/test_cells.py``.
"""

from __future__ import annotations

import pytest
import torch
import transformers.modeling_utils

from frtune import (
    KeyphraseGeneration,
    KeywordExtraction,
    SentenceSimilarity,
    SequenceClassification,
    build_model,
)
from frtune.tasks.loss import StepLoss
from kinds import DECODERS, ENCODERS, GENERATING

TASKS = {
    "keyphrases": KeyphraseGeneration(max_source_tokens=64),
    "keyphrases, loss on all": KeyphraseGeneration(max_source_tokens=64, train_on_prompt=True),
    "classification": SequenceClassification(max_source_tokens=64),
    "several labels": SequenceClassification(
        max_source_tokens=64, multi_label=True, class_weights="balanced"
    ),
    "similarity": SentenceSimilarity(max_source_tokens=64, head="regression"),
    "keywords": KeywordExtraction(max_source_tokens=64),
}
CASES = [(family, "keyphrases") for family in GENERATING]
CASES += [(family, "keyphrases, loss on all") for family in DECODERS]
CASES += [(family, "classification") for family in [*ENCODERS, *DECODERS]]
CASES += [(family, task) for family in ENCODERS for task in ("similarity", "keywords")]
CASES += [(family, "several labels") for family in ("bert", "llama")]


def _without_dropout(model) -> None:
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        for name in ("dropout", "attention_dropout", "activation_dropout"):
            if isinstance(getattr(module, name, None), float):  # BART's layers
                setattr(module, name, 0.0)


def one_step(task, checkpoint, rows, args) -> dict[str, float]:
    """Loss and gradient norm of one optimizer step over all rows, without dropout."""
    torch.manual_seed(0)  # for a new head
    model, tokenizer = build_model(task, checkpoint=str(checkpoint), proof=False)
    _without_dropout(model)
    trainer = task.trainer(model, tokenizer, args, train_dataset=rows)
    trainer.train()
    first = next(entry for entry in trainer.state.log_history if "grad_norm" in entry)
    return {"loss": first["loss"], "grad_norm": first["grad_norm"]}


@pytest.mark.parametrize(("family", "task_name"), CASES)
def test_loss_and_gradient_norm_are_equal_for_8x1_and_2x4(family, task_name, tiny, rows, arguments):
    task = TASKS[task_name].fit(rows)
    found = [
        one_step(
            task,
            tiny(family),
            rows,
            arguments(
                task,
                max_steps=1,
                per_device_train_batch_size=size,
                gradient_accumulation_steps=steps,
                max_grad_norm=1e9,
            ),
        )
        for size, steps in ((8, 1), (2, 4))
    ]
    assert found[0]["loss"] > 0.1
    assert found[1]["loss"] == pytest.approx(found[0]["loss"], rel=1e-5)
    assert found[1]["grad_norm"] == pytest.approx(found[0]["grad_norm"], rel=1e-5)


@pytest.mark.parametrize("family", DECODERS)
def test_a_decoder_learns_the_same_when_it_computes_only_the_logits_that_count(
    family, tiny, rows, arguments, monkeypatch
):
    task = TASKS["keyphrases"]
    args = arguments(task, max_steps=1, per_device_train_batch_size=8, max_grad_norm=1e9)
    widths = []

    def watched(loss, logits, *labels):
        widths.append(logits.dim())
        return cross_entropy(loss, logits, *labels)

    cross_entropy = StepLoss._cross_entropy
    monkeypatch.setattr(StepLoss, "_cross_entropy", watched)
    found = [one_step(task, tiny(family), rows, args)]
    monkeypatch.setattr("frtune.training.trainer.keep_scored", lambda inputs, loss: None)
    found.append(one_step(task, tiny(family), rows, args))
    # Transformers 5.18 computes all logits, whatever is asked for
    takes_mask = hasattr(transformers.modeling_utils, "slice_logits_to_keep")
    half = len(widths) // 2  # as many cuts each time
    assert widths == [2 if takes_mask else 3] * half + [3] * half
    assert found[0] == pytest.approx(found[1], rel=1e-5)
