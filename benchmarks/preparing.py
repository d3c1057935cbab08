"""From a file of articles to tokens: frtune beside pandas and ``Dataset.map``.

    python benchmarks/preparing.py

Articles are those of Papyrus, again and again with other words at the end. frtune has two ways:
what ``frtune train`` does with a file (read, check, clean, cut, encode), and ``frtune prepare``
before it, which besides rejects repeats, looks for near duplicates across the splits and writes an
audit. The peer is the notebook's: ``read_json``, ``dropna``, ``drop_duplicates``, a cleaning
function by ``apply``, ``train_test_split`` and ``Dataset.map`` on one row at a time, padded.
"""

from __future__ import annotations

import functools
import json
import tempfile
from pathlib import Path

from _compare import Timer, compare, minilm, parser, report, shared_data, warm_up

SOURCE = 512


def write_articles(path: Path, count: int) -> None:
    """Write so many articles as JSON lines with ``text`` and ``keyphrases``."""
    lines = (shared_data() / "fr_papyrus_f" / "train.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in lines.splitlines()]
    with path.open("w", encoding="utf-8") as file:
        for i in range(count):
            row, turn = rows[i % len(rows)], i // len(rows)
            text = row["text"] + "".join(f" mot{turn}x{j}" for j in range(40 * bool(turn)))
            kept = {"text": text, "keyphrases": row["keyphrases"]}
            file.write(json.dumps(kept, ensure_ascii=False) + "\n")


def ours(timer: Timer, folder: Path, audited: bool) -> dict[str, float]:
    """The way of ``frtune train``, after ``frtune prepare`` if ``audited``."""
    from transformers import AutoTokenizer

    from frtune import KeywordExtraction
    from frtune.data.loading import load_splits
    from frtune.data.prepare import prepare
    from frtune.training.encoding import encode_dataset

    tokenizer = AutoTokenizer.from_pretrained(minilm())
    task = KeywordExtraction(
        max_source_tokens=SOURCE, keywords_column="keyphrases", text_column="text"
    )
    with tempfile.TemporaryDirectory(dir=folder) as name, timer:
        source = folder / "articles.jsonl"
        if audited:
            prepare(source, Path(name) / "prepared", task)
            source, task = Path(name) / "prepared", KeywordExtraction(max_source_tokens=SOURCE)
        splits, _ = load_splits(str(source), task_name=task.name)
        rows = {
            split: len(encode_dataset(part, task, tokenizer, kind="encoder"))
            for split, part in splits.items()
        }
    return {"kept": sum(rows.values())}


def notebook(timer: Timer, folder: Path) -> dict[str, float]:
    """The way of the classic notebook."""
    import re
    import unicodedata

    import pandas as pd
    from datasets import Dataset
    from sklearn.model_selection import train_test_split
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(minilm())

    def cleaned(text: str) -> str:
        return re.sub(r"\s+", " ", unicodedata.normalize("NFC", text)).strip()

    def encode(row: dict) -> dict:
        words = row["text"].split()
        encoded = tokenizer(
            words, is_split_into_words=True, padding="max_length", truncation=True,
            max_length=SOURCE,
        )  # fmt: skip
        wanted = {word.casefold() for phrase in row["keyphrases"] for word in phrase.split()}
        encoded["labels"] = [
            -100 if word is None else int(words[word].casefold() in wanted)
            for word in encoded.word_ids()
        ]
        return encoded

    with timer:
        frame = pd.read_json(folder / "articles.jsonl", lines=True)
        frame = frame.dropna(subset=["text"]).drop_duplicates(subset=["text"])
        frame["text"] = frame["text"].apply(cleaned)
        train, rest = train_test_split(frame, test_size=0.2, random_state=42)
        parts = [train, *train_test_split(rest, test_size=0.5, random_state=42)]
        rows = [Dataset.from_pandas(part).map(encode) for part in parts]
    return {"kept": sum(map(len, rows))}


def main() -> None:
    """Measure the row of the table."""
    made = parser(__doc__)
    made.add_argument("--rows", type=int, default=3_000)
    args = made.parse_args()
    if args.quick:
        args.rounds, args.rows = 1, 50
    warm_up()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_articles(folder / "articles.jsonl", args.rows)
        peer = {"pandas and Dataset.map": functools.partial(notebook, folder=folder)}
        table = []
        for what, audited in (("read and tokenise", False), ("prepare and tokenise", True)):
            ways = {"frtune": functools.partial(ours, folder=folder, audited=audited), **peer}
            table.append(
                compare(what, ways, goals=dict.fromkeys(peer, 3), args=args, rows=args.rows)
            )
    report(__file__, table, args)


if __name__ == "__main__":
    main()
