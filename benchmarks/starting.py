"""Time to start: import and help beside TRL, one answer and the first step beside Transformers.

    python benchmarks/starting.py

Whole processes. ``frtune predict`` answers for one text with a classifier, an extractor of keywords
and a model of similarity of the shape of MiniLM, and with a T5 of the shape of T5-small (random
heads, and a random T5). Beside it stands the script that does the same with Transformers alone, and
both must say the same. The first step is that of ``frtune train classification`` on 10,000 rows,
from the file to the end of the first optimizer step; the classic script pads to the longest length.

TRL is installed in an environment of its own on first use, over the packages of this one.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from _compare import HERE, Timer, compare, minilm, parser, peer_python, report, shared_data

TEXT, OTHER = "a gripping film, and funny", "a good film"
ONE = {"--text": TEXT}
TASKS = ("classification", "keywords", "similarity", "keyphrases")


def start(timer: Timer, command: list[str]) -> dict[str, float]:
    """Run a command; its processor time is that of the child."""
    with timer:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return {}


def check_same(task: str, ours: list[str], theirs: list[str]) -> None:
    """Let both answer once, and end where they do not say the same."""
    said, wanted = (
        json.loads(subprocess.run(c, check=True, capture_output=True, text=True).stdout)
        for c in (ours, theirs)
    )
    if task == "keyphrases":
        phrases = [" ".join(phrase.split()) for phrase in wanted.split(";")]
        same = said["keyphrases"] == list(dict.fromkeys(filter(None, phrases)))
    elif task == "keywords":  # the chance of a keyword of one token is that token's
        scores = [word["score"] for word in said["keywords"]]
        same = any(abs(score - value) < 1e-3 for score in scores for value in wanted)  # bf16
    else:
        found = said["similarity"] if task == "similarity" else said["scores"]["yes"]
        same = abs(found - wanted[1]) < 1e-4
    if not same:
        raise SystemExit(f"{task}: {said} and {wanted} differ")


def to_first_step(timer: Timer, command: list[str]) -> dict[str, float]:
    """Run a program up to its first step, with empty caches; ``OUTPUT`` is a new folder."""
    with tempfile.TemporaryDirectory() as folder:
        command = [word.replace("OUTPUT", f"{folder}/output") for word in command]
        caches = {name: f"{folder}/{name}" for name in ("FRTUNE_CACHE", "HF_DATASETS_CACHE")}
        runner = [sys.executable, str(HERE / "_first_step.py"), *command]
        with timer:
            subprocess.run(
                runner, check=True, env={**os.environ, **caches},
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
    return {}


def make_models(folder: Path) -> None:
    """Save one model a task; in a process of its own, so that the forks after it are fresh."""
    import pandas as pd
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    import frtune
    from frtune.tasks.config_file import save_task

    torch.manual_seed(0)
    base = folder / "base"
    texts = pd.read_csv(shared_data() / "en_rotten_tomatoes" / "train.csv")["text"].tolist()
    frtune.tiny_checkpoint("t5", texts, base)
    sizes = {"d_model": 512, "d_ff": 2048, "num_layers": 6, "num_heads": 8}
    config: Any = T5Config.from_pretrained(base, num_decoder_layers=6, **sizes)
    T5ForConditionalGeneration(config).save_pretrained(base)
    labels = ["no", "yes"]
    for task, checkpoint in (
        (frtune.SequenceClassification(labels=labels), minilm()),
        (frtune.KeywordExtraction(), minilm()),
        (frtune.SentenceSimilarity(labels=labels), minilm()),
        (frtune.KeyphraseGeneration(prefix=""), base),
    ):
        model, tokenizer = frtune.build_model(task, checkpoint=str(checkpoint), proof=False)
        model.save_pretrained(folder / task.name)
        tokenizer.save_pretrained(folder / task.name)
        save_task(task, folder / task.name)


def write_rows(file: Path, count: int) -> None:
    """Write so many film reviews with their labels."""
    import pandas as pd

    frame = pd.read_csv(shared_data() / "en_rotten_tomatoes" / "train.csv")[["text", "label"]]
    frame = pd.concat([frame] * (count // len(frame) + 1), ignore_index=True)[:count]
    frame["text"] += [f" {i}" for i in range(count)]  # repeated rows would be warned of
    frame.to_csv(file, index=False)


def main() -> None:
    """Measure the rows of the table."""
    made = parser(__doc__, rounds=5)
    made.add_argument("--rows", type=int, default=10_000)
    made.add_argument("--only", choices=["trl", "predict", "train"], help="some of the rows")
    args = made.parse_args()
    if args.quick:
        args.rounds, args.rows = 1, 200
    frtune, table = str(Path(sys.executable).parent / "frtune"), []

    def row(
        what: str, peer: str, goal: float, ours: list[str], theirs: list[str], way: Any = start
    ) -> None:
        ways = {
            "frtune": functools.partial(way, command=ours),
            peer: functools.partial(way, command=theirs),
        }
        table.append(compare(what, ways, goals={peer: goal}, args=args))

    if args.only in (None, "trl"):
        trl = peer_python("trl", "trl")
        python = [sys.executable, "-c", "import frtune"]
        row("import", "TRL", 10, python, [str(trl), "-c", "from trl import SFTTrainer"])
        row("--help", "TRL", 10, [frtune, "--help"], [str(trl.parent / "trl"), "--help"])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if args.only in (None, "predict"):
            here = f"import sys; sys.path.insert(0, {str(HERE)!r}); import starting, pathlib; "
            made_there = f"starting.make_models(pathlib.Path({name!r}))"
            subprocess.run([sys.executable, "-c", here + made_there], check=True)
            for task in TASKS[-1:] if args.quick else TASKS:
                texts = {"--text": TEXT, "--text-pair": OTHER} if task == "similarity" else ONE
                model = str(folder / task)
                ours = [
                    frtune,
                    "predict",
                    model,
                    *(word for pair in texts.items() for word in pair),
                ]
                peer = [sys.executable, str(HERE / "_transformers_peer.py"), task, model]
                peer += texts.values()
                check_same(task, ours, peer)
                row(f"frtune predict, one text ({task})", "Transformers", 0.91, ours, peer)
        if args.only in (None, "train"):
            write_rows(folder / "rows.csv", args.rows)
            rows, base = str(folder / "rows.csv"), str(minilm())
            ours = [frtune, "train", "classification", "--data", rows, "--checkpoint", base]
            ours += ["--output-dir", "OUTPUT", "--per-device-train-batch-size", "8"]
            classic = [str(HERE / "_classic_training.py"), rows, base, "OUTPUT"]
            what = f"first step of frtune train, {args.rows:,} rows"
            row(what, "classic script", 1, ours, classic, to_first_step)
    report(__file__, table, args)


if __name__ == "__main__":
    main()
