"""Rows mixed once: as by hand, written whole, used again, and trained on beside the originals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset, load_from_disk

from frtune import Mixup
from frtune.models.families import kind_of
from frtune.training.encoding import encode_dataset
from frtune.training.mixup import stored_rows as offline
from frtune.training.mixup.hooks import mixed
from frtune.training.mixup.mixing import aligned
from frtune.training.mixup.stored_rows import StoredCollator, with_mixed_rows
from kinds import CLASSIFYING

EIGHT = 8


@pytest.fixture
def stored(built, rows, tmp_path):
    """``stored(Mixup(rows=3), "bert", "keywords")``: originals on the disk, and all rows."""

    def make(mixup, family="bert", name="classification", seed=0):
        task, model, tokenizer = built(family, name)
        encoded = encode_dataset(rows, task, tokenizer, kind=kind_of(model))
        folder = tmp_path / f"{family}-{name}"
        if not folder.exists():
            encoded.save_to_disk(str(folder))
        originals = load_from_disk(str(folder))
        collator = task.collator(model, tokenizer)
        found = with_mixed_rows(originals, mixup, task, model, collator=collator, seed=seed)
        return task, model, collator, found, folder

    return make


@pytest.mark.parametrize("family", CLASSIFYING)
def test_stored_embeddings_are_those_mixed_by_hand(family, stored):
    _, model, collator, found, _ = stored(Mixup(rows=4, alpha=1.0), family)
    assert len(found) == EIGHT + 4
    pairs = [row["mixed_rows"] for row in found if row["mixed_rows"] is not None]
    assert sorted(i for pair in pairs for i in pair) == list(range(EIGHT))
    for row in found.select(range(EIGHT, EIGHT + 4)):
        share = row["share"]
        batch = aligned(collator, model)([found[i] for i in row["mixed_rows"]])
        first, second = model.get_input_embeddings()(batch["input_ids"]).detach()
        by_hand = share * first + (1 - share) * second
        assert np.allclose(row["inputs_embeds"], by_hand.numpy(), atol=1e-6)
        labels = batch["labels"].tolist()
        expected = [0.0, 0.0]
        expected[labels[0]] += share
        expected[labels[1]] += 1 - share
        assert row["soft_labels"] == pytest.approx(expected)
        assert row["length"] == len(row["input_ids"]) == len(by_hand)


@pytest.mark.parametrize("family", CLASSIFYING)
def test_a_stored_vector_gives_the_logits_of_the_mixed_vectors(family, stored):
    _, model, collator, found, _ = stored(Mixup("sentence", rows=3, alpha=1.0), family)
    row = found[EIGHT]
    model.eval()
    batch = aligned(collator, model)([found[i] for i in row["mixed_rows"]])
    share, batches = row["share"], StoredCollator(aligned(collator, model), classes=2)
    in_memory = {
        **{name: value for name, value in batch.items() if name not in ("row", "labels")},
        "mixup": {"level": "sentence", "share": share, "partners": torch.tensor([1, 0])},
    }
    from_disk = batches([found[0], row])  # an original and a mixed row in one batch
    assert from_disk["mixup"]["stored"].tolist() == [False, True]
    logits = []
    for each in (in_memory, from_disk):
        with torch.no_grad(), mixed(model, each) as inputs:
            inputs = {k: v for k, v in inputs.items() if k not in ("row", "labels")}
            logits.append(model(**inputs).logits)
    assert torch.allclose(logits[0][0], logits[1][1], atol=1e-5)


@pytest.mark.parametrize("family", CLASSIFYING)
def test_a_batch_of_both_kinds_gives_each_row_its_own_logits(family, stored):
    _, model, collator, found, _ = stored(Mixup(rows=2, alpha=1.0), family)
    model.eval()
    batches = StoredCollator(aligned(collator, model), classes=2)

    def logits(numbers):
        batch = batches([found[i] for i in numbers])
        with torch.no_grad(), mixed(model, batch) as inputs:
            return model(**{k: v for k, v in inputs.items() if k not in ("row", "labels")}).logits

    together = logits([2, EIGHT, 0, EIGHT + 1])
    for place, number in enumerate([2, EIGHT, 0, EIGHT + 1]):
        assert torch.allclose(together[place], logits([number])[0], atol=1e-5)
    with torch.no_grad():  # the road that a user takes who feeds the column to the model
        embeds = torch.tensor([found[EIGHT]["inputs_embeds"]])
        direct = model(inputs_embeds=embeds, attention_mask=torch.ones(embeds.shape[:2]).long())
    assert torch.allclose(together[1], direct.logits[0], atol=1e-5)


def test_labels_of_tokens_are_stored_soft(stored):
    _, _, collator, found, _ = stored(Mixup(rows=3, alpha=1.0), "bert", "keywords")
    row = found[EIGHT]
    batch = StoredCollator(collator, classes=3)([found[2], row])
    length = row["length"]
    assert batch["soft_labels"].shape == (2, batch["input_ids"].shape[1], 3)
    assert np.allclose(batch["soft_labels"][1, :length], row["soft_labels"])
    assert batch["soft_labels"][1, length:].sum() == 0
    first, second = (found[i] for i in row["mixed_rows"])
    place = 1  # the first token of both texts
    expected = np.zeros(3)
    expected[first["labels"][place]] += row["share"]
    expected[second["labels"][place]] += 1 - row["share"]
    assert row["soft_labels"][place] == pytest.approx(expected.tolist())


def test_scores_are_mixed(stored):
    _, _, collator, found, _ = stored(Mixup(rows=2, alpha=1.0), "bert", "scores")
    row = found[EIGHT]
    first, second = (found[i]["labels"] for i in row["mixed_rows"])
    assert row["soft_labels"] == pytest.approx(row["share"] * first + (1 - row["share"]) * second)
    batch = StoredCollator(collator, classes=None)([found[0], row])
    assert batch["soft_labels"].tolist() == pytest.approx([found[0]["labels"], row["soft_labels"]])


def test_the_file_is_used_again_for_the_same_rows_settings_and_weights(stored, monkeypatch):
    *_, first, folder = stored(Mixup(rows=3))
    (file,) = folder.glob("mixup-*.arrow")
    written = file.stat().st_mtime_ns
    *_, again, _ = stored(Mixup(rows=3))
    assert file.stat().st_mtime_ns == written and len(list(folder.glob("mixup-*"))) == 1
    assert again[EIGHT]["inputs_embeds"] == first[EIGHT]["inputs_embeds"]
    stored(Mixup(rows=3, alpha=0.5))
    stored(Mixup(rows=3), seed=1)
    assert len(list(folder.glob("mixup-*"))) == 3


def test_other_weights_give_another_file(stored, built, rows):
    task, model, collator, found, folder = stored(Mixup(rows=3))
    with torch.no_grad():
        model.get_input_embeddings().weight += 1
    originals = load_from_disk(str(folder))
    other = with_mixed_rows(originals, Mixup(rows=3), task, model, collator=collator, seed=0)
    assert len(list(folder.glob("mixup-*"))) == 2
    difference = np.subtract(other[EIGHT]["inputs_embeds"], found[EIGHT]["inputs_embeds"])
    assert np.allclose(difference, 1, atol=1e-5)


def test_nothing_is_left_by_a_write_that_stops(stored, monkeypatch):
    good = offline._mixed_row
    calls = []

    def breaking(*args):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return good(*args)

    monkeypatch.setattr(offline, "_mixed_row", breaking)
    with pytest.raises(KeyboardInterrupt):
        stored(Mixup(rows=4))
    monkeypatch.setattr(offline, "_mixed_row", good)
    *_, found, folder = stored(Mixup(rows=4))
    assert len(found) == EIGHT + 4
    assert len([path for path in folder.iterdir() if "mixup" in path.name]) == 1


def test_rows_are_read_from_the_disk(stored):
    *_, found, folder = stored(Mixup(rows=4))
    files = {Path(entry["filename"]).parent for entry in found.cache_files}
    assert files == {folder}
    assert isinstance(found, Dataset)


@pytest.mark.parametrize(
    ("level", "family", "name"),
    [
        ("embeddings", "flaubert", "classification"),
        ("embeddings", "camembert", "scores"),
        ("embeddings", "bert", "keywords"),
        ("sentence", "flaubert", "scores"),
        ("sentence", "llama", "classification"),
    ],
)
def test_the_ordinary_trainer_trains_on_both_kinds(level, family, name, trainer_of):
    trainer = trainer_of(
        Mixup(level, rows=4), family, name, num_train_epochs=1, max_steps=-1,
        per_device_train_batch_size=3, train_sampling_strategy="group_by_length",
    )  # fmt: skip
    assert len(trainer.train_dataset) == EIGHT + 4
    found = trainer.train()
    assert found.global_step == 4 and 0 < found.training_loss < 100
    assert trainer.evaluate()["eval_loss"] > 0
