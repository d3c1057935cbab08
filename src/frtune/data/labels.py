"""Class labels as they come in data: text, numbers, names of a ``ClassLabel``."""

from __future__ import annotations

import datetime
import decimal
import logging
import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import NoneType
from typing import TYPE_CHECKING, Any

from frtune.data.cleaning import clean_text
from frtune.data.row_checks import rows_of
from frtune.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger(__name__)

# labels whose order needs no saying: not similar, similar
KNOWN_PAIRS = (["0", "1"], ["false", "true"], ["no", "yes"], ["non", "oui"])
PLACEHOLDER = "NS"  # stands in PAWS-X for a sentence that was not translated
_WHOLE = re.compile(r"-?[0-9]{1,18}", re.ASCII)  # of a longer one, or --5, the order is the text's
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?", re.ASCII)
MANY_ROWS = 20  # from here on, as many labels as rows are no classes


def label_text(value: Any) -> str | None:
    """Return a label as text; ``None`` where there is none (blank, NaN, null).

    Example:
        >>> [label_text(value) for value in (" loyer ", 3, 2.0, True, float("nan"), "", None)]
        ['loyer', '3', '2', 'true', None, None, None]
    """
    if value is None or value != value:  # NaN is not equal to itself
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = clean_text(value) if isinstance(value, str) else str(value)
    return None if text == "" or text.lower() == "nan" else text


def label_reason(value: Any, column: str) -> str | None:
    """Say why a value is no class label; ``None`` when it is one.

    Example:
        >>> label_reason(0.5, "label")
        'column label holds 0.5, a score and no class'
    """
    if isinstance(value, float) and not (math.isnan(value) or value.is_integer()):
        return f"column {column} holds {value}, a score and no class"
    plain = isinstance(value, str | int | float | decimal.Decimal | NoneType)
    if not plain and type(value) is not datetime.date:
        return f"column {column} holds {str(value)[:40]}, not one label ({type(value).__name__})"
    return f"column {column} has no label" if label_text(value) is None else None


def score_reason(value: Any, column: str) -> str | None:
    """Say why a value is no score; ``None`` when it is one.

    Example:
        >>> score_reason("3,8", "score"), score_reason("3.80", "score")
        ("column score holds '3,8', which is no number; --decimal-comma reads it", None)
    """
    if value is None or value != value or (isinstance(value, str) and not value.strip()):
        return f"column {column} has no score"
    if score_of(value) is not None:
        return None
    hint = ""
    if isinstance(value, str) and score_of(value.replace(",", ".", 1)) is not None:
        hint = "; --decimal-comma reads it"
    return f"column {column} holds {str(value)[:40]!r}, which is no number{hint}"


def score_of(value: Any) -> float | None:
    """Return a score as a number, of a number or of the text of one; ``None`` of anything else.

    Example:
        >>> [score_of(value) for value in (3, "3.80", " -1e-2", "3,8", True, "inf", "1_0")]
        [3.0, 3.8, -0.01, None, None, None, None]
    """
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value.strip()):
            return None
    elif isinstance(value, bool) or not isinstance(value, int | float | decimal.Decimal):
        return None
    found = float(value)
    return found if math.isfinite(found) else None


def text_reason(value: Any, column: str) -> str | None:
    """Say why a value is no text to learn from; ``None`` when it is one."""
    if value is not None and not isinstance(value, str):
        return f"column {column} holds {str(value)[:40]!r}, which is no text"
    return None if clean_text(value) else f"column {column} is blank"


def sentence_reason(value: Any, column: str) -> str | None:
    """Say why a value is no sentence of a pair; ``None`` when it is one."""
    if isinstance(value, str) and value.strip() == PLACEHOLDER:
        return f"column {column} holds the placeholder {PLACEHOLDER!r}"
    return text_reason(value, column)


def ordered(labels: Iterable[str]) -> list[str]:
    """Put labels in order: numbers by value when all are numbers, else by the alphabet.

    Example:
        >>> ordered(["10", "9", "1"]), ordered(["loyer", "10", "9"])
        (['1', '9', '10'], ['10', '9', 'loyer'])
    """
    labels = set(labels)
    if all(_WHOLE.fullmatch(label) for label in labels):
        return sorted(labels, key=lambda label: (int(label), label))
    return sorted(labels)


