r"""Sentence similarity from French pairs: paraphrase or not (PAWS-X), or a score (STS-B).

    python examples/train_similarity.py
    python examples/train_similarity.py --data pawsx.tsv --checkpoint almanach/camembert-base
    python examples/train_similarity.py --data stsb/ --scores --label-column score \
        --checkpoint almanach/camembert-base --symmetric --scheduler cosine_with_restarts

Without arguments a tiny CamemBERT learns the bundled pairs. Rows that cannot be learnt from (PAWS-X
has sentences that were not translated) are set aside, each with its reason.
"""

import argparse
from pathlib import Path

from transformers import set_seed

import frtune
from frtune.data.row_checks import set_aside
from frtune.training.distributed import leave


def options() -> argparse.Namespace:
    """Read the flags."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default="sample", help="pairs: file, folder or hub name")
    parser.add_argument("--first-column", default="sentence1")
    parser.add_argument("--second-column", default="sentence2")
    parser.add_argument("--label-column", default="label")
    parser.add_argument("--scores", action="store_true", help="learn scores, not two labels")
    parser.add_argument("--symmetric", action="store_true", help="average both orders of a pair")
    parser.add_argument("--checkpoint", default="tiny", help="hub name, directory or 'tiny'")
    parser.add_argument("--family", default="camembert", help="family of a tiny checkpoint")
    parser.add_argument("--output-dir", default="runs/similarity")
    parser.add_argument("--scheduler", default="linear", help="cosine_with_restarts, say")
    parser.add_argument("--cycles", type=int, default=3, help="of cosine_with_restarts")
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--max-steps", type=int, default=-1)
    parser.add_argument("--max-rows", type=int, help="of each split")
    return parser.parse_args()


def read(task, chosen: argparse.Namespace):
    """The splits of the rows that can be learnt from; what was set aside is printed."""
    whole, notes = frtune.load_splits(chosen.data, task_name=task.name, cut=False)
    for name, rows in whole.items():
        whole[name], rejected = set_aside(rows, task)
        notes += [f"{name}, row {item['row']}, set aside: {item['reason']}" for item in rejected]
    limit = chosen.max_rows
    data, more = frtune.load_splits(
        whole,
        max_train_rows=limit,
        max_eval_rows=limit,
        max_test_rows=limit,
        stratify_by=task.stratify_column,
    )
    print(*notes, *more, sep="\n")
    return data


def main() -> None:
    """Train, keep the best checkpoint, test it beside the baselines."""
    chosen = options()
    task = frtune.SentenceSimilarity(
        first_column=chosen.first_column,
        second_column=chosen.second_column,
        label_column=chosen.label_column,
        head="regression" if chosen.scores else "classification",
        symmetric=chosen.symmetric,
    )

    # 1. The data, and the task with the two labels of the training rows.
    data = read(task, chosen)
    task = task.fit(data)

    # 2. Arguments: frtune's recipe of this task (3e-5, steps of 4 x 8 pairs), with the scheduler.
    tiny = chosen.checkpoint == "tiny"
    restarts = chosen.scheduler == "cosine_with_restarts"
    args = frtune.training_arguments(
        task,
        chosen.output_dir,
        tiny=tiny,
        num_train_epochs=chosen.epochs,
        max_steps=chosen.max_steps,
        lr_scheduler_type=chosen.scheduler,
        lr_scheduler_kwargs={"num_cycles": chosen.cycles} if restarts else None,
    )

    # 3. Model and tokenizer.
    checkpoint = chosen.checkpoint
    if tiny:
        checkpoint = Path(chosen.output_dir) / "tiny"
        if not checkpoint.exists():
            frtune.tiny_checkpoint(chosen.family, task.corpus(data["train"]), checkpoint)
    set_seed(args.seed)  # the head is new
    model, tokenizer = frtune.build_model(task, checkpoint=str(checkpoint))

    # 4. Train, test once, save.
    trainer = task.trainer(
        model, tokenizer, args, train_dataset=data["train"], eval_dataset=data["validation"]
    )
    trainer.train()
    result = trainer.predict(data["test"])
    frtune.save(trainer, chosen.output_dir)

    # 5. Scores beside those of predictors without a model.
    if args.process_index == 0:
        references = task.references(data["test"])
        rows = {"this model": task.decode(result.predictions)}
        rows |= task.baselines(data["train"], data["test"])
        print(f"{'':16}" + "".join(f"{name:>12}" for name in task.headline))
        for label, predictions in rows.items():
            scores = task.compute_metrics(predictions, references)
            print(f"{label:16}" + "".join(f"{scores[name]:12.4f}" for name in task.headline))
    leave()


if __name__ == "__main__":
    main()
