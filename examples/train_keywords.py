r"""Keyword extraction from French texts, by either of two ways.

    python examples/train_keywords.py --approach 2
    python examples/train_keywords.py --approach 1
    python examples/train_keywords.py --approach both --quantize \
        --checkpoint almanach/camembert-base --data keywords.csv --pairs paraphrases.csv

Approach 1 first learns sentence similarity, then keywords from the encoder that was saved. Approach
2 learns keywords directly. ``--quantize`` makes an int8 model of each, and a table of all in
OUTPUT_DIR/comparison. Without data and checkpoint a tiny model learns the bundled samples.
The flags are those of ``frtune train keywords``.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from transformers import set_seed

import frtune

DEFAULTS = {"checkpoint": "tiny", "output_dir": "runs/keywords", "num_train_epochs": 3}
ALIASES = {
    "--epochs": "num_train_epochs",
    "--max-rows": ["max_train_rows", "max_eval_rows", "max_test_rows"],
}
WITHOUT = ["merge", "mixup", "resume", "generate", "early", "packing", "max_tokens", "lora", "int8",
           "nf4"]  # fmt: skip


@dataclass(frozen=True)
class Options:
    """Of this example alone.

    Attributes:
        approach: Learn similarity first (1), keywords directly (2), or both.
        quantize: Compare with int8 models too.
        pairs: Sentence pairs, for approach 1: file, folder or hub name.
    """

    approach: Literal["1", "2", "both"] = "2"
    quantize: bool = False
    pairs: str = "sample"


def train(data, checkpoint: Path | str, settings, args) -> dict[str, float]:
    """Train one task from ``checkpoint``, save it, and return its scores on the test rows."""
    set_seed(args.seed)  # the head is new
    model, tokenizer = frtune.build_model(
        data.task, checkpoint=checkpoint, family=settings.family, proof=settings.proof
    )
    if (Path(checkpoint) / "frtune_task.json").is_file():
        count = frtune.prove_encoder(model, checkpoint)
        print(f"encoder of {checkpoint}: {count} weights, all equal")
    rows = data.splits
    trainer = data.task.trainer(
        model, tokenizer, args, train_dataset=rows["train"], eval_dataset=rows["validation"]
    )
    trainer.train()
    frtune.save(trainer, args.output_dir, proof=settings.proof)
    return trainer.predict(rows["test"]).metrics


def baselines(task, train, test) -> dict[str, float]:
    """Keyword F1 on the test rows of predictors that use no model."""
    references, texts = task.references(test), list(test[task.text_column])
    return {
        name: task.compute_metrics(found, references, texts=texts)["keyword_f1"]
        for name, found in task.baselines(train, test).items()
    }


def main() -> None:
    """Run one approach whole, or both from the same checkpoint; quantise and compare."""
    task, settings, args, own = frtune.parse_train_arguments(
        "keywords", defaults=DEFAULTS, aliases=ALIASES, extra=Options, without=WITHOUT
    )
    output, tiny = Path(args.output_dir), settings.checkpoint == "tiny"
    if own.quantize and any(output.glob("approach*-int8")):
        raise frtune.InputError(f"--output-dir {output}: holds int8 models. Name a new directory.")
    data = frtune.read_data(task, settings, args)
    train_rows, test = data.splits["train"], data.splits["test"]
    pairs, corpus = None, list(data.task.corpus(train_rows))
    if own.approach != "2":
        similarity = frtune.SentenceSimilarity()
        pairs = frtune.read_data(similarity, replace(settings, data=own.pairs), args)
        corpus += pairs.task.corpus(pairs.splits["train"])
    print(*data.notes, *(pairs.notes if pairs else []), sep="\n")

    checkpoint = output / "tiny" if tiny else settings.checkpoint
    if tiny and not checkpoint.exists():
        frtune.tiny_checkpoint(settings.family or task.tiny_family, corpus, checkpoint)
    scores = {"baselines": baselines(data.task, train_rows, test)}
    models = []
    for approach in ["1", "2"] if own.approach == "both" else [own.approach]:
        start = checkpoint
        if approach == "1":
            start = output / "similarity"
            # its own recipe, for as long as the keywords are learnt
            first = frtune.training_arguments(
                pairs.task, str(start), tiny=tiny, seed=args.seed,
                num_train_epochs=args.num_train_epochs, max_steps=args.max_steps,
            )  # fmt: skip
            scores["similarity"] = train(pairs, checkpoint, settings, first)
        models.append(output / f"approach{approach}")
        args.output_dir = str(models[-1])
        scores[models[-1].name] = train(data, start, settings, args)
        if own.quantize:
            models.append(output / f"approach{approach}-int8")
            frtune.quantize(models[-2], models[-1])
    print(json.dumps(scores, indent=2))
    if own.quantize:
        frtune.compare(models, test, output_dir=output / "comparison")
        print((output / "comparison" / "comparison.md").read_text(encoding="utf-8"))
    frtune.leave()


if __name__ == "__main__":
    raise SystemExit(frtune.exit_code(main))
