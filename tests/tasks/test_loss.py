"""The loss of a step is torch's own mean where torch has one, and adds up where it has none."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional
from transformers.trainer_pt_utils import LabelSmoother

from frtune.tasks.loss import StepLoss, scored_labels

CLASSES = 7


@pytest.fixture
def batch():
    """Logits (4, 6, 7) and labels (4, 6), some of which are ignored."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 6, CLASSES, generator=generator)
    labels = torch.randint(0, CLASSES, (4, 6), generator=generator)
    labels[0, 3:] = -100
    labels[2, :2] = -100
    return logits, labels


def step(loss, logits, labels, items=None):
    return loss({"logits": logits}, labels, num_items_in_batch=items)


def test_it_is_the_mean_over_the_items_that_count(batch):
    logits, labels = batch
    expected = functional.cross_entropy(logits.reshape(-1, CLASSES), labels.reshape(-1))
    assert torch.allclose(step(StepLoss(), logits, labels), expected)


def test_labels_of_whole_rows_are_scored_too(batch):
    logits, labels = batch[0][:, 0], torch.tensor([0, 3, 6, 2])
    assert torch.allclose(
        step(StepLoss(), logits, labels), functional.cross_entropy(logits, labels)
    )


def test_outputs_may_be_an_object_or_a_dict(batch):
    logits, labels = batch
    assert StepLoss()(SimpleNamespace(logits=logits), labels) == step(StepLoss(), logits, labels)


def test_a_decoder_predicts_the_next_label(batch):
    logits, labels = batch
    expected = functional.cross_entropy(
        logits[:, :-1].reshape(-1, CLASSES), labels[:, 1:].reshape(-1)
    )
    found = step(StepLoss(shift=True), logits, labels)
    assert torch.allclose(found, expected)
    assert not torch.allclose(found, step(StepLoss(), logits, labels))


@pytest.mark.parametrize("shift", [False, True])
def test_smoothing_equals_that_of_transformers(batch, shift):
    logits, labels = batch
    expected = LabelSmoother(epsilon=0.2)({"logits": logits}, labels, shift_labels=shift)
    found = step(StepLoss(shift=shift, label_smoothing=0.2), logits, labels)
    assert torch.allclose(found, expected, atol=1e-6)
    assert not torch.allclose(found, step(StepLoss(shift=shift), logits, labels))


def test_class_weights_are_factors_of_items_that_count_as_one_each(batch):
    logits, labels = batch
    weights = [1.0, 2.0, 0.5, 1.0, 3.0, 1.0, 1.0]
    kept = labels != -100
    each = functional.cross_entropy(logits[kept], labels[kept], reduction="none")
    expected = (each * torch.tensor(weights)[labels[kept]]).sum() / kept.sum()
    assert torch.allclose(step(StepLoss(class_weights=weights), logits, labels), expected)
    ones = step(StepLoss(class_weights=[1.0] * CLASSES), logits, labels)
    assert torch.allclose(ones, step(StepLoss(), logits, labels))


