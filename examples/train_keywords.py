r"""Keyword extraction from French texts, by either of two ways.

    python examples/train_keywords.py --approach 2
    python examples/train_keywords.py --approach 1
    python examples/train_keywords.py --approach both --quantize \
        --checkpoint almanach/camembert-base --data keywords.csv --pairs paraphrases.csv

Approach 1 first learns sentence similarity, then keywords from the encoder that was saved. Approach
2 learns keywords directly. ``--quantize`` makes an int8 model of each, and a table of all in
OUTPUT_DIR/comparison. Without data and checkpoint a tiny model learns the bundled samples.
"""

import argparse
import json
from pathlib import Path

from transformers import set_seed

import frtune
from frtune.models.transfer import prove_encoder
from frtune.training.distributed import leave


def options() -> argparse.Namespace:
    """Read the flags."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--approach", choices=("1", "2", "both"), default="2")
    parser.add_argument("--quantize", action="store_true", help="compare with int8 models too")
    parser.add_argument("--data", default="sample", help="texts and keywords: file or folder")
    parser.add_argument("--text-column", default="text")
    parser.add_argument("--keywords-column", default="keywords")
    parser.add_argument("--pairs", default="sample", help="sentence pairs, for approach 1")
    parser.add_argument("--checkpoint", default="tiny", help="hub name, directory or 'tiny'")
    parser.add_argument("--family", default="camembert", help="family of a tiny checkpoint")
    parser.add_argument("--output-dir", default="runs/keywords")
    parser.add_argument("--subwords", choices=("all", "first"), default="all")
    parser.add_argument("--max-source-tokens", type=int, default=256)
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--max-steps", type=int, default=-1)
    parser.add_argument("--max-rows", type=int, help="of each split")
    return parser.parse_args()


def read(source: str, task, chosen: argparse.Namespace):
    """The splits of a task's data; what was decided about them is printed."""
    rows = chosen.max_rows
    data, notes = frtune.load_splits(
        source, task_name=task.name, max_train_rows=rows, max_eval_rows=rows, max_test_rows=rows
    )
    print(*notes, sep="\n")
    return data


def train(task, checkpoint: str, data, directory: Path, chosen: argparse.Namespace):
    """Train one task from ``checkpoint``, save it, and return its scores on the test rows."""
    args = frtune.training_arguments(
        task,
        str(directory),
        tiny=chosen.checkpoint == "tiny",
        num_train_epochs=chosen.epochs,
        max_steps=chosen.max_steps,
    )
    set_seed(args.seed)  # the head is new
    model, tokenizer = frtune.build_model(task, checkpoint=checkpoint)
    if (Path(checkpoint) / "frtune_task.json").is_file():
        print(f"encoder of {checkpoint}: {prove_encoder(model, checkpoint)} weights, all equal")
    trainer = task.trainer(
        model, tokenizer, args, train_dataset=data["train"], eval_dataset=data["validation"]
    )
    trainer.train()
    frtune.save(trainer, directory)
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
    chosen = options()
    output = Path(chosen.output_dir)
    if chosen.quantize and any(output.glob("approach*-int8")):
        raise SystemExit(f"--output-dir {output}: holds int8 models. Name a new directory.")
    task = frtune.KeywordExtraction(
        text_column=chosen.text_column,
        keywords_column=chosen.keywords_column,
        max_source_tokens=chosen.max_source_tokens,
        subwords=chosen.subwords,
    )
    data = read(chosen.data, task, chosen)
    corpus = list(task.corpus(data["train"]))
    approaches = ["1", "2"] if chosen.approach == "both" else [chosen.approach]

    similarity = pairs = None
    if "1" in approaches:
        similarity = frtune.SentenceSimilarity()
        pairs = read(chosen.pairs, similarity, chosen)
        similarity = similarity.fit(pairs)
        corpus += similarity.corpus(pairs["train"])

    checkpoint = chosen.checkpoint
    if checkpoint == "tiny":
        checkpoint = str(output / "tiny")
        if not Path(checkpoint).exists():
            frtune.tiny_checkpoint(chosen.family, corpus, checkpoint)

    scores = {"baselines": baselines(task, data)}
    finished = []
    for approach in approaches:
        start = checkpoint
        if approach == "1":
            start = str(output / "similarity")
            scores["similarity"] = train(similarity, checkpoint, pairs, Path(start), chosen)
        directory = output / f"approach{approach}"
        scores[directory.name] = train(task, start, data, directory, chosen)
        finished.append(directory)
    print(json.dumps(scores, indent=2))
    if chosen.quantize:
        compare(finished, data["test"], output / "comparison")
    leave()


if __name__ == "__main__":
    main()
