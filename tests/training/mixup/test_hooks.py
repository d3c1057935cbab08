"""What the forward pass of a mixed batch computes, and that nothing of it stays on the model."""

from __future__ import annotations

import pytest
import torch

from frtune import Mixup
from frtune.models.families import FAMILIES, kind_of
from frtune.training.encoding import encode_dataset
from frtune.training.mixup.collator import training_collator
from frtune.training.mixup.hooks import block_count, blocks_of, head_of, mixed
from frtune.training.mixup.mixing import aligned, blended
from frtune.training.mixup.mixup import Mix
from kinds import CLASSIFYING, DECODERS, ENCODERS

TURNED = [1, 0]


@pytest.fixture
def batch_of(monkeypatch, rows):
    """``batch_of(task, model, tokenizer, Mixup(), 0.25)``: plain and mixed batch of two rows."""

    def make(task, model, tokenizer, mixup, share, numbers=(1, 3), layer=None):
        mix = Mix(share, TURNED, mixup.layer or layer)
        monkeypatch.setattr(Mixup, "draw", lambda *args, **kwargs: mix)
        encoded = encode_dataset(rows, task, tokenizer, kind=kind_of(model))
        examples = [encoded[i] for i in numbers]
        plain = task.collator(model, tokenizer)
        collator = training_collator(mixup, task, model, collator=plain, seed=0)
        batches = aligned(plain, model)(examples), collator(examples)
        for batch in batches:
            batch.pop("row")
        assert len(set(map(len, (e["input_ids"] for e in examples)))) == 2, "of unlike length"
        return batches

    return make


def logits_of(model, batch):
    with torch.no_grad(), mixed(model, batch) as inputs:
        return model(**{k: v for k, v in inputs.items() if k != "labels"}).logits


def hooks_on(model) -> list[str]:
    return [n for n, m in model.named_modules() if m._forward_hooks or m._forward_pre_hooks]


@pytest.mark.parametrize("level", ["embeddings", "hidden", "sentence"])
@pytest.mark.parametrize("family", CLASSIFYING)
def test_a_share_of_1_is_the_clean_forward_pass_bit_by_bit(family, level, built, batch_of):
    setup = built(family)
    plain, batch = batch_of(*setup, Mixup(level), 1.0, layer=1)
    assert torch.equal(logits_of(setup[1], batch), logits_of(setup[1], plain))


@pytest.mark.parametrize("family", CLASSIFYING)
def test_embeddings_are_those_mixed_by_hand(family, built, batch_of):
    task, model, tokenizer = built(family)
    plain, batch = batch_of(task, model, tokenizer, Mixup(), 0.25)
    with torch.no_grad():
        each = model.get_input_embeddings()(plain["input_ids"])
        by_hand = 0.25 * each + 0.75 * each.flip(0)
        mask = plain["attention_mask"].amax(0, keepdim=True).expand(2, -1)
        expected = model(inputs_embeds=by_hand, attention_mask=mask).logits
    assert torch.allclose(logits_of(model, batch), expected, atol=1e-6)
    assert not torch.allclose(logits_of(model, plain), expected, atol=1e-4)


@pytest.mark.parametrize("layer", [1, 2])
@pytest.mark.parametrize("family", [name for name in CLASSIFYING if FAMILIES[name].block_modules])
def test_a_block_is_mixed_and_those_before_it_are_clean(family, layer, built, batch_of):
    task, model, tokenizer = built(family)
    plain, batch = batch_of(task, model, tokenizer, Mixup("hidden", layer=layer), 0.25)
    states: list = []
    for block in blocks_of(model):  # a hook that was there before the mix sees what was before it
        block.register_forward_hook(
            lambda m, args, out: states.append(out[0] if isinstance(out, tuple) else out)
        )
    logits_of(model, plain)
    clean, count = states[:], block_count(model)
    states.clear()
    logits_of(model, batch)
    assert len(states) == count
    for number in range(1, count + 1):
        if number <= layer:
            assert torch.equal(states[number - 1], clean[number - 1])
        else:
            assert not torch.allclose(states[number - 1], clean[number - 1], atol=1e-4)


