"""Keyphrase generation: an article goes in, its keyphrases come out as one separated line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, get_args

from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from frtune import metrics
from frtune.data.checks import columns_check, separator_check
from frtune.data.cleaning import clean_keyphrases, clean_text, split_keyphrases
from frtune.data.labels import text_reason
from frtune.data.nested_values import phrases_reason, read_phrases
from frtune.data.row_checks import bad_values, check_texts, rows_of
from frtune.data.row_schema import KeyphraseSchema, RowSchema, Target
from frtune.errors import InputError
from frtune.metrics.bootstrap import Score
from frtune.metrics.phrases import normalize_phrase, split_phrases
from frtune.metrics.tokenizers import NAMES, TokenizerName, check_tokenizer
from frtune.tasks import chat, tokenization
from frtune.tasks.answer_html import Say, keyphrases_html
from frtune.tasks.answers import Answer, Given, Intervals, Line, Scores, Texts
from frtune.tasks.base import Batch, Encoded, ModelKind, Row, Task
from frtune.tasks.collators import CausalCollator, Seq2SeqCollator
from frtune.tasks.generated import Generated
from frtune.tasks.given_answers import phrase_list
from frtune.tasks.loss import StepLoss
from frtune.tasks.prompts import Prompt, PromptName, prompt_for, prompt_name
from frtune.tasks.row_scores import phrases_f1
from frtune.tasks.shown_rows import phrase_pieces
from frtune.tasks.tokenization import END, MIDDLE, START

INSTRUCTION = (
    'List the keyphrases of the text in its language, joined by "{separator}", and nothing else.'
)
Phrases = Sequence[Sequence[str]]  # of each row


@dataclass(frozen=True)
class KeyphraseGeneration(Task):
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
        title_column: Column with its title, to put before the text.
        keyphrases_column: Column with phrases: a list, or a string.
        separator: Stands between phrases, in columns and in the output.
        keyphrase_field: Field with the phrase, where the column has objects.
        prefix: Before an encoder-decoder's text.
        prompt: Of decoders: chat template or markers (new tokens).
        instruction: What the chat asks for.
        max_source_tokens: Longest source, in tokens, with all that frames it.
        max_target_tokens: Longest target, in tokens; the limit of generation.
        max_keyphrases: Keep the first so many phrases of a row (default: all).
        train_on_prompt: Decoders: loss on the article too, not on the target alone.
        k: Cut of the scores at K (``f1_at_10`` for 10).
        language: Of the scores' tokenizer: ko, fr, en (default: detected).
        rouge_tokenizer: ROUGE's tokenizer (default: by language).
        as_written: Partial and ROUGE scores of phrases as written, with repeats.

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
    rouge_tokenizer: TokenizerName | None = None
    as_written: bool = False

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

    def source(self, row: Row) -> str:
        """The article: title, a line break, text; without prefix and markers."""
        parts = [row[self.title_column]] if self.title_column else []
        return "\n".join(clean_text(part) for part in [*parts, row[self.text_column]] if part)

    def phrases(self, row: Row) -> list[str]:
        """The row's keyphrases, cleaned, at most ``max_keyphrases``."""
        value = row[self.keyphrases_column]
        found = clean_keyphrases(read_phrases(value, self.separator, self.keyphrase_field))
        return found[: self.max_keyphrases]

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

    def target(self, phrases: Sequence[str]) -> str:
        """The line that the model learns to write, without its end token."""
        return self.separator.join(phrases)

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

    def served_end_ids(self, tokenizer: Any, kind: ModelKind) -> list[int]:
        if self.settled(tokenizer, kind).prompt != "chat":
            return []
        found = (self.end_id(tokenizer, kind), tokenizer.eos_token_id)
        return [int(index) for index in found if index is not None]

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
        ends = sorted({self.end_id(tokenizer, kind), tokenizer.eos_token_id} - {None})
        if self.settled(tokenizer, kind).prompt == "chat":
            reading = self._chat_lines(tokenizer)
        elif kind == "decoder":
            reading = [
                'read = tokenizer("...", add_special_tokens=False)["input_ids"]',
                f'start, middle = tokenizer.convert_tokens_to_ids(["{START}", "{MIDDLE}"])',
                f"ids = torch.tensor([[start, *read[:{self.max_source_tokens - 2}], middle]])",
            ]
        else:
            reading = [
                f'read = tokenizer({self.prefix!r} + "...")["input_ids"]',
                "if read[-1] != tokenizer.eos_token_id:",
                "    read.append(tokenizer.eos_token_id)",
                f"ids = torch.tensor([read[:{self.max_source_tokens}]])",
            ]
        return [
            "import torch",
            *reading,
            "written = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids),",
            f"                         max_new_tokens={self.max_target_tokens}, do_sample=False,",
            f"                         eos_token_id={ends}, forced_eos_token_id=None)[0]",
            *(["written = written[ids.shape[1]:]"] if kind == "decoder" else []),
            "print(tokenizer.decode(written, skip_special_tokens=True))",
        ]

    def _chat_lines(self, tokenizer: Any) -> list[str]:
        *system, user = self.messages({self.text_column: "..."}, tokenizer)
        before = user["content"].removesuffix("...")  # the instruction, where there is no system
        content = f'{before!r} + "..."' if before else '"..."'
        return [
            f"messages = {system!r}",
            f"messages.append({{'role': 'user', 'content': {content}}})",
            "ids = tokenizer.apply_chat_template(",
            "    messages, add_generation_prompt=True, enable_thinking=False,",
            "    return_tensors='pt', return_dict=True)['input_ids']",
        ]

    def lines(self, generated: Iterable[Sequence[int]], tokenizer: Any) -> list[str]:
        end = None  # beyond EOS and the last marker
        if self.settled(tokenizer, "decoder").prompt == "chat":
            end = self.end_id(tokenizer, "decoder")
        return tokenization.written_lines(generated, tokenizer, end=end)

    def parse(self, line: str) -> list[str]:
        """Split one generated line into clean phrases, each once.

        Example:
            >>> KeyphraseGeneration().parse("Keyphrases: budget;school canteen ; ; budget;")
            ['budget', 'school canteen']
        """
        return clean_keyphrases(split_keyphrases(line, self.separator))

    def decode(self, generated: Iterable[Sequence[int]], tokenizer: Any) -> list[list[str]]:
        """Turn generated token ids into phrases: ``lines``, then ``parse``."""
        return [self.parse(line) for line in self.lines(generated, tokenizer)]

    def answers(
        self, outputs: Sequence[Generated], dataset: Dataset, tokenizer: PreTrainedTokenizerBase
    ) -> list[dict[str, Any]]:
        return [{"keyphrases": p} for p in self.decode([row.ids for row in outputs], tokenizer)]

    def collator(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Any:
        pad_id = int(tokenizer.pad_token_id)
        if model.config.is_encoder_decoder:
            return Seq2SeqCollator(pad_id=pad_id, model=model)
        return CausalCollator(pad_id=pad_id)

    def loss(self, model: PreTrainedModel, args: Any) -> Any:
        shift = not model.config.is_encoder_decoder
        return StepLoss(shift=shift, label_smoothing=args.label_smoothing_factor)

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
        options = self._score_options(true)
        if self.as_written:
            options["written"] = self._written(answers, dataset, tokenizer)
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
        lines = self.lines([row.ids for row in outputs], tokenizer)
        lines = self.lines([row.ids for row in outputs], tokenizer)
        scores = self.score_answers(self._told(lines), dataset, tokenizer)
        health = metrics.generation_health(
            [split_keyphrases(line, self.separator) for line in lines],
            token_counts=[len(row.ids) for row in outputs],
            finished=[row.finished for row in outputs],
            limit=self.max_target_tokens,
        )
        return {**scores, **health}

    def metric_directions(self) -> dict[str, bool]:
        names = self.compute_metrics([["a"]], [["a"]], texts=["a"])
        names |= metrics.generation_health([["a"]], token_counts=[1], finished=[True], limit=2)
        return {name: not name.endswith("_rate") or name == "eos_rate" for name in names}

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
        options = self._score_options(true)
        if self.as_written:
            options["written"] = self._written(answers, dataset, tokenizer)
        said, texts = [row["keyphrases"] for row in answers], self.score_texts(dataset)
        return metrics.combined_intervals(said, true, self.headline, texts=texts, **options)

    def intervals(
        self, outputs: Sequence[Generated], dataset: Dataset, tokenizer: Any = None
    ) -> Intervals:
        lines = self.lines([row.ids for row in outputs], tokenizer)
        return self.answer_intervals(self._told(lines), dataset, tokenizer)

    def _told(self, lines: Sequence[str]) -> list[dict[str, Any]]:
        """Answers, with what was written."""
        return [{"keyphrases": self.parse(line), "generated": line} for line in lines]

    def signatures(self, references: Phrases) -> dict[str, str]:
        options = self._score_options(references)
        del options["separator"]
        searched = "title+text" if self.title_column else "text"
        return metrics.combined_signatures(searched=searched, written=self.as_written, **options)

    def score_texts(self, rows: Dataset) -> list[str]:
        """Where phrases are present or absent: the text, with its title where that is read."""
        return [self.source(row) for row in rows_of(rows, self.columns)]

    def check_scores(self) -> None:
        if self.rouge_tokenizer is not None:
            check_tokenizer(self.rouge_tokenizer)

    def scored_as(self, **options: Any) -> KeyphraseGeneration:
        own = ("rouge_tokenizer", "as_written")
        found = {name: options.pop(name) for name in own if options.get(name) is not None}
        return replace(super().scored_as(**options), **found)

    def _score_options(self, references: Phrases) -> dict[str, Any]:
        """K, separator and the ROUGE tokenizer: by ``language``, else by the references' script."""
        tokenizer = self.rouge_tokenizer or ("ko" if self.language == "ko" else "fr")
        if self.rouge_tokenizer is None and self.language is None:
            tokenizer = metrics.default_tokenizer(map(self.target, references))
        return {"k": self.k, "tokenizer": tokenizer, "separator": self.separator}

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
            values = dataset[self.keyphrases_column]
            plain = [isinstance(v, str) and not v.strip().startswith("[") for v in values]
            true = [
                split_phrases(value, self.separator)
                if text
                else read_phrases(value, self.separator, self.keyphrase_field)
                for value, text in zip(values, plain, strict=True)
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
        return keyphrases_html(answer["text"], answer["keyphrases"], say)
