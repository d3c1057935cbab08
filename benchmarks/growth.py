"""How time and memory grow with the rows, for each kind of work that users wait for.

    python benchmarks/growth.py

The exponent is the slope of processor time (of all processes together) over rows on logarithmic
axes: 1 is linear, and what starting costs makes it less. ``the last one`` is that of the two
largest runs. ``ms a row`` is what each further row costs. Memory is the highest of the process
itself, some 500 MiB of libraries included, without the pages of files that the system maps and may
drop at any time; rows are kept in such files, but for the texts of the study, which is given a
list. Its samples of tokens and texts fill up to a fixed size, within the first 20,000 texts or so.

Articles and tokenizer are those of ``preparing.py``; the reviews are rotten tomatoes, again and
again. The models are tiny (2 layers, 128 wide, random): what is measured is the work around them.
"""

from __future__ import annotations

import contextlib
import functools
import json
import math
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from _compare import RESULTS, Timer, apart, hardware, parser, run_apart, shared_data, warm_up
from preparing import PREFIX, SOURCE, TARGET, write_articles, write_tokenizer

STATUS = Path("/proc/self/status")


def anonymous_mib() -> float:
    """Memory of this process that no file stands behind, now."""
    lines = STATUS.read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


@contextlib.contextmanager
def watched(found: dict[str, float]) -> Iterator[None]:
    """Look at the memory twenty times a second; the highest goes to ``found["mib"]``."""
    done = threading.Event()

    def look() -> None:
        while True:
            found["mib"] = max(found.get("mib", 0.0), round(anonymous_mib(), 1))
            if done.wait(0.05):
                return

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def preparing(timer: Timer, folder: Path, rows: int, tokenise: bool) -> dict[str, float]:
    """``frtune prepare``, or reading and tokenising without it."""
    from datasets import config
    from transformers import AutoTokenizer

    from frtune import KeyphraseGeneration
    from frtune.data.loading import load_splits
    from frtune.data.prepare import prepare
    from frtune.training.encoding import encode_dataset

    source, found = folder / f"{rows}.jsonl", {"rows": rows}
    if not source.is_file():
        write_articles(source, rows)
    tokenizer = AutoTokenizer.from_pretrained(folder / "t5")
    task = KeyphraseGeneration(max_source_tokens=SOURCE, max_target_tokens=TARGET, prefix=PREFIX)
    with tempfile.TemporaryDirectory(dir=folder) as name, watched(found):
        config.HF_DATASETS_CACHE = Path(name)
        with timer:
            if not tokenise:
                prepare(source, Path(name) / "prepared", task)
            else:
                for part in load_splits(str(source))[0].values():
                    encode_dataset(part, task, tokenizer, kind="encoder-decoder")
    return found


def modelling(timer: Timer, folder: Path, rows: int, what: str) -> dict[str, float]:
    """Training, evaluation, or a study of hidden states, of short texts by a tiny encoder."""
    from datasets import config
    from transformers import TrainingArguments

    from frtune import SequenceClassification, build_bert
    from frtune.data.loading import load_splits
    from frtune.study import layer_statistics

    source, found = folder / f"reviews-{rows}.jsonl", {"rows": rows}
    if not source.is_file():
        write_reviews(source, rows)
    with tempfile.TemporaryDirectory(dir=folder) as name, watched(found):
        config.HF_DATASETS_CACHE = Path(name)
        splits, _ = load_splits(str(source), task_name="classification", cut=False)
        data = splits["train"]
        task = SequenceClassification(max_source_tokens=64).fit(data)
        model, tokenizer = build_bert(task, checkpoint=str(folder / "bert"))
        args = TrainingArguments(
            name, per_device_train_batch_size=16, per_device_eval_batch_size=64,
            num_train_epochs=1, save_strategy="no", use_cpu=True, logging_strategy="no",
            disable_tqdm=True,
        )  # fmt: skip
        if what == "study":
            with timer:
                layer_statistics(model, tokenizer, list(data["text"]))
            return found
        trainer = task.trainer(model, tokenizer, args, train_dataset=data, eval_dataset=data)
        with timer:
            trainer.train() if what == "train" else trainer.evaluate()
    return found


