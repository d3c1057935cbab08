"""From a file of articles to tokens: frtune beside pandas and ``Dataset.map``.

    python benchmarks/preparing.py

Articles are made of sentences of Papyrus, drawn at random. One word in twenty is one that no other
article has, so that new words keep coming as they do in real texts; one article in a hundred is
there twice. frtune has two ways: what ``frtune train`` does with a file (read, check, clean, cut,
encode), and ``frtune prepare`` before it, which besides rejects repeats, looks for near duplicates
across the splits and writes an audit.

The peer is the notebook's: ``read_json``, ``dropna``, ``drop_duplicates``, a cleaning function by
``apply``, ``train_test_split`` and ``Dataset.map`` on one row at a time, padded. Both read the same
articles with the same tokenizer and cut them at 512 tokens; ``checksum`` is equal where the tokens
of all sources are. For keyword extraction, of a tenth of the articles, frtune reads them whole, in
overlapping windows: twice the tokens, and times are compared by token.
"""

from __future__ import annotations

import functools
import json
import random
import re
import tempfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from _compare import Timer, apart, compare, minilm, parser, report, shared_data, warm_up

SOURCE, TARGET = 512, 64
PREFIX = "generate keyphrases: "


def papyrus() -> list[dict[str, Any]]:
    """Abstracts of dissertations with their keyphrases."""
    from frtune.data.cleaning import clean_text

    lines = (shared_data() / "fr_papyrus_f" / "train.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in lines.splitlines()]
    # frtune takes invisible characters out, the notebook doesn't: without any, tokens are the same
    return [{**row, "text": clean_text(row["text"])} for row in rows]


def write_articles(path: Path, count: int) -> None:
    """Write so many articles as JSON lines with ``text`` and ``keyphrases``."""
    rows, draw = papyrus(), random.Random(0)
    sentences = [s for row in rows for s in re.split(r"(?<=[.!?]) +", row["text"])]
    row: dict[str, Any] = {}
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            if number % 100 != 99:
                length, kept = len(draw.choice(rows)["text"]), []
                while sum(map(len, kept)) < length:
                    kept.append(draw.choice(sentences))
                words = " ".join(kept).split()
                for at in range(draw.randrange(20), len(words), 20):
                    words[at] += f"{number:x}{at:x}"
                row = {"text": " ".join(words), "keyphrases": draw.choice(rows)["keyphrases"]}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def write_tokenizer(folder: Path) -> None:
    """Write a tokenizer of T5's kind (Unigram, 26,000 pieces), trained on the abstracts."""
    from frtune import tiny_checkpoint

    texts = [text for row in papyrus() for text in (row["text"], "; ".join(row["keyphrases"]))]
    tiny_checkpoint("t5", texts, folder, vocab_size=32_000)


def checksum(rows: Iterable[Any]) -> int:
    """Equal for the same rows of ids in whatever order."""
    return sum(zlib.crc32(str(list(ids)).encode()) for ids in rows) % 10**6


def reached(rows: list[Any], task: str) -> dict[str, float]:
    """What the rows of ids come to; ``rows`` divides the times."""
    tokens = sum(map(len, rows))
    counted = {"rows": tokens} if task == "keywords" else {"checksum": checksum(rows)}
    return {"kept": len(rows), "tokens": tokens, **counted}


def ours(timer: Timer, folder: Path, task: str, audited: bool) -> dict[str, float]:
    """The way of ``frtune train``, after ``frtune prepare`` if ``audited``."""
    from datasets import config
    from transformers import AutoTokenizer

    from frtune import KeyphraseGeneration, KeywordExtraction
    from frtune.data.loading import load_splits
    from frtune.data.prepare import prepare
    from frtune.training.encoding import encode_dataset

    tokenizer = AutoTokenizer.from_pretrained(minilm() if task == "keywords" else folder / "t5")
    kind = "encoder" if task == "keywords" else "encoder-decoder"
    raw = KeyphraseGeneration(max_source_tokens=SOURCE, max_target_tokens=TARGET, prefix=PREFIX)
    tidy: Any = raw
    if task == "keywords":
        raw = KeywordExtraction(max_source_tokens=SOURCE, keywords_column="keyphrases")
        tidy = KeywordExtraction(max_source_tokens=SOURCE)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        config.HF_DATASETS_CACHE = Path(name)  # what an earlier round left would be opened
        with timer:
            source = folder / f"{task}.jsonl"
            if audited:
                prepare(source, Path(name) / "prepared", raw)
                source = Path(name) / "prepared"
            wanted = tidy if audited else raw
            splits, _ = load_splits(str(source), task_name=wanted.name)
            encoded = [
                encode_dataset(part, wanted, tokenizer, kind=kind) for part in splits.values()
            ]
        rows = [ids for part in encoded for batch in part.iter(1000) for ids in batch["input_ids"]]
        return reached(rows, task)


def notebook(timer: Timer, folder: Path, task: str) -> dict[str, float]:
    """The way of the classic notebook."""
    import unicodedata

    import pandas as pd
    from datasets import Dataset
    from sklearn.model_selection import train_test_split
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(minilm() if task == "keywords" else folder / "t5")
    padded: Any = {"padding": "max_length", "truncation": True}

    def cleaned(text: str) -> str:
        return re.sub(r"\s+", " ", unicodedata.normalize("NFC", text)).strip()

    def encode_phrases(row: dict) -> dict:
        encoded = tokenizer(PREFIX + row["text"], max_length=SOURCE, **padded)
        target = tokenizer(text_target="; ".join(row["keyphrases"]), max_length=TARGET, **padded)
        encoded["labels"] = [
            -100 if i == tokenizer.pad_token_id else i for i in target["input_ids"]
        ]
        return encoded

    def encode_words(row: dict) -> dict:
        words = row["text"].split()
        encoded = tokenizer(words, is_split_into_words=True, max_length=SOURCE, **padded)
        wanted = {word.casefold() for phrase in row["keyphrases"] for word in phrase.split()}
        encoded["labels"] = [
            -100 if word is None else int(words[word].casefold() in wanted)
            for word in encoded.word_ids()
        ]
        return encoded

    with timer:
        frame = pd.read_json(folder / f"{task}.jsonl", lines=True)
        frame = frame.dropna(subset=["text"]).drop_duplicates(subset=["text"])
        frame["text"] = frame["text"].apply(cleaned)
        train, rest = train_test_split(frame, test_size=0.2, random_state=42)
        parts = [train, *train_test_split(rest, test_size=0.5, random_state=42)]
        encode = encode_words if task == "keywords" else encode_phrases
        encoded = [Dataset.from_pandas(part).map(encode) for part in parts]
    rows = [
        ids[: sum(mask)]
        for part in encoded
        for batch in part.select_columns(["input_ids", "attention_mask"]).iter(1000)
        for ids, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)
    ]
    return reached(rows, task)


def main() -> None:
    """Measure the rows of the table."""
    made = parser(__doc__)
    made.add_argument("--rows", type=int, default=20_000)
    made.add_argument("--tasks", nargs="+", default=["keyphrases", "keywords"])
    args = made.parse_args()
    if args.quick:
        args.rounds, args.rows = 1, 50
    warm_up()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        apart(write_tokenizer, folder / "t5")
        table = []
        for task in args.tasks:
            rows = args.rows // (10 if task == "keywords" and not args.quick else 1)
            write_articles(folder / f"{task}.jsonl", rows)
            by = ", by token" if task == "keywords" else ""
            peer = {"pandas and Dataset.map": functools.partial(notebook, folder=folder, task=task)}
            for what, audited in (("read and tokenise", False), ("prepare and tokenise", True)):
                way = functools.partial(ours, folder=folder, task=task, audited=audited)
                table.append(
                    compare(
                        f"{what}, {task}{by}",
                        {"frtune": way, **peer},
                        goals=dict.fromkeys(peer, 3),
                        args=args,
                        articles=rows,
                    )
                )
    report(__file__, table, args)


if __name__ == "__main__":
    main()
