"""Rows of keyword extraction to windows, and what a model says of these back to rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from frtune import metrics
from frtune.data.row_checks import rows_of
from frtune.errors import InputError
from frtune.tasks.alignment import Tokens, tokenize
from frtune.tasks.answers import Intervals, Scores
from frtune.tasks.base import Batch, Encoded
from frtune.tasks.sequences import Frame
from frtune.tasks.spans import Span
from frtune.tasks.token_labels import IGNORED, Found, Subwords, label_tokens, read_labels
from frtune.tasks.windows import Window, frame_of, plan_windows
from frtune.tasks.word_threshold import read_logits

if TYPE_CHECKING:
    from datasets import Dataset

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
    windows = rows_of(dataset, [*columns, "row"])
    for number, of_one in groupby(windows, key=lambda row: row.pop("row")):
        row = next(of_one)
        if any(value is None for value in row.values()):
            raise InputError(
                f"row {number}: its first window is missing. Select rows before they are encoded."
            )
        yield row


# --- to windows ----------------------------------------------------------------------------------


def encode_rows(
    task: Any, batch: Batch, tokenizer: PreTrainedTokenizerBase, *, with_labels: bool
) -> Encoded:
    """Encode a batch of rows; what ``KeywordExtraction.encode`` returns."""
    frame = frame_of(tokenizer)
    room = task.max_source_tokens - frame.tokens
    texts = list(batch[task.text_column])
    names = ("row_in_batch", "input_ids", "length", *WINDOW_COLUMNS)
    names += ("labels", "counts") if with_labels else ()
    out: Encoded = {name: [] for name in names}
    for row, tokens in enumerate(tokenize(texts, tokenizer)):
        windows = plan_windows(len(tokens.ids), room, task.overlap, tokens.word_starts)
        labels = None
        if with_labels:
            keywords = task.keywords({task.keywords_column: batch[task.keywords_column][row]})
            found = task.find(texts[row], keywords)
            labels = label_tokens(tokens, found.spans, task.subwords)
            counts = [len(keywords), len(found.missing), len(found.hidden), found.overlapped]
            out["counts"] += [counts, *([0, 0, 0, 0] for _ in windows[1:])]
        for window in windows:
            for name, value in _encoded(window, tokens, frame, labels).items():
                out[name].append(value)
            out["row_in_batch"].append(row)
    return out


def _encoded(
    window: Window, tokens: Tokens, frame: Frame, labels: Sequence[int] | None
) -> dict[str, Any]:
    """One window; its labels are -100 at special tokens and at context."""
    own = slice(window.own_start, window.own_end)
    ids = [*frame.before, *tokens.ids[window.start : window.end], *frame.after]
    starts, ends = ([span[side] for span in tokens.spans[own]] for side in (0, 1))
    before = len(frame.before) + window.own_start - window.start
    after = [IGNORED] * (len(ids) - before - len(starts))
    return {
        "input_ids": ids,
        "length": len(ids),
        "own_start": before,
        "starts": starts,
        "ends": ends,
        "word_starts": tokens.word_starts[own],
        **({} if labels is None else {"labels": [*[IGNORED] * before, *labels[own], *after]}),
    }


def encoding_notes(encoded: Dataset, limit: int) -> list[str]:
    """Sentences about encoded rows; see ``KeywordExtraction.encoding_notes``."""
    if not {"row", "counts"} <= {*encoded.column_names}:
        return []
    totals, texts, barren, long = np.zeros(4, int), 0, 0, 0
    for _, windows in groupby(rows_of(encoded, ["row", "counts"]), key=lambda row: row["row"]):
        counts = [window["counts"] for window in windows]
        totals += np.sum(counts, axis=0)
        texts, long = texts + 1, long + (len(counts) > 1)
        barren += counts[0][0] == counts[0][1]
    listed, missing, hidden, overlapped = totals.tolist()
    sentences = {
        f"{missing} of {listed} keywords do not stand in their text": missing,
        f"{barren} of {texts} texts hold none of their keywords and are all O": barren,
        f"{overlapped} occurrences of keywords lie under longer keywords and are not "
        f"labelled; {hidden} keywords occur nowhere else": overlapped,
        f"{long} of {texts} texts are longer than max_source_tokens={limit} and are read "
        f"in windows ({len(encoded)} in all)": long,
    }
    return [sentence for sentence, count in sentences.items() if count]


# --- back to rows --------------------------------------------------------------------------------


@dataclass(frozen=True)
class StitchedText:
    """A text with what the model said of each of its tokens, once.

    Attributes:
        text: The text as it was given.
        spans: Where its tokens stand in it.
        word_starts: Whether a token starts a word.
        predictions: The label that the model gave each token.
        scores: How probable that is (``read_logits``); ``None`` where only labels are known.
        labels: The true labels; empty where rows were encoded without.
        logits: ``(tokens, 3)``; ``None`` as of ``scores``.
    """

    text: str
    spans: list[Span]
    word_starts: list[bool]
    predictions: list[int]
    scores: list[float] | None
    labels: list[int]
    logits: np.ndarray | None = None

    def read(self, threshold: float | None) -> StitchedText:
        """The same, with labels by a threshold, as of ``read_logits``.

        Raises:
            InputError: If there is a threshold, and no logits.
        """
        if self.logits is None:
            if threshold is None:
                return self
            raise InputError(
                f"threshold={threshold}: is compared with probabilities, and these are labels. "
                "Give logits."
            )
        labels, scores = read_logits(self.logits, threshold)
        return replace(self, predictions=labels.tolist(), scores=scores.tolist())

    def keywords(self, subwords: Subwords) -> list[Found]:
        """The keywords that the predictions mark."""
        return read_labels(
            self.predictions,
            self.spans,
            self.text,
            word_starts=None if subwords == "all" else self.word_starts,
            scores=self.scores,
        )

    def described(self, subwords: Subwords) -> list[dict[str, Any]]:
        """The same as dicts with ``text``, ``start``, ``end`` and, where known, ``score``."""
        return [
            {
                "text": self.text[found.start : found.end],
                **{name: value for name, value in found._asdict().items() if value is not None},
            }
            for found in self.keywords(subwords)
        ]


def stitched(outputs: Sequence[np.ndarray], dataset: Dataset, task: Any) -> Iterator[StitchedText]:
    """Put the windows of each text together, and read them by the task's ``threshold``.

    Every token comes from the window that owns it.

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
    answered = zip(outputs, rows_of(dataset, columns), strict=True)
    for _, parts in groupby(answered, key=lambda pair: pair[1]["row"]):
        yield _joined(next(texts)[task.text_column], parts).read(task.threshold)


