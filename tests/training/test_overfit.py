"""A tiny model that sees 64 rows often enough must write their keyphrases again."""

from __future__ import annotations

import pytest

from frtune import (
    KeyphraseGeneration,
    build_model,
    load_splits,
    tiny_checkpoint,
    training_arguments,
)
from kinds import GENERATING

ROWS = 64


@pytest.mark.slow
@pytest.mark.parametrize("family", GENERATING)
def test_64_rows_are_learnt_by_heart(family, tmp_path):
    task = KeyphraseGeneration(max_source_tokens=48)
    splits, _ = load_splits("sample", cut=False)
    rows = splits["train"].select(range(ROWS))
    checkpoint = tiny_checkpoint(family, task.corpus(rows), tmp_path / "tiny")
    args = training_arguments(
        task,
        str(tmp_path / "run"),
        num_train_epochs=40,
        learning_rate=3e-3,
        per_device_train_batch_size=16,
        lr_scheduler_type="cosine",
        warmup_steps=0.05,
        bf16=False,
        eval_strategy="no",
        save_strategy="no",
        load_best_model_at_end=False,
        disable_tqdm=True,
    )
    model, tokenizer = build_model(task, checkpoint=str(checkpoint))
    trainer = task.trainer(model, tokenizer, args, train_dataset=rows)
    trainer.train()
    scores = trainer.predict(rows).metrics
    assert scores["test_f1_at_10"] > 0.9
    assert scores["test_eos_rate"] == 1.0
