"""What scores, beams and votes do for keyphrases, and what they cost.

    python benchmarks/keyphrase_ranking.py --threads 1
    python benchmarks/keyphrase_ranking.py --threads 1 --only sample  # the other one stays

A small T5 (2 + 2 layers, 128 wide, random weights) learns the keyphrases of the bundled sample with
the recipe of ``frtune train keyphrases``; another one those of Inspec and of StackExchange, both at
once, for 30 epochs. Each then answers held-out rows: greedy in the order of writing, the same by
score, four beams by score, ten votes, and ten votes with a least score. F1 is that of stems, the
mean over rows; in the sample, which has three languages, that of equal phrases. Scores are
calibrated on other held-out rows; their errors are those on the rows that are answered.
"""

from __future__ import annotations

import functools
import json
import random
import tempfile
import time
from typing import Any

from _compare import Timer, parser, run_once, shared_data, warm_up, write_result

# of each model: its data sets, with the rows to calibrate on and to answer
MODELS = {
    "sample": {"sample": (100, 100)},
    "articles": {"en_inspec": (100, 150), "en_stackexchange_takg": (100, 200)},
}
SETTINGS = {
    "sample": {"num_train_epochs": 10},
    "articles": {
        "per_device_train_batch_size": 16, "learning_rate": 3e-3, "num_train_epochs": 30,
    },
}  # fmt: skip
LIMITS = {"articles": {"max_source_tokens": 64, "max_target_tokens": 48, "language": "en"}}
VOTES, BEAMS, SEED = 10, 4, 1
GREEDY = "greedy, as written"
WAYS = {
    GREEDY: {"scores": True},
    "greedy, by score": {"scores": True},
    f"{BEAMS} beams, by score": {"scores": True, "num_beams": BEAMS},
    f"{VOTES} votes": {"votes": VOTES, "seed": 42},
    f"{VOTES} votes, scores of 0.5 or more": {"votes": VOTES, "seed": 42, "min_score": 0.5},
}
CALIBRATED = ("greedy, by score", f"{VOTES} votes")
SCORES = ("f1_at_5", "f1_at_10", "f1_at_m", "f1_at_o")


def rows(name: str, split: str) -> list[dict[str, Any]]:
    """Texts, with their titles before them, and their keyphrases, in a fixed order at random."""
    if name == "sample":
        from frtune import load_splits

        return [{key: row[key] for key in ("text", "keyphrases")}
                for row in load_splits("sample")[0][split]]  # fmt: skip
    with (shared_data() / name / f"{split}.jsonl").open(encoding="utf-8") as file:
        found = [json.loads(line) for line in file]
    made = [
        {"text": f"{row.get('title', '')} {row['text']}".strip(), "keyphrases": row["keyphrases"]}
        for row in found
    ]
    random.Random(0).shuffle(made)
    return made


def work(timer: Timer, name: str, quick: bool, seed: int) -> dict[str, Any]:
    """Train a model once, then answer in all ways."""
    import torch
    from datasets import Dataset

    from frtune import KeyphraseGeneration, build_t5, tiny_checkpoint, training_arguments
    from frtune.inference import Predictor

    learnt = Dataset.from_list([row for data in MODELS[name] for row in rows(data, "train")])
    learnt = learnt.select(range(16)) if quick else learnt
    task = KeyphraseGeneration(**LIMITS.get(name, {}))
    with tempfile.TemporaryDirectory() as folder:
        start = tiny_checkpoint("t5", task.corpus(learnt), f"{folder}/start", vocab_size=4000)
        torch.manual_seed(seed)
        model, tokenizer = build_t5(task, checkpoint=str(start), proof=False)
        args = training_arguments(
            task, folder, tiny=True, seed=seed, eval_strategy="no", save_strategy="no",
            load_best_model_at_end=False, disable_tqdm=True, **SETTINGS[name],
            **({"max_steps": 2} if quick else {}),
        )  # fmt: skip
        trainer = task.trainer(model, tokenizer, args, train_dataset=learnt, proof=False)
        with timer:
            result = trainer.train()
    predictor = Predictor(task, model.eval(), tokenizer)
    found = {data: judged(predictor, data, counts, quick) for data, counts in MODELS[name].items()}
    return {"steps": trainer.state.global_step, "loss": result.training_loss, "data": found}


def judged(predictor: Any, name: str, counts: tuple[int, int], quick: bool) -> dict[str, Any]:
    """Every way on one data set."""
    first, second = counts
    held_out = rows(name, "validation")
    validation, test = held_out[:first], held_out[first : first + second]
    test = test or rows(name, "test")[:second]
    if quick:
        validation, test = validation[:4], test[:4]
    found, values = {}, {}
    for way, options in WAYS.items():
        begin = time.perf_counter()
        answers = predictor.predict(test, **options)
        seconds = time.perf_counter() - begin
        if way != GREEDY:
            answers = [by_score(answer) for answer in answers]
        values[way] = per_row(answers, test, predictor.task.language)
        found[way] = {
            "milliseconds a row": 1000 * seconds / len(test),
            "phrases a row": sum(len(answer["keyphrases"]) for answer in answers) / len(test),
            **{score: sum(values[way][score]) / len(test) for score in SCORES},
            "less greedy": difference(
                values[way]["f1_at_5"], values["greedy, as written"]["f1_at_5"]
            ),
        }
        if way in CALIBRATED:
            found[way] |= calibration(
                predictor.predict(validation, **options), validation, answers, test
            )
    return found


