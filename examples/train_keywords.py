r"""Keyword extraction from French texts, by either of two ways.

    python examples/train_keywords.py --approach 2
    python examples/train_keywords.py --approach 1
    python examples/train_keywords.py --approach 1 --checkpoint almanach/camembert-base \
        --data keywords.csv --pairs paraphrases.csv

Approach 1 first learns sentence similarity, then keywords from the encoder that was saved. Approach
2 learns keywords directly. Without data and checkpoint a tiny model learns the bundled samples.
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
    parser.add_argument("--approach", type=int, choices=(1, 2), default=2)
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
    parser.add_argument("--learning-rate", type=float, help="default: 2e-5, tiny models 1e-3")
    return parser.parse_args()


def arguments(task, directory: Path, chosen: argparse.Namespace):
    """The recipe: steps of 4 x 8 rows, AdamW with its usual betas."""
    tiny = chosen.checkpoint == "tiny"
    return frtune.training_arguments(
        task,
        str(directory),
        num_train_epochs=chosen.epochs,
        max_steps=chosen.max_steps,
        per_device_train_batch_size=4,
        gradient_accumulation_steps=8,
        learning_rate=chosen.learning_rate or (1e-3 if tiny else 2e-5),
        adam_epsilon=1e-8,
        adam_beta1=0.9,
        adam_beta2=0.999,
    )


def read(source: str, task, chosen: argparse.Namespace):
    """The splits of a task's data; what was decided about them is printed."""
    rows = chosen.max_rows
    data, notes = frtune.load_splits(
        source, task_name=task.name, max_train_rows=rows, max_eval_rows=rows, max_test_rows=rows
    )
    print(*notes, sep="\n")
    return data


def train(task, checkpoint: str, data, directory: Path, chosen: argparse.Namespace):
    """Train one task from ``checkpoint``, test it and save it; return its trainer and scores."""
    args = arguments(task, directory, chosen)
    set_seed(args.seed)  # the head is new
    model, tokenizer = frtune.build_model(task, checkpoint=checkpoint)
    if (Path(checkpoint) / "frtune_task.json").is_file():
        print(f"encoder of {checkpoint}: {prove_encoder(model, checkpoint)} weights, all equal")
    trainer = task.trainer(
        model, tokenizer, args, train_dataset=data["train"], eval_dataset=data["validation"]
    )
    trainer.train()
    metrics = trainer.predict(data["test"]).metrics
    frtune.save(trainer, directory)
    return metrics


def main() -> None:
    """Run one approach whole."""
    chosen = options()
    output = Path(chosen.output_dir)
    task = frtune.KeywordExtraction(
        text_column=chosen.text_column,
        keywords_column=chosen.keywords_column,
        max_source_tokens=chosen.max_source_tokens,
        subwords=chosen.subwords,
    )
    data = read(chosen.data, task, chosen)
    corpus = list(task.corpus(data["train"]))

    similarity = pairs = None
    if chosen.approach == 1:
        similarity = frtune.SentenceSimilarity(max_source_tokens=128)
        pairs = read(chosen.pairs, similarity, chosen)
        similarity = similarity.fit(pairs)
        corpus += similarity.corpus(pairs["train"])

    checkpoint = chosen.checkpoint
    if checkpoint == "tiny":
        checkpoint = str(output / "tiny")
        if not Path(checkpoint).exists():
            frtune.tiny_checkpoint(chosen.family, corpus, checkpoint)
    if chosen.approach == 1:
        train(similarity, checkpoint, pairs, output / "similarity", chosen)
        checkpoint = str(output / "similarity")
    metrics = train(task, checkpoint, data, output / "keywords", chosen)

    for name, found in task.baselines(data["train"], data["test"]).items():
        texts = list(data["test"][task.text_column])
        scores = task.compute_metrics(found, task.references(data["test"]), texts=texts)
        metrics[f"baseline_{name}_keyword_f1"] = scores["keyword_f1"]
    print(json.dumps({name: round(value, 4) for name, value in metrics.items()}, indent=2))
    leave()


if __name__ == "__main__":
    main()
