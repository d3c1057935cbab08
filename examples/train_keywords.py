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

import dataclasses
import json
from pathlib import Path
from typing import Literal

from transformers import set_seed

import frtune
from frtune.models.transfer import prove_encoder

DEFAULTS = {
    "checkpoint": "tiny", "family": "camembert", "output_dir": "runs/keywords",
    "num_train_epochs": 3,
}  # fmt: skip
ALIASES = {
    "--epochs": "num_train_epochs",
    "--max-rows": ["max_train_rows", "max_eval_rows", "max_test_rows"],
}
WITHOUT = ["merge", "mixup", "resume", "generate", "early", "packing", "max_tokens", "lora", "int8",
           "nf4"]  # fmt: skip


@dataclasses.dataclass(frozen=True)
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


def read(source: str, task, settings):
    """The splits of a task's data; what was decided about them is printed."""
    data, notes = frtune.load_splits(
        source,
        task_name=task.name,
        encoding=settings.encoding,
        max_train_rows=settings.max_train_rows,
        max_eval_rows=settings.max_eval_rows,
        max_test_rows=settings.max_test_rows,
    )
    print(*notes, sep="\n")
    return data


def train(task, checkpoint: str, data, args):
    """Train one task from ``checkpoint``, save it, and return its scores on the test rows."""
    set_seed(args.seed)  # the head is new
    model, tokenizer = frtune.build_model(task, checkpoint=checkpoint)
    if (Path(checkpoint) / "frtune_task.json").is_file():
        print(f"encoder of {checkpoint}: {prove_encoder(model, checkpoint)} weights, all equal")
    trainer = task.trainer(
        model, tokenizer, args, train_dataset=data["train"], eval_dataset=data["validation"]
    )
    trainer.train()
    frtune.save(trainer, args.output_dir)
    return trainer.predict(data["test"]).metrics


def baselines(task, data) -> dict[str, float]:
    """Keyword F1 on the test rows of predictors that use no model."""
    test = data["test"]
    references, texts = task.references(test), list(test[task.text_column])
    return {
        name: task.compute_metrics(found, references, texts=texts)["keyword_f1"]
        for name, found in task.baselines(data["train"], test).items()
    }


def compare(directories: list[Path], rows, output: Path) -> None:
    """Print the models and their int8 versions side by side, on the same rows."""
    models = []
    for directory in directories:
        small = directory.with_name(f"{directory.name}-int8")
        frtune.quantize(directory, small)
        models += [directory, small]
    frtune.compare(models, rows, output_dir=output)
    print((output / "comparison.md").read_text(encoding="utf-8"))


def main() -> None:
    """Run one approach whole, or both from the same checkpoint."""
    task, settings, args, own = frtune.parse_train_arguments(
        "keywords", defaults=DEFAULTS, aliases=ALIASES, extra=Options, without=WITHOUT
    )
    output = Path(args.output_dir)
    if own.quantize and any(output.glob("approach*-int8")):
        raise SystemExit(f"--output-dir {output}: holds int8 models. Name a new directory.")
    data = read(settings.data, task, settings)
    corpus = list(task.corpus(data["train"]))
    approaches = ["1", "2"] if own.approach == "both" else [own.approach]

    similarity = pairs = None
    if "1" in approaches:
        similarity = frtune.SentenceSimilarity()
        pairs = read(own.pairs, similarity, settings)
        similarity = similarity.fit(pairs)
        corpus += similarity.corpus(pairs["train"])

    checkpoint = settings.checkpoint
    if checkpoint == "tiny":
        checkpoint = str(output / "tiny")
        if not Path(checkpoint).exists():
            frtune.tiny_checkpoint(settings.family, corpus, checkpoint)

    scores = {"baselines": baselines(task, data)}
    finished = []
    for approach in approaches:
        start = checkpoint
        if approach == "1":
            start = str(output / "similarity")
            # its own recipe, for as long as the keywords are learnt
            first = frtune.training_arguments(
                similarity, start, tiny=settings.checkpoint == "tiny", seed=args.seed,
                num_train_epochs=args.num_train_epochs, max_steps=args.max_steps,
            )  # fmt: skip
            scores["similarity"] = train(similarity, checkpoint, pairs, first)
        directory = output / f"approach{approach}"
        args.output_dir = str(directory)
        scores[directory.name] = train(task, start, data, args)
        finished.append(directory)
    print(json.dumps(scores, indent=2))
    if own.quantize:
        compare(finished, data["test"], output / "comparison")
    frtune.leave()


if __name__ == "__main__":
    main()