def by_score(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer, the phrases of the highest scores first."""
    pairs = sorted(zip(answer["scores"], answer["keyphrases"], strict=True), key=lambda p: -p[0])
    return {"keyphrases": [p for _, p in pairs], "scores": [score for score, _ in pairs]}


def per_row(
    answers: list[dict[str, Any]], test: list[dict[str, Any]], language: str | None
) -> dict[str, list[float]]:
    """Each F1 of each row."""
    from frtune.metrics import keyphrase_scores_per_document

    said, true = [a["keyphrases"] for a in answers], [row["keyphrases"] for row in test]
    match: Any = {"match": "stem", "language": language} if language else {}
    return {
        name: values
        for k in (5, 10)
        for name, values in keyphrase_scores_per_document(said, true, k=k, **match).items()
    }


def difference(own: list[float], other: list[float]) -> list[float]:
    """Mean difference over rows, and its 95 % interval by bootstrap."""
    from frtune.metrics import bootstrap_interval

    less = [a - b for a, b in zip(own, other, strict=True)]
    return [sum(less) / len(less), *bootstrap_interval(less)]


def calibration(
    known: list[dict[str, Any]], validation: list[dict[str, Any]],
    answers: list[dict[str, Any]], test: list[dict[str, Any]],
) -> dict[str, Any]:  # fmt: skip
    """Errors of the scores of the answers, before and after calibration on validation rows."""
    from frtune.metrics.phrases import normalize_phrase
    from frtune.tasks.ranking import chance_scores, fitted_map, ranking_of

    def ranking(given: list[dict[str, Any]], those: list[dict[str, Any]]) -> Any:
        found = [[*zip(a["keyphrases"], a["scores"], strict=True)] for a in given]
        return ranking_of(found, [row["keyphrases"] for row in those], normalize_phrase)

    fitted, reason = fitted_map(ranking(known, validation), len(validation))
    if fitted is None:
        return {"not calibrated": reason}
    return {"map": fitted, **chance_scores(ranking(answers, test), fitted)}


def lines(table: dict[str, Any]) -> list[str]:
    """What was measured, as Markdown."""
    found = ["| data | way | F1@5 | F1@10 | F1@M | F1@O | F1@5 less greedy | phrases | ms a row |",
             f"|{' --- |' * 9}"]  # fmt: skip
    for data, ways in table.get("data", {}).items():
        for way, got in ways.items():
            mean, low, high = got["less greedy"]
            less = "" if way == GREEDY else f"{mean:+.3f} ({low:+.3f} to {high:+.3f})"
            scores = " | ".join(f"{got[score]:.3f}" for score in SCORES)
            found.append(
                f"| {data} | {way} | {scores} | {less} | {got['phrases a row']:.1f} | "
                f"{got['milliseconds a row']:.0f} |"
            )
    return found


def calibration_lines(table: dict[str, Any]) -> list[str]:
    """The errors of scores, as Markdown."""
    found = ["| data | way | ece before | ece after | Brier before | Brier after |",
             f"|{' --- |' * 6}"]  # fmt: skip
    for data, ways in table.get("data", {}).items():
        for way in CALIBRATED:
            got = ways[way]
            names = (f"phrase_{name}{end}" for name in ("ece", "brier")
                     for end in ("_uncalibrated", ""))  # fmt: skip
            told = " | ".join(f"{got[name]:.3f}" if name in got else "" for name in names)
            found.append(f"| {data} | {way} | {told} |")
    return found


def main() -> None:
    """Measure, write what was found, and print the tables."""
    made = parser(__doc__, rounds=1)
    made.add_argument("--only", choices=MODELS, help="one model; the others stay as they are")
    args = made.parse_args()
    warm_up()
    from table import read

    table: dict[str, Any] = {"data": {}}
    if args.only:
        table = read("keyphrase_ranking").get("table", table)
    for name in [args.only] if args.only else MODELS:
        way = functools.partial(work, name=name, quick=args.quick)
        key = {"seed": SEED, "data": MODELS[name], **SETTINGS[name]}
        found = run_once(key, way, args)
        table["data"] = {**found.pop("data"), **{
            data: ways for data, ways in table["data"].items() if data not in MODELS[name]
        }}  # fmt: skip
        table[name] = found
    if not args.quick:
        write_result(__file__, args, table=table)
    print("\n".join([*lines(table), "", *calibration_lines(table)]))


if __name__ == "__main__":
    main()
