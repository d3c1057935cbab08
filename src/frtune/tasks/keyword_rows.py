"""Rows of keyword extraction to windows, and what a model says of these back to rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from frtune.data.row_checks import rows_of
from frtune.errors import InputError
from frtune.metrics import keyword_intervals, keyword_scores, span_scores
from frtune.tasks.alignment import Tokens, tokenize
from frtune.tasks.spans import Span, find_keywords
from frtune.tasks.token_labels import IGNORED, Found, Subwords, label_tokens, read_labels
from frtune.tasks.windows import Frame, Window, frame_of, plan_windows

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

WINDOW_COLUMNS = ("own_start", "starts", "ends", "word_starts")


# --- raw rows ------------------------------------------------------------------------------------


def raw_rows(dataset: Dataset, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield some columns of each raw row, of raw rows or of encoded ones.

    Raises:
        InputError: If the first window of a text was taken out of the encoded rows.
    """
    if "row" not in dataset.column_names:
        yield from rows_of(dataset, columns)
        return
    last = None
    for row in rows_of(dataset, [*columns, "row"]):
        number = row.pop("row")
        if number != last and any(value is None for value in row.values()):
            raise InputError(
                f"row {number}: its first window is missing. Select rows before they are encoded."
            )
        if number != last:
            yield row
        last = number


# --- to windows ----------------------------------------------------------------------------------


def encode_rows(
    task: Any,
    batch: Mapping[str, Sequence[Any]],
    tokenizer: PreTrainedTokenizerBase,
    *,
    with_labels: bool,
) -> dict[str, list[Any]]:
    """Encode a batch of rows; what ``KeywordExtraction.encode`` returns."""
    frame = frame_of(tokenizer)
    room = task.max_source_tokens - len(frame.before) - len(frame.after)
    texts = list(batch[task.text_column])
    names = ("row_in_batch", "input_ids", "length", *WINDOW_COLUMNS)
    out: dict[str, list[Any]] = {name: [] for name in names}
    if with_labels:
        out.update(labels=[], counts=[])
    for row, tokens in enumerate(tokenize(texts, tokenizer)):
        windows = plan_windows(len(tokens.ids), room, task.overlap, tokens.word_starts)
        for window in windows:
            _append(out, row, window, tokens, frame)
        if with_labels:
            keywords = task.keywords({task.keywords_column: batch[task.keywords_column][row]})
            found = find_keywords(texts[row], keywords, ignore_accents=task.ignore_accents)
            labels = label_tokens(tokens, found.spans, task.subwords)
            out["labels"] += [_own_labels(labels, window, frame) for window in windows]
            counts = [len(keywords), len(found.missing), len(found.hidden), found.overlapped]
            out["counts"] += [counts, *([0, 0, 0, 0] for _ in windows[1:])]
    return out


def _append(
    out: dict[str, list[Any]], row: int, window: Window, tokens: Tokens, frame: Frame
) -> None:
    ids = [*frame.before, *tokens.ids[window.start : window.end], *frame.after]
    spans = tokens.spans[window.own_start : window.own_end]
    out["row_in_batch"].append(row)
    out["input_ids"].append(ids)
    out["length"].append(len(ids))
    out["own_start"].append(len(frame.before) + window.own_start - window.start)
    out["starts"].append([span.start for span in spans])
    out["ends"].append([span.end for span in spans])
    out["word_starts"].append(tokens.word_starts[window.own_start : window.own_end])


def _own_labels(labels: Sequence[int], window: Window, frame: Frame) -> list[int]:
    """A label for each position of a window: -100 at special tokens and at context."""
    before = len(frame.before) + window.own_start - window.start
    after = len(frame.after) + window.end - window.own_end
    own = labels[window.own_start : window.own_end]
    return [*[IGNORED] * before, *own, *[IGNORED] * after]


def encoding_notes(encoded: Dataset, limit: int) -> list[str]:
    """Sentences about encoded rows; see ``KeywordExtraction.encoding_notes``."""
    columns = [name for name in ("row", "counts") if name in encoded.column_names]
    if "counts" not in columns:
        return []
    listed = missing = hidden = overlapped = barren = windows = texts = long = 0
    last = None
    for row in rows_of(encoded, columns):
        first = row["row"] != last
        long += not first and windows == 1
        texts, windows, last = texts + first, 1 if first else windows + 1, row["row"]
        a, b, c, d = row["counts"]
        listed, missing, hidden, overlapped = listed + a, missing + b, hidden + c, overlapped + d
        barren += first and a == b
    return [
        sentence
        for count, sentence in (
            (missing, f"{missing} of {listed} keywords do not stand in their text"),
            (barren, f"{barren} of {texts} texts hold none of their keywords and are all O"),
            (
                overlapped,
                f"{overlapped} occurrences of keywords lie under longer keywords and are not "
                f"labelled; {hidden} keywords occur nowhere else",
            ),
            (
                long,
                f"{long} of {texts} texts are longer than max_source_tokens={limit} and are read "
                f"in windows ({len(encoded)} in all)",
            ),
        )
        if count
    ]


# --- back to rows --------------------------------------------------------------------------------


