"""Keyphrase generation: an article goes in, its keyphrases come out as one separated line."""

from __future__ import annotations

from argparse import SUPPRESS
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, get_args

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from frtune import metrics
from frtune.data.checks import columns_check, separator_check
from frtune.data.labels import text_reason
from frtune.data.nested_values import phrases_reason
from frtune.data.row_checks import bad_values, check_texts
from frtune.data.row_schema import KeyphraseSchema, RowSchema, Target
from frtune.errors import InputError
from frtune.metrics.bootstrap import Score
from frtune.metrics.phrases import normalize_phrase
from frtune.metrics.tokenizer_names import NAMES, TokenizerName
from frtune.ranges import check_fields
from frtune.tasks import chat, tokenization
from frtune.tasks.answer_html import Say, keyphrases_html
from frtune.tasks.answers import Answer, Line
from frtune.tasks.base import Batch, Encoded, ModelKind, Row
from frtune.tasks.card_lines import (
    chat_lines,
    marker_lines,
    prefix_lines,
    without_blanks,
    writing_lines,
)
from frtune.tasks.collators import CausalCollator, Seq2SeqCollator
from frtune.tasks.keyphrase_doubts import KeyphraseDoubts
from frtune.tasks.loss import StepLoss
from frtune.tasks.prompts import Prompt, PromptName, prompt_for, prompt_name
from frtune.tasks.row_scores import phrases_f1
from frtune.tasks.search_ranges import SearchRanges
from frtune.tasks.shown_rows import phrase_pieces
from frtune.tasks.tokenization import END, MIDDLE, START

if TYPE_CHECKING:
    from datasets import Dataset

INSTRUCTION = (
    'List the keyphrases of the text in its language, joined by "{separator}", and nothing else.'
)


