"""What a batch of mixed rows holds, and what cannot be mixed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from frtune import InputError, KeyphraseGeneration, Mixup, build_model, training_arguments
from frtune.tasks.collators import TokenCollator
from frtune.tasks.sequences import SequenceCollator
from frtune.training.mixup.collator import MixupCollator
from frtune.training.mixup.mixing import blended, one_hot, united
from frtune.training.mixup.mixup import Mix

SHORT, LONG = [5, 9, 6], [5, 8, 7, 9, 6]


@pytest.fixture
def fixed(monkeypatch):
    """``fixed(0.25, [1, 0])``: every batch is mixed so."""

    def fix(share: float, partners: list[int], layer: int | None = None):
        monkeypatch.setattr(Mixup, "draw", lambda *args, **kwargs: Mix(share, partners, layer))

    return fix


def test_a_mix_computed_by_hand():
    values = torch.tensor([[1.0, 2.0], [5.0, 10.0]])
    found = blended(values, 0.25, torch.tensor([1, 0]))
    assert found.tolist() == [[4.0, 8.0], [2.0, 4.0]]


def test_masks_and_ids_are_united_and_labels_soft(fixed):
    fixed(0.25, [1, 0])
    collator = MixupCollator(SequenceCollator(pad_id=1), Mixup(), seed=0, classes=3)
    batch = collator([{"input_ids": SHORT, "labels": 2}, {"input_ids": LONG, "labels": 0}])
    assert batch["attention_mask"].tolist() == [[1] * 5, [1] * 5]
    assert batch["input_ids"].tolist() == [[5, 9, 6, 9, 6], LONG]  # places, not embeddings
    assert batch["mixup"]["input_ids"].tolist() == [[5, 9, 6, 1, 1], LONG]
    assert batch["soft_labels"].tolist() == [[0.75, 0, 0.25], [0.25, 0, 0.75]]
    assert batch["labels"].tolist() == [2, 0]


@pytest.mark.parametrize("level", ["hidden", "sentence"])
def test_other_levels_leave_ids_and_mask_alone(fixed, level):
    fixed(0.25, [1, 0], 1)
    plain = SequenceCollator(pad_id=1)
    examples = [{"input_ids": SHORT, "labels": 2}, {"input_ids": LONG, "labels": 0}]
    batch = MixupCollator(plain, Mixup(level), seed=0, classes=3)(examples)
    for name, value in plain(examples).items():
        assert torch.equal(batch[name], value)


def test_token_labels_are_soft_where_either_row_has_one(fixed):
    fixed(0.25, [1, 0])
    collator = MixupCollator(TokenCollator(pad_id=1), Mixup(), seed=0, classes=3)
    batch = collator(
        [
            {"input_ids": SHORT, "labels": [-100, 1, -100]},
            {"input_ids": LONG, "labels": [-100, 2, 0, 0, -100]},
        ]
    )
    soft = batch["soft_labels"]
    nothing = [0.0, 0, 0]
    assert soft[0].tolist() == [nothing, [0, 0.25, 0.75], [0.75, 0, 0], [0.75, 0, 0], nothing]
    assert soft[1].tolist() == [nothing, [0, 0.75, 0.25], [0.25, 0, 0], [0.25, 0, 0], nothing]
    # all together, soft labels weigh what the labels that are counted do
    assert soft.sum().item() == (batch["labels"] != -100).sum().item()


def test_scores_and_pairs_in_both_orders(fixed):
    fixed(0.25, [1, 0])
    collator = MixupCollator(SequenceCollator(pad_id=1, orders=2), Mixup(), seed=0, classes=None)
    batch = collator(
        [{"input_ids": [SHORT, SHORT], "labels": 4.0}, {"input_ids": [LONG, LONG], "labels": 0.0}]
    )
    assert batch["soft_labels"].tolist() == [1.0, 3.0]
    assert batch["mixup"]["partners"].tolist() == [2, 3, 0, 1]


def test_a_share_of_1_and_of_0_leave_one_of_the_rows(fixed):
    examples = [{"input_ids": SHORT, "labels": 1}, {"input_ids": LONG, "labels": 0}]
    plain = SequenceCollator(pad_id=1)(examples)
    collator = MixupCollator(SequenceCollator(pad_id=1), Mixup(), seed=0, classes=2)
    fixed(1.0, [1, 0])
    for name, value in plain.items():
        assert torch.equal(collator(examples)[name], value)
    fixed(0.0, [1, 0])
    for name in ("input_ids", "attention_mask"):
        assert torch.equal(collator(examples)[name], plain[name].flip(0))


@pytest.mark.parametrize("kind", ["boolean", "ones", "added"])
def test_masks_of_every_kind_are_united(kind):
    seen = torch.tensor([[True, False, False], [False, True, False]])
    mask = {"boolean": seen, "ones": seen.long(), "added": torch.where(seen, 0.0, -1e9)}[kind]
    found = united(mask, 0.5, torch.tensor([1, 0]))
    assert ((found == 0) if kind == "added" else found.bool()).tolist() == [[True, True, False]] * 2


def test_soft_labels_sum_to_1_or_to_0():
    soft = one_hot(torch.tensor([[0, 2, -100], [-100, 1, 1]]), 3)
    for share in (0.1, 0.5):
        total = blended(soft, share, torch.tensor([1, 0])).sum(-1)
        assert torch.allclose(total[:, 1], torch.ones(2))
        assert torch.allclose(total[:, 0], torch.tensor([share, 1 - share]))


def test_draws_repeat_for_seed_and_content_and_differ_otherwise():
    mixup = Mixup("hidden")

    def draw(seed=1, content=b"a"):
        return mixup.draw(16, blocks=4, seed=seed, content=content)

    assert draw() == draw()
    assert draw() != draw(seed=2) and draw() != draw(content=b"b")
    assert sorted(draw().partners) == list(range(16))


def test_shares_follow_the_beta_distribution_and_layers_all_blocks():
    mixup = Mixup("hidden", alpha=0.4)
    mixes = [mixup.draw(2, blocks=3, seed=0, content=str(i).encode()) for i in range(4000)]
    shares = np.array([mix.share for mix in mixes])
    assert abs(shares.mean() - 0.5) < 0.02
    assert abs(shares.var() - 1 / (4 * (2 * 0.4 + 1))) < 0.01
    assert {mix.layer for mix in mixes} == {1, 2, 3}
    assert mixup.draw(2, blocks=3, seed=0, content=b"").layer in (1, 2, 3)
    assert Mixup("hidden", layer=2).draw(2, blocks=3, seed=0, content=b"").layer == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"level": "sentences"}, "embeddings, hidden, sentence. Did you mean sentence?"),
        ({"alpha": 0}, "alpha=0: above 0"),
        ({"alpha": -1.0}, "above 0"),
        ({"alpha": float("nan")}, "above 0"),
        ({"alpha": "1"}, "above 0"),
        ({"layer": 2}, "for level='hidden' only"),
        ({"level": "hidden", "layer": 0}, "a whole number from 1"),
        ({"rows": 0}, "a whole number from 1"),
        ({"rows": 1.5}, "a whole number from 1"),
        ({"level": "hidden", "rows": 5}, "mixed while training"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(InputError) as error:
        Mixup(**settings)
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("mixup", "name", "overrides", "message"),
    [
        (Mixup("hidden", layer=9), "classification", {}, r"layer=9: this model has blocks 1 to \d"),
        (Mixup("sentence"), "keywords", {}, "keywords are labels of tokens"),
        (Mixup(), "classification", {"per_device_train_batch_size": 1}, "Pass 2 or more"),
        (Mixup(rows=5), "classification", {}, "needs 10 training rows.*there are 8.*4 or fewer"),
        (Mixup(rows=2), "symmetric", {}, "not for pairs in both orders"),
    ],
)
def test_what_cannot_be_mixed_is_refused_before_training(
    trainer_of, mixup, name, overrides, message
):
    with pytest.raises(InputError, match=message):
        trainer_of(mixup, name=name, **overrides)


def test_generation_is_refused(tiny, tmp_path):
    task = KeyphraseGeneration()
    model, tokenizer = build_model(task, checkpoint=str(tiny("t5")), proof=False)
    args = training_arguments(task, str(tmp_path))
    with pytest.raises(InputError, match="writes text and has no label to mix"):
        task.trainer(model, tokenizer, args, mixup=Mixup())
