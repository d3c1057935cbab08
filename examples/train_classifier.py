r"""Compare encoders on a text classification: FlauBERT against CamemBERT, or BERT alone.

    python examples/train_classifier.py
    python examples/train_classifier.py --data reviews/ --checkpoints hub -n 3
    python examples/train_classifier.py --data rotten_tomatoes/ --families bert --checkpoints hub \
        --batch-size 8 --learning-rate 1e-5    # BERT on rotten tomatoes

Without arguments it trains tiny models on the bundled invoice lines. Rows are tokenised once for
each model and kept in OUTPUT_DIR/FAMILY/tokenised, where a second run finds them, and which
--data of frtune train and frtune study opens.
"""

import argparse
from pathlib import Path

from datasets import DatasetDict

import frtune
from frtune.models.families import FAMILIES, kind_of
from frtune.training.distributed import leave
from frtune.training.encoding import encode_once


def options() -> argparse.Namespace:
    """Read the flags."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default="sample", help="file, folder or hub name")
    parser.add_argument("--text-column", default="text")
    parser.add_argument("--label-column", default="label")
    parser.add_argument("--families", nargs="+", default=["camembert", "flaubert"])
    parser.add_argument(
        "--checkpoints", nargs="+", default=["tiny"],
        help="one a family: directory or hub name; 'tiny', or 'hub' for the family's own",
    )  # fmt: skip
    parser.add_argument("--output-dir", default="runs/classifier")
    parser.add_argument("-n", "--epochs", type=float, default=3)
    parser.add_argument("--max-steps", type=int, default=-1)
    parser.add_argument("--max-train-rows", type=int, help="drawn with seed 42")
    parser.add_argument("--max-test-rows", type=int, help="drawn with seed 42")
    parser.add_argument("--batch-size", type=int, help="default: 16")
    parser.add_argument("--learning-rate", type=float, help="default: 2e-5, tiny models 1e-3")
    parser.add_argument("--max-source-tokens", type=int, default=512)
    return parser.parse_args()


def checkpoint_of(family: str, chosen: argparse.Namespace, task, train) -> str:
    """The family's checkpoint; a tiny one is made from the training texts first."""
    given = dict(zip(chosen.families, chosen.checkpoints * len(chosen.families), strict=False))
    if given[family] == "hub":
        return FAMILIES[family].default_checkpoint
    if given[family] != "tiny":
        return given[family]
    directory = Path(chosen.output_dir) / family / "tiny"
    if not directory.exists():
        frtune.tiny_checkpoint(family, task.corpus(train), directory)
    return str(directory)


def train(family: str, data: DatasetDict, task, chosen: argparse.Namespace) -> dict[str, float]:
    """Train one model and return its scores on the test rows."""
    output = Path(chosen.output_dir) / family
    checkpoint = checkpoint_of(family, chosen, task, data["train"])
    given = {
        "learning_rate": chosen.learning_rate,
        "per_device_train_batch_size": chosen.batch_size,
    }
    args = frtune.training_arguments(
        task,
        str(output),
        tiny=checkpoint == str(output / "tiny"),
        num_train_epochs=chosen.epochs,
        max_steps=chosen.max_steps,
        **{name: value for name, value in given.items() if value is not None},
    )
    model, tokenizer = frtune.build_model(task, checkpoint=checkpoint, family=family)
    with args.main_process_first(desc="tokenising"):
        kept = output / "tokenised"
        rows = encode_once(data, kept, task, tokenizer, kind=kind_of(model))
    trainer = task.trainer(
        model, tokenizer, args, train_dataset=rows["train"], eval_dataset=rows["validation"]
    )
    trainer.train()
    metrics = trainer.predict(rows["test"]).metrics
    frtune.save(trainer, output)
    return metrics


def main() -> None:
    """Train each model on the same rows and print the scores side by side."""
    chosen = options()
    task = frtune.SequenceClassification(
        text_column=chosen.text_column,
        label_column=chosen.label_column,
        max_source_tokens=chosen.max_source_tokens,
    )
    data, notes = frtune.load_splits(
        chosen.data,
        task_name=task.name,
        max_train_rows=chosen.max_train_rows,
        max_test_rows=chosen.max_test_rows,
        stratify_by=chosen.label_column,
    )
    task = task.fit(data)  # the classes are those of the training rows
    for name, rows in data.items():
        task.check(rows, f"{chosen.data}, {name}")
    print(*notes, sep="\n")

    table = {
        f"baseline: {name}": task.compute_metrics(found, task.references(data["test"]))
        for name, found in task.baselines(data["train"], data["test"]).items()
    }
    for family in chosen.families:
        metrics = train(family, data, task, chosen)
        table[family] = {name.removeprefix("test_"): value for name, value in metrics.items()}
    print(f"{'':28}" + "".join(f"{name:>12}" for name in task.headline))
    for label, scores in table.items():
        print(f"{label:28}" + "".join(f"{scores[name]:12.4f}" for name in task.headline))
    leave()


if __name__ == "__main__":
    main()
