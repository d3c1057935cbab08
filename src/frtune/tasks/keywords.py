"""Keyword extraction: a text goes in, the words and phrases that stand in it come out as spans."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, get_args

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from frtune import metrics
from frtune.data.checks import separator_check
from frtune.data.cleaning import clean_keyphrases
from frtune.data.labels import check_limit, text_reason
from frtune.data.nested_values import phrases_reason, read_phrases
from frtune.data.row_checks import rows_of
from frtune.data.row_schema import Target
from frtune.errors import InputError
from frtune.metrics.bootstrap import Score
from frtune.ranges import check_fields
from frtune.tasks import keyword_rows
from frtune.tasks.answer_choice import AnswerChoice
from frtune.tasks.answer_html import Say, keywords_html
from frtune.tasks.answers import Answer, Given, Intervals, Line, Scores, Texts
from frtune.tasks.base import Batch, Encoded, ModelKind, Row, Task
from frtune.tasks.collators import TokenCollator
from frtune.tasks.given_answers import keyword_span, phrase_list
from frtune.tasks.keyword_baselines import keyword_baselines
from frtune.tasks.keyword_rows import raw_rows, stitched
from frtune.tasks.loss import StepLoss
from frtune.tasks.row_scores import sets_f1
from frtune.tasks.shown_rows import marked_pieces, phrase_pieces
from frtune.tasks.spans import Occurrences, find_keywords, keyword_key
from frtune.tasks.token_labels import LABELS, Found, Subwords

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class KeywordExtraction(Task):
    """Mark the keywords of a text, token by token, with an encoder.

    Every occurrence of every keyword of a row becomes a span, between word boundaries, whatever
    its case and whether or not it follows an elided word (``l'opération``). Where keywords overlap
    the longest wins. Texts of any length are read in overlapping windows; each token is learnt
    and answered in the window that shows most of its context.

    Attributes:
        text_column: Column with the text.
        keywords_column: Column with a list of keywords, or a string of them.
        separator: What stands between the keywords of a string.
        keyphrase_field: Field with the keyword, where the column holds objects.
        max_source_tokens: Longest window in tokens, special tokens included.
        overlap_tokens: Tokens that two windows share (default: a quarter of them).
        subwords: Labels and reading. first: a word's first token has its label, and the others
            follow; word: every token has it, and the first is read; all: every token has it, and
            each is read, so that words may be divided.
        ignore_accents: Find ``ecole`` in ``école``, and score the two as equal.
        keyword_weight: Weight of tokens in keywords; above 1 finds more of them.
        focal_gamma: Focus on hard tokens (Lin et al. 2017, eq. 4); 0: off.

    Example:
        >>> task = KeywordExtraction()
        >>> row = {"text": "L’opération de l'été", "keywords": "opération;ÉTÉ"}
        >>> task.keywords(row), [row["text"][a:b] for a, b in task.occurrences(row).spans]
        (['opération', 'ÉTÉ'], ['opération', 'été'])
    """

    name: ClassVar[str] = "keywords"
    target_kind: ClassVar[Target] = "phrases"
    auto_classes: ClassVar[Mapping[ModelKind, str]] = {"encoder": "AutoModelForTokenClassification"}
    labels_tokens: ClassVar[bool] = True
    recipe: ClassVar[Mapping[str, float]] = {
        "learning_rate": 2e-5,
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 8,
        "adam_beta1": 0.9,
        "adam_beta2": 0.999,
        "adam_epsilon": 1e-8,
    }
    primary_metric: ClassVar[str] = "eval_keyword_f1"
    headline: ClassVar[tuple[str, ...]] = (
        *("keyword_f1", "keyword_precision", "keyword_recall"),
        *("span_f1", "token_f1_macro", "token_accuracy", "token_accuracy_all_o"),
    )
    answer_columns: ClassVar[tuple[str, ...]] = ("predicted_keywords", "predicted_spans")
    limitation: ClassVar[str] = "It finds keywords that stand in the text, and no others."
    accuracy_score: ClassVar[str] = "token_accuracy"
    absent_fields: ClassVar[Mapping[str, Any]] = {"subwords": "all"}  # the default of 0.1.0
    score_fields: ClassVar[tuple[str, ...]] = ("separator", "ignore_accents")
    answer_key: ClassVar[str] = "keywords"
    answer_details: ClassVar[tuple[str, ...]] = ("spans",)
    choices: ClassVar[tuple[str, ...]] = ("min_score", "top_k")

    text_column: str = "text"
    keywords_column: str = "keywords"
    separator: str = "; "
    keyphrase_field: str | None = None
    max_source_tokens: int = 256
    overlap_tokens: int | None = None
    subwords: Subwords = "word"
    ignore_accents: bool = True
    keyword_weight: float = 1.0
    focal_gamma: float = 0.0

    def __post_init__(self):
        check_fields(self)
        size, overlap = self.max_source_tokens, self.overlap_tokens
        check_limit(size)
        whole = overlap is None or (isinstance(overlap, int) and not isinstance(overlap, bool))
        if not whole or not 0 <= (overlap or 0) <= (size - 4) // 2:
            raise InputError(
                f"overlap_tokens={overlap!r}: from 0 to {(size - 4) // 2} with "
                f"max_source_tokens={size}. Leave it out for a quarter of the window."
            )
        if not isinstance(self.separator, str) or not self.separator.strip(" "):
            raise InputError(f'separator={self.separator!r}: visible text. Pass ";", say.')
        if self.subwords not in get_args(Subwords):
            raise InputError(f"subwords={self.subwords!r}: {', '.join(get_args(Subwords))}.")
        if not 0 < self.keyword_weight < float("inf"):
            raise InputError(f"keyword_weight={self.keyword_weight}: above 0. 1 weighs all alike.")
        if not 0 <= self.focal_gamma < float("inf"):
            raise InputError(f"focal_gamma={self.focal_gamma}: at least 0. 0 turns it off.")

    @property
    def overlap(self) -> int:
        """Tokens that two windows share."""
        return self.max_source_tokens // 4 if self.overlap_tokens is None else self.overlap_tokens

    # --- what a row is -------------------------------------------------------------------------

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.text_column,)

    @property
    def label_columns(self) -> tuple[str, ...]:
        return (self.keywords_column,)

    def keywords(self, row: Row) -> list[str]:
        """The row's keywords, cleaned, each once."""
        value = row[self.keywords_column]
        return clean_keyphrases(read_phrases(value, self.separator, self.keyphrase_field))

    def occurrences(self, row: Row) -> Occurrences:
        """Where the row's keywords stand in its text."""
        return self.find(row[self.text_column], self.keywords(row))

    def find(self, text: str, keywords: Iterable[str]) -> Occurrences:
        """Where some keywords stand in a text."""
        return find_keywords(text, keywords, ignore_accents=self.ignore_accents)

    def reason(self, row: Row) -> str | None:
        # an empty list is a text without keywords, and is learnt; a missing one is not
        column = self.keywords_column
        return text_reason(row[self.text_column], self.text_column) or phrases_reason(
            row[column], column, self.keyphrase_field, self.name
        )

    def check(self, dataset: Dataset, where: str) -> None:
        """As of every task; and an ``InputError`` for a separator, or keywords, in no row."""
        super().check(dataset, where)
        separator_check(dataset, self.keywords_column, self.separator, where)
        rows = rows_of(dataset, [*self.columns, *self.label_columns])
        if not any(self.occurrences(row).spans for row in rows):
            raise InputError(
                f"{where}: no keyword of column {self.keywords_column} stands in its text, in any "
                f"of {len(dataset)} rows. Name the right columns; phrases that are not in the text "
                "are a task for keyphrases."
            )

    # --- tokens and training -------------------------------------------------------------------

    def config_overrides(self) -> dict[str, Any]:
        # named so that a Transformers pipeline groups them into spans
        ids = {label: i for i, label in LABELS.items()}
        return {"num_labels": len(LABELS), "id2label": dict(LABELS), "label2id": ids}

    def encode(
        self, batch: Batch, tokenizer: Any, *, kind: ModelKind = "encoder", with_labels: bool = True
    ) -> Encoded:
        """Turn a batch of rows (column to values, as ``datasets.map`` passes it) into windows.

        Returns:
            One item a window, in the order of the rows. ``row_in_batch``: whose window it is.
            ``input_ids`` and, with labels, ``labels`` (0, 1, 2 for O, B, I; -100 for what the
            window only shows as context); ``length``. ``own_start``, ``starts``, ``ends`` and
            ``word_starts``: from where in ``input_ids`` the window's own tokens stand, and where
            each of them stands in the text. ``counts``: at a row's first window, its keywords,
            those missing, those under longer ones, and occurrences under longer ones.
        """
        return keyword_rows.encode_rows(self, batch, tokenizer, with_labels=with_labels)

    def encoding_notes(self, encoded: Dataset) -> list[str]:
        return keyword_rows.encoding_notes(encoded, self.max_source_tokens)

    def transformers_lines(self, tokenizer: Any, kind: ModelKind) -> list[str]:
        strategy = "simple" if self.subwords == "all" else "first"
        model = getattr(getattr(tokenizer, "_tokenizer", None), "model", None)
        if strategy == "first" and not getattr(model, "continuing_subword_prefix", None):
            return []  # a pipeline takes words to be what stands between spaces, or refuses
        return [
            'tag = pipeline("token-classification", model=model, tokenizer=tokenizer,',
            f'               aggregation_strategy="{strategy}")',
            'print(tag("..."))',
        ]

    def collator(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Any:
        return TokenCollator(pad_id=int(tokenizer.pad_token_id))

    def loss(self, model: PreTrainedModel, args: Any) -> Any:
        weight, smoothing = self.keyword_weight, args.label_smoothing_factor
        weights = None if weight == 1 else (1.0, weight, weight)
        return StepLoss(
            label_smoothing=smoothing, class_weights=weights, focal_gamma=self.focal_gamma
        )

    def preprocess_logits(self, logits: Any, labels: Any = None) -> Any:
        """What evaluation keeps of a batch: the best label of each token, ``(batch, length)``."""
        return (logits[0] if isinstance(logits, tuple) else logits).argmax(dim=-1)

    def decode(self, outputs: Sequence[Any], dataset: Dataset) -> list[list[Found]]:
        """Read keywords off what the model said of each window, stitched back to raw rows.

        Args:
            outputs: For each encoded row its logits, ``(length, 3)``, or its labels, ``(length,)``;
                padding may follow.
            dataset: The encoded rows.

        Returns:
            The keywords of each raw row, in the order of its text.
        """
        return [text.keywords(self.subwords) for text in stitched(outputs, dataset, self)]

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
        texts = list(stitched(outputs, dataset, self))
        answers = [{"keywords": text.described(self.subwords)} for text in texts]
        scores = self.score_answers(answers, dataset)
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
        return dict.fromkeys(names, True)

    def signatures(self, references: Sequence[Sequence[str]]) -> dict[str, str]:
        learnt = "first" if self.subwords == "first" else "all"  # what scores of tokens count
        return metrics.span_signatures(ignore_accents=self.ignore_accents, subwords=learnt)

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
