"""The peer of ``causal_training.py``, run by the Python of its own environment."""

from __future__ import annotations

import json
import logging
import sys
import tempfile
import warnings

from _compare import Timer
from causal_training import judged, tokens_of


def main(
    folder: str, epochs: int, batch: int, rate: float, bf16: bool, packed: int | None, seed: int
) -> None:
    """Train with ``SFTTrainer`` and print what a way of ``_compare`` returns.

    Args:
        folder: With the models, by seed, and tokens.
        epochs: Over all rows.
        batch: Rows a step.
        rate: Learning rate.
        bf16: Whether it is fast here.
        packed: Tokens of a packed example, one of which is a step; ``None`` packs nothing.
        seed: Of the model, the order and dropout.
    """
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    rows = tokens_of(folder, "train")
    data = Dataset.from_dict(
        {
            "input_ids": rows["input_ids"],
            "completion_mask": [[int(x != -100) for x in row] for row in rows["labels"]],
        }
    )
    model = AutoModelForCausalLM.from_pretrained(f"{folder}/{seed}")
    tokenizer = AutoTokenizer.from_pretrained(f"{folder}/{seed}")
    timer, said = Timer(), _Said()
    logging.getLogger("trl").addHandler(said)
    way = {"per_device_train_batch_size": batch, "train_sampling_strategy": "group_by_length",
           "max_length": 2048}  # fmt: skip
    if packed is not None:
        way = {"per_device_train_batch_size": 1, "packing": True, "max_length": packed}
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings(record=True) as caught:
        args = SFTConfig(
            name, num_train_epochs=epochs, learning_rate=rate, bf16=bf16, save_strategy="no",
            gradient_checkpointing=False, completion_only_loss=True, disable_tqdm=True,
            use_cpu=not torch.accelerator.is_available(), seed=seed, **way,
        )  # fmt: skip
        trainer = SFTTrainer(model, args, train_dataset=data, processing_class=tokenizer)
        with timer:
            trainer.train()
    found = {"rows": len(data), "steps": trainer.state.global_step, **judged(model, folder)}
    if packed is not None:
        warned = [str(entry.message) for entry in caught] + said.lines
        found["warned"] = [line for line in warned if "ack" in line]
        found["packing_changes_loss_by"] = leak(trainer, model)
    print(json.dumps({**timer.found(), **found}))


class _Said(logging.Handler):
    def __init__(self):
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def leak(trainer, model) -> float:
    """How far the loss of a packed example's rows is from theirs when each is read alone."""
    import torch

    model.eval()
    example = max(trainer.train_dataset, key=lambda example: len(example["seq_lengths"]))
    batch = trainer.data_collator([example])
    total = alone = count = 0
    with torch.no_grad():
        logits = model(**{**batch, "labels": None}, use_cache=False).logits[0].float()
        start = 0
        for length in example["seq_lengths"]:
            ids = batch["input_ids"][:, start : start + length]
            wanted = batch["labels"][0, start + 1 : start + length]
            kept = wanted != -100
            one = model(input_ids=ids, use_cache=False).logits[0, :-1].float()
            for place, found in ((0, logits[start : start + length - 1]), (1, one)):
                chances = found[kept].log_softmax(-1)
                loss = -chances.gather(1, wanted[kept][:, None]).sum().item()
                total, alone = (total + loss, alone) if place == 0 else (total, alone + loss)
            count += int(kept.sum())
            start += length
    return abs(total - alone) / count


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
