"""Training on mixed rows by the ordinary Trainer: any task, evaluation and saving as without."""

from __future__ import annotations

import pytest
import torch

import frtune
from frtune import Mixup, lora_config
from frtune.training.mixup.mixup import Mix
from kinds import CLASSIFYING, ENCODERS

LEVELS = [Mixup("embeddings"), Mixup("hidden"), Mixup("sentence")]


def hooks_on(model) -> list[str]:
    return [n for n, m in model.named_modules() if m._forward_hooks or m._forward_pre_hooks]


@pytest.mark.parametrize("mixup", LEVELS, ids=lambda mixup: mixup.level)
@pytest.mark.parametrize(
    ("family", "name"),
    [
        ("camembert", "classification"),
        ("flaubert", "scores"),
        ("phi", "symmetric"),
        ("bert", "symmetric"),
    ],
)
def test_every_task_with_a_head_trains(mixup, family, name, trainer_of):
    trainer = trainer_of(mixup, family, name, gradient_accumulation_steps=2)
    before = {n: p.detach().clone() for n, p in trainer.model.named_parameters()}
    found = trainer.train().training_loss
    assert 0 < found < 100
    moved = [n for n, p in trainer.model.named_parameters() if not torch.equal(p, before[n])]
    assert any("embed" in n or "wte" in n for n in moved)
    assert not hooks_on(trainer.model)


@pytest.mark.parametrize("mixup", LEVELS[:2], ids=lambda mixup: mixup.level)
@pytest.mark.parametrize("family", ENCODERS)
def test_keywords_train(mixup, family, trainer_of):
    trainer = trainer_of(mixup, family, "keywords")
    assert 0 < trainer.train().training_loss < 100


@pytest.mark.parametrize("mixup", LEVELS, ids=lambda mixup: mixup.level)
def test_evaluation_is_on_clean_rows(mixup, trainer_of, rows):
    with_mixup, without = trainer_of(mixup), trainer_of(None)
    with_mixup.train()
    without.model.load_state_dict(with_mixup.model.state_dict())
    found, expected = (trainer.predict(rows) for trainer in (with_mixup, without))
    assert (found.predictions == expected.predictions).all()
    scores = [
        {name: value for name, value in output.metrics.items() if "per_second" not in name
         and "runtime" not in name and "preparation" not in name}
        for output in (found, expected)
    ]  # fmt: skip
    assert scores[0] == scores[1]


def test_rows_come_in_the_order_of_a_run_without_mixup(trainer_of):
    orders = []
    for mixup in (None, *LEVELS):
        trainer = trainer_of(mixup, max_steps=5, train_sampling_strategy="random")  # 3 epochs
        seen: list[int] = []  # a step has the same however it is cut

        class Noting:  # of plain rows, under the collator that mixes
            def __init__(self, inner):
                self.inner = inner

            def __call__(self, examples, seen=seen):
                seen += [example["row"] for example in examples]
                return self.inner(examples)

        trainer.data_collator = Noting(trainer.data_collator)
        trainer.train()
        orders.append(seen)
    assert orders[0] == orders[1] == orders[2] == orders[3]
    assert len({str(orders[0][i : i + 8]) for i in (0, 8)}) == 2, "epochs in one order"


@pytest.mark.parametrize("name", ["classification", "scores", "keywords"])
@pytest.mark.parametrize("mixup", LEVELS[:2], ids=lambda mixup: mixup.level)
def test_loss_and_gradients_are_equal_however_a_step_is_cut(mixup, name, trainer_of, monkeypatch):
    # partners stand beside each other, so that both cuts mix the same pairs
    monkeypatch.setattr(
        Mixup, "draw",
        lambda self, size, **_: Mix(0.3, [i + 1 - 2 * (i % 2) for i in range(size)], 1),
    )  # fmt: skip
    found = []
    for size, steps in ((8, 1), (2, 4)):
        trainer = trainer_of(
            mixup, "bert", name, max_steps=1, max_grad_norm=1e9,
            per_device_train_batch_size=size, gradient_accumulation_steps=steps,
            train_sampling_strategy="sequential", cut_steps=False,
        )  # fmt: skip
        trainer.train()
        log = next(entry for entry in trainer.state.log_history if "grad_norm" in entry)
        found.append((log["loss"], log["grad_norm"]))
    assert found[1] == pytest.approx(found[0], rel=1e-4)
    assert found[0][0] > 0.1


@pytest.mark.parametrize("mixup", LEVELS, ids=lambda mixup: mixup.level)
@pytest.mark.parametrize("family", CLASSIFYING)
def test_lora_trains_and_is_saved_and_proven(mixup, family, trainer_of, tmp_path, rows):
    trainer = trainer_of(mixup, family, build={"lora": lora_config()}, learning_rate=1e-2)
    trainer.train()
    frtune.save(trainer, tmp_path / "saved")  # proves that the reloaded model answers alike
    expected = trainer.task.decode(trainer.predict(rows).predictions)
    found = frtune.load(tmp_path / "saved").predict(rows["text"])
    assert [answer["label"] for answer in found] == expected


@pytest.mark.parametrize("mixup", [*LEVELS, Mixup(rows=2)], ids=str)
def test_the_saved_directory_has_no_trace(mixup, trainer_of, tmp_path):
    files = []
    for each, folder in ((mixup, "with"), (None, "without")):
        trainer = trainer_of(each)
        trainer.train()
        frtune.save(trainer, tmp_path / folder)
        files.append({p.relative_to(tmp_path / folder): p for p in (tmp_path / folder).rglob("*")})
    assert files[0].keys() == files[1].keys()
    for name, path in files[0].items():
        if path.suffix == ".json":
            assert path.read_text() == files[1][name].read_text()
        assert b"mixup" not in path.read_bytes().lower()


@pytest.mark.parametrize("mixup", LEVELS[:2], ids=lambda mixup: mixup.level)
def test_checkpointed_activations_give_the_same_gradients(mixup, trainer_of):
    norms = []
    for checkpointing in (False, True):
        trainer = trainer_of(
            mixup, "bert", build={"gradient_checkpointing": checkpointing}, max_grad_norm=1e9
        )
        trainer.train()
        norms.append([e["grad_norm"] for e in trainer.state.log_history if "grad_norm" in e])
    assert norms[0] == pytest.approx(norms[1], rel=1e-5)


@pytest.mark.parametrize("mixup", [Mixup("hidden"), Mixup(rows=4)], ids=str)
def test_a_resumed_run_ends_with_the_same_weights(mixup, trainer_of):
    settings = {"max_steps": 4, "save_strategy": "steps", "save_steps": 2, "learning_rate": 1e-3}
    whole, resumed = trainer_of(mixup, **settings), trainer_of(mixup, **settings)
    whole.train()
    resumed.train(resume_from_checkpoint=f"{whole.args.output_dir}/checkpoint-2")
    expected, found = whole.model.state_dict(), resumed.model.state_dict()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_a_mix_of_two_classes_is_learnt_as_their_shares(tiny, rows, trainer_of, monkeypatch):
    """With every row mixed half and half with one of the other class, no answer may be sure."""
    monkeypatch.setattr(Mixup, "draw", lambda self, size, **_: Mix(0.5, [1, 0, 3, 2], None))
    trainer = trainer_of(
        Mixup(), max_steps=40, learning_rate=3e-3, train_sampling_strategy="sequential"
    )
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert min(losses) > 0.69 and losses[-1] < 0.72  # ln 2 at best
    plain = trainer_of(None, max_steps=40, learning_rate=3e-3)
    plain.train()
    assert plain.state.log_history[-2]["loss"] < 0.3
