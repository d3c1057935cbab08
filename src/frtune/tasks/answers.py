"""The part of a task's contract that scores answers and shows them."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from transformers import PreTrainedTokenizerBase

from frtune.errors import InputError
from frtune.metrics.bootstrap import Score, interval, resampled
from frtune.tasks.answer_choice import AnswerChoice
from frtune.tasks.answer_html import Say, fields_html
from frtune.tasks.confidence import Confidence
from frtune.tasks.label_doubts import LabelReview
from frtune.tasks.ranking import Ranking
from frtune.tasks.row_scores import recomputed
from frtune.tasks.shown_rows import piece, plain_text

if TYPE_CHECKING:
    from datasets import Dataset
    from typing_extensions import Self

Answer = Mapping[str, Any]
Line = Mapping[str, Any]  # of ``predictions.jsonl``
Given = Mapping[str, Any]  # a row of a file of answers: ``prediction``, and details of it
Scores = dict[str, float]
Intervals = dict[str, tuple[float, float]]
Texts = Sequence[str] | None

TEXTS = ("text", "text_pair")  # what ``predict`` repeats of a row beside its answer


class ClassReport(NamedTuple):
    """Scores by class, of rows that have classes.

    Attributes:
        labels: The classes.
        matrix: Rows by true class (down) and predicted class (across); ``None`` where a row may
            have several.
        scores: ``precision``, ``recall``, ``f1`` and ``rows`` of each class.
    """

    labels: list[str]
    matrix: list[list[int]] | None
    scores: dict[str, dict[str, float]]


class Answers(LabelReview, ABC):
    """Scores, and how an answer is shown; ``Task`` is this and the rest.

    An answer is a dict with whatever keys a task likes. Its first value is its prediction: what
    ``predictions.jsonl`` has under ``prediction`` beside the row's reference, and what is compared
    with it. Values are what JSON can hold.

    Attributes:
        name: The task's name.
        max_source_tokens: Longest source in tokens.
        primary_metric: What selects the best checkpoint, with ``eval_``.
        columns: Columns that a row to be answered has; the first is the text.
        label_columns: Columns with what is to be learnt; the first is the target.
        accuracy_score: Name of the share of right answers among the scores, if there is one.
        health_scores: Scores that say whether generation is sound, and what they count, in words.
        score_fields: Fields that change a score of given answers, besides names of columns.
        answer_key: What ``predict`` calls the answer.
        answer_details: What it says beside the answer, and ``predictions.jsonl`` too.
        choices: What of ``AnswerChoice`` its answers have.
        answers_have_scores: Text that is written has scores without being asked for.
    """

    name: ClassVar[str]
    max_source_tokens: int
    primary_metric: ClassVar[str]
    columns: Any
    label_columns: Any
    accuracy_score: str | None = None
    health_scores: ClassVar[Mapping[str, str]] = {}
    score_fields: ClassVar[tuple[str, ...]] = ()
    answer_key: ClassVar[str] = "prediction"
    answer_details: ClassVar[tuple[str, ...]] = ()
    choices: ClassVar[tuple[str, ...]] = ()
    answers_have_scores: bool = False

    # --- answers from anywhere -----------------------------------------------------------------

    def of_answers(self, given: Sequence[Given], datasets: Sequence[Dataset], where: str) -> Self:
        """Return the task with what answers and rows say of it (its labels); here, the task itself.

        Args:
            given: The answers.
            datasets: The rows that they are for, and training rows where there are any.
            where: What messages call these rows.
        """
        return self

    def read_answers(
        self, given: Sequence[Given], texts: Sequence[Sequence[str]], where: str
    ) -> list[dict[str, Any]]:
        """Turn answers from anywhere into those that ``answers`` gives.

        Args:
            given: For each raw row ``prediction``, and of ``answer_details`` what there is.
            texts: The texts of each raw row.
            where: What messages call the answers.

        Raises:
            InputError: With the row, for what is no answer of this task.
        """
        found = []
        for number, (answer, its_texts) in enumerate(zip(given, texts, strict=True), start=1):
            try:
                found.append(self.read_answer(answer, its_texts))
            except InputError as error:
                raise InputError(f"{where}, row {number}: {error}") from None
        return found

    def read_answer(self, given: Given, texts: Sequence[str]) -> dict[str, Any]:
        """One answer of ``read_answers``; an ``InputError`` says why it is none."""
        if given["prediction"] is None:
            raise InputError("has no answer. Give every row one.")
        return dict(given)

    # --- scores --------------------------------------------------------------------------------

    @property
    @abstractmethod
    def headline(self) -> tuple[str, ...]:
        """The scores that a reader looks at first."""

    @property
    def main_score(self) -> str:
        """The one of them: what selects the checkpoint, or the first."""
        name = self.primary_metric.removeprefix("eval_")
        return name if name in self.headline else self.headline[0]

    @abstractmethod
    def answers(
        self, outputs: Sequence[Any], dataset: Dataset, tokenizer: PreTrainedTokenizerBase
    ) -> list[dict[str, Any]]:
        """What ``predict`` says of each raw row.

        Args:
            outputs: For each encoded row its logits, or the ``Generated`` of a task that generates.
            dataset: The encoded rows.
            tokenizer: The model's.
        """

    def decided(self, answers: Sequence[Answer]) -> list[dict[str, Any]]:
        """What ``predict`` makes of ``answers``: it may withhold them; here, they are as they are.

        Scores are those of ``answers``.
        """
        return [dict(answer) for answer in answers]

    def scores_note(self, *, votes: int | None, settings: Mapping[str, Any]) -> str | None:
        """What a user should know of scores of answers that are written so; here, nothing.

        Args:
            votes: How often each row is drawn; ``None`` where it is not.
            settings: Settings of generation that were given.
        """
        return None

    def check_choice(self, choice: AnswerChoice) -> None:
        """Refuse (``InputError``) a choice that the answers of this task do not have."""
        for name in choice.given:
            if name not in self.choices:
                flag = f"--{name.replace('_', '-')}"
                raise InputError(f"{flag}: the answers of {self.name} have no such choice.")

    def choose(
        self, answers: Sequence[Answer], choice: AnswerChoice, rows: Dataset | None = None
    ) -> list[dict[str, Any]]:
        """What a choice keeps of each answer; here, all of it, for want of ``choices``.

        Args:
            answers: Of each raw row.
            choice: What is kept.
            rows: The rows, raw or encoded, for a choice that reads their texts.

        Raises:
            InputError: As of ``check_choice``, and where answers have no scores to choose by.
        """
        self.check_choice(choice)
        return [dict(answer) for answer in answers]

    def references(self, dataset: Dataset, tokenizer: Any = None) -> list[Any]:
        """What is true of each raw row, of raw rows or encoded ones; here, the target's column."""
        return list(dataset[self.label_columns[0]])

    def predictions(self, outputs: Sequence[Any], dataset: Dataset, tokenizer: Any) -> list[Any]:
        """What ``compute_metrics`` scores of each raw row; here, the first value of its answer."""
        answers = self.answers(outputs, dataset, tokenizer)
        return [self.prediction(answer)["prediction"] for answer in answers]

    @abstractmethod
    def compute_metrics(
        self, predictions: Sequence[Any], references: Sequence[Any], *, texts: Texts = None
    ) -> Scores:
        """Score ``predictions`` (or a baseline's) against ``references``.

        ``texts`` are the rows' texts, for scores that need them.
        """

    def score_texts(self, rows: Dataset) -> list[str]:
        """The texts of raw rows that ``compute_metrics`` takes: what the model reads of each."""
        return list(rows[self.columns[0]])

    def scored_columns(self, kind: str) -> tuple[str, ...]:
        """Columns of encoded rows that scores read beside the labels, for this kind of model."""
        return (*self.columns, *self.label_columns)

    def check_scores(self) -> None:
        """Raise before any work if something that the scores need is missing here."""
        return None

    def scored_as(self, **options: Any) -> Self:
        """The task with other conventions of its scores; those that are ``None`` stay.

        Raises:
            InputError: For a convention that the scores of this task do not have.
        """
        for name, value in options.items():
            if value is not None:
                raise InputError(
                    f"{name}={value!r}: the scores of {self.name} have no such choice."
                )
        return self

    def score_answers(
        self, answers: Sequence[Answer], dataset: Dataset, tokenizer: Any = None
    ) -> Scores:
        """Score answers to the rows of a data set, raw or encoded: what needs no outputs."""
        predictions = [self.prediction(answer)["prediction"] for answer in answers]
        return self.compute_metrics(predictions, self.references(dataset, tokenizer))

    def score_outputs(
        self, outputs: Sequence[Any], dataset: Dataset, tokenizer: Any = None
    ) -> Scores:
        """Score the outputs for the rows of an encoded data set."""
        return self.score_answers(self.answers(outputs, dataset, tokenizer), dataset, tokenizer)

    def metric_directions(self) -> dict[str, bool]:
        """Every score that an evaluation reports, and whether greater is better.

        Here the headline ones, where greater is better but for an error or a loss.
        """
        smaller = ("error", "loss", "mse", "mae", "rmse")
        return {name: not name.endswith(smaller) for name in self.headline}

    def intervals(
        self, outputs: Sequence[Any], dataset: Dataset, tokenizer: Any = None
    ) -> Intervals:
        """Bootstrap 95 % intervals of the headline scores over the rows."""
        return self.answer_intervals(self.answers(outputs, dataset, tokenizer), dataset, tokenizer)

    def answer_intervals(
        self, answers: Sequence[Answer], dataset: Dataset, tokenizer: Any = None
    ) -> Intervals:
        """The same of answers to the rows of a data set, raw or encoded."""
        predictions = [self.prediction(answer)["prediction"] for answer in answers]
        references = self.references(dataset, tokenizer)
        names = [n for n in self.headline if n in self.compute_metrics(predictions, references)]
        score = recomputed(self.compute_metrics, predictions, references, names)
        draws = resampled(score, len(references))  # (samples, names)
        return {name: interval(draws[:, i]) for i, name in enumerate(names)}

    @property
    def comparable(self) -> dict[str, Any]:
        """Settings that must be equal for two models to answer the same question."""
        return {}

    def row_score(self, answers: Sequence[Answer], references: Sequence[Any]) -> Score:
        """The main score of rows that are drawn again, for the bootstrap of a comparison."""
        said = [self.prediction(answer)["prediction"] for answer in answers]
        score = recomputed(self.compute_metrics, said, references, [self.main_score])
        return lambda picks: score(picks)[:, 0]

    def agreement_key(self, answer: Answer) -> Hashable:
        """What is equal of two models that give a row the same answer."""
        return json.dumps(self.prediction(answer)["prediction"], sort_keys=True, default=str)

    def signatures(self, references: Sequence[Any]) -> dict[str, str]:
        """How each score was computed; scores of equal signatures are comparable."""
        return {}

    def baselines(self, train: Dataset | None, test: Dataset) -> dict[str, list[Any]]:
        """Predictions for the test rows by predictors that need no model, by their names."""
        return {}

    def lines(self, generated: Iterable[Sequence[int]], tokenizer: Any) -> list[str]:
        """The lines that the model wrote, of token ids, where the task generates."""
        raise NotImplementedError(f"{self.name} writes no text")

    def write_details(
        self, directory: str | Path, predictions: Sequence[Any], references: Sequence[Any]
    ) -> None:
        """Write further files of an evaluation into ``directory``."""
        return None

    def remarks(self, metrics: Mapping[str, float]) -> list[str]:
        """What the scores of test rows, ``test_*``, say besides the headline, in sentences."""
        return []

    def confidence(self, lines: Sequence[Line]) -> Confidence | None:
        """How sure the model was of lines of ``predictions.jsonl``; ``None`` without classes."""
        return None

    def by_class(self, lines: Sequence[Line]) -> ClassReport | None:
        """Scores of lines of ``predictions.jsonl`` by class; ``None`` without classes."""
        return None

    def ranking(self, lines: Sequence[Line]) -> Ranking | None:
        """Phrases of lines of ``predictions.jsonl`` by their scores; ``None`` without any."""
        return None

    # --- how an answer is shown ----------------------------------------------------------------

    @property
    def limitation(self) -> str:
        """What a reader of the model card must not expect, in a sentence."""
        return f"Of a text longer than {self.max_source_tokens} tokens it loses the end."

    def prediction(self, answer: Answer) -> dict[str, Any]:
        """A line's part of ``predictions.jsonl``: ``prediction``, and the answer's other values."""
        (_, value), *rest = ((key, v) for key, v in answer.items() if key not in TEXTS)
        return {"prediction": value, **dict(rest)}

    def row_values(self, lines: Sequence[Line]) -> tuple[str, list[float]]:
        """One number a line of ``predictions.jsonl``, higher is better, and what it is."""
        return "right answers", [float(line["prediction"] == line["reference"]) for line in lines]

    def described(self, line: Line) -> dict[str, Any]:
        """How a line of ``predictions.jsonl`` is shown.

        Returns:
            ``said`` and ``true``, lists of ``frtune.tasks.shown_rows.piece``; maybe ``marked``,
            the text in such pieces.
        """
        said, true = line["prediction"], line["reference"]
        kind = "right" if said == true else "wrong"
        return {"said": [piece(plain_text(said), kind)], "true": [piece(plain_text(true))]}

    @property
    def answer_columns(self) -> tuple[str, ...]:
        """The columns that an answer adds to a table, in order."""
        return (f"predicted_{self.name}",)

    def answer_cells(self, answer: Answer) -> tuple[Any, ...]:
        """The values of ``answer_columns``: text and numbers; here, the answer in one cell."""
        value = self.prediction(answer)["prediction"]
        return (value if isinstance(value, str | int | float) else plain_text(value),)

    def answer_html(self, answer: Answer, say: Say) -> str:
        """An answer of ``predict`` as HTML; what comes from a text or a model is escaped.

        Args:
            answer: With ``text``, and ``text_pair`` of a pair.
            say: Turns a key of ``frtune.demo.translations`` into words.
        """
        return fields_html({key: v for key, v in answer.items() if key not in TEXTS})
