"""ROUGE with Korean morphemes and keyphrase scores: frtune beside ``rouge_score`` row by row.

    python benchmarks/scores.py

``evaluate.load("rouge")`` fetches its script from a hub; what it runs is ``RougeScorer`` row by row
with the given tokenizer, and so does the peer here, with Kiwi as tokenizer, and keyphrase scores of
sets by the usual loop. The rows are 2,337 real generations and references, the first ones again
with a word more. frtune runs without its cache on the disk: ``cached`` is a second run with it.
"""

from __future__ import annotations

import functools
import json
import os
import tempfile
import unicodedata

from _compare import Timer, compare, parser, report, run_apart, shared_data


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
    with timer:
        scores = rouge_scores(predictions, references, tokenizer="ko")
        scores |= keyphrase_scores(phrases(predictions), phrases(references))
    return {name: scores[name] for name in ("rouge1", "rouge2", "rougeL", "rougeLsum", "f1_at_10")}


def by_row(timer: Timer, count: int) -> dict[str, float]:
    """The way of ``evaluate``'s ROUGE, and a loop over sets of phrases."""
    from kiwipiepy import Kiwi
    from rouge_score import rouge_scorer

    class Tokenizer:
        def __init__(self) -> None:
            self.kiwi = Kiwi()

        def tokenize(self, text: str) -> list[str]:
            return [token.form for token in self.kiwi.tokenize(text)]

    predictions, references = documents(count)
    tokenizer = Tokenizer()
    tokenizer.tokenize("봄")
    keys = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
    with timer:
        scorer = rouge_scorer.RougeScorer(keys, tokenizer=tokenizer)
        rows = [scorer.score(r, p) for p, r in zip(predictions, references, strict=True)]
        scores = {key: sum(row[key].fmeasure for row in rows) / len(rows) for key in keys}
        scores["f1_at_10"] = _f1_at_10(phrases(predictions), phrases(references))
    return scores


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
    with tempfile.TemporaryDirectory() as folder:
        ways = {
            "frtune": functools.partial(ours, count=args.rows, cache=""),
            "rouge_score by row": functools.partial(by_row, count=args.rows),
        }
        found = compare(
            "ROUGE and keyphrase scores", ways, goals={"rouge_score by row": 5}, args=args,
            rows=args.rows,
        )  # fmt: skip
        cached = [
            run_apart(functools.partial(ours, count=args.rows, cache=folder), args.threads)
            for _ in range(2)
        ][1]
    found["cached"] = cached
    report(__file__, [found], args)


if __name__ == "__main__":
    main()
