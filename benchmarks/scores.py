"""ROUGE with Korean morphemes and keyphrase scores: frtune beside ``evaluate``, row by row.

    python benchmarks/scores.py

``evaluate.load("rouge")`` fetches its module from a hub. The peer therefore writes the module out:
an ``evaluate.Metric`` that runs ``RougeScorer``, as that one does, and is called once a row with
Kiwi as tokenizer. ``evaluate by row`` asks for no bootstrap, ``..., as by default`` does not say
and gets one of 1,000 draws a call, on fewer rows (times are compared by row). ``rouge_score by
row`` runs without ``evaluate``. All add keyphrase scores of sets by the usual loop.

The rows are 2,337 real generations and references, the first ones again with a word more. frtune
runs without its cache on the disk: ``cached`` is a second run with it. ``floor`` is what no way can
do without: Kiwi's analysis of each distinct text, once, and nothing else.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import statistics
import tempfile
import unicodedata
from typing import Any

from _compare import Timer, compare, parser, report, run_apart, shared_data

KEYS = ["rouge1", "rouge2", "rougeL", "rougeLsum"]


def documents(count: int) -> tuple[list[str], list[str]]:
    """Generated and wanted keyphrases, joined by ``; ``."""
    lines = (shared_data() / "ko_pko_v3_run3" / "generations.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in lines.splitlines()]
    several = [(rows[i % len(rows)], i // len(rows)) for i in range(count)]
    return (
        [row["generated"] + f"; {turn}" * bool(turn) for row, turn in several],
        [row["reference"] + f"; {turn}" * bool(turn) for row, turn in several],
    )


def phrases(texts: list[str]) -> list[list[str]]:
    """The keyphrases of each document."""
    return [[part.strip() for part in text.split(";")] for text in texts]


def ours(timer: Timer, count: int, cache: str) -> dict[str, float]:
    """The way of frtune; ``cache`` is a folder, or empty for none."""
    os.environ["FRTUNE_CACHE"] = cache
    from frtune.metrics import keyphrase_scores, rouge_scores

    predictions, references = documents(count)
    rouge_scores(["봄"], ["봄"], tokenizer="ko")  # loads Kiwi
    keyphrase_scores([["봄"]], [["봄"]])
    with timer:
        scores = rouge_scores(predictions, references, tokenizer="ko")
        scores |= keyphrase_scores(phrases(predictions), phrases(references))
    return {name: scores[name] for name in (*KEYS, "f1_at_10")} | {"rows": count}


def floor(timer: Timer, count: int) -> dict[str, float]:
    """Kiwi's analysis of each distinct text, on all cores."""
    from kiwipiepy import Kiwi

    texts = list(dict.fromkeys(text for side in documents(count) for text in side))
    kiwi = Kiwi()
    kiwi.tokenize("봄")
    with timer:
        found = sum(len(tokens) for tokens in kiwi.tokenize(texts))
    return {"rows": count, "texts": len(texts), "morphemes": found}


class Tokenizer:
    """Kiwi as ``rouge_score`` wants it."""

    def __init__(self) -> None:
        from kiwipiepy import Kiwi

        self.kiwi = Kiwi()
        self.tokenize("봄")

    def tokenize(self, text: str) -> list[str]:
        """Morphemes of one text."""
        return [token.form for token in self.kiwi.tokenize(text)]


def by_row(timer: Timer, count: int) -> dict[str, float]:
    """The way of ``rouge_score`` alone."""
    from rouge_score import rouge_scorer

    predictions, references = documents(count)
    tokenizer = Tokenizer()
    with timer:
        scorer = rouge_scorer.RougeScorer(KEYS, tokenizer=tokenizer)
        rows = [scorer.score(r, p) for p, r in zip(predictions, references, strict=True)]
        scores = {key: sum(row[key].fmeasure for row in rows) / len(rows) for key in KEYS}
        scores["f1_at_10"] = _f1_at_10(phrases(predictions), phrases(references))
    return scores | {"rows": count}