def class_names(dataset: Dataset, column: str) -> list[str] | None:
    """Names of a ``ClassLabel`` column, which are its labels; ``None`` for any other column."""
    names = getattr(dataset.features.get(column), "names", None)
    return None if names is None else list(names)


def with_names(batch: Mapping[str, Sequence[Any]], features: Mapping[str, Any]) -> dict[str, Any]:
    """A batch of rows in which the ids of ``ClassLabel`` columns, or in lists, are their names."""
    names = {
        column: getattr(getattr(feature, "feature", feature), "names", None)
        for column, feature in features.items()
    }

    def named(value: Any, of: list[str]) -> Any:
        if isinstance(value, list):
            return [label_name(item, of) for item in value]
        return label_name(value, of)

    return {
        column: [named(value, names[column]) for value in values] if names.get(column) else values
        for column, values in batch.items()
    }


def label_values(dataset: Dataset, column: str) -> list[Any]:
    """The labels of a column; of a ``ClassLabel`` its names."""
    names = class_names(dataset, column)
    values = list(dataset[column])
    return values if names is None else [label_name(value, names) for value in values]


def label_name(value: Any, names: list[str] | None) -> str | None:
    """Return a label as text: its name where the column is a ``ClassLabel``; ``None`` for none.

    Example:
        >>> label_name(1, ["neg", "pos"]), label_name(-1, ["neg", "pos"]), label_name(1, None)
        ('pos', None, '1')
    """
    if names is None or not isinstance(value, int):
        return label_text(value)
    return names[value] if 0 <= value < len(names) else None


def check_limit(max_source_tokens: Any) -> None:
    """Refuse a limit that is no number of tokens."""
    value = max_source_tokens
    if isinstance(value, bool) or not isinstance(value, int) or value < 8:
        raise InputError(f"max_source_tokens={value!r}: a whole number of at least 8.")


def check_names(labels: Any) -> list[str] | None:
    """Return named labels as a list of text; refuse fewer than two, and one that is there twice.

    Example:
        >>> check_names((0, 1)), check_names(None)
        (['0', '1'], None)
    """
    if labels is None:
        return None
    names = [label_text(label) for label in labels] if not isinstance(labels, str) else []
    if len(names) < 2 or None in names or len(set(names)) < len(names):
        raise InputError(
            f"labels={labels!r}: at least two, each once. Leave labels out to have them found."
        )
    return [str(name) for name in names]


def known(labels: list[str] | None) -> list[str]:
    """The labels, which a task knows after ``fit``; an ``InputError`` before."""
    if labels is None:
        raise InputError(
            "labels=None: not known yet. Use the task that task.fit(train) returns, or pass "
            'labels=["0", "1"], for example.'
        )
    return labels


def known_label(value: Any, labels: Sequence[str]) -> str | None:
    """Return the label that a value stands for; ``None`` when it is none of them.

    The same text is the same label. Besides, a number (not its text) is the one label of its
    value, and true and false are what they are in any case.

    Example:
        >>> known_label(" poste", ["loyer", "poste"]), known_label(True, ["False", "True"])
        ('poste', 'True')
        >>> known_label(2.0, ["1", "2"]), known_label(401.1, ["401.10", "606.00"])
        ('2', '401.10')
        >>> known_label("401.1", ["401.10", "606.00"]), known_label(0, ["1", "2"])
        (None, None)
    """
    text = label_text(value)
    if text is None or text in labels:
        return text
    if isinstance(value, bool) or text.lower() in ("true", "false"):
        same = [label for label in labels if label.lower() == text.lower()]
    elif isinstance(value, int | float):
        same = [label for label in labels if score_of(label) == value]
    else:
        return None
    return same[0] if len(same) == 1 else None


def label_id(value: Any, labels: list[str]) -> int:
    """Return the id of a label.

    Example:
        >>> label_id(" poste", ["loyer", "poste"]), label_id(1, ["1", "2"])
        (1, 0)
    """
    found = known_label(value, labels)
    if found is None:
        raise InputError(
            f"label={value!r}: one of {', '.join(labels)}. Correct the row, or train again."
        )
    return labels.index(found)


