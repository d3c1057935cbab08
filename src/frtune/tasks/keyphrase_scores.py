"""Keyphrases of rows, of lines and of answers from anywhere, and their scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from frtune import metrics
from frtune.data.cleaning import clean_keyphrases, clean_text, split_keyphrases
from frtune.data.nested_values import read_phrases
from frtune.data.row_checks import rows_of
from frtune.data.written_lists import looks_written
from frtune.metrics.phrases import split_phrases
from frtune.metrics.tokenizer_names import TokenizerName
from frtune.tasks import tokenization
from frtune.tasks.answers import Answer, Given, Intervals, Scores, Texts
from frtune.tasks.base import Row
from frtune.tasks.generated import Generated
from frtune.tasks.given_answers import phrase_list
from frtune.tasks.ranked_phrases import RankedPhrases

if TYPE_CHECKING:
    from datasets import Dataset
    from typing_extensions import Self

Phrases = Sequence[Sequence[str]]  # of each row


class KeyphraseScores(RankedPhrases):
    """What the rows and lines of a task that writes phrases hold, and how they are scored.

    The attributes are those of ``KeyphraseGeneration``.
    """

    text_column: str
    title_column: str | None
    keyphrases_column: str
    keyphrase_field: str | None
    max_target_tokens: int
    max_keyphrases: int | None
    k: int
    rouge_tokenizer: TokenizerName | None
    as_written: bool

    # --- what a row and a line hold --------------------------------------------------------------

    def source(self, row: Row) -> str:
        """The article: title, a line break, text; without prefix and markers."""
        parts = [row[self.title_column]] if self.title_column else []
        return "\n".join(clean_text(part) for part in [*parts, row[self.text_column]] if part)

    def phrases(self, row: Row) -> list[str]:
        """The row's keyphrases, cleaned, at most ``max_keyphrases``."""
        value = row[self.keyphrases_column]
        found = clean_keyphrases(read_phrases(value, self.separator, self.keyphrase_field))
        return found[: self.max_keyphrases]

    def target(self, phrases: Sequence[str]) -> str:
        """The line that the model learns to write, without its end token."""
        return self.separator.join(phrases)

    def parse(self, line: str) -> list[str]:
        """Split one generated line into clean phrases, each once.

        Example:
            >>> from frtune import KeyphraseGeneration
            >>> KeyphraseGeneration().parse("Keyphrases: budget;school canteen ; ; budget;")
            ['budget', 'school canteen']
        """
        return clean_keyphrases(split_keyphrases(line, self.separator))

    @property
    def repeated(self) -> dict[str, str]:
        titles = {} if self.title_column is None else {"title": self.title_column}
        return {**super().repeated, **titles}

    # --- scores --------------------------------------------------------------------------------

    def references(self, dataset: Dataset, tokenizer: Any = None) -> list[list[str]]:
        if self.keyphrases_column in dataset.column_names:
            values = dataset[self.keyphrases_column]
            return [self.phrases({self.keyphrases_column: value}) for value in values]
        return self.decode(tokenization.learnt_targets(dataset), tokenizer)

    def read_answer(self, given: Given, texts: Sequence[str]) -> dict[str, Any]:
        phrases = clean_keyphrases(phrase_list(given["prediction"], self.separator))
        told = all(given.get(name) is not None for name in self.answer_details)
        return {
            "keyphrases": phrases,
            **({name: given[name] for name in self.answer_details} if told else {}),
        }

    def score_answers(
        self, answers: Sequence[Answer], dataset: Dataset, tokenizer: Any = None
    ) -> Scores:
        """As of every task; of answers that say what was written, its health as far as it goes."""
        said, true = [row["keyphrases"] for row in answers], self.references(dataset, tokenizer)
        texts = self.score_texts(dataset) if {*self.columns} <= {*dataset.column_names} else None
        options = self._options_of(answers, true, dataset, tokenizer)
        scores = metrics.combined_scores(said, true, texts=texts, **options)
        if not all({*self.answer_details} <= {*answer} for answer in answers):
            return scores
        health = metrics.generation_health(
            [split_keyphrases(answer["generated"], self.separator) for answer in answers],
            token_counts=[0] * len(answers),
            finished=[answer["finished"] for answer in answers],
            limit=self.max_target_tokens,
        )
        of_tokens = ("cut_by_limit_rate", "mean_tokens")
        return {**scores, **{n: value for n, value in health.items() if n not in of_tokens}}

    def score_outputs(
        self, outputs: Sequence[Generated], dataset: Dataset, tokenizer: Any
    ) -> Scores:
        answers = self._told(outputs, dataset, tokenizer)
        scores = self.score_answers(answers, dataset, tokenizer)
        drawn = [vote for row in outputs for vote in row.votes or (row,)]
        lines = self.lines([row.ids for row in drawn], tokenizer)
        health = metrics.generation_health(
            [split_keyphrases(line, self.separator) for line in lines],
            token_counts=[len(row.ids) for row in drawn],
            finished=[row.finished for row in drawn],
            limit=self.max_target_tokens,
        )
        return {**scores, **health, **self._chance_scores(outputs, dataset, tokenizer)}

    def metric_directions(self) -> dict[str, bool]:
        names = self.compute_metrics([["a"]], [["a"]], texts=["a"])
        names |= metrics.generation_health([["a"]], token_counts=[1], finished=[True], limit=2)
        greater = {name: not name.endswith("_rate") or name == "eos_rate" for name in names}
        return greater | dict.fromkeys(self._chance_names(), False)

    def compute_metrics(
        self, predictions: Phrases, references: Phrases, *, texts: Texts = None
    ) -> Scores:
        options = self._score_options(references)
        if self.as_written:
            options["written"] = (predictions, references)
        return metrics.combined_scores(predictions, references, texts=texts, **options)

    def answer_intervals(
        self, answers: Sequence[Answer], dataset: Dataset, tokenizer: Any = None
    ) -> Intervals:
        true = self.references(dataset, tokenizer)
        options = self._options_of(answers, true, dataset, tokenizer)
        said, texts = [row["keyphrases"] for row in answers], self.score_texts(dataset)
        return metrics.combined_intervals(said, true, self.headline, texts=texts, **options)

    def intervals(
        self, outputs: Sequence[Generated], dataset: Dataset, tokenizer: Any = None
    ) -> Intervals:
        return self.answer_intervals(self._told(outputs, dataset, tokenizer), dataset, tokenizer)

    def _told(
        self, outputs: Sequence[Generated], dataset: Dataset, tokenizer: Any
    ) -> list[dict[str, Any]]:
        """Answers, with what was written; of votes no single line was."""
        if any(row.votes for row in outputs):
            return self.answers(outputs, dataset, tokenizer)
        lines = self.lines([row.ids for row in outputs], tokenizer)
        return [{"keyphrases": self.parse(line), "generated": line} for line in lines]

    def signatures(self, references: Phrases) -> dict[str, str]:
        options = self._score_options(references)
        del options["separator"]
        searched = "title+text" if self.title_column else "text"
        found = metrics.combined_signatures(searched=searched, written=self.as_written, **options)
        return found | (metrics.phrase_chances.chance_signatures() if self._chance_names() else {})

    def score_texts(self, rows: Dataset) -> list[str]:
        """Where phrases are present or absent: the text, with its title where that is read."""
        return [self.source(row) for row in rows_of(rows, self.columns)]

    def scored_columns(self, kind: str) -> tuple[str, ...]:
        return ("prompt_length",) if kind == "decoder" else ()

    def check_scores(self) -> None:
        if self.rouge_tokenizer is not None:
            metrics.tokenizers.check_tokenizer(self.rouge_tokenizer)

    def scored_as(self, **options: Any) -> Self:
        own = ("rouge_tokenizer", "as_written")
        found = {name: options.pop(name) for name in own if options.get(name) is not None}
        return replace(super().scored_as(**options), **found)

    def _score_options(self, references: Phrases) -> dict[str, Any]:
        """K, separator and the ROUGE tokenizer: by ``language``, else by the references' script."""
        tokenizer = self.rouge_tokenizer or ("ko" if self.language == "ko" else "fr")
        if self.rouge_tokenizer is None and self.language is None:
            tokenizer = metrics.default_tokenizer(map(self.target, references))
        return {"k": self.k, "tokenizer": tokenizer, "separator": self.separator}

    def _options_of(
        self, answers: Sequence[Answer], references: Phrases, dataset: Dataset, tokenizer: Any
    ) -> dict[str, Any]:
        """The options of the scores of answers; where it is asked for, with what was written."""
        options = self._score_options(references)
        if self.as_written:
            options["written"] = self._written(answers, dataset, tokenizer)
        return options

    def _written(
        self, answers: Sequence[Answer], dataset: Dataset, tokenizer: Any
    ) -> tuple[Phrases, Phrases]:
        """Predictions and references with their repeats, and not cleaned."""
        said = [
            split_phrases(row["generated"], self.separator)
            if row.get("generated") is not None
            else row["keyphrases"]
            for row in answers
        ]
        if self.keyphrases_column in dataset.column_names:
            true = [
                split_phrases(value, self.separator)
                if isinstance(value, str) and not looks_written(value)
                else read_phrases(value, self.separator, self.keyphrase_field)
                for value in dataset[self.keyphrases_column]
            ]
            return said, [row[: self.max_keyphrases] for row in true]
        learnt = self.lines(tokenization.learnt_targets(dataset), tokenizer)
        return said, [split_phrases(line, self.separator) for line in learnt]

    def baselines(self, train: Dataset | None, test: Dataset) -> dict[str, list[list[str]]]:
        column = self.title_column or "title"  # read by a baseline, if not by the model
        titles = [t or "" for t in test[column]] if column in test.column_names else None
        return metrics.baseline_rows(
            list(test[self.text_column]),
            k=self.k,
            language=self.language,
            titles=titles,
            train_texts=list(train[self.text_column]) if train is not None else None,
        )