@dataclass(frozen=True)
class KeyphraseGeneration(KeyphraseDoubts):
    """Generate keyphrases for a text, with an encoder-decoder or with a decoder.

    An encoder-decoder reads ``prefix + title + text`` and writes the phrases, joined by the
    separator, and EOS. A decoder with a chat template reads the instruction and the text as
    messages and answers with the phrases and the template's end of turn. Any other reads
    ``[generate keyphrases] text [keyphrases generated]`` and writes the phrases and
    ``[end of generation]``; the three markers are new tokens. Truncation cuts the article, never
    what frames it; a target that is too long loses whole phrases at its end. In ``instruction``,
    ``{separator}`` stands for the separator; the ``prompt`` ``"auto"`` is ``"chat"`` for a decoder
    whose tokenizer has a chat template and does not know the markers yet.

    Attributes:
        text_column: Column with the article.
        title_column: Column with the title; it is read before the text.
        keyphrases_column: Column with phrases: a list, or a string.
        separator: Separator between phrases, in columns and output.
        keyphrase_field: Field with the phrase, where the column has objects.
        prefix: Text before the source.
        prompt: Decoders: chat template, or markers (new tokens).
        instruction: Chat instruction.
        max_source_tokens: Longest source in tokens, with prefix and markers.
        max_target_tokens: Longest target, in tokens; the limit of generation.
        max_keyphrases: Number of phrases of a row to keep (default: all).
        train_on_prompt: Decoders: also compute the loss on the article.
        k: Cut of the scores at K (``f1_at_10`` for 10).
        language: Language of the scores: ko, fr, en (default: detected).
        rouge_tokenizer: ko, komoran, fr, words, whitespace, rouge (else by language).
        as_written: Partial and ROUGE scores of phrases as written, with repeats.
        calibrate_scores: Calibrate scores, for N votes (1: without votes).
        score_map: Slope and intercept of ``frtune.metrics.chances.platt``, filled in by
            ``calibrated`` from the validation rows.

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
    # T5 learns at rates up to 1e-3 (Raffel et al. 2020, section 3.1.2), decoders at low ones
    search_ranges: ClassVar[SearchRanges] = SearchRanges(
        learning_rate=(1e-5, 1e-3), num_train_epochs=(2, 8), lora_rate=1.0
    )
    absent_fields: ClassVar[Mapping[str, Any]] = {"prompt": "markers"}  # all that 0.1.0 knew
    score_fields: ClassVar[tuple[str, ...]] = (
        "separator", "max_keyphrases", "k", "language", "rouge_tokenizer", "as_written",
    )  # fmt: skip
    answer_key: ClassVar[str] = "keyphrases"
    answer_details: ClassVar[tuple[str, ...]] = ("generated", "finished")
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
    prompt: PromptName = "auto"
    instruction: str = INSTRUCTION
    max_source_tokens: int = 1024
    max_target_tokens: int = 64
    max_keyphrases: int | None = None
    train_on_prompt: bool = False
    k: int = 10
    language: str | None = None
    rouge_tokenizer: TokenizerName | None = field(default=None, metadata={"metavar": "NAME"})
    as_written: bool = False
    calibrate_scores: int | None = None
    score_map: list[float] | None = field(default=None, metadata={"help": SUPPRESS})

    def __post_init__(self):
        check_fields(self)
        for name, least in (("max_source_tokens", 8), ("max_target_tokens", 4), ("k", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InputError(f"{name}={value!r}: a whole number of at least {least}.")
        if not isinstance(self.separator, str) or not self.separator.strip():
            raise InputError(
                f"separator={self.separator!r}: text with at least one visible character. "
                'Pass "; " or " | ", for example.'
            )
        if self.prompt not in get_args(PromptName):
            raise InputError(f"prompt={self.prompt!r}: {', '.join(get_args(PromptName))}.")
        if not isinstance(self.instruction, str) or not self.instruction.strip():
            raise InputError(f"instruction={self.instruction!r}: text that says what to do.")
        if (most := self.max_keyphrases) is not None and most < 1:
            raise InputError(f"max_keyphrases={most}: at least 1. Leave it out to keep all.")
        if self.language not in (None, "ko", "fr", "en"):
            raise InputError(
                f"language={self.language!r}: ko, fr or en. Leave it out to have it detected."
            )
        if self.rouge_tokenizer not in (None, *NAMES):
            raise InputError(
                f"rouge_tokenizer={self.rouge_tokenizer!r}: {', '.join(NAMES)}. "
                "Leave it out to take that of the language."
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
        # a title that nobody reads is kept beside the text
        own = {"carried": ("id", "title"), "target_text": self.target}
        return KeyphraseSchema(**{**vars(super().row_schema()), **own})

    def reason(self, row: Row) -> str | None:
        title = row[self.title_column] if self.title_column else None
        if title is not None and not isinstance(title, str):
            return f"column {self.title_column} holds {str(title)[:40]!r}, which is no text"
        column = self.keyphrases_column
        return (
            text_reason(row[self.text_column], self.text_column)
            or phrases_reason(row[column], column, self.keyphrase_field, self.name)
            or (None if self.phrases(row) else f"column {column} holds no keyphrase")
        )

    def check(self, dataset: Dataset, where: str) -> None:
        """As of every task; an ``InputError``, too, for a separator that no row holds."""
        columns_check(dataset, [*self.columns, *self.label_columns], where)
        check_texts(dataset, self.text_column, where)
        column = self.keyphrases_column
        separator_check(dataset, column, self.separator, where)
        count, row = bad_values(dataset, column, lambda value: not self.phrases({column: value}))
        if row:
            value = dataset[row - 1][column]
            detail = phrases_reason(value, column, self.keyphrase_field)
            if detail is None or detail.endswith("holds no keyphrases"):
                detail = f"column {column} holds no keyphrase"
            raise InputError(
                f"{where}, row {row}: {detail}, in {count} of "
                f"{len(dataset)} rows. frtune prepare sets such rows aside."
            )

    def corpus(self, dataset: Dataset) -> Iterator[str]:
        for row in dataset.select_columns([*self.columns, *self.label_columns]):
            yield self.prefix + self.source(row)
            yield self.target(self.phrases(row))

    # --- how the model is asked ------------------------------------------------------------------

    def settled(self, tokenizer: Any, kind: ModelKind) -> KeyphraseGeneration:
        prompt = prompt_name(self.prompt, tokenizer, kind)
        instruction = self.instruction.replace("{separator}", self.separator.strip())
        return replace(self, prompt=prompt, instruction=instruction)

    def _prompt(self, tokenizer: Any, kind: ModelKind) -> Prompt:
        task = self.settled(tokenizer, kind)
        around = {"prefix": task.prefix, "instruction": task.instruction}
        return prompt_for(task.prompt, tokenizer, kind, **around)

    def fit_tokenizer(self, tokenizer: Any, kind: ModelKind) -> None:
        """Prove the chat template, where it is used; one that can think is told not to."""
        task = self.settled(tokenizer, kind)
        if task.prompt == "chat":
            chat.settle_template(tokenizer)
            chat.prove_chat(tokenizer, task.instruction, limit=self.max_source_tokens)

    @property
    def own_padding(self) -> bool:
        return self.prompt != "chat"  # which adds no token, and masks rows by position

    def served_settings(self, tokenizer: Any, kind: ModelKind) -> dict[str, Any]:
        ends = (self.end_id(tokenizer, kind), tokenizer.eos_token_id)
        return {
            "eos_token_id": [int(index) for index in ends if index is not None],
            "max_new_tokens": self.max_target_tokens,
            **({"prefix": self.prefix} if kind == "encoder-decoder" else {}),
        }

    def new_tokens(self, kind: ModelKind) -> tuple[str, ...]:
        return (START, MIDDLE, END) if kind == "decoder" and self.prompt != "chat" else ()

    def end_id(self, tokenizer: PreTrainedTokenizerBase, kind: ModelKind) -> int:
        return self._prompt(tokenizer, kind).end_id

    def messages(self, row: Row, tokenizer: PreTrainedTokenizerBase) -> chat.Messages:
        """The row as an instruction-tuned decoder is asked, for a program that serves it.

        Args:
            row: With the task's columns; a title may be missing.
            tokenizer: The model's.

        Returns:
            Messages with ``role`` and ``content``: of system and user, or of the user alone where
            the template knows no system.

        Raises:
            InputError: If there is no chat template, or it cannot be used.
        """
        task = replace(self, prompt="chat").settled(tokenizer, "decoder")
        frame = chat.chat_frame(tokenizer, task.instruction)
        text = frame.plain(self.source({name: row.get(name) for name in self.columns}))
        return chat.messages(task.instruction, text, system=frame.system)

    # --- text to tokens ------------------------------------------------------------------------

    def encode(
        self, batch: Batch, tokenizer: Any, *, kind: ModelKind, with_labels: bool = True
    ) -> Encoded:
        """As of every task, and of a decoder ``prompt_length``: tokens before the target.

        A decoder's ``input_ids`` are the prompt and, with labels, the target; its ``labels`` are as
        long, -100 where no loss falls.
        """
        rows = [dict(zip(batch, row, strict=True)) for row in zip(*batch.values(), strict=True)]
        prompt = self._prompt(tokenizer, kind)
        inputs, cut = prompt.sources([self.source(row) for row in rows], self.max_source_tokens)
        encoded: Encoded = {"input_ids": inputs, "source_cut": cut}
        if kind == "decoder":
            encoded["prompt_length"] = [len(ids) for ids in inputs]
        if with_labels:
            encoded["labels"], encoded["target_cut"] = tokenization.target_ids(
                self.target,
                [self.phrases(row) for row in rows],
                prompt.targets,
                end=prompt.end_id,
                limit=self.max_target_tokens,
            )
            if kind == "decoder":
                tokenization.append_targets(encoded, self.train_on_prompt)
        encoded["length"] = [len(ids) for ids in encoded["input_ids"]]
        return encoded

    def source_texts(self, row: Row) -> list[str]:
        return [self.prefix + self.source(row)]

    def target_text(self, row: Row) -> str:
        return self.target(self.phrases(row))

    def transformers_lines(self, tokenizer: Any, kind: ModelKind) -> list[str]:
        if self.settled(tokenizer, kind).prompt == "chat":
            reading = chat_lines(self.messages({self.text_column: "..."}, tokenizer))
        elif kind == "decoder":
            reading = marker_lines(START, MIDDLE, limit=self.max_source_tokens)
        else:
            reading = prefix_lines(self.prefix, tokenizer, limit=self.max_source_tokens)
        return [*reading, *writing_lines(prompted=kind == "decoder")]

    def line_texts(self, row: Row) -> list[str]:
        return [self.source({name: row.get(name) for name in self.columns})]

    def is_same_answer(self, printed: Any, answer: Answer) -> bool:
        return without_blanks(self.parse(printed)) == without_blanks(answer["keyphrases"])

    def lines(self, generated: Iterable[Sequence[int]], tokenizer: Any) -> list[str]:
        end = None  # beyond EOS and the last marker
        if self.settled(tokenizer, "decoder").prompt == "chat":
            end = self.end_id(tokenizer, "decoder")
        return tokenization.written_lines(generated, tokenizer, end=end)

    def collator(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Any:
        pad_id = int(tokenizer.pad_token_id)
        if model.config.is_encoder_decoder:
            return Seq2SeqCollator(pad_id=pad_id, model=model)
        return CausalCollator(pad_id=pad_id)

    def loss(self, model: PreTrainedModel, args: Any) -> Any:
        shift = not model.config.is_encoder_decoder
        return StepLoss(shift=shift, label_smoothing=args.label_smoothing_factor)

    # --- how an answer is shown ----------------------------------------------------------------

    def row_score(self, answers: Sequence[Answer], references: Sequence[Any]) -> Score:
        return phrases_f1([answer["keyphrases"] for answer in answers], references, self.k)

    @property
    def limitation(self) -> str:
        return (
            "It writes phrases that need not stand in the text, and some may be wrong. Of a "
            f"source longer than {self.max_source_tokens} tokens it reads the beginning."
        )

    def row_values(self, lines: Sequence[Line]) -> tuple[str, list[float]]:
        said, true = ([line[name] for line in lines] for name in ("prediction", "reference"))
        found = metrics.keyphrase_scores_per_document(said, true, k=self.k)
        return self.main_score, found[self.main_score]

    def described(self, line: Line) -> dict[str, Any]:
        return phrase_pieces(line["prediction"], line["reference"], normalize_phrase)

    def answer_html(self, answer: Answer, say: Say) -> str:
        return keyphrases_html(answer["text"], answer["keyphrases"], say, answer.get("scores"))