@pytest.mark.parametrize("family", CLASSIFYING)
def test_after_the_last_block_the_head_reads_the_mix_of_clean_states(family, built, batch_of):
    task, model, tokenizer = built(family)
    last = block_count(model)
    plain, batch = batch_of(task, model, tokenizer, Mixup("hidden", layer=last), 0.25)
    seen: list = []
    base = getattr(model, model.base_model_prefix)
    whole = FAMILIES[family].block_modules
    module = blocks_of(model)[last - 1] if whole else base.layer_norm2[last - 1]
    hook = module.register_forward_hook(lambda m, args, out: seen.append(out))
    logits_of(model, plain)
    hook.remove()
    with torch.no_grad(), mixed(model, batch) as inputs:
        module.register_forward_hook(lambda m, args, out: seen.append(out))  # after the mix
        model(**{k: v for k, v in inputs.items() if k != "labels"})
    place = -1 if family in DECODERS else 0
    first, second = (out[0] if isinstance(out, tuple) else out for out in seen)
    by_hand = blended(first, 0.25, torch.tensor(TURNED))[:, place]
    assert torch.allclose(second[:, place], by_hand, atol=1e-6)


@pytest.mark.parametrize("level", ["embeddings", "hidden", "sentence"])
@pytest.mark.parametrize("family", CLASSIFYING)
def test_a_row_answers_by_every_token_of_both_texts(family, level, built, batch_of):
    task, model, tokenizer = built(family)
    mixup = Mixup(level, layer=1 if level == "hidden" else None)
    _, batch = batch_of(task, model, tokenizer, mixup, 0.5)
    before = logits_of(model, batch)
    assert torch.isfinite(before).all()
    own = batch["mixup"].get("input_ids", batch["input_ids"])
    pad = tokenizer.pad_token_id
    real = [i for i, token in enumerate(own[1].tolist()) if token != pad]
    other = next(i for i in range(len(tokenizer)) if i not in (pad, *own[1].tolist()))
    for place in (real[0], real[len(real) // 2], real[-1]):
        kept = own[1, place].item()
        own[1, place] = other
        after = logits_of(model, batch)
        own[1, place] = kept
        assert not torch.allclose(after[0], before[0], atol=1e-6), "the partner's token counts"


@pytest.mark.parametrize("family", ["bert", *DECODERS])
def test_mixed_vectors_of_sentences_give_mixed_logits_of_a_linear_head(family, built, batch_of):
    setup = built(family)
    plain, batch = batch_of(*setup, Mixup("sentence"), 0.25)
    expected = blended(logits_of(setup[1], plain), 0.25, torch.tensor(TURNED))
    assert torch.allclose(logits_of(setup[1], batch), expected, atol=1e-6)


@pytest.mark.parametrize("family", ENCODERS)
def test_labels_of_tokens_are_mixed_where_their_tokens_are(family, built, batch_of):
    task, model, tokenizer = built(family, "keywords")
    plain, batch = batch_of(task, model, tokenizer, Mixup("hidden", layer=1), 0.5)
    with mixed(model, batch) as inputs:
        labels = inputs.pop("labels")
        assert labels.shape == model(**inputs).logits.shape
    for row in (0, 1):
        both = (plain["labels"][row] != -100) | (plain["labels"][1 - row] != -100)
        assert torch.equal(labels[row].sum(-1) > 0, both)


def test_no_hook_is_left_by_a_batch_or_by_an_error(built, batch_of):
    task, model, tokenizer = built()
    plain, batch = batch_of(task, model, tokenizer, Mixup("hidden", layer=1), 0.5)
    clean = logits_of(model, plain)
    logits_of(model, batch)
    assert not hooks_on(model)
    with pytest.raises(KeyError), mixed(model, batch):
        assert hooks_on(model)
        raise KeyError
    assert not hooks_on(model)
    assert torch.equal(logits_of(model, plain), clean)


def test_a_pass_that_does_not_come_by_is_an_error(built, batch_of):
    task, model, tokenizer = built()
    _, batch = batch_of(task, model, tokenizer, Mixup(), 0.5)
    with pytest.raises(RuntimeError, match="labels were mixed and rows were not"):
        with mixed(model, batch):
            pass


def test_heads_are_found(built):
    assert head_of(built("bert")[1]).out_features == 2
    assert "ClassificationHead" in type(head_of(built("camembert")[1])).__name__
    assert "Summary" in type(head_of(built("flaubert")[1])).__name__
    assert head_of(built("llama")[1]).out_features == 2
