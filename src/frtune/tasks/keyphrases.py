"""Keyphrase generation: an article goes in, its keyphrases come out as one separated line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from frtune.data.checks import columns_check, separator_check
from frtune.data.cleaning import clean_keyphrases, clean_text, split_keyphrases
from frtune.data.labels import text_reason
from frtune.data.nested_values import phrases_reason, read_phrases
from frtune.data.row_checks import bad_values, check_texts
from frtune.data.row_schema import KeyphraseSchema, RowSchema, Target
from frtune.errors import InputError
from frtune.metrics import (
    baseline_rows,
    combined_intervals,
    combined_scores,
    combined_signatures,
    default_tokenizer,
    generation_health,
    keyphrase_scores_per_document,
)
from frtune.metrics.phrases import normalize_phrase
from frtune.tasks.answer_html import Say, keyphrases_html
from frtune.tasks.base import ModelKind, Task
from frtune.tasks.collators import CausalCollator, Seq2SeqCollator
from frtune.tasks.loss import StepLoss
from frtune.tasks.row_scores import phrases_f1
from frtune.tasks.shown_rows import phrase_pieces
from frtune.tasks.tokenization import (
    END,
    MIDDLE,
    START,
    append_targets,
    framed_sources,
    marked_sources,
    target_ids,
    without_special,
    written_lines,
)

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainingArguments

    from frtune.metrics.bootstrap import Score
    from frtune.tasks.generated import Generated


@dataclass(frozen=True)
class KeyphraseGeneration(Task):
    """Generate keyphrases for a text, with an encoder-decoder or with a decoder.

    An encoder-decoder reads ``prefix + title + text`` and writes the phrases, joined by the
    separator, and EOS. A decoder reads ``[generate keyphrases] text [keyphrases generated]`` and
    writes the phrases and ``[end of generation]``; the three markers are new tokens. Truncation
    cuts the article, never the markers; a target that is too long loses whole phrases at its end.

    Attributes:
        text_column: Column with the article.
        title_column: Column with its title, to put before the text.
        keyphrases_column: Column with phrases: a list, or a string.
        separator: Stands between phrases, in columns and in the output.
        keyphrase_field: Field with the phrase, where the column has objects.
        prefix: Put first, for encoder-decoders.
        max_source_tokens: Longest source, in tokens, all markers included.
        max_target_tokens: Longest target, in tokens; the limit of generation.
        max_keyphrases: Keep the first so many phrases of a row (default: all).
        train_on_prompt: Decoders: loss on the article too, not on the target alone.
        k: Cut of the scores at K (``f1_at_10`` for 10).
        language: Of the scores' tokenizer: ko, fr, en (default: detected).

    Example:
        >>> task = KeyphraseGeneration(separator=" | ")
        >>> task.phrases({"keyphrases": "budget | school canteen"})
        ['budget', 'school canteen']
        >>> task.target(["budget", "school canteen"])
        'budget | school canteen'
    """

    name: ClassVar[str] = "keyphrases"
    target_kind: ClassVar[Target] = "phrases"
    auto_classes: ClassVar[Mapping[ModelKind, str]] = {
        "encoder-decoder": "AutoModelForSeq2SeqLM",
        "decoder": "AutoModelForCausalLM",
    }
    generates: ClassVar[bool] = True
    tiny_family: ClassVar[str] = "t5"
    recipe: ClassVar[Mapping[str, float]] = dict(learning_rate=5e-5, per_device_train_batch_size=8)
    health_scores: ClassVar[Mapping[str, str]] = {
        "eos_rate": "ended by themselves",
        "cut_by_limit_rate": "cut by max_target_tokens",
        "empty_rate": "without a phrase",
        "repeated_phrase_rate": "phrases that repeat an earlier one",
        "mean_tokens": "tokens a row",
        "mean_phrases": "phrases a row",
    }

    text_column: str = "text"
    title_column: str | None = None
    keyphrases_column: str = "keyphrases"
    separator: str = "; "
    keyphrase_field: str | None = None
    prefix: str = "generate keyphrases: "
    max_source_tokens: int = 1024
    max_target_tokens: int = 64
    max_keyphrases: int | None = None
    train_on_prompt: bool = False
    k: int = 10
    language: str | None = None

    def __post_init__(self):
        for name, least in (("max_source_tokens", 8), ("max_target_tokens", 4), ("k", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InputError(f"{name}={value!r}: a whole number of at least {least}.")
        if not isinstance(self.separator, str) or not self.separator.strip():
            raise InputError(
                f"separator={self.separator!r}: text with at least one visible character. "
                'Pass "; " or " | ", say.'
            )
        if (most := self.max_keyphrases) is not None and most < 1:
            raise InputError(f"max_keyphrases={most}: at least 1. Leave it out to keep all.")
        if self.language not in (None, "ko", "fr", "en"):
            raise InputError(
                f"language={self.language!r}: ko, fr or en. Leave it out to have it detected."
            )

    @property
    def headline(self) -> tuple[str, ...]:
        f1 = f"f1_at_{self.k}"
        return (f1, f"partial_{f1}", "f1_at_m", f"present_{f1}", f"absent_{f1}", "rougeL")

    # --- what a row is -------------------------------------------------------------------------

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.text_column, *([self.title_column] if self.title_column else []))

    @property
    def label_columns(self) -> tuple[str, ...]:
        return (self.keyphrases_column,)

    def row_schema(self) -> RowSchema:
        """Reasons with codes of their own; a title that nobody reads is kept beside the text."""
        known = {**vars(super().row_schema()), "carried": ("id", "title")}
        return KeyphraseSchema(**{**known, "target_text": self.target})

    def source(self, row: Mapping[str, Any]) -> str:
        """The article: title, a line break, text; without prefix and markers."""
        parts = [row[self.title_column]] if self.title_column else []
        return "\n".join(clean_text(part) for part in [*parts, row[self.text_column]] if part)

    def phrases(self, row: Mapping[str, Any]) -> list[str]:
        """The row's keyphrases, cleaned, at most ``max_keyphrases``."""
        value = row[self.keyphrases_column]
        found = clean_keyphrases(read_phrases(value, self.separator, self.keyphrase_field))
        return found[: self.max_keyphrases]

    def reason(self, row: Mapping[str, Any]) -> str | None:
        title = row[self.title_column] if self.title_column else None
        if title is not None and not isinstance(title, str):
            return f"column {self.title_column} holds {str(title)[:40]!r}, which is no text"
        column = self.keyphrases_column
        return (
            text_reason(row[self.text_column], self.text_column)
            or phrases_reason(row[column], column, self.keyphrase_field, self.name)
            or (None if self.phrases(row) else f"column {column} holds no keyphrase")
        )

    def target(self, phrases: Sequence[str]) -> str:
        """The line that the model learns to write, without its end token."""
        return self.separator.join(phrases)

    def check(self, dataset: Dataset, where: str) -> None:
        """Refuse rows that cannot be learnt from; ``where`` names them in the message.

        Raises:
            InputError: For a missing column, a blank text, a row without keyphrases, or a
                separator that no row holds.
        """
        columns_check(dataset, [*self.columns, *self.label_columns], where)
        check_texts(dataset, self.text_column, where)
        column = self.keyphrases_column
        separator_check(dataset, column, self.separator, where)
        count, row = bad_values(dataset, column, lambda value: not self.phrases({column: value}))
        if count:
            value = dataset[row - 1][column]
            detail = phrases_reason(value, column, self.keyphrase_field)
            if detail is None or detail.endswith("holds no keyphrases"):
                detail = f"column {column} holds no keyphrase"
            raise InputError(
                f"{where}, row {row}: {detail}, in {count} of "
                f"{len(dataset)} rows. frtune prepare sets such rows aside."
            )

    def corpus(self, dataset: Dataset) -> Iterator[str]:
        """Every text of a data set, sources and targets, to train a tokenizer on."""
        for row in dataset.select_columns([*self.columns, *self.label_columns]):
            yield self.prefix + self.source(row)
            yield self.target(self.phrases(row))

    def new_tokens(self, kind: ModelKind) -> tuple[str, ...]:
        """The three markers for decoders; none for encoder-decoders."""
        return (START, MIDDLE, END) if kind == "decoder" else ()

    # --- text to tokens ------------------------------------------------------------------------

    def end_id(self, tokenizer: PreTrainedTokenizerBase, kind: ModelKind) -> int:
        """The token that ends a target: ``[end of generation]`` for decoders, else EOS."""
        decoder = kind == "decoder"
        found = tokenizer.convert_tokens_to_ids(END) if decoder else tokenizer.eos_token_id
        if found is None or found == tokenizer.unk_token_id:
            raise InputError(
                f"tokenizer={tokenizer.name_or_path}: has no token that ends a target. "
                "Build model and tokenizer with a frtune builder and this task."
            )
        return int(found)

    def encode(
        self,
        batch: Mapping[str, Sequence[Any]],
        tokenizer: PreTrainedTokenizerBase,
        *,
        kind: ModelKind,
        with_labels: bool = True,
    ) -> dict[str, list[Any]]:
        """Turn a batch of rows (column to values, as ``datasets.map`` passes it) into tokens.

        Returns:
            ``input_ids`` (source; for decoders the prompt and, with labels, the target),
            ``labels`` (encoder-decoders: the target; decoders: as long as ``input_ids``, -100
            where no loss falls), ``prompt_length`` (decoders: tokens before the target),
            ``length`` (tokens to order by), ``source_cut`` and ``target_cut`` (was the source or
            the target shortened).
        """
        names = list(batch)
        rows = [
            dict(zip(names, values, strict=True)) for values in zip(*batch.values(), strict=True)
        ]
        sources = without_special([self.source(row) for row in rows], tokenizer)
        if kind == "decoder":
            markers = tokenizer.convert_tokens_to_ids([START, MIDDLE])
            inputs, cut = marked_sources(sources, tokenizer, markers, self.max_source_tokens)
        else:
            inputs, cut = framed_sources(sources, self.prefix, tokenizer, self.max_source_tokens)
        encoded: dict[str, list[Any]] = {"input_ids": inputs, "source_cut": cut}
        if kind == "decoder":
            encoded["prompt_length"] = [len(ids) for ids in inputs]
        if with_labels:
            encoded["labels"], encoded["target_cut"] = target_ids(
                self.target,
                [self.phrases(row) for row in rows],
                tokenizer,
                end=self.end_id(tokenizer, kind),
                framed=kind != "decoder",  # a decoder's target follows its marker
                limit=self.max_target_tokens,
            )
            if kind == "decoder":
                append_targets(encoded, self.train_on_prompt)
        encoded["length"] = [len(ids) for ids in encoded["input_ids"]]
        return encoded

    def source_texts(self, row: Mapping[str, Any]) -> list[str]:
        """The prefix and the article, of every kind of model."""
        return [self.prefix + self.source(row)]

    def target_text(self, row: Mapping[str, Any]) -> str:
        return self.target(self.phrases(row))

    def lines(
        self, generated: Iterable[Sequence[int]], tokenizer: PreTrainedTokenizerBase
    ) -> list[str]:
        """The lines that were written, up to the first end token, without special tokens."""
        return written_lines(generated, tokenizer)

    def parse(self, line: str) -> list[str]:
        """Split one generated line into clean phrases, each once.

        Example:
            >>> KeyphraseGeneration().parse("Keyphrases: budget;school canteen ; ; budget;")
            ['budget', 'school canteen']
        """
        return clean_keyphrases(split_keyphrases(line, self.separator))

    def decode(
        self, generated: Iterable[Sequence[int]], tokenizer: PreTrainedTokenizerBase
    ) -> list[list[str]]:
        """Turn generated token ids into phrases: ``lines``, then ``parse``."""
        return [self.parse(line) for line in self.lines(generated, tokenizer)]

    def answers(
        self, outputs: Sequence[Generated], dataset: Dataset, tokenizer: PreTrainedTokenizerBase
    ) -> list[dict[str, Any]]:
        """What ``predict`` says of each encoded row: ``{"keyphrases": [...]}``."""
        return [{"keyphrases": p} for p in self.decode([row.ids for row in outputs], tokenizer)]

    def collator(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Any:
        pad_id = int(tokenizer.pad_token_id)
        if model.config.is_encoder_decoder:
            return Seq2SeqCollator(pad_id=pad_id, model=model)
        return CausalCollator(pad_id=pad_id)

    def loss(self, model: PreTrainedModel, args: TrainingArguments) -> Any:
        """Cross-entropy over target tokens, the same however a step is cut into batches."""
        return StepLoss(
            shift=not model.config.is_encoder_decoder, label_smoothing=args.label_smoothing_factor
        )

    # --- scores --------------------------------------------------------------------------------

    def references(self, dataset: Dataset, tokenizer: PreTrainedTokenizerBase) -> list[list[str]]:
        """True phrases of each row: from its column, else from the encoded labels."""
        if self.keyphrases_column in dataset.column_names:
            values = dataset[self.keyphrases_column]
            return [self.phrases({self.keyphrases_column: value}) for value in values]
        labels = ([i for i in ids if i >= 0] for ids in dataset["labels"])
        return self.decode(labels, tokenizer)

    def score_outputs(
        self, outputs: Sequence[Generated], dataset: Dataset, tokenizer: PreTrainedTokenizerBase
    ) -> dict[str, float]:
        """Score what was generated for the rows of an encoded data set, and its health."""
        lines = self.lines([row.ids for row in outputs], tokenizer)
        texts = dataset[self.text_column] if self.text_column in dataset.column_names else None
        scores = self.compute_metrics(
            [self.parse(line) for line in lines],
            self.references(dataset, tokenizer),
            texts=None if texts is None else list(texts),
        )
        health = generation_health(
            [split_keyphrases(line, self.separator) for line in lines],
            token_counts=[len(row.ids) for row in outputs],
            finished=[row.finished for row in outputs],
            limit=self.max_target_tokens,
        )
        return {**scores, **health}

    def metric_directions(self) -> dict[str, bool]:
        names = self.compute_metrics([["a"]], [["a"]], texts=["a"])
        names |= generation_health([["a"]], token_counts=[1], finished=[True], limit=2)
        return {name: not name.endswith("_rate") or name == "eos_rate" for name in names}

    def compute_metrics(
        self,
        predictions: Sequence[Sequence[str]],
        references: Sequence[Sequence[str]],
        *,
        texts: Sequence[str] | None = None,
    ) -> dict[str, float]:
        """Score phrase lists against phrase lists, as ``frtune.metrics.combined_scores``."""
        options = {"separator": self.separator, **self._score_options(references)}
        return combined_scores(predictions, references, texts=texts, **options)

    def intervals(
        self, outputs: Sequence[Generated], dataset: Dataset, tokenizer: PreTrainedTokenizerBase
    ) -> dict[str, tuple[float, float]]:
        references = self.references(dataset, tokenizer)
        return combined_intervals(
            self.decode([row.ids for row in outputs], tokenizer),
            references,
            self.headline,
            texts=list(dataset[self.text_column]),
            separator=self.separator,
            **self._score_options(references),
        )

    def signatures(self, references: Sequence[Sequence[str]]) -> dict[str, str]:
        return combined_signatures(**self._score_options(references))

    def _score_options(self, references: Sequence[Sequence[str]]) -> dict[str, Any]:
        """K, and the ROUGE tokenizer: by ``language``, else by the references' script."""
        if self.language is None:
            tokenizer = default_tokenizer([self.target(phrases) for phrases in references])
        else:
            tokenizer = "ko" if self.language == "ko" else "fr"
        return {"k": self.k, "tokenizer": tokenizer}

    def baselines(self, train: Dataset | None, test: Dataset) -> dict[str, list[list[str]]]:
        """Predictions that need no model: first phrases, TF-IDF, the title."""
        column = self.title_column or "title"  # read by a baseline, if not by the model
        titles = [t or "" for t in test[column]] if column in test.column_names else None
        return baseline_rows(
            list(test[self.text_column]),
            k=self.k,
            language=self.language,
            titles=titles,
            train_texts=list(train[self.text_column]) if train is not None else None,
        )

    # --- how an answer is shown ----------------------------------------------------------------

    def row_score(self, answers: Sequence[Mapping[str, Any]], references: Sequence[Any]) -> Score:
        return phrases_f1([answer["keyphrases"] for answer in answers], references, self.k)

    @property
    def limitation(self) -> str:
        return (
            "It writes phrases that need not stand in the text, and some may be wrong. Of a "
            f"source longer than {self.max_source_tokens} tokens it reads the beginning."
        )

    def row_values(self, lines: Sequence[Mapping[str, Any]]) -> tuple[str, list[float]]:
        said, true = ([line[name] for line in lines] for name in ("prediction", "reference"))
        found = keyphrase_scores_per_document(said, true, k=self.k)
        return self.main_score, found[self.main_score]

    def described(self, line: Mapping[str, Any]) -> dict[str, Any]:
        return phrase_pieces(line["prediction"], line["reference"], normalize_phrase)

    def answer_html(self, answer: Mapping[str, Any], say: Say) -> str:
        return keyphrases_html(answer["text"], answer["keyphrases"], say)