def predicting(timer: Timer, folder: Path, rows: int) -> dict[str, float]:
    """``frtune predict DIR --file`` of short texts by a tiny classifier, to the last row."""
    from datasets import config
    from transformers import TrainingArguments

    from frtune import SequenceClassification, build_bert
    from frtune.cli import predict
    from frtune.training.saving import save

    source, found = folder / f"reviews-{rows}.jsonl", {"rows": rows}
    if not source.is_file():
        write_reviews(source, rows)
    with tempfile.TemporaryDirectory(dir=folder) as name, watched(found):
        config.HF_DATASETS_CACHE = Path(name)
        task = SequenceClassification(labels=["0", "1"], max_source_tokens=64)
        model, tokenizer = build_bert(task, checkpoint=str(folder / "bert"))
        args = TrainingArguments(f"{name}/run", use_cpu=True)
        save(task.trainer(model, tokenizer, args), f"{name}/saved")
        output = Path(name) / "answers.jsonl"
        with timer:
            predict.main(
                [f"{name}/saved", "--file", str(source), "--output", str(output),
                 "--batch-size", "64"]
            )  # fmt: skip
        with output.open(encoding="utf-8") as lines:
            if sum(1 for _ in lines) != rows:
                raise SystemExit(f"{rows} rows were asked, and not all were answered")
    return found


def write_reviews(path: Path, rows: int) -> None:
    """Write so many short reviews as JSON lines; they come again with a number at the end."""
    import pandas as pd

    frame = pd.read_csv(shared_data() / "en_rotten_tomatoes" / "train.csv")
    reviews = list(zip(frame["text"], frame["label"], strict=True))
    with path.open("w", encoding="utf-8") as file:
        for turn in range(rows):
            text, label = reviews[turn % len(reviews)]
            row = {"text": f"{text} {turn // len(reviews) or ''}".strip(), "label": str(label)}
            file.write(json.dumps(row) + "\n")


def write_models(folder: Path) -> None:
    """Write the tokenizer, and a tiny BERT."""
    import pandas as pd

    from frtune import tiny_checkpoint

    frame = pd.read_csv(shared_data() / "en_rotten_tomatoes" / "train.csv")
    write_tokenizer(folder / "t5")
    tiny_checkpoint("bert", frame["text"], folder / "bert", vocab_size=8_000)


def curve(what: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """One line of the table: the runs, from few rows to many, and how they grow."""
    start, most = runs[0], runs[-1]
    points = [(math.log(run["rows"]), math.log(max(run["cpu_seconds"], 1e-3))) for run in runs]
    means = [sum(values) / len(points) for values in zip(*points, strict=True)]
    slope = sum((x - means[0]) * (y - means[1]) for x, y in points) / sum(
        (x - means[0]) ** 2 for x, _ in points
    )
    # from row to row, without what starting costs
    rise = (most["cpu_seconds"] - start["cpu_seconds"]) / (most["rows"] - start["rows"])
    return {
        "what": what,
        "exponent": round(slope, 3),
        "last_exponent": round(
            (points[-1][1] - points[-2][1]) / (points[-1][0] - points[-2][0]), 3
        ),
        "cpu_ms_a_row": round(1000 * rise, 3),
        "mib_at_least": start["mib"],
        "mib_at_most": most["mib"],
        "runs": runs,
    }


def main() -> None:
    """Measure the curves."""
    made = parser(__doc__)
    made.add_argument("--rows", nargs="+", type=int, default=[1_000, 10_000, 100_000])
    made.add_argument("--model-rows", nargs="+", type=int, default=[1_000, 4_000, 16_000])
    made.add_argument("--file-rows", nargs="+", type=int, default=[2_000, 20_000, 200_000])
    args = made.parse_args()
    if args.quick:
        args.rows, args.model_rows, args.file_rows = [50, 100], [20, 40], [20, 40]
    warm_up()
    table = []
    print("| what | rows | exponent of time | the last one | ms a row | MiB |")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        apart(write_models, folder)
        for what in ("prepare", "tokenise", "predict --file", "train", "evaluate", "study"):
            sizes = args.model_rows
            way = functools.partial(modelling, folder=folder, what=what)
            if what in ("prepare", "tokenise"):
                sizes = args.rows
                way = functools.partial(preparing, folder=folder, tokenise=what == "tokenise")
            elif what == "predict --file":
                sizes = args.file_rows
                way = functools.partial(predicting, folder=folder)
            runs = []
            for rows in sizes:
                runs.append(run_apart(functools.partial(way, rows=rows), args.threads))
                print(f"{what} | {json.dumps(runs[-1])}", file=sys.stderr, flush=True)
            table.append(curve(what, runs))
            line = table[-1]
            print(
                f"| {what} | {runs[0]['rows']:,} to {runs[-1]['rows']:,} | {line['exponent']:.2f} "
                f"| {line['last_exponent']:.2f} | {line['cpu_ms_a_row']:.2f} "
                f"| {line['mib_at_least']:.0f} to {line['mib_at_most']:.0f} |",
                flush=True,
            )
    if args.quick:
        return
    command = "python benchmarks/growth.py " + " ".join(sys.argv[1:])
    result = {"command": command.strip(), "hardware": hardware(), "curves": table}
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "growth.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