def test_regression_is_the_mean_squared_error():
    logits, labels = torch.tensor([[0.5], [2.0], [-1.0]]), torch.tensor([0.0, 1.0, 1.0])
    found = step(StepLoss(regression=True), logits, labels)
    assert found.item() == pytest.approx((0.25 + 1 + 4) / 3)
    assert step(StepLoss(regression=True), logits, labels, 6).item() == pytest.approx(5.25 / 6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_batch_in_which_nothing_counts_has_no_loss_and_no_gradient(batch, smoothing):
    logits = batch[0].requires_grad_()
    loss = step(StepLoss(label_smoothing=smoothing), logits, torch.full((4, 6), -100))
    loss.backward()
    assert loss.item() == 0.0
    assert logits.grad is not None and (logits.grad == 0).all()


@pytest.mark.parametrize(
    "loss",
    [
        StepLoss(),
        StepLoss(shift=True),
        StepLoss(label_smoothing=0.1),
        StepLoss(class_weights=[0.5, *[1.0] * 5, 2.0]),
        StepLoss(focal_gamma=2.0),
    ],
    ids=["plain", "shift", "smoothed", "weighted", "focal"],
)
def test_micro_batches_add_up_to_the_step(batch, loss):
    logits, labels = batch
    counted = labels[:, 1:] if loss.shift else labels
    items = int((counted != -100).sum())
    whole = step(loss, logits, labels)
    parts = [step(loss, logits[i : i + 1], labels[i : i + 1], items) for i in range(4)]
    assert torch.allclose(sum(parts), whole)


def test_focal_weights_fall_with_the_chance_of_the_label(batch):
    logits, labels = batch
    kept = labels != -100
    each = functional.cross_entropy(logits[kept], labels[kept], reduction="none")
    expected = ((1 - (-each).exp()) ** 2 * each).mean()
    assert torch.allclose(step(StepLoss(focal_gamma=2.0), logits, labels), expected)


def test_logits_in_half_precision_are_summed_in_float32(batch):
    logits, labels = batch
    found = step(StepLoss(), logits.bfloat16(), labels)
    assert found.dtype == torch.float32
    assert torch.allclose(found, step(StepLoss(), logits.bfloat16().float(), labels))


SOFT = [
    StepLoss(),
    StepLoss(label_smoothing=0.1),
    StepLoss(class_weights=[0.5, *[1.0] * 5, 2.0]),
    StepLoss(class_weights=[0.5, *[1.0] * 5, 2.0], label_smoothing=0.1, focal_gamma=2.0),
]


def soft(labels: torch.Tensor, classes: int) -> torch.Tensor:
    return functional.one_hot(labels.clamp(min=0), classes) * (labels != -100)[..., None].float()


@pytest.mark.parametrize("loss", SOFT, ids=["plain", "smoothed", "weighted", "all"])
def test_probabilities_of_0_and_1_give_the_loss_of_ids(batch, loss):
    logits, labels = batch
    found = step(loss, logits, soft(labels, logits.shape[-1]))
    assert torch.allclose(found, step(loss, logits, labels), rtol=1e-5)


@pytest.mark.parametrize("loss", SOFT, ids=["plain", "smoothed", "weighted", "all"])
def test_mixed_probabilities_give_the_mix_of_losses(batch, loss):
    logits, labels = batch
    others = labels.roll(1, 0)
    mixed = 0.3 * soft(labels, logits.shape[-1]) + 0.7 * soft(others, logits.shape[-1])
    expected = 0.3 * step(loss, logits, labels, 10) + 0.7 * step(loss, logits, others, 10)
    assert torch.allclose(step(loss, logits, mixed, 10), expected, rtol=1e-5)


def test_probabilities_of_a_next_token_are_refused(batch):
    with pytest.raises(ValueError, match="Pass token ids"):
        step(StepLoss(shift=True), batch[0], soft(batch[1], batch[0].shape[-1]))


def test_a_decoder_may_leave_out_the_logits_that_nothing_is_scored_at(batch):
    logits, labels = batch
    loss = StepLoss(shift=True)
    scored = scored_labels(labels, shift=True)
    assert scored["kept"].numel() < labels.numel()
    kept = logits.take_along_dim(scored["kept"][..., None], 1)
    assert loss({"logits": kept}, labels, 10, scored=scored) == step(loss, logits, labels, 10)
    # what is no number where nothing is scored, as of padding, changes nothing
    counted = torch.zeros_like(labels, dtype=torch.bool).index_put(
        (torch.arange(len(labels))[:, None], scored["kept"]), torch.tensor(True)
    )
    broken = logits.masked_fill(~counted[..., None], torch.nan).requires_grad_()
    found = step(loss, broken, labels, 10)
    found.backward()
    assert found == step(loss, logits, labels, 10) and broken.grad.isfinite().all()
