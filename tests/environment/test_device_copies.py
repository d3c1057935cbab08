"""Constants that are kept on a device are plain tensors, whoever asked first."""

from __future__ import annotations

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from frtune.environment import device_copies
from frtune.environment.device_copies import on_device
from frtune.tasks.loss import StepLoss

CPU = torch.device("cpu")


def test_what_is_asked_for_again_is_not_made_again():
    first = on_device((2.5, 1), dtype=torch.float32, device=CPU)
    assert on_device([2.5, 1.0], dtype=torch.float32, device=CPU) is first
    assert on_device((2.5, 1), dtype=torch.int64, device=CPU).tolist() == [2, 1]


def test_no_tensor_of_another_mode_is_kept():
    labels, logits = torch.tensor([0, 1]), torch.randn(2, 2)
    loss = StepLoss(class_weights=(1, 3.25))
    with FakeTensorMode() as fake, torch.inference_mode():
        loss({"logits": fake.from_tensor(logits)}, fake.from_tensor(labels))
    with torch.inference_mode():
        loss({"logits": logits}, labels)
    own = logits.clone().requires_grad_()
    loss({"logits": own}, labels).backward()
    assert type(own.grad) is torch.Tensor


def test_few_are_kept():
    for number in range(100):
        on_device((number + 0.125,), dtype=torch.float32, device=CPU)
    assert len(device_copies._kept) <= device_copies._MOST