def by_evaluate(timer: Timer, count: int, **options: bool) -> dict[str, float]:
    """The way of ``evaluate``'s ROUGE, called for each row."""
    predictions, references = documents(count)
    tokenizer = Tokenizer()
    with tempfile.TemporaryDirectory() as folder:
        rouge = _metric(folder)
        with timer:
            sums = dict.fromkeys(KEYS, 0.0)
            for prediction, reference in zip(predictions, references, strict=True):
                found = rouge.compute(
                    predictions=[prediction], references=[reference],
                    tokenizer=tokenizer.tokenize, **options,
                )  # fmt: skip
                for key in KEYS:
                    value = found[key]
                    sums[key] += float(value[0] if isinstance(value, list) else value)
            scores = {key: sums[key] / count for key in KEYS}
            scores["f1_at_10"] = _f1_at_10(phrases(predictions), phrases(references))
    return scores | {"rows": count}


def _metric(folder: str) -> Any:
    """The module of ``evaluate.load("rouge")``, in short."""
    import evaluate
    from datasets import Features, Value
    from rouge_score import rouge_scorer, scoring

    class Rouge(evaluate.Metric):
        def _info(self):
            text = Features({"predictions": Value("string"), "references": Value("string")})
            return evaluate.MetricInfo(description="", citation="", features=text)

        def _compute(self, predictions, references, tokenizer, use_aggregator=True):
            wrapped = type("Wrapped", (), {"tokenize": staticmethod(tokenizer)})()
            scorer = rouge_scorer.RougeScorer(KEYS, tokenizer=wrapped)
            rows = [scorer.score(r, p) for p, r in zip(predictions, references, strict=True)]
            if not use_aggregator:
                return {key: [row[key].fmeasure for row in rows] for key in KEYS}
            aggregator = scoring.BootstrapAggregator()
            for row in rows:
                aggregator.add_scores(row)
            return {key: value.mid.fmeasure for key, value in aggregator.aggregate().items()}

    return Rouge(cache_dir=folder)


def _f1_at_10(predictions: list[list[str]], references: list[list[str]]) -> float:
    values = []
    for predicted, wanted in zip(predictions, references, strict=True):
        found, want = (
            [" ".join(unicodedata.normalize("NFC", text).casefold().split()) for text in texts]
            for texts in (predicted, wanted)
        )
        found, want = (list(dict.fromkeys(filter(None, texts))) for texts in (found, want))
        shared = len(set(found[:10]) & set(want))
        p, r = shared / max(1, len(found[:10])), shared / max(1, len(want))
        values.append(2 * p * r / (p + r) if shared else 0.0)
    return sum(values) / len(values)


def main() -> None:
    """Measure the row of the table."""
    made = parser(__doc__)
    made.add_argument("--rows", type=int, default=3_000)
    args = made.parse_args()
    if args.quick:
        args.rounds, args.rows = 1, 20
    few = min(args.rows, 100)
    importlib.import_module("evaluate")  # takes seconds; the forks have it then
    with tempfile.TemporaryDirectory() as folder:
        ways = {
            "frtune": functools.partial(ours, count=args.rows, cache=""),
            "evaluate by row": functools.partial(
                by_evaluate, count=args.rows, use_aggregator=False
            ),
            "evaluate by row, as by default": functools.partial(by_evaluate, count=few),
            "rouge_score by row": functools.partial(by_row, count=args.rows),
        }
        found = compare(
            "ROUGE and keyphrase scores", ways, goals=dict.fromkeys(list(ways)[1:], 5), args=args,
            rows=args.rows, rows_as_by_default=few,
        )  # fmt: skip
        cached = [
            run_apart(functools.partial(ours, count=args.rows, cache=folder), args.threads)
            for _ in range(2)
        ][1]
    found["cached"] = cached
    way = functools.partial(floor, count=args.rows)
    found["floor"] = [run_apart(way, args.threads) for _ in range(args.rounds)]
    full = [run for runs in found["runs"].values() for run in runs if run["rows"] == args.rows]
    found["largest_difference"] = max(
        abs(run[key] - full[0][key]) for run in full for key in (*KEYS, "f1_at_10")
    )
    report(__file__, [found], args)
    print(share(found))


def share(found: dict[str, Any]) -> str:
    """How much of frtune's time the floor takes."""
    least, ours = (
        statistics.median(run["seconds"] for run in runs)
        for runs in (found["floor"], found["runs"]["frtune"])
    )
    return (
        f"Kiwi's analysis of each text, once, takes {least:.2f} of frtune's {ours:.2f} s "
        f"({100 * least / ours:.0f} %)."
    )


if __name__ == "__main__":
    main()