def _joined(text: str, parts: Iterable[tuple[Any, dict[str, Any]]]) -> StitchedText:
    pieces, spans, word_starts, labels = [], [], [], []
    for output, row in parts:
        own = slice(row["own_start"], row["own_start"] + len(row["starts"]))
        pieces.append(np.asarray(output)[own])
        spans += [Span(*pair) for pair in zip(row["starts"], row["ends"], strict=True)]
        word_starts += row["word_starts"]
        labels += row.get("labels", [])[own]
    values = np.concatenate(pieces)  # (tokens,) or (tokens, classes)
    if values.ndim == 2:
        return StitchedText(text, spans, word_starts, [], None, labels, values)
    return StitchedText(text, spans, word_starts, values.astype(int).tolist(), None, labels)


# --- scores --------------------------------------------------------------------------------------


def span_metrics(
    task: Any,
    predictions: Sequence[Sequence[str | Mapping[str, Any]]],
    references: Sequence[Sequence[str]],
    texts: Sequence[str],
) -> Scores:
    """Scores that need the texts; see ``KeywordExtraction.compute_metrics``."""
    true = [task.find(*row).spans for row in zip(texts, references, strict=True)]
    predicted = [_places(task, *row) for row in zip(texts, predictions, strict=True)]
    reachable = [[text[a:b] for a, b in spans] for text, spans in zip(texts, true, strict=True)]
    limit = metrics.keyword_scores(reachable, references, normalize=task.key)["keyword_recall"]
    return {**metrics.span_scores(predicted, true), "keyword_recall_limit": limit}


def intervals(
    task: Any,
    texts: Sequence[str],
    predictions: Sequence[Sequence[str | Mapping[str, Any]]],
    references: Sequence[Sequence[str]],
    tokens: Sequence[tuple[Sequence[int], Sequence[int]]] | None = None,
) -> Intervals:
    """Bootstrap 95 % intervals of the scores of answered texts.

    ``tokens`` are the labels, predicted and true, of each text's tokens; without them the scores
    of tokens have no interval.
    """
    keywords, spans = [], []
    for text, said, true in zip(texts, predictions, references, strict=True):
        spans.append(({*_places(task, text, said)}, {*_places(task, text, true)}))
        keywords.append((set(map(task.key, names_of(said))), set(map(task.key, true))))
    found = metrics.keyword_intervals(keywords, spans, tokens or [([], [])] * len(texts))
    return {name: v for name, v in found.items() if tokens or not name.startswith("token_")}


def names_of(items: Sequence[str | Mapping[str, Any]]) -> list[str]:
    """Keywords as text, of text or of dicts with ``text``."""
    return [item if isinstance(item, str) else item["text"] for item in items]


def _places(
    task: Any, text: str, items: Sequence[str | Mapping[str, Any]]
) -> list[tuple[int, int]]:
    """Where keywords stand: as they say, and those that are text wherever the text holds them."""
    spans = task.find(text, [item for item in items if isinstance(item, str)]).spans
    said = ((item["start"], item["end"]) for item in items if not isinstance(item, str))
    return [*((start, end) for start, end in spans), *said]
