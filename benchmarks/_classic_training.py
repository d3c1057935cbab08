"""Train a classifier as most scripts do: pandas, ``Dataset.map`` to the longest length, Trainer.

python benchmarks/_classic_training.py FILE CHECKPOINT OUTPUT
"""

from __future__ import annotations

import sys

import pandas as pd
from datasets import Dataset
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    Trainer,
    TrainingArguments,
)


def main(file: str, checkpoint: str, output: str) -> None:
    """Read, split, tokenise, train."""
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    rows = Dataset.from_pandas(pd.read_csv(file)).train_test_split(0.2, seed=42)
    rows = rows.map(
        lambda batch: tokenizer(batch["text"], truncation=True, padding="max_length"), batched=True
    )
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint, num_labels=2)
    args = TrainingArguments(output, per_device_train_batch_size=8, report_to="none")
    Trainer(model, args, train_dataset=rows["train"], eval_dataset=rows["test"]).train()


if __name__ == "__main__":
    main(*sys.argv[1:])
