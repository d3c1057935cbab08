"""How the rows of a task are read, cleaned and written when a data set is prepared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from frtune.data.checks import columns_check, separator_check
from frtune.data.cleaning import clean_keyphrases, clean_text
from frtune.data.filters import Filters
from frtune.data.label_sets import SEPARATOR, label_set
from frtune.data.labels import label_name, score_of, score_reason
from frtune.data.nested_values import read_phrases
from frtune.data.written_lists import without_entities
from frtune.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

# a list of phrases, one of a few labels, a list of several, a number, or anything else, which stays
# as it is
Target = Literal["phrases", "label", "labels", "score", "value"]


def joined(texts: Sequence[str]) -> str:
    """The texts of a row as one, a line break between them; those that are blank left out."""
    return "\n".join(text for text in texts if text)


@dataclass(frozen=True)
class RowSchema:
    """What preparing needs to know of a task; ``task.row_schema()`` makes it.

    Attributes:
        task: Name of the task.
        names: Columns that are read, texts first and the target last, and the names that they are
            written under.
        target: What is to be learnt.
        reason: Says why a row (as it was read) cannot be used, or ``None``.
        separator: What stands between the phrases of a string.
        keyphrase_field: Field with the phrase, where a row has objects.
        settings: Columns and what else says how a row is read; goes into ``audit.json``.
        carried: Further columns that are kept where there are any.
        join: Puts the cleaned texts of a row together: what is compared and counted.
        target_text: What the model is to write for a cleaned target; ``None`` where it writes
            nothing.

    Example:
        >>> from frtune import SequenceClassification
        >>> schema = SequenceClassification(text_column="libelle").row_schema()
        >>> schema.names, schema.target
        ({'libelle': 'text', 'label': 'label'}, 'label')
    """

    task: str
    names: Mapping[str, str]
    target: Target
    reason: Callable[[Mapping[str, Any]], str | None]
    separator: str | None = None
    keyphrase_field: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    carried: tuple[str, ...] = ("id",)
    join: Callable[[Sequence[str]], str] = joined
    target_text: Callable[[Sequence[str]], str] | None = None

    @property
    def text_columns(self) -> list[str]:
        """The columns with texts, as they are read."""
        return list(self.names)[:-1]

    @property
    def target_column(self) -> str:
        """The column with what is to be learnt, as it is read."""
        return list(self.names)[-1]

    @property
    def target_name(self) -> str:
        """The name that the target is written under."""
        return self.names[self.target_column]

    def check(self, dataset: Dataset, where: str) -> None:
        """Refuse (``InputError``) rows that lack a column, and phrases with another separator."""
        columns_check(dataset, self.names, where)
        if self.separator is not None:
            option = "--label-separator" if self.target == "labels" else "--separator"
            separator_check(dataset, self.target_column, self.separator, where, option)

    def check_filters(self, filters: Filters) -> None:
        """Refuse a limit on something that the rows of this task do not have."""
        for name in ("min_keyphrases", "max_keyphrases", "max_target_tokens"):
            value, of_texts = getattr(filters, name), name == "max_target_tokens"
            fits = self.target_text is not None if of_texts else self.target == "phrases"
            if value is not None and not fits:
                tasks = "keyphrases" if of_texts else "keyphrases and keywords"
                raise InputError(f"{name}={value}: for {tasks}, not for {self.task}. Leave it out.")

    def texts(self, batch: Mapping[str, Sequence[Any]]) -> dict[str, list[str]]:
        """The cleaned texts of a batch of rows, by the name they are written under."""
        return {
            self.names[column]: [
                clean_text(without_entities(v)) if isinstance(v, str) else "" for v in batch[column]
            ]
            for column in self.text_columns
        }

    def sources(self, texts: Mapping[str, Sequence[str]]) -> list[str]:
        """What is compared and counted of each row: its texts as one."""
        return [self.join(row) for row in zip(*texts.values(), strict=True)]

    def targets(self, values: Sequence[Any], class_names: list[str] | None) -> list[Any]:
        """Clean targets: lists of phrases or labels, labels, or scores; ``None`` for none."""
        if self.target == "phrases":
            separator, name = self.separator or "; ", self.keyphrase_field
            return [clean_keyphrases(read_phrases(v, separator, name)) for v in values]
        if self.target == "score":
            named = values
            if class_names is not None:
                named = [label_name(value, class_names) for value in values]
            return [None if score_reason(v, "score") else score_of(v) for v in named]
        if self.target == "labels":
            separator = self.separator or SEPARATOR
            return [label_set(value, separator, class_names) for value in values]
        if self.target == "label":
            return [label_name(value, class_names) for value in values]
        return list(values)

    def rejected(self, row: Mapping[str, Any], text: str, target: Any) -> tuple[str, str]:
        """Say why a row cannot be used, as a code and in words; two empty strings for no reason.

        The row is as it was read; its first text and its target are cleaned.
        """
        detail = self.reason(row)
        if detail is None and target is None:  # a ClassLabel of -1
            detail = f"column {self.target_column} has no label"
        if detail is None:
            return "", ""
        named = [column for column in self.names if detail.startswith(f"column {column} ")]
        return f"unusable_{self.names[max(named, key=len)]}" if named else "unusable", detail


class KeyphraseSchema(RowSchema):
    """Of texts with phrases, maybe with a title: what counts is what is left after cleaning."""

    def sources(self, texts: Mapping[str, Sequence[str]]) -> list[str]:
        """The title stands before its text, though it is read after it."""
        return [joined(row[::-1]) for row in zip(*texts.values(), strict=True)]

    def rejected(self, row: Mapping[str, Any], text: str, target: Any) -> tuple[str, str]:
        """As of every schema, with codes of its own."""
        plain = all(isinstance(row[column], str | None) for column in self.text_columns)
        if text and target and plain:  # what cannot be read has no target
            return "", ""
        code, detail = super().rejected(row, text, target)
        if detail.endswith("is blank"):
            return "blank_text", "no text is left after cleaning"
        if detail.endswith(("holds no keyphrases", "holds no keyphrase")):
            return "no_keyphrases", "no keyphrase is left after cleaning"
        return code, detail


class Prepared(Protocol):
    """The part of a task that ``prepare`` needs."""

    @property
    def name(self) -> str:
        """Which sample ``"sample"`` is."""
        ...

    def row_schema(self) -> RowSchema:
        """How its rows are read, cleaned and written."""
        ...
