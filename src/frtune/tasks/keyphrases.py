"""Keyphrase generation: an article goes in, its keyphrases come out as one separated line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from frtune.data.cleaning import clean_keyphrases, clean_text, split_keyphrases
from frtune.errors import InputError
from frtune.tasks._task import ModelKind

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainingArguments

    from frtune.training.generation import Generated
    from frtune.training.trainer import TaskTrainer

START = "[generate keyphrases]"
MIDDLE = "[keyphrases generated]"
END = "[end of generation]"

# what keyphrase_scores counts beside its scores
COUNTS = {"documents", "predictions", "references", "empty_predictions", "empty_references"}


def _option(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class KeyphraseGeneration:
    """Generate keyphrases for a text, with an encoder-decoder or with a decoder.

    An encoder-decoder reads ``prefix + title + text`` and writes the phrases, joined by the
    separator, and EOS. A decoder reads ``[generate keyphrases] text [keyphrases generated]`` and
    writes the phrases and ``[end of generation]``; the three markers are new tokens. Truncation
    cuts the article, never the markers; a target that is too long loses whole phrases at its end.

    Attributes:
        text_column: Column with the article.
        title_column: Column with its title, put before the text; ``None`` reads no title.
        keyphrases_column: Column with a list of phrases, or with a string of separated ones.
        separator: What stands between phrases, in string columns and in the model's output.
        prefix: Instruction before the text, for encoder-decoders.
        max_source_tokens: Longest source in tokens, prefix, markers and EOS included.
        max_target_tokens: Longest target in tokens, end marker included; the limit of generation.
        max_keyphrases: Keep the first so many phrases of a row; ``None`` keeps all.
        train_on_prompt: Decoders only: put loss on the article too, not on the target alone.
        k: Cut of the scores at K (``f1_at_10`` for 10).
        language: Language of the scores' tokenizer: ``"ko"``, ``"fr"``, ``"en"``; ``None`` looks
            at the references.

    Example:
        >>> task = KeyphraseGeneration(separator=" | ")
        >>> task.phrases({"keyphrases": "budget | school canteen"})
        ['budget', 'school canteen']
        >>> task.target(["budget", "school canteen"])
        'budget | school canteen'
    """

    name: ClassVar[str] = "keyphrases"
    auto_classes: ClassVar[dict[ModelKind, str]] = {
        "encoder-decoder": "AutoModelForSeq2SeqLM",
        "decoder": "AutoModelForCausalLM",
    }
    generates: ClassVar[bool] = True
    primary_metric: ClassVar[str] = "eval_loss"
    tiny_family: ClassVar[str] = "t5"
    health_scores: ClassVar[tuple[str, ...]] = (
        "eos_rate",
        "cut_by_limit_rate",
        "empty_rate",
        "repeated_phrase_rate",
        "mean_tokens",
        "mean_phrases",
    )

    text_column: str = _option("text", "column with the article")
    title_column: str | None = _option(None, "column with a title to put before the text")
    keyphrases_column: str = _option("keyphrases", "column with a list or a separated string")
    separator: str = _option("; ", "what stands between two phrases")
    prefix: str = _option("generate keyphrases: ", "instruction before the text (seq2seq)")
    max_source_tokens: int = _option(1024, "longest source, in tokens")
    max_target_tokens: int = _option(64, "longest target, in tokens")
    max_keyphrases: int | None = _option(None, "keep the first so many phrases of a row")
    train_on_prompt: bool = _option(False, "put loss on the article too (causal)")
    k: int = _option(10, "cut of the scores at K")
    language: str | None = _option(None, "language of the scores: ko, fr, en")

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
        if self.max_keyphrases is not None and self.max_keyphrases < 1:
            raise InputError(
                f"max_keyphrases={self.max_keyphrases}: at least 1. Leave it out to keep all."
            )
        if self.language not in (None, "ko", "fr", "en"):
            raise InputError(
                f"language={self.language!r}: ko, fr or en. Leave it out to have it detected."
            )

    @property
    def headline(self) -> tuple[str, ...]:
        """The scores that a reader looks at first."""
        at = f"f1_at_{self.k}"
        return (at, f"partial_{at}", "f1_at_m", f"present_{at}", f"absent_{at}", "rougeL")

    # --- what a row is -------------------------------------------------------------------------

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that a row to be answered must have."""
        return (self.text_column, *([self.title_column] if self.title_column else []))

    @property
    def label_columns(self) -> tuple[str, ...]:
        """Columns that a row to be learnt or scored must have besides."""
        return (self.keyphrases_column,)

    def source(self, row: Mapping[str, Any]) -> str:
        """The article: title, a line break, text; without prefix and markers."""
        parts = [row[self.title_column]] if self.title_column else []
        return "\n".join(clean_text(part) for part in [*parts, row[self.text_column]] if part)

    def phrases(self, row: Mapping[str, Any]) -> list[str]:
        """The row's keyphrases, cleaned, at most ``max_keyphrases``."""
        found = clean_keyphrases(split_keyphrases(row[self.keyphrases_column], self.separator))
        return found[: self.max_keyphrases]

    def target(self, phrases: Sequence[str]) -> str:
        """The line that the model learns to write, without its end token."""
        return self.separator.join(phrases)

    def check(self, dataset: Dataset, where: str) -> None:
        """Refuse rows that cannot be learnt from; ``where`` names them in the message.

        Raises:
            InputError: For a missing column, a blank text, a row without keyphrases, or a
                separator that no row holds.
        """
        from frtune.data.loading import columns_check
        from frtune.tasks._checks import check_texts, first_rows

        columns_check(dataset, [*self.columns, *self.label_columns], where)
        check_texts(dataset, self.text_column, where)
        column = self.keyphrases_column
        count, row = first_rows(dataset, column, lambda value: not self.phrases({column: value}))
        if count:
            raise InputError(
                f"{where}, row {row}: column {column} holds no keyphrase, in {count} of "
                f"{len(dataset)} rows. frtune prepare sets such rows aside."
            )

    def corpus(self, dataset: Dataset) -> Iterator[str]:
        """Every text of a data set, sources and targets, to train a tokenizer on."""
        for row in dataset.select_columns([*self.columns, *self.label_columns]):
            yield self.prefix + self.source(row)
            yield self.target(self.phrases(row))

    # --- what a builder asks -------------------------------------------------------------------

    def new_tokens(self, kind: ModelKind) -> tuple[str, ...]:
        """The three markers for decoders; none for encoder-decoders."""
        return (START, MIDDLE, END) if kind == "decoder" else ()

    def config_overrides(self) -> dict[str, Any]:
        """Nothing: a language model keeps its config."""
        return {}

    # --- text to tokens ------------------------------------------------------------------------

    def end_id(self, tokenizer: PreTrainedTokenizerBase, kind: ModelKind) -> int:
        """The token that ends a target: ``[end of generation]`` for decoders, else EOS."""
        found = (
            tokenizer.convert_tokens_to_ids(END) if kind == "decoder" else tokenizer.eos_token_id
        )
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
        rows = [
            dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)
        ]
        sources = [self.source(row) for row in rows]
        encode_sources = self._encode_prompts if kind == "decoder" else self._encode_sources
        inputs, source_cut = encode_sources(sources, tokenizer)
        encoded: dict[str, list[Any]] = {"input_ids": inputs, "source_cut": source_cut}
        if kind == "decoder":
            encoded["prompt_length"] = [len(ids) for ids in inputs]
        if with_labels:
            targets = [self._encode_target(self.phrases(row), tokenizer, kind) for row in rows]
            encoded["target_cut"] = [cut for _, cut in targets]
            encoded["labels"] = [ids for ids, _ in targets]
            if kind == "decoder":
                self._append_targets(encoded)
        encoded["length"] = [len(ids) for ids in encoded["input_ids"]]
        return encoded

    def _encode_sources(
        self, sources: list[str], tokenizer: PreTrainedTokenizerBase
    ) -> tuple[list[list[int]], list[bool]]:
        """Encoder input: the tokenizer's own special tokens around it, EOS at the end always."""
        texts = [self.prefix + source for source in sources]
        eos = tokenizer.eos_token_id
        inputs, cut = [], []
        for ids in tokenizer(texts, truncation=False, verbose=False)["input_ids"]:
            ids = list(ids) if ids and ids[-1] == eos else [*ids, eos]
            cut.append(len(ids) > self.max_source_tokens)
            inputs.append([*ids[: self.max_source_tokens - 1], eos])
        return inputs, cut

    def _encode_prompts(
        self, sources: list[str], tokenizer: PreTrainedTokenizerBase
    ) -> tuple[list[list[int]], list[bool]]:
        """Decoder input: markers around the article, of which the end is cut when it is long."""
        start, middle = tokenizer.convert_tokens_to_ids([START, MIDDLE])
        articles = tokenizer(sources, add_special_tokens=False, verbose=False)["input_ids"]
        room = self.max_source_tokens - 2
        inputs = [[start, *ids[:room], middle] for ids in articles]
        return inputs, [len(ids) > room for ids in articles]

    def _encode_target(
        self, phrases: list[str], tokenizer: PreTrainedTokenizerBase, kind: ModelKind
    ) -> tuple[list[int], bool]:
        """Target ids with their end token, and whether phrases had to be left out."""
        end = self.end_id(tokenizer, kind)
        kept = list(phrases)
        while True:
            line = self.target(kept)
            # a decoder's line stands after a marker, an encoder-decoder's in its own frame
            ids = list(
                tokenizer(line, add_special_tokens=kind != "decoder", verbose=False)["input_ids"]
            )
            ids = ids if ids and ids[-1] == end else [*ids, end]
            if len(ids) <= self.max_target_tokens or len(kept) <= 1:
                break
            kept.pop()
        cut = len(kept) < len(phrases) or len(ids) > self.max_target_tokens
        return [*ids[: self.max_target_tokens - 1], end], cut

    def _append_targets(self, encoded: dict[str, list[Any]]) -> None:
        """Make prompt + target of each decoder row, with labels of the same length."""
        for i, (prompt, target) in enumerate(
            zip(encoded["input_ids"], encoded["labels"], strict=True)
        ):
            encoded["input_ids"][i] = [*prompt, *target]
            masked = prompt if self.train_on_prompt else [-100] * len(prompt)
            encoded["labels"][i] = [*masked, *target]

    # --- tokens to phrases ---------------------------------------------------------------------

    def lines(
        self, generated: Iterable[Sequence[int]], tokenizer: PreTrainedTokenizerBase
    ) -> list[str]:
        """Turn generated token ids into the lines that the model wrote.

        What follows the first end token is dropped, and so are markers and special tokens.
        """
        pad = tokenizer.pad_token_id or 0
        rows = [[i if i >= 0 else pad for i in ids] for ids in generated]
        texts = tokenizer.batch_decode(
            rows, skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return [self._plain(text, tokenizer) for text in texts]

    def _plain(self, text: str, tokenizer: PreTrainedTokenizerBase) -> str:
        eos = tokenizer.eos_token
        text = text.split(END)[0].split(MIDDLE)[-1].replace(START, " ")
        # a leading EOS is BART's decoder start, not the end
        text = text.removeprefix(eos).split(eos)[0] if eos else text
        for token in tokenizer.all_special_tokens:
            text = text.replace(token, " ")
        return text.strip()

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
        phrases = self.decode([row.ids for row in outputs], tokenizer)
        return [{"keyphrases": found} for found in phrases]

    # --- training ------------------------------------------------------------------------------

    def collator(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Any:
        """Collator for encoded rows: ``Seq2SeqCollator`` or ``CausalCollator``."""
        from frtune.training.collators import CausalCollator, Seq2SeqCollator

        pad_id = int(tokenizer.pad_token_id)
        if model.config.is_encoder_decoder:
            return Seq2SeqCollator(pad_id=pad_id, model=model)
        return CausalCollator(pad_id=pad_id)

    def loss(self, model: PreTrainedModel, args: TrainingArguments) -> Any:
        """Cross-entropy over target tokens, the same however a step is cut into batches."""
        from frtune.training.loss import StepLoss

        return StepLoss(
            shift=not model.config.is_encoder_decoder, label_smoothing=args.label_smoothing_factor
        )

    def trainer(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        args: TrainingArguments,
        *,
        train_dataset: Dataset | None = None,
        eval_dataset: Dataset | None = None,
        **settings: Any,
    ) -> TaskTrainer:
        """Make a ``Trainer`` for this task; see ``frtune.training.setup.make_trainer``."""
        from frtune.training.setup import make_trainer

        return make_trainer(
            self,
            model,
            tokenizer,
            args,
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            **settings,
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
        from frtune.metrics import generation_health

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
        """Every score that an evaluation reports, and whether greater is better."""
        from frtune.metrics import generation_health

        names = self.compute_metrics([["a"]], [["a"]], texts=["a"])
        health = generation_health([["a"]], token_counts=[1], finished=[True], limit=2)
        return {
            name: not name.endswith("_rate") or name == "eos_rate" for name in [*names, *health]
        }

    def compute_metrics(
        self,
        predictions: Sequence[Sequence[str]],
        references: Sequence[Sequence[str]],
        *,
        texts: Sequence[str] | None = None,
    ) -> dict[str, float]:
        """Score phrase lists against phrase lists; fractions from 0 to 1.

        Exact scores stand under their own names (``f1_at_10``), those of the substring match under
        ``partial_``, ROUGE of the joined lines under ``rouge1`` ... ``rougeLsum``.
        """
        from frtune.metrics import keyphrase_scores, rouge_scores

        exact = keyphrase_scores(predictions, references, k=self.k, texts=texts)
        partial = keyphrase_scores(predictions, references, k=self.k, match="partial")
        rouge = rouge_scores(
            [self.target(phrases) for phrases in predictions],
            [self.target(phrases) for phrases in references],
            tokenizer=self.rouge_tokenizer(references),
        )
        kept = (f"precision_at_{self.k}", f"recall_at_{self.k}", f"f1_at_{self.k}")
        exact = {name: value for name, value in exact.items() if name not in COUNTS}
        return {**exact, **{f"partial_{name}": partial[name] for name in kept}, **rouge}

    def rouge_tokenizer(self, references: Sequence[Sequence[str]]) -> str:
        """Name of the ROUGE tokenizer: by ``language``, else by the references' script."""
        from frtune.metrics import default_tokenizer

        if self.language is not None:
            return "ko" if self.language == "ko" else "fr"
        return default_tokenizer([self.target(phrases) for phrases in references])

    def signatures(self, references: Sequence[Sequence[str]]) -> dict[str, str]:
        """How each score of ``compute_metrics`` was computed."""
        from frtune.metrics import keyphrase_signatures, rouge_signatures

        partial = keyphrase_signatures(k=self.k, match="partial")
        return {
            **keyphrase_signatures(k=self.k, with_texts=True),
            **{f"partial_{name}": text for name, text in partial.items()},
            **rouge_signatures(tokenizer=self.rouge_tokenizer(references)),
        }
