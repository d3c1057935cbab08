"""Keyword extraction: a text goes in, the words and phrases that stand in it come out as spans."""

from __future__ import annotations

from argparse import SUPPRESS
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, get_args

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from frtune.data.checks import separator_check
from frtune.data.cleaning import clean_keyphrases
from frtune.data.labels import check_limit, text_reason
from frtune.data.nested_values import phrases_reason, read_phrases
from frtune.data.row_checks import rows_of
from frtune.data.row_schema import Target
from frtune.errors import InputError
from frtune.ranges import check_fields
from frtune.tasks import keyword_rows
from frtune.tasks.base import Batch, Encoded, ModelKind, Row
from frtune.tasks.card_lines import is_close, keyword_lines
from frtune.tasks.collators import TokenCollator
from frtune.tasks.keyword_doubts import KeywordDoubts
from frtune.tasks.keyword_rows import stitched
from frtune.tasks.loss import StepLoss
from frtune.tasks.search_ranges import SearchRanges
from frtune.tasks.spans import Occurrences, find_keywords
from frtune.tasks.token_labels import LABELS, Found, Subwords
from frtune.tasks.word_threshold import reported_labels

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class KeywordExtraction(KeywordDoubts):
    """Mark the keywords of a text, token by token, with an encoder.

    Every occurrence of every keyword of a row becomes a span, between word boundaries, whatever
    its case and whether or not it follows an elided word (``l'opération``). Where keywords overlap
    the longest wins. Texts of any length are read in overlapping windows; each token is learnt
    and answered in the window that shows most of its context.

    Attributes:
        text_column: Column with the text.
        keywords_column: Column with a list of keywords, or a string of them.
        separator: Separator between the keywords of a string.
        keyphrase_field: Field with the keyword, where the column holds objects.
        max_source_tokens: Longest window in tokens, special tokens included.
        overlap_tokens: Tokens that two windows share (default: a quarter of them).
        subwords: Tokens of a word that have its label. first: the first token, which is read;
            word: every token, and the first is read; all: every token, and each is read, so
            that a keyword may end inside a word.
        ignore_accents: Find ``ecole`` in ``école``, and score the two as equal.
        keyword_weight: Weight of tokens in keywords; above 1 finds more of them.
        focal_gamma: Focus on hard tokens (Lin et al. 2017, eq. 4); 0: off.
        tune_threshold: Find the probability from which on a word is in a keyword, on the
            validation rows: that of the best keyword F1.
        threshold: That probability, filled in by ``calibrated``.

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
    # a new head on every token, few of which are keywords
    search_ranges: ClassVar[SearchRanges] = SearchRanges(
        learning_rate=(1e-5, 2e-4), num_train_epochs=(2, 8)
    )
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
    tune_threshold: bool = False
    threshold: float | None = field(default=None, metadata={"help": SUPPRESS})

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
            raise InputError(f'separator={self.separator!r}: visible text. Pass ";", for example.')
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
        if not tokenizer.is_fast:
            return []  # it does not say where its tokens stand
        return keyword_lines(
            limit=self.max_source_tokens,
            threshold=self.threshold,
            by_word=self.subwords != "all",
        )

    def line_texts(self, row: Row) -> list[str]:
        return [row[self.text_column]]

    def is_same_answer(self, printed: Any, answer: Mapping[str, Any]) -> bool:
        kept = ("text", "score")
        return is_close(printed, [{key: each[key] for key in kept} for each in answer["keywords"]])

    def collator(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Any:
        return TokenCollator(pad_id=int(tokenizer.pad_token_id))

    def loss(self, model: PreTrainedModel, args: Any) -> Any:
        weight, smoothing = self.keyword_weight, args.label_smoothing_factor
        weights = None if weight == 1 else (1.0, weight, weight)
        return StepLoss(
            label_smoothing=smoothing, class_weights=weights, focal_gamma=self.focal_gamma
        )

    def preprocess_logits(self, logits: Any, labels: Any = None) -> Any:
        """What evaluation keeps of a batch: float32 logits, ``(batch, length, 3)``."""
        return (logits[0] if isinstance(logits, tuple) else logits).float()

    def reported(self, kept: np.ndarray) -> np.ndarray:
        return reported_labels(kept)

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
