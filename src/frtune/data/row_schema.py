"""How the rows of a task are read, cleaned and written when a data set is prepared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from frtune.data.audit import join_title
from frtune.data.checks import columns_check, separator_check
from frtune.data.cleaning import clean_keyphrases, clean_text, split_keyphrases
from frtune.data.labels import label_name, score_reason
from frtune.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

    from frtune.data.filters import Filters

Target = Literal["phrases", "label", "score"]


@dataclass(frozen=True)
class Shape:
    """What preparing needs to know of a task.

    Attributes:
        task: The task that the rows are for; it names their columns.

    Example:
        >>> from frtune import SequenceClassification
        >>> shape = Shape(SequenceClassification(text_column="libelle"))
        >>> shape.names, shape.target
        ({'libelle': 'text', 'label': 'label'}, 'label')
    """

    task: Any

    @cached_property
    def names(self) -> dict[str, str]:
        """Columns that are read, texts first, and the names that they are written under.

        These are the names that the task expects without being told.
        """
        default = type(self.task)()
        known = {
            getattr(self.task, item.name): getattr(default, item.name)
            or item.name.removesuffix("_column")
            for item in fields(self.task)
            if item.name.endswith("_column")
        }
        return {column: known[column] for column in (*self.task.columns, self.target_column)}

    @property
    def target_column(self) -> str:
        """The column with what is to be learnt."""
        return self.task.label_columns[0]

    @property
    def target(self) -> Target:
        """What is to be learnt: phrases, one of a few labels, or a score."""
        if hasattr(self.task, "separator"):
            return "phrases"
        return "score" if getattr(self.task, "scored", False) else "label"

    @property
    def target_name(self) -> str:
        """The name that the target is written under."""
        return self.names[self.target_column]

    @property
    def settings(self) -> dict[str, Any]:
        """Task, columns and what else says how a row is read."""
        wanted = [item.name for item in fields(self.task) if item.name.endswith("_column")]
        wanted += [name for name in ("separator", "head") if hasattr(self.task, name)]
        return {"task": self.task.name, **{name: getattr(self.task, name) for name in wanted}}

    def check(self, dataset: Dataset, where: str) -> None:
        """Refuse rows that lack a column, and phrases with another separator."""
        columns_check(dataset, self.names, where)
        if self.target == "phrases":
            separator_check(dataset, self.target_column, self.task.separator, where)

    def check_filters(self, filters: Filters) -> None:
        """Refuse a limit on something that the rows of this task do not have."""
        for name in ("min_keyphrases", "max_keyphrases", "max_target_tokens"):
            value, of_texts = getattr(filters, name), name == "max_target_tokens"
            fits = self.task.name == "keyphrases" if of_texts else self.target == "phrases"
            if value is not None and not fits:
                tasks = "keyphrases" if of_texts else "keyphrases and keywords"
                raise InputError(
                    f"{name}={value}: for {tasks}, not for {self.task.name}. Leave it out."
                )

    def texts(self, batch: Mapping[str, Sequence[Any]]) -> dict[str, list[str]]:
        """The cleaned texts of a batch of rows, by the name they are written under."""
        return {
            self.names[column]: ["" if v is None else clean_text(str(v)) for v in batch[column]]
            for column in self.task.columns
        }

    def sources(self, texts: Mapping[str, Sequence[str]]) -> list[str]:
        """What is compared and counted of each row: its texts as one, a pair in either order."""
        first, *others = texts.values()
        if not others:
            return list(first)
        if self.task.name == "similarity":
            return ["\n".join(sorted(pair)) for pair in zip(*texts.values(), strict=True)]
        pairs = zip(texts["title"], texts["text"], strict=True)
        return [join_title(title, text) for title, text in pairs]

    def targets(self, values: Sequence[Any], class_names: list[str] | None) -> list[Any]:
        """Clean targets: lists of phrases, labels as text, or scores; ``None`` for none."""
        if self.target == "phrases":
            separator = self.task.separator
            return [clean_keyphrases(split_keyphrases(value, separator)) for value in values]
        if self.target == "score":
            return [None if score_reason(v, "score") else float(v) for v in values]
        return [label_name(value, class_names) for value in values]

    def reason(self, row: Mapping[str, Any], text: str, target: Any) -> tuple[str, str]:
        """Say why a row cannot be used, as a code and in words; two empty strings for no reason.

        Args:
            row: As it was read.
            text: Its first text, cleaned.
            target: Its target, cleaned.
        """
        if self.task.name == "keyphrases":
            if not text:
                return "blank_text", "no text is left after cleaning"
            return ("", "") if target else ("no_keyphrases", "no keyphrase is left after cleaning")
        detail = self.task.reason(row)
        if detail is None and target is None:  # a ClassLabel of -1
            detail = f"column {self.target_column} has no label"
        if detail is None:
            return "", ""
        named = [column for column in self.names if detail.startswith(f"column {column} ")]
        return f"unusable_{self.names[max(named, key=len)]}", detail