@dataclass(frozen=True)
class StitchedText:
    """A text with what the model said of each of its tokens, once.

    Attributes:
        text: The text as it was given.
        spans: Where its tokens stand in it.
        word_starts: Whether a token starts a word.
        predictions: The label that the model gave each token.
        scores: That label's probability; ``None`` where only labels are known.
        labels: The true labels; empty where rows were encoded without.
    """

    text: str
    spans: list[Span]
    word_starts: list[bool]
    predictions: list[int]
    scores: list[float] | None
    labels: list[int]

    def keywords(self, subwords: Subwords) -> list[Found]:
        """The keywords that the predictions mark."""
        return read_labels(
            self.predictions,
            self.spans,
            self.text,
            word_starts=self.word_starts if subwords == "first" else None,
            scores=self.scores,
        )

    def described(self, subwords: Subwords) -> list[dict[str, Any]]:
        """The same as dicts with ``text``, ``start``, ``end`` and, where known, ``score``."""
        return [
            {
                "text": self.text[found.start : found.end],
                "start": found.start,
                "end": found.end,
                **({} if found.score is None else {"score": found.score}),
            }
            for found in self.keywords(subwords)
        ]


def stitched(outputs: Sequence[np.ndarray], dataset: Dataset, task: Any) -> Iterator[StitchedText]:
    """Put the windows of each text together; every token comes from the window that owns it.

    Args:
        outputs: Logits ``(length, classes)`` or labels ``(length,)`` of each encoded row.
        dataset: The encoded rows.
        task: The task that encoded them.
    """
    if len(outputs) != len(dataset):
        raise InputError(
            f"len(outputs)={len(outputs)}: as many as there are encoded rows ({len(dataset)}). "
            "Pass the data set that the model answered."
        )
    columns = ["row", *WINDOW_COLUMNS]
    columns += ["labels"] if "labels" in dataset.column_names else []
    texts = raw_rows(dataset, task.columns)
    parts: list[tuple[Any, dict[str, Any]]] = []
    for output, row in zip(outputs, rows_of(dataset, columns), strict=True):
        if parts and parts[0][1]["row"] != row["row"]:
            yield _joined(next(texts)[task.text_column], parts)
            parts = []
        parts.append((output, row))
    if parts:
        yield _joined(next(texts)[task.text_column], parts)


def _joined(text: str, parts: Sequence[tuple[Any, dict[str, Any]]]) -> StitchedText:

    pieces, spans, word_starts, labels = [], [], [], []
    for output, row in parts:
        own = slice(row["own_start"], row["own_start"] + len(row["starts"]))
        pieces.append(np.asarray(output)[own])
        spans += [Span(*pair) for pair in zip(row["starts"], row["ends"], strict=True)]
        word_starts += row["word_starts"]
        labels += row.get("labels", [])[own]
    values = np.concatenate(pieces)  # (tokens,) or (tokens, classes)
    scores = None
    if values.ndim == 2:
        exp = np.exp(values - values.max(axis=-1, keepdims=True))
        scores = (exp / exp.sum(axis=-1, keepdims=True)).max(axis=-1).tolist()
        values = values.argmax(axis=-1)
    return StitchedText(text, spans, word_starts, [int(v) for v in values], scores, labels)


# --- scores --------------------------------------------------------------------------------------


def span_metrics(
    task: Any,
    predictions: Sequence[Sequence[str | Mapping[str, Any]]],
    references: Sequence[Sequence[str]],
    texts: Sequence[str],
) -> dict[str, float]:
    """Scores that need the texts; see ``KeywordExtraction.compute_metrics``."""
    true = [
        find_keywords(text, keywords, ignore_accents=task.ignore_accents).spans
        for text, keywords in zip(texts, references, strict=True)
    ]
    predicted = []
    for text, row in zip(texts, predictions, strict=True):
        names = [item for item in row if isinstance(item, str)]
        spans = find_keywords(text, names, ignore_accents=task.ignore_accents).spans
        given = ((p["start"], p["end"]) for p in row if not isinstance(p, str))
        predicted.append([*spans, *given])
    reachable = [[text[a:b] for a, b in spans] for text, spans in zip(texts, true, strict=True)]
    limit = keyword_scores(reachable, references, normalize=task.key)["keyword_recall"]
    return {**span_scores(predicted, true), "keyword_recall_limit": limit}


def intervals(
    task: Any, texts: Sequence[StitchedText], references: Sequence[Sequence[str]]
) -> dict[str, tuple[float, float]]:
    """Bootstrap 95 % intervals of the scores of texts that a model answered."""
    keywords, spans = [], []
    for text, true in zip(texts, references, strict=True):
        found = text.keywords(task.subwords)
        wanted = find_keywords(text.text, true, ignore_accents=task.ignore_accents).spans
        spans.append(({(f.start, f.end) for f in found}, {(a, b) for a, b in wanted}))
        said = {task.key(text.text[f.start : f.end]) for f in found}
        keywords.append((said, {task.key(keyword) for keyword in true}))
    return keyword_intervals(keywords, spans, [(text.predictions, text.labels) for text in texts])
