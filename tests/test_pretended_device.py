"""The device that is not there allows and counts what a GPU does."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from pretended_device import DEVICE, counted

MASK = [True, False, True]
WAITING = {
    "item": lambda x, mask: x.sum().item(),
    "float": lambda x, mask: float(x.sum()),
    "truth": lambda x, mask: bool(x.isfinite().all()),
    "tolist": lambda x, mask: x.tolist(),
    "cpu": lambda x, mask: x.cpu(),
    "to cpu": lambda x, mask: x.to("cpu", non_blocking=True),
    "copied out": lambda x, mask: torch.empty(3, 2).copy_(x),
    "copied in": lambda x, mask: x.detach().copy_(torch.zeros(3, 2)),
    "moved": lambda x, mask: torch.zeros(3).to(DEVICE),
    "made": lambda x, mask: torch.tensor([1.0, 2.0], device=x.device),
    "nonzero": lambda x, mask: mask.nonzero(),
    "where": lambda x, mask: torch.where(mask),
    "masked_select": lambda x, mask: x.masked_select(mask[:, None]),
    "mask": lambda x, mask: x[mask],
    "mask written": lambda x, mask: x.detach().index_put((mask,), x[:2].detach()),
    "index of the CPU": lambda x, mask: x[torch.tensor([0, 2])],
    "unique": lambda x, mask: x.unique(),
    "equal": lambda x, mask: torch.equal(x, x),
    "repeated": lambda x, mask: x.repeat_interleave(mask.long(), 0),
}
FREE = {
    "sum": lambda x, mask: x.sum(),
    "number": lambda x, mask: x * 2 + torch.tensor(3.0),
    "filled": lambda x, mask: x.masked_fill(mask[:, None], 0.0),
    "one number by mask": lambda x, mask: x.detach().clone().__setitem__(mask, 0.0),
    "chosen": lambda x, mask: torch.where(mask[:, None], x, torch.zeros_like(x)),
    "selected": lambda x, mask: x.index_select(0, torch.arange(2, device=x.device)),
    "indexed": lambda x, mask: x[torch.arange(2, device=x.device)],
    "moved from pinned memory": lambda x, mask: torch.zeros(3).to(DEVICE, non_blocking=True),
    "there already": lambda x, mask: x.to(x.device),
    "repeated": lambda x, mask: x.repeat_interleave(mask.long(), 0, output_size=2),
    "type": lambda x, mask: x.half().type_as(x),
    "same as": lambda x, mask: x.to(mask.to(torch.int64)),
    "made there": lambda x, mask: torch.full((), 3.0, device=x.device) + x,
    "loss": lambda x, mask: functional.cross_entropy(x, mask.long(), reduction="sum"),
}
REFUSED = {
    "sum": lambda x: x + torch.zeros(3, 2),
    "index_select": lambda x: x.index_select(0, torch.tensor([0])),
    "gather": lambda x: x.gather(0, torch.zeros(1, 2, dtype=torch.int64)),
    "loss": lambda x: functional.cross_entropy(x, torch.tensor([0, 1, 1])),
    "mask": lambda x: x.masked_fill(torch.tensor(MASK)[:, None], 0.0),
    "weight": lambda x: functional.linear(x, torch.zeros(2, 2)),
    "written": lambda x: torch.zeros(3, 2).add_(x),
    "stacked": lambda x: torch.stack([x, torch.zeros(3, 2)]),
}


@pytest.fixture
def device():
    """``x`` (3, 2) and ``mask`` (3,) on the device, and what waited since."""
    with counted() as waits:
        x = torch.arange(6.0).reshape(3, 2).to(DEVICE).requires_grad_()
        mask = torch.tensor(MASK).to(DEVICE)
        waits.found.clear()
        yield x, mask, waits


@pytest.mark.parametrize("name", WAITING)
def test_what_waits_is_counted_once(name, device):
    x, mask, waits = device
    WAITING[name](x, mask)
    assert len(waits.found) == 1, waits.found
    assert "test_pretended_device.py" in waits.found[0]


@pytest.mark.parametrize("name", FREE)
def test_what_does_not_wait_is_not_counted(name, device):
    x, mask, waits = device
    out = FREE[name](x, mask)
    assert waits.found == []
    assert out is None or out.device == DEVICE


@pytest.mark.parametrize("name", REFUSED)
def test_what_mixes_devices_is_refused(name, device):
    with pytest.raises(RuntimeError, match="on the same device"):
        REFUSED[name](device[0])
    with pytest.raises(TypeError, match="can't convert cuda"):
        device[0].detach().numpy()


def test_the_backward_pass_of_a_mask_waits_and_that_of_an_index_does_not(device):
    x, mask, waits = device
    places = mask.nonzero()[:, 0]
    waits.found.clear()
    x.index_select(0, places).sum().backward()
    assert waits.found == [] and x.grad.device == DEVICE
    x[mask].sum().backward()
    assert len(waits.found) == 2
    assert x.grad.cpu().tolist() == [[2.0, 2.0], [0.0, 0.0], [2.0, 2.0]]


def test_a_model_that_is_moved_computes_its_own_numbers_and_keeps_its_ties():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4))
    model[1].weight = model[0].weight
    batch = torch.randn(2, 4)
    expected = model(batch)
    with counted():
        model.to(DEVICE)
        assert model[1].weight is model[0].weight
        assert model[0].weight.device == DEVICE
        found = model(batch.to(DEVICE))
        assert found.device == DEVICE
        found = found.cpu()
    assert torch.equal(found, expected)
    assert model[0].weight.device.type == "cpu"  # nothing pretends any longer