def warn_unknown(references: Iterable[str], labels: Sequence[str] | None) -> None:
    """Warn loudly when a model is scored on labels of which it knows under half."""
    found = set(references)
    known_ones = found & set(labels or ())
    if labels and 2 * len(known_ones) < len(found):
        others = ", ".join(sorted(found - known_ones)[:5])
        logger.warning(
            "SCORES MEAN LITTLE: the model knows %d of %d labels of these rows; not %s. It has %s.",
            len(known_ones), len(found), others, ", ".join(list(labels)[:10]),
        )  # fmt: skip


def check_ids(dataset: Dataset, column: str, labels: list[str] | None, where: str) -> None:
    """Refuse (``InputError``) labels that no training row had, and rows without a label.

    The message names the first such row and label, and how many rows there are. ``labels`` is
    ``None`` when the classes are not known yet.
    """
    names = class_names(dataset, column)
    unseen: Counter[str] = Counter()
    first = 0
    for number, row in enumerate(rows_of(dataset, [column]), start=1):
        value = row[column]
        text = label_name(value, names)
        if text is None:
            raise InputError(
                f"{where}, row {number}: column {column} has no label ({value}). "
                "frtune prepare sets such rows aside."
            )
        if labels is not None and known_label(value if names is None else text, labels) is None:
            unseen[text] += 1
            first = first or number
    if unseen:
        shown = ", ".join(f"{label!r} ({count} rows)" for label, count in unseen.most_common(3))
        raise InputError(
            f"{where}, row {first}: column {column} has labels that training has not: {shown}. "
            f"Training has {', '.join((labels or [])[:10])}. Correct them, or add training rows."
        )


def train_split(data: Dataset | Mapping[str, Dataset]) -> Dataset:
    """The training rows of ``data``, which are splits or these rows themselves."""
    return data["train"] if isinstance(data, Mapping) else data


def count_classes(
    dataset: Dataset, column: str, where: str, labels: list[str] | None
) -> dict[str, int]:
    """Count the training rows of each class, in the order of ``labels``, or of those found.

    Raises:
        InputError: If there is one class only, a label that is not in ``labels``, or a label of
            its own for every row.
    """
    names = class_names(dataset, column)
    found = Counter(str(label_name(row[column], names)) for row in rows_of(dataset, [column]))
    labels = labels or names or ordered(found)
    for label in [label for label in found if label not in labels]:
        if (same := known_label(label, labels)) is not None:
            found[same] += found.pop(label)
    check_found(found, labels, found, f"{where}, column {column}")
    if len(found) == len(dataset) >= MANY_ROWS:
        raise InputError(
            f"{where}, column {column}: every one of {len(dataset)} rows has a label of its own. "
            "Name the column with the classes."
        )
    return {label: found[label] for label in labels}


def check_found(
    found: Collection[str], labels: Sequence[str], learnt: Collection[str], where: str
) -> None:
    """Refuse labels of training rows that are not named, and fewer than two to learn.

    Args:
        found: The labels that rows have, each once.
        labels: All labels that they may have.
        learnt: Those that are learnt.
        where: Names the rows and their column.

    Raises:
        InputError: For either.
    """
    extra = [label for label in found if label not in labels]
    if extra:
        raise InputError(
            f"{where}: {extra[0]!r} is not in labels={labels}. "
            "Name every label, or leave labels out to have them found."
        )
    if len(learnt) < 2:
        raise InputError(
            f"{where}: {next(iter(found), None)!r} is the only label. "
            "Training needs rows of at least two."
        )


def check_pair_labels(found: list[str], where: str, *, named: list[str] | None) -> None:
    """Refuse labels of pairs that are not two, or do not say which means similar."""
    if len(found) > 2:
        raise InputError(
            f"{where}: {len(found)} labels ({', '.join(found[:5])}). Two are learnt; scores are "
            "with --head regression."
        )
    if named is None and [label.lower() for label in found] not in KNOWN_PAIRS:
        raise InputError(
            f"{where}: which of {found[0]!r} and {found[1]!r} means similar? "
            f"Name it last: --labels {found[0]} {found[1]}, for example."
        )
