r"""Compare encoders on a text classification: FlauBERT against CamemBERT, or BERT alone.

    python examples/train_classifier.py
    python examples/train_classifier.py --data reviews/ --checkpoints hub -n 3
    python examples/train_classifier.py --data rotten_tomatoes/ --families bert --checkpoints hub \
        --batch-size 8 --learning-rate 1e-5    # BERT on rotten tomatoes

Without arguments it trains tiny models on the bundled invoice lines. Rows are tokenised once for
each model and kept in OUTPUT_DIR/FAMILY/tokenised, where a second run finds them, and which
--data of frtune train and frtune study opens. The flags are those of
``frtune train classification``; --checkpoints and --families stand for --checkpoint and --family.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path

import frtune
from frtune.models.families import FAMILIES, kind_of
from frtune.training.encoding import encode_once

DEFAULTS = {"checkpoint": "hub", "output_dir": "runs/classifier", "num_train_epochs": 3}
ALIASES = {
    "-n": "num_train_epochs",
    "--epochs": "num_train_epochs",
    "--batch-size": "per_device_train_batch_size",
}
WITHOUT = ["merge", "mixup", "resume", "generate", "early", "packing",
           "max_tokens", "lora", "int8", "nf4"]  # fmt: skip


@dataclass(frozen=True)
class Options:
    """Of this example alone.

    Attributes:
        families: The encoders to compare.
        checkpoints: One a family: directory or hub name; 'tiny', or 'hub' for the family's own.
    """

    families: list[str] = field(default_factory=lambda: ["camembert", "flaubert"])
    checkpoints: list[str] = field(default_factory=lambda: ["tiny"])


def parse(*flags: str, defaults: dict = DEFAULTS, extra: type = Options):
    """Task, settings, arguments and own options, with further flags behind those of the user."""
    return frtune.parse_train_arguments(
        "classification", [*sys.argv[1:], *flags],
        defaults=defaults, aliases=ALIASES, extra=extra, without=WITHOUT,
    )  # fmt: skip


def checkpoint_of(family: str, own: Options, output: Path, task, train) -> str:
    """The family's checkpoint; a tiny one is made from the training texts first."""
    given = dict(zip(own.families, own.checkpoints * len(own.families), strict=False))
    if given[family] == "hub":
        return FAMILIES[family].default_checkpoint
    if given[family] != "tiny":
        return given[family]
    directory = output / family / "tiny"
    if not directory.exists():
        frtune.tiny_checkpoint(family, task.corpus(train), directory)
    return str(directory)


def arguments(family: str, checkpoint: str, output: Path, parse=parse):
    """The training arguments of one model: a tiny one learns by another recipe."""
    tiny = ["--checkpoint", "tiny"] if Path(checkpoint).name == "tiny" else []
    return parse("--output-dir", str(output / family), *tiny)[2]


def train(family: str, checkpoint: str, data, task, args) -> dict[str, float]:
    """Train one model and return its scores on the test rows."""
    model, tokenizer = frtune.build_model(task, checkpoint=checkpoint, family=family)
    with args.main_process_first(desc="tokenising"):
        kept = Path(args.output_dir) / "tokenised"
        rows = encode_once(data, kept, task, tokenizer, kind=kind_of(model))
    trainer = task.trainer(
        model, tokenizer, args, train_dataset=rows["train"], eval_dataset=rows["validation"]
    )
    trainer.train()
    metrics = trainer.predict(rows["test"]).metrics
    frtune.save(trainer, args.output_dir)
    return metrics


def main() -> None:
    """Train each model on the same rows and print the scores side by side."""
    task, settings, args, own = parse()
    output = Path(args.output_dir)
    data, notes = frtune.load_splits(
        settings.data,
        task_name=task.name,
        encoding=settings.encoding,
        max_train_rows=settings.max_train_rows,
        max_eval_rows=settings.max_eval_rows,
        max_test_rows=settings.max_test_rows,
        stratify_by=task.label_column,
    )
    task = task.fit(data)  # the classes are those of the training rows
    for name, rows in data.items():
        task.check(rows, f"{settings.data}, {name}")
    print(*notes, sep="\n")

    table = {
        f"baseline: {name}": task.compute_metrics(found, task.references(data["test"]))
        for name, found in task.baselines(data["train"], data["test"]).items()
    }
    for family in own.families:
        checkpoint = checkpoint_of(family, own, output, task, data["train"])
        args = arguments(family, checkpoint, output)
        metrics = train(family, checkpoint, data, task, args)
        table[family] = {name.removeprefix("test_"): value for name, value in metrics.items()}
    print(f"{'':28}" + "".join(f"{name:>12}" for name in task.headline))
    for label, scores in table.items():
        print(f"{label:28}" + "".join(f"{scores[name]:12.4f}" for name in task.headline))
    frtune.leave()


if __name__ == "__main__":
    main()
