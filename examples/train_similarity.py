r"""Sentence similarity from French pairs: paraphrase or not (PAWS-X), or a score (STS-B).

    python examples/train_similarity.py
    python examples/train_similarity.py --data pawsx.tsv --checkpoint almanach/camembert-base
    python examples/train_similarity.py --data stsb/ --scores --label-column score \
        --checkpoint almanach/camembert-base --symmetric --scheduler cosine_with_restarts

Without arguments a tiny CamemBERT learns the bundled pairs. Rows that cannot be learnt from (PAWS-X
has sentences that were not translated) are set aside, each with its reason. The flags are those of
``frtune train similarity``.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from transformers import set_seed

import frtune
from frtune.data.row_checks import set_aside

DEFAULTS = {
    "checkpoint": "tiny", "family": "camembert", "output_dir": "runs/similarity",
    "num_train_epochs": 3,
}  # fmt: skip
ALIASES = {
    "--epochs": "num_train_epochs",
    "--scheduler": "lr_scheduler_type",
    "--max-rows": ["max_train_rows", "max_eval_rows", "max_test_rows"],
}
WITHOUT = ["merge", "mixup", "resume", "generate", "early", "packing", "max_tokens", "lora", "int8",
           "nf4"]  # fmt: skip


@dataclass(frozen=True)
class Options:
    """Of this example alone.

    Attributes:
        cycles: Of cosine_with_restarts.
    """

    cycles: int = 3


def read(task, settings):
    """The splits of the rows that can be learnt from; what was set aside is printed."""
    whole, notes = frtune.load_splits(
        settings.data, task_name=task.name, encoding=settings.encoding, cut=False
    )
    for name, rows in whole.items():
        whole[name], rejected = set_aside(rows, task)
        notes += [f"{name}, row {item['row']}, set aside: {item['reason']}" for item in rejected]
    data, more = frtune.load_splits(
        whole,
        max_train_rows=settings.max_train_rows,
        max_eval_rows=settings.max_eval_rows,
        max_test_rows=settings.max_test_rows,
        stratify_by=task.stratify_column,
    )
    print(*notes, *more, sep="\n")
    return data


def main() -> None:
    """Train, keep the best checkpoint, test it beside the baselines."""
    argv = ["--head=regression" if word == "--scores" else word for word in sys.argv[1:]]
    task, settings, args, own = frtune.parse_train_arguments(
        "similarity", argv, defaults=DEFAULTS, aliases=ALIASES, extra=Options, without=WITHOUT
    )
    if args.lr_scheduler_type == "cosine_with_restarts":
        args.lr_scheduler_kwargs = {"num_cycles": own.cycles}

    # 1. The data, and the task with the two labels of the training rows.
    data = read(task, settings)
    task = task.fit(data)

    # 2. Model and tokenizer.
    checkpoint = settings.checkpoint
    if checkpoint == "tiny":
        checkpoint = str(Path(args.output_dir) / "tiny")
        if not Path(checkpoint).exists():
            frtune.tiny_checkpoint(settings.family, task.corpus(data["train"]), checkpoint)
    set_seed(args.seed)  # the head is new
    model, tokenizer = frtune.build_model(task, checkpoint=checkpoint, proof=settings.proof)

    # 3. Train, test once, save.
    trainer = task.trainer(
        model, tokenizer, args, train_dataset=data["train"], eval_dataset=data["validation"]
    )
    trainer.train()
    result = trainer.predict(data["test"])
    frtune.save(trainer, args.output_dir, proof=settings.proof)

    # 4. Scores beside those of predictors without a model.
    if args.process_index == 0:
        references = task.references(data["test"])
        rows = {"this model": task.decode(result.predictions)}
        rows |= task.baselines(data["train"], data["test"])
        print(f"{'':16}" + "".join(f"{name:>12}" for name in task.headline))
        for label, predictions in rows.items():
            scores = task.compute_metrics(predictions, references)
            print(f"{label:16}" + "".join(f"{scores[name]:12.4f}" for name in task.headline))
    frtune.leave()


if __name__ == "__main__":
    main()
