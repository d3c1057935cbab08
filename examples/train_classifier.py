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

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from transformers import set_seed

import frtune

HUB = {
    "bert": "google-bert/bert-base-cased",
    "camembert": "almanach/camembert-base",
    "flaubert": "flaubert/flaubert_base_cased",
}
DEFAULTS = {"checkpoint": "tiny", "output_dir": "runs/classifier", "num_train_epochs": 3}
ALIASES = {
    "-n": "num_train_epochs",
    "--epochs": "num_train_epochs",
    "--batch-size": "per_device_train_batch_size",
}
WITHOUT = ["checkpoint", "family", "merge", "mixup", "resume", "generate", "early", "packing",
           "max_tokens", "lora", "int8", "nf4"]  # fmt: skip


@dataclass(frozen=True)
class Options:
    """Of this example alone.

    Attributes:
        families: The encoders to compare: bert, camembert, flaubert.
        checkpoints: One for all, or one a family: directory or hub name; 'tiny', or 'hub' for the
            family's own.
    """

    families: list[str] = field(default_factory=lambda: ["camembert", "flaubert"])
    checkpoints: list[str] = field(default_factory=lambda: ["tiny"])

    def __post_init__(self):
        for family in self.families:
            if family not in HUB:
                raise frtune.InputError(f"--families {family}: {', '.join(HUB)}.")
        if len(self.checkpoints) not in (1, len(self.families)):
            raise frtune.InputError("--checkpoints: one for all, or one a family.")

    @property
    def models(self) -> list[dict[str, str]]:
        """Family and checkpoint of each model."""
        checkpoints = self.checkpoints * (1 if len(self.checkpoints) > 1 else len(self.families))
        return [
            {"family": family, "checkpoint": HUB[family] if each == "hub" else each}
            for family, each in zip(self.families, checkpoints, strict=True)
        ]


parse = partial(
    frtune.parse_train_arguments, "classification", aliases=ALIASES, extra=Options, without=WITHOUT
)


def train(data, settings, args) -> dict[str, float]:
    """Train one model, save it, and return its scores on the test rows."""
    checkpoint = frtune.starting_checkpoint(data, settings, args)
    set_seed(args.seed)  # the head is new
    model, tokenizer = frtune.build_model(
        data.task, checkpoint=checkpoint, family=settings.family, proof=settings.proof
    )
    with args.main_process_first(desc="tokenising"):
        kept = Path(args.output_dir) / "tokenised"
        rows = frtune.encode_once(data.splits, kept, data.task, tokenizer, kind="encoder")
    trainer = data.task.trainer(
        model, tokenizer, args, train_dataset=rows["train"], eval_dataset=rows["validation"]
    )
    trainer.train()
    metrics = trainer.predict(rows["test"]).metrics
    frtune.save(trainer, args.output_dir, proof=settings.proof)
    return {name.removeprefix("test_"): value for name, value in metrics.items()}


def main() -> None:
    """Train each model on the same rows and print the scores side by side."""
    task, settings, args, own = parse(defaults=DEFAULTS)
    output = Path(args.output_dir)
    data = frtune.read_data(task, settings, args)
    task, test = data.task, data.splits["test"]  # the classes are those of the training rows

    table = {
        f"baseline: {name}": task.compute_metrics(found, task.references(test))
        for name, found in task.baselines(data.splits["train"], test).items()
    }
    for model in own.models:
        _, settings, args, _ = parse(defaults=DEFAULTS | model)  # a tiny one has another recipe
        args.output_dir = str(output / model["family"])
        table[model["family"]] = train(data, settings, args)
    if args.process_index == 0:
        print(*data.notes, sep="\n")
        print(f"{'':28}" + "".join(f"{name:>12}" for name in task.headline))
        for label, scores in table.items():
            print(f"{label:28}" + "".join(f"{scores[name]:12.4f}" for name in task.headline))
    frtune.leave()


if __name__ == "__main__":
    raise SystemExit(frtune.exit_code(main))
