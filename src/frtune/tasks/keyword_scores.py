"""Answers of keyword extraction: what is kept of them, their scores, how they are shown."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from transformers import PreTrainedTokenizerBase

from frtune import metrics
from frtune.data.cleaning import clean_keyphrases
from frtune.metrics.bootstrap import Score
from frtune.tasks import keyword_rows
from frtune.tasks.answer_choice import AnswerChoice
from frtune.tasks.answer_html import Say, keywords_html
from frtune.tasks.answers import Answer, Given, Intervals, Line, Scores, Texts
from frtune.tasks.base import Row, Task
from frtune.tasks.given_answers import keyword_span, phrase_list
from frtune.tasks.keyword_baselines import keyword_baselines
from frtune.tasks.keyword_rows import raw_rows, stitched
from frtune.tasks.ranking import Ranking, ranking_of
from frtune.tasks.row_scores import sets_f1
from frtune.tasks.shown_rows import marked_pieces, phrase_pieces
from frtune.tasks.spans import Occurrences, keyword_key
from frtune.tasks.token_labels import Subwords
from frtune.tasks.word_threshold import (
    KEYWORD_SCORES,
    UNTUNED,
    threshold_remarks,
    tuned_threshold,
    untuned_scores,
)

if TYPE_CHECKING:
    from datasets import Dataset
    from typing_extensions import Self


class KeywordScores(Task):
    """Answers of a task that marks keywords, and their scores.

    The attributes are those of ``KeywordExtraction``.
    """

    text_column: str
    keywords_column: str
    separator: str
    subwords: Subwords
    ignore_accents: bool
    tune_threshold: bool
    threshold: float | None

    choices: ClassVar[tuple[str, ...]] = ("min_score", "top_k")

    def keywords(self, row: Row) -> list[str]:
        """The row's keywords, cleaned, each once."""
        raise NotImplementedError

    def find(self, text: str, keywords: Iterable[str]) -> Occurrences:
        """Where some keywords stand in a text."""
        raise NotImplementedError

    # --- answers and what is kept of them --------------------------------------------------------

    def answers(
        self, outputs: Sequence[Any], dataset: Dataset, tokenizer: PreTrainedTokenizerBase
    ) -> list[dict[str, Any]]:
        """As of every task; every occurrence, without ``score`` where outputs are labels."""
        texts = stitched(outputs, dataset, self)
        return [{"keywords": text.described(self.subwords)} for text in texts]

    def choose(
        self, answers: Sequence[Answer], choice: AnswerChoice, rows: Dataset | None = None
    ) -> list[dict[str, Any]]:
        """As of every task; spellings of one keyword count once, and all its occurrences stay."""
        return [
            {**answer, "keywords": choice.kept(answer["keywords"], lambda x: self.key(x["text"]))}
            for answer in super().choose(answers, choice, rows)
        ]

    # --- the threshold of words ------------------------------------------------------------------

    @property
    def calibrates(self) -> bool:
        return self.tune_threshold

    @property
    def uncalibrated(self) -> str:
        return "the threshold of words is not tuned"

    def calibrated(
        self, outputs: Sequence[Any], dataset: Dataset, tokenizer: Any = None
    ) -> tuple[Self, list[str]]:
        """As of every task: with ``threshold``, where one beats the likeliest labels."""
        texts = list(stitched(outputs, dataset, replace(self, threshold=None)))
        true = [[self.key(keyword) for keyword in row] for row in self.references(dataset)]

        def f1(threshold: float | None) -> float:
            found = [each.read(threshold).described(self.subwords) for each in texts]
            said = [[self.key(item["text"]) for item in row] for row in found]
            return metrics.keyword_scores(said, true, normalize=str)["keyword_f1"]

        found, note = tuned_threshold(f1, len(texts))
        return replace(self, threshold=found), [note] if note else []

    def remarks(self, metrics: Mapping[str, float]) -> list[str]:
        return threshold_remarks(metrics)

    def ranking(self, lines: Sequence[Line]) -> Ranking | None:
        if any("score" not in span for line in lines for span in line["spans"]):
            return None
        found = [[(span["text"], span["score"]) for span in line["spans"]] for line in lines]
        return ranking_of(found, [line["reference"] for line in lines], self.key)

    # --- scores --------------------------------------------------------------------------------

    def references(self, dataset: Dataset, tokenizer: Any = None) -> list[list[str]]:
        return [self.keywords(row) for row in raw_rows(dataset, self.label_columns)]

    def scored_columns(self, kind: str) -> tuple[str, ...]:
        return (*super().scored_columns(kind), *keyword_rows.WINDOW_COLUMNS)

    def read_answer(self, given: Given, texts: Sequence[str]) -> dict[str, Any]:
        """As of every task; keywords that come without their places stay text."""
        value = given.get("spans") or given["prediction"]
        if isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
            return {"keywords": [keyword_span(item, texts[0]) for item in value]}
        return {"keywords": clean_keyphrases(phrase_list(value, self.separator))}

    def score_answers(
        self, answers: Sequence[Answer], dataset: Dataset, tokenizer: Any = None
    ) -> Scores:
        return self.compute_metrics(
            [answer["keywords"] for answer in answers],
            self.references(dataset),
            texts=[row[self.text_column] for row in raw_rows(dataset, self.columns)],
        )

    def score_outputs(
        self, outputs: Sequence[Any], dataset: Dataset, tokenizer: Any = None
    ) -> Scores:
        texts, scores = list(stitched(outputs, dataset, self)), {}
        for threshold in dict.fromkeys((None, self.threshold)):
            read = [text.read(threshold) for text in texts]
            answers = [{"keywords": text.described(self.subwords)} for text in read]
            untuned = untuned_scores(scores) if scores else {}
            scores = {**self.score_answers(answers, dataset), **untuned}
        true = [text.labels for text in texts]
        return {**scores, **metrics.token_scores([text.predictions for text in texts], true)}

    def compute_metrics(
        self,
        predictions: Sequence[Sequence[str | Answer]],
        references: Sequence[Sequence[str]],
        *,
        texts: Texts = None,
    ) -> Scores:
        """Score keywords against keywords; fractions from 0 to 1.

        Args:
            predictions: Keywords of each row: text, or ``{"text", "start", "end"}``.
            references: True keywords of each row, in the text or not.
            texts: Adds ``span_*`` and ``keyword_recall_limit``, the recall of who marks every
                true span. Keywords that are given as text stand wherever the text holds them.
        """
        names = list(map(keyword_rows.names_of, predictions))
        scores = metrics.keyword_scores(names, references, normalize=self.key)
        if texts is not None:
            scores |= keyword_rows.span_metrics(self, predictions, references, texts)
        return scores

    def intervals(
        self, outputs: Sequence[Any], dataset: Dataset, tokenizer: Any = None
    ) -> Intervals:
        texts = list(stitched(outputs, dataset, self))
        return keyword_rows.intervals(
            self,
            [text.text for text in texts],
            [text.described(self.subwords) for text in texts],
            self.references(dataset),
            [(text.predictions, text.labels) for text in texts],
        )

    def answer_intervals(
        self, answers: Sequence[Answer], dataset: Dataset, tokenizer: Any = None
    ) -> Intervals:
        texts = [row[self.text_column] for row in raw_rows(dataset, self.columns)]
        said = [answer["keywords"] for answer in answers]
        return keyword_rows.intervals(self, texts, said, self.references(dataset))

    def key(self, keyword: str) -> str:
        """Return what two spellings of a keyword have in common."""
        return keyword_key(keyword, ignore_accents=self.ignore_accents)

    def metric_directions(self) -> dict[str, bool]:
        names = [
            *self.compute_metrics([["a"]], [["a"]], texts=["a"]),
            *metrics.token_scores([], []),
        ]
        return dict.fromkeys([*names, *self._untuned_names()], True)

    def _untuned_names(self) -> list[str]:
        return [f"{name}{UNTUNED}" for name in KEYWORD_SCORES if self.threshold is not None]

    def signatures(self, references: Sequence[Sequence[str]]) -> dict[str, str]:
        learnt = "first" if self.subwords == "first" else "all"  # what scores of tokens count
        found = metrics.span_signatures(ignore_accents=self.ignore_accents, subwords=learnt)
        names = (name.removesuffix(UNTUNED) for name in self._untuned_names())
        return found | {
            f"{name}{UNTUNED}": found[name].replace(name, f"{name}{UNTUNED}", 1) for name in names
        }

    def baselines(self, train: Dataset | None, test: Dataset) -> dict[str, list[list[str]]]:
        """``keyword_baselines``; without training rows, ``nothing`` (all O) alone."""
        texts = [row[self.text_column] for row in raw_rows(test, self.columns)]
        if train is None:
            return {"nothing": [[] for _ in texts]}
        known = [row[self.text_column] for row in raw_rows(train, self.columns)]
        return keyword_baselines(
            train_texts=known, train_keywords=self.references(train), texts=texts, key=self.key
        )

    # --- how an answer is shown ----------------------------------------------------------------

    def row_score(self, answers: Sequence[Answer], references: Sequence[Any]) -> Score:
        found = [keyword_rows.names_of(answer["keywords"]) for answer in answers]
        return sets_f1(found, references, self.key)

    def agreement_key(self, answer: Answer) -> Hashable:
        return tuple((item["start"], item["end"]) for item in answer["keywords"])

    def prediction(self, answer: Answer) -> dict[str, Any]:
        """The keywords as text, and where those stand of which the answer says it."""
        items = answer["keywords"]
        spans = [item for item in items if not isinstance(item, str)]
        return {"prediction": keyword_rows.names_of(items), "spans": spans}

    def row_values(self, lines: Sequence[Line]) -> tuple[str, list[float]]:
        said, true = ([line[name] for line in lines] for name in ("prediction", "reference"))
        found = metrics.keyword_scores_per_document(said, true, normalize=self.key)
        return self.main_score, found[self.main_score]

    def described(self, line: Line) -> dict[str, Any]:
        """Each keyword once, and the text with all of them marked."""
        text, true = line["input"], line["reference"]
        keys = {self.key(keyword) for keyword in true}
        marked = {
            (span["start"], span["end"]): "right" if self.key(span["text"]) in keys else "wrong"
            for span in line.get("spans", ())
        }
        said = list({self.key(keyword): keyword for keyword in line["prediction"]}.values())
        pieces = phrase_pieces(said, true, self.key)
        return {**pieces, "marked": marked_pieces(text, marked, self.find(text, true).spans)}

    def answer_cells(self, answer: Answer) -> tuple[Any, ...]:
        words = dict.fromkeys(item["text"] for item in answer["keywords"])
        return ("; ".join(words), json.dumps(answer["keywords"], ensure_ascii=False))

    def answer_html(self, answer: Answer, say: Say) -> str:
        return keywords_html(answer["text"], answer["keywords"], say)
