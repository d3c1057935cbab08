"""Masks of dropout that are drawn fast: as likely, as independent, as determined by the seed."""

from __future__ import annotations

import pytest
import torch

from frtune import KeyphraseGeneration, build_model
from frtune.training import dropout
from frtune.training.dropout import bernoulli_, fast_masks

CPU = torch.device("cpu")


@pytest.fixture
def slow_here(monkeypatch):
    """As on a processor on which PyTorch draws one number after the other."""
    monkeypatch.setattr(dropout, "draws_fast", lambda: False)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.bool, torch.int64])
@pytest.mark.parametrize("shape", [(), (0, 3), (7,), (3, 5, 2)])
def test_a_mask_holds_ones_and_zeros_alone(dtype, shape):
    mask = bernoulli_(torch.full(shape, 9).to(dtype), 0.5)
    assert mask.shape == shape and mask.dtype == dtype
    assert set(mask.flatten().tolist()) <= {0, 1}


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_ones_are_as_frequent_as_asked(p):
    torch.manual_seed(0)
    count = 1 << 20
    mean = bernoulli_(torch.empty(count), p).double().mean().item()
    assert abs(mean - p) <= 5 * (p * (1 - p) / count) ** 0.5 + 1 / dropout.LEVELS


def test_neighbours_and_further_masks_are_independent():
    torch.manual_seed(0)
    first, second = (bernoulli_(torch.empty(1 << 20), 0.5) - 0.5 for _ in range(2))
    for a, b in ((first[:-1], first[1:]), (first[:-4], first[4:]), (first, second)):
        assert abs((a * b).mean().item()) < 5 * 0.25 / 1024


def test_a_view_of_another_layout_is_filled_and_nothing_else_is():
    whole = torch.full((4, 6), 9.0)
    bernoulli_(whole.t()[:3], 1.0)
    assert (whole[:, :3] == 1).all() and (whole[:, 3:] == 9).all()


def test_a_probability_above_one_is_refused():
    with pytest.raises(ValueError, match="from 0 to 1"):
        bernoulli_(torch.empty(2), 1.5)


def test_the_seed_and_a_generator_determine_the_mask(slow_here):
    def drawn(generator=None):
        return torch.empty(64).bernoulli_(0.5, generator=generator)

    with fast_masks(CPU):
        torch.manual_seed(3)
        first, second = drawn(), drawn()
        torch.manual_seed(3)
        assert torch.equal(first, drawn()) and torch.equal(second, drawn())
        assert not torch.equal(first, second)
        state = torch.get_rng_state()
        own = [drawn(torch.Generator().manual_seed(5)) for _ in range(2)]
        assert torch.equal(*own) and torch.equal(state, torch.get_rng_state())


def test_pytorchs_own_masks_are_back_afterwards(slow_here):
    def drawn():
        torch.manual_seed(1)
        return torch.nn.functional.dropout(torch.ones(1000), 0.5)

    before = drawn()
    with pytest.raises(KeyError), fast_masks(CPU):
        assert not torch.equal(drawn(), before), "the fast kernel was not in place"
        raise KeyError
    assert torch.equal(drawn(), before)
    with fast_masks(torch.device("meta")):
        assert torch.equal(drawn(), before)


def test_a_run_within_a_run_draws_fast_too(slow_here):
    def drawn():
        torch.manual_seed(1)
        return torch.empty(64).bernoulli_(0.5)

    before = drawn()
    with fast_masks(CPU):
        fast = drawn()
        with fast_masks(CPU):
            assert torch.equal(drawn(), fast)
        assert torch.equal(drawn(), fast)
    assert torch.equal(drawn(), before) and not torch.equal(fast, before)
    with fast_masks(CPU):
        assert torch.equal(drawn(), fast)


def test_pytorchs_kernel_stays_where_it_is_fast(monkeypatch):
    monkeypatch.setattr(dropout, "draws_fast", lambda: True)
    torch.manual_seed(1)
    before = torch.empty(64).bernoulli_(0.5)
    with fast_masks(CPU):
        torch.manual_seed(1)
        assert torch.equal(torch.empty(64).bernoulli_(0.5), before)


def test_gradients_use_the_mask_of_their_forward_pass(
    slow_here, tiny, rows, arguments, monkeypatch
):
    """With checkpointing the mask is drawn again in the backward pass, and must be the same."""
    task = KeyphraseGeneration(max_source_tokens=64, max_target_tokens=8)
    calls, trained, kernel = [], [], dropout.bernoulli_
    monkeypatch.setattr(dropout, "bernoulli_", lambda *a, **k: calls.append(1) or kernel(*a, **k))
    for checkpointing in (False, True):
        torch.manual_seed(0)
        model, tokenizer = build_model(
            task, checkpoint=str(tiny("bart")), proof=False, gradient_checkpointing=checkpointing
        )
        args = arguments(task, max_steps=2, learning_rate=1e-2)
        task.trainer(model, tokenizer, args, train_dataset=rows).train()
        trained.append((torch.cat([p.detach().flatten() for p in model.parameters()]), len(calls)))
    (plain, drawn), (checkpointed, all_drawn) = trained
    assert 0 < drawn < all_drawn - drawn, "checkpointing draws its masks again"
    assert torch.allclose(plain, checkpointed, atol=1e-6)
