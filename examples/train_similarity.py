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

from transformers import set_seed

import frtune

DEFAULTS = {"checkpoint": "tiny", "output_dir": "runs/similarity", "num_train_epochs": 3}
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
        cycles: Of the scheduler cosine_with_restarts (default: 3).
    """

    cycles: int | None = None


def main() -> None:
    """Train, keep the best checkpoint, test it beside the baselines."""
    sys.argv = ["--head=regression" if word == "--scores" else word for word in sys.argv]
    task, settings, args, own = frtune.parse_train_arguments(
        "similarity", defaults=DEFAULTS, aliases=ALIASES, extra=Options, without=WITHOUT
    )
    restarts = args.lr_scheduler_type == "cosine_with_restarts"
    if own.cycles is not None and not restarts:
        raise frtune.InputError("--cycles: for --scheduler cosine_with_restarts. Leave one out.")
    if restarts:
        args.lr_scheduler_kwargs = {"num_cycles": own.cycles or 3}

    # 1. The data, without the rows that cannot be learnt from, and the task with the two labels of
    # the training rows.
    data = frtune.read_data(task, settings, args, leave_out=True)
    task, rows = data.task, data.splits
    if args.process_index == 0:
        print(*data.notes, sep="\n")

    # 2. Model and tokenizer.
    checkpoint = frtune.starting_checkpoint(data, settings, args)
    set_seed(args.seed)  # the head is new
    model, tokenizer = frtune.build_model(
        task, checkpoint=checkpoint, family=settings.family, proof=settings.proof
    )

    # 3. Train, test once, save.
    trainer = task.trainer(
        model, tokenizer, args, train_dataset=rows["train"], eval_dataset=rows["validation"]
    )
    trainer.train()
    result = trainer.predict(rows["test"])
    frtune.save(trainer, args.output_dir, proof=settings.proof)

    # 4. Scores beside those of predictors without a model.
    if args.process_index == 0:
        references = task.references(rows["test"])
        found = {"this model": task.decode(result.predictions)}
        found |= task.baselines(rows["train"], rows["test"])
        print(f"{'':16}" + "".join(f"{name:>12}" for name in task.headline))
        for label, predictions in found.items():
            scores = task.compute_metrics(predictions, references)
            print(f"{label:16}" + "".join(f"{scores[name]:12.4f}" for name in task.headline))
    frtune.leave()


if __name__ == "__main__":
    raise SystemExit(frtune.exit_code(main))
