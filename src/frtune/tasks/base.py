"""What every task offers to builders, trainer, reports and pages: the contract of a task."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import frtune
from frtune.data.cleaning import clean_text
from frtune.data.labels import text_reason
from frtune.data.row_checks import check_rows, rows_of
from frtune.data.row_schema import RowSchema, Target
from frtune.errors import InputError
from frtune.tasks.answers import Answers
from frtune.tasks.card_lines import CardLines, ModelKind
from frtune.tasks.search_ranges import SearchRanges

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainingArguments
    from typing_extensions import Self

Row = Mapping[str, Any]
Batch = Mapping[str, Sequence[Any]]  # of rows: column to values, as ``datasets.map`` passes it
Encoded = dict[str, list[Any]]
Splits: TypeAlias = "Dataset | Mapping[str, Dataset]"

TASKS: dict[str, type[Task]] = {}  # by name; a class joins when it is defined


class Task(CardLines, Answers):
    """What a row is, how it becomes tokens, how it is learnt, and what is said of an answer.

    A task is a frozen dataclass that inherits from this class and has a ``name``. Its fields are
    its settings: they are the options of ``frtune train NAME``, with the help that the docstring's
    ``Attributes`` give, and are kept in ``frtune_task.json``, so they hold plain values (text,
    numbers, lists of them) and have defaults. Names of columns end in ``_column``.

    To write are ``name``, ``auto_classes``, ``max_source_tokens``, ``columns``,
    ``label_columns``, ``encode``, ``collator`` and ``loss``, and of ``Answers``: ``headline``,
    ``answers`` and ``compute_metrics``. The rest has defaults.

    Attributes:
        name: The task's name on the command line and in ``frtune_task.json``.
        title_column: Column of a title that is read before the text, and may be missing.
        separator: What stands between the phrases of a string, where rows have phrases.
        keyphrase_field: Field with the phrase, where rows have objects.
        stratify_column: Column whose shares a split that is cut from train should keep.
        target_kind: What ``prepare`` takes the rows' target for.
        scored: The answer is one number, learnt by squared error, and no class.
        symmetric: A row is read in both orders, and its logits are the mean of both.
        auto_classes: Model kind to the name of the Transformers auto class that carries the head.
            A kind that is not a key does not fit the task.
        tiny_family: Family of the tiny checkpoint that is trained when none is given.
        max_source_tokens: Longest source in tokens.
        max_target_tokens: Longest text that is written; 0 where none is.
        language: Of the texts, where it is given: two letters.
        generates: The model writes text, and its outputs are ``Generated``; else they are logits.
        labels_tokens: The model labels tokens, rather than rows.
        recipe: Learning rate, batch and what else is not as in ``Trainer``, by the names of
            ``TrainingArguments``.
        search_ranges: Where ``frtune tune`` looks for better settings.
        primary_metric: What selects the best checkpoint, with ``eval_``.
        absent_fields: What fields mean that a ``frtune_task.json`` of an earlier version lacks,
            where that is not their default.
    """

    if TYPE_CHECKING:  # a task is a dataclass
        __dataclass_fields__: ClassVar[dict[str, Any]]

    name: ClassVar[str]
    title_column: str | None = None
    separator: str | None = None
    keyphrase_field: str | None = None
    stratify_column: str | None = None
    target_kind: ClassVar[Target] = "value"
    scored: bool = False
    symmetric: bool = False
    auto_classes: ClassVar[Mapping[ModelKind, str]]
    tiny_family: ClassVar[str] = "camembert"
    max_source_tokens: int
    max_target_tokens: int = 0
    language: str | None = None
    generates: ClassVar[bool] = False
    labels_tokens: ClassVar[bool] = False
    recipe: ClassVar[Mapping[str, float]] = {
        "learning_rate": 2e-5,
        "per_device_train_batch_size": 16,
    }
    search_ranges: ClassVar[SearchRanges] = SearchRanges()
    primary_metric: ClassVar[str] = "eval_loss"
    absent_fields: ClassVar[Mapping[str, Any]] = {}

    def __init_subclass__(cls, **settings: Any):
        super().__init_subclass__(**settings)
        if "name" not in vars(cls):
            return
        other = TASKS.get(cls.name, cls)
        if (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
            raise InputError(
                f"name={cls.name!r}: is the name of {other.__module__}.{other.__qualname__}. "
                "Give your task another."
            )
        TASKS[cls.name] = cls

    @classmethod
    def for_planning(cls, **settings: Any) -> Self:
        """The task as it could be after ``fit``, for whoever has no rows and wants its size."""
        return cls(**settings)

    # --- what a row is -------------------------------------------------------------------------

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """Columns that a row to be answered must have: the text, or both of a pair; a title."""

    @property
    @abstractmethod
    def label_columns(self) -> tuple[str, ...]:
        """Columns that a row to be learnt or scored must have besides; the target is the first."""

    @property
    def text_columns(self) -> list[str]:
        """The columns that hold text in every row; a title may be missing.

        Example:
            >>> from frtune import KeyphraseGeneration, SentenceSimilarity
            >>> KeyphraseGeneration(title_column="title").text_columns
            ['text']
            >>> SentenceSimilarity().text_columns
            ['sentence1', 'sentence2']
        """
        return [column for column in self.columns if column != self.title_column]

    @property
    def classes(self) -> list[str] | None:
        """The labels, of which a row has one; ``None`` before ``fit`` and for other targets."""
        return None

    def reason(self, row: Row) -> str | None:
        """Say why a row cannot be learnt from, as ``column NAME ...``; ``None`` when it can."""
        missing = (column for column in self.label_columns if row[column] is None)
        found = (f"column {column} has no value" for column in missing)
        return self.text_reason(row) or next(found, None)

    @property
    def repeated(self) -> dict[str, str]:
        """What ``predictions.jsonl`` repeats of a row: the names there, and the row's columns."""
        return dict(zip(("input", "input_pair"), self.text_columns, strict=False))

    def text_reason(self, row: Row) -> str | None:
        """Say which text of a row cannot be learnt from, and why; ``None`` when all can."""
        return next(
            filter(None, (text_reason(row[name], name) for name in self.text_columns)), None
        )

    def check(self, dataset: Dataset, where: str) -> None:
        """Refuse rows that cannot be learnt from; ``where`` names them in the message.

        Raises:
            InputError: For a missing column, a row with a ``reason``, or a label that no training
                row had.
        """
        check_rows(dataset, [*self.columns, *self.label_columns], self.reason, where)
        self.check_labels(dataset, where)

    def stratum(self, value: Any) -> Hashable | list[str]:
        """The class of a value of ``stratify_column``, or the list of its several labels."""
        return str(value)

    def check_labels(self, dataset: Dataset, where: str) -> None:
        """Refuse labels that no training row had, in rows that are sound otherwise."""

    def fit(self, data: Splits, *, checked: bool = False) -> Self:
        """Return the task with what the training rows say (their labels); here, the task itself.

        Args:
            data: Training rows, or splits of which ``train`` is read.
            checked: Whether ``check`` has seen these rows; they are not checked anew.
        """
        return self

    def corpus(self, dataset: Dataset) -> Iterator[str]:
        """Every text of a data set, to train a tokenizer on and to try one on."""
        for row in rows_of(dataset, self.text_columns):
            yield from (clean_text(row[column]) for column in self.text_columns)

    def with_columns(self, columns: Mapping[str, str]) -> Self:
        """The task for rows whose columns have other names.

        Args:
            columns: Fields of the task to names, such as ``{"text_column": "comments"}``.

        Raises:
            InputError: For a field that the task has not.
        """
        known = [
            item.name
            for item in fields(self)
            if item.name.endswith("_column") or item.name == "keyphrase_field"
        ]
        for name in columns:
            if name not in known:
                flags = ", ".join(f"--{each.replace('_', '-')}" for each in known)
                flag = f"--{name.replace('_', '-')}"
                raise InputError(f"{flag}: not of {self.name}, which has {flags}.")
        return replace(self, **columns)

    def row_schema(self) -> RowSchema:
        """How ``prepare`` reads, cleans and writes rows: the fields that end in ``_column``.

        A column is written under the name that the task expects without being told.
        """
        default = type(self)()
        named = [item.name for item in fields(self) if item.name.endswith("_column")]
        known = {
            getattr(self, name): getattr(default, name) or name.removesuffix("_column")
            for name in named
        }
        settings = {"task": self.name, **{name: getattr(self, name) for name in named}}
        if self.separator is not None:
            settings["separator"] = self.separator
        if self.keyphrase_field is not None:
            settings["keyphrase_field"] = self.keyphrase_field
        return RowSchema(
            task=self.name,
            names={column: known[column] for column in (*self.columns, self.label_columns[0])},
            target=self.target_kind,
            reason=self.reason,
            separator=self.separator,
            keyphrase_field=self.keyphrase_field,
            settings=settings,
        )

    # --- tokens --------------------------------------------------------------------------------

    def settled(self, tokenizer: PreTrainedTokenizerBase, kind: ModelKind) -> Self:
        """The task with what the tokenizer decides, as it is saved; here, the task itself.

        Raises:
            InputError: If the task cannot work with such a tokenizer.
        """
        return self

    def fit_tokenizer(self, tokenizer: PreTrainedTokenizerBase, kind: ModelKind) -> None:
        """Prove a tokenizer that was just loaded, and set what the task needs of it, in place.

        Raises:
            InputError: If the task cannot work with it.
        """

    @property
    def own_padding(self) -> bool:
        """Whether a decoder's padding must be a token that stands for nothing else."""
        return True

    def served_settings(self, tokenizer: Any, kind: ModelKind) -> dict[str, Any]:
        """Settings of ``frtune.models.served_config.serve``; none leaves the model's own."""
        return {}

    def new_tokens(self, kind: ModelKind) -> tuple[str, ...]:
        """Tokens that the model must learn for this task, in the order of their ids."""
        return ()

    def config_overrides(self) -> dict[str, Any]:
        """Settings for the model's config: ``num_labels``, ``id2label``, ``problem_type``."""
        return {}

    @property
    def head_bias(self) -> list[float] | None:
        """What the bias of a new head begins with, one number a label; ``None`` leaves it at 0."""
        return None

    @abstractmethod
    def encode(
        self,
        batch: Batch,
        tokenizer: PreTrainedTokenizerBase,
        *,
        kind: ModelKind,
        with_labels: bool = True,
    ) -> Encoded:
        """Turn a batch of rows (column to values, as ``datasets.map`` passes it) into tokens.

        Returns:
            ``input_ids`` and what else the collator reads; ``length`` (tokens to order by);
            ``source_cut`` and ``target_cut`` (was it shortened), where that can be; with labels,
            ``labels``. Several encoded rows of one say whose they are in ``row_in_batch``.
        """

    @property
    def limits(self) -> dict[str, str]:
        """What cuts a row, as messages name it, by the column that ``encode`` tells of it."""
        return {
            "source_cut": f"max_source_tokens={self.max_source_tokens}",
            "target_cut": f"max_target_tokens={self.max_target_tokens}",
        }

    def without_limit(self) -> Self:
        """The task with a limit that no text reaches, to count the tokens of whole texts."""
        whole = replace(self)
        object.__setattr__(whole, "max_source_tokens", 10**7)
        return whole

    def encoding_notes(self, encoded: Dataset) -> list[str]:
        """What a user should know of encoded rows, one sentence each."""
        return []

    def source_texts(self, row: Row) -> list[str]:
        """The texts of a row as the tokenizer gets them: one, or a pair."""
        return [row[column] for column in self.columns]

    def target_text(self, row: Row) -> str:
        """What the model learns to write for a row, where it ``generates``."""
        raise NotImplementedError(f"{self.name} writes no text")

    def end_id(self, tokenizer: PreTrainedTokenizerBase, kind: ModelKind) -> int:
        """The token that ends what is written, where the task ``generates``."""
        raise NotImplementedError(f"{self.name} writes no text")

    # --- training ------------------------------------------------------------------------------

    @abstractmethod
    def collator(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Any:
        """Collator for encoded rows: a frozen dataclass, as in ``frtune.tasks.collators``."""

    @abstractmethod
    def loss(self, model: PreTrainedModel, args: TrainingArguments) -> Any:
        """``compute_loss_func`` of the ``Trainer``: ``StepLoss``, for example."""

    def fold_logits(self, logits: Any) -> Any:
        """Logits of a batch as one answer a row; here, as they are."""
        return logits

    def preprocess_logits(self, logits: Any, labels: Any = None) -> Any:
        """What evaluation keeps of a batch: its logits, ``(batch, classes)``."""
        return self.fold_logits(logits[0] if isinstance(logits, tuple) else logits)

    def reported(self, kept: Any) -> Any:
        """What a caller gets as ``predictions`` of what was kept; here, all of it."""
        return kept

    @property
    def calibrates(self) -> bool:
        """Whether ``calibrated`` fits anything to the validation rows."""
        return False

    @property
    def uncalibrated(self) -> str:
        """What is said where there are no validation rows to fit it to."""
        return "probabilities are not calibrated"

    @property
    def calibration_options(self) -> Sequence[Mapping[str, Any]]:
        """How answers to validation rows are written for ``calibrated``, once with each."""
        return [{}]

    def calibrated(
        self, outputs: Sequence[Any], dataset: Dataset, tokenizer: Any = None
    ) -> tuple[Self, list[str]]:
        """Return the task with what the trained model's outputs for validation rows say.

        Args:
            outputs: As for ``answers``.
            dataset: The encoded validation rows, with labels.
            tokenizer: The model's.

        Returns:
            The task, and what could not be fitted, one sentence each; here, the task itself.
        """
        return self, []

    @property
    def logit_factor(self) -> float | None:
        """What a calibrated model's logits are multiplied by, in its weights; ``None``: nothing."""
        return None

    def trainer(
        self,
        model: PreTrainedModel | None = None,
        tokenizer: PreTrainedTokenizerBase | None = None,
        args: TrainingArguments | None = None,
        **settings: Any,
    ) -> Any:
        """Make a ``TaskTrainer`` for this task; ``frtune.make_trainer`` says more."""
        if "task" in settings:
            raise InputError("task: is the one whose trainer this is. Leave it out.")
        return frtune.make_trainer(self, model, tokenizer, args, **settings)
