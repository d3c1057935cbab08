"""The peer of ``pair_classification.py``, run by the Python of its own environment."""

from __future__ import annotations

import json
import sys
import tempfile

from _compare import Timer
from pair_classification import MAX_TOKENS, pairs_of, quality


def main(folder: str, rows: int, valid: int, batch: int, rate: float, bf16: bool, seed: int):
    """Train with ``CrossEncoderTrainer`` and print what a way of ``_compare`` returns."""
    import torch
    from datasets import Dataset
    from sentence_transformers import CrossEncoder
    from sentence_transformers.cross_encoder import (
        CrossEncoderTrainer,
        CrossEncoderTrainingArguments,
    )
    from sentence_transformers.cross_encoder.losses import CrossEntropyLoss

    accelerated = torch.accelerator.is_available()
    device = None if accelerated else "cpu"
    model = CrossEncoder(f"{folder}/{seed}", num_labels=2, max_length=MAX_TOKENS, device=device)
    pairs = Dataset.from_dict(pairs_of("train", rows))
    timer = Timer()
    with tempfile.TemporaryDirectory() as name:
        args = CrossEncoderTrainingArguments(
            name, per_device_train_batch_size=batch, num_train_epochs=1, learning_rate=rate,
            bf16=bf16, train_sampling_strategy="group_by_length", save_strategy="no",
            logging_steps=10, disable_tqdm=True, use_cpu=not accelerated,
            seed=seed,
        )  # fmt: skip
        trainer = CrossEncoderTrainer(
            model=model, args=args, train_dataset=pairs, loss=CrossEntropyLoss(model)
        )
        with timer:
            trainer.train()
    reached = {"rows": len(pairs), **quality(model.model, model.tokenizer, valid)}
    print(json.dumps({**timer.found(), **reached}))


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
