"""One pass over the rows: clean them, measure them, and say which a filter rejects."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from frtune.data.audit import join_title
from frtune.data.cleaning import clean_keyphrases, clean_text, split_keyphrases
from frtune.data.filters import Filters
from frtune.data.measures import count_tokens, measure, processes

if TYPE_CHECKING:
    from datasets import Dataset, Features
    from transformers import PreTrainedTokenizerBase

    from frtune.data._sources import Part


class Columns(NamedTuple):
    """Where a row's title, text and keyphrases stand; fields as in ``KeyphraseGeneration``."""

    text_column: str = "text"
    title_column: str | None = None
    keyphrases_column: str = "keyphrases"
    separator: str = "; "

    @property
    def needed(self) -> list[str]:
        """The columns that a data set must have."""
        names = (self.text_column, self.title_column, self.keyphrases_column)
        return [name for name in names if name]


def examine(
    parts: list[Part],
    work: Path,
    *,
    columns: Columns,
    filters: Filters,
    tokenizer: PreTrainedTokenizerBase | None,
    near_threshold: float,
    num_proc: int | None,
) -> Dataset:
    """Clean and measure the rows of all parts, into Arrow files in ``work``.

    Returns:
        A row for each row read, in order: ``part`` and ``row`` (where it came from, from 0),
        ``id`` and ``title`` where there are any, ``text``, ``keyphrases``, ``reason`` and
        ``detail`` (empty when no filter rejects it), and the columns of ``measures.measure``.
    """
    from datasets import concatenate_datasets

    has_id = all("id" in part.rows.column_names for part in parts)
    has_title = all("title" in part.rows.column_names for part in parts)
    title = columns.title_column or ("title" if has_title else None)
    extra = [name for name in ("id" if has_id else None, title) if name]
    tables = []
    for number, part in enumerate(parts):
        used = list(dict.fromkeys([*columns.needed, *extra]))
        rows = part.rows.select_columns(used)
        work_on = partial(
            _examine_batch,
            part=number,
            has_id=has_id,
            title=title,
            columns=columns,
            filters=filters,
            tokenizer=tokenizer,
            near_threshold=near_threshold,
        )
        table = rows.map(
            work_on,
            batched=True,
            with_indices=True,
            remove_columns=used,
            features=_features(rows.features["id"] if has_id else None, title, tokenizer),
            cache_file_name=str(work / f"part{number}.arrow"),
            load_from_cache_file=False,
            num_proc=processes(len(rows), num_proc),
            desc=f"cleaning {Path(part.name).name}",
        )
        tables.append(table)
    return concatenate_datasets(tables)


def _features(id_feature: Any, title: str | None, tokenizer: Any) -> Features:
    from datasets import Features, List, Value

    whole, text = Value("int64"), Value("string")
    return Features(
        {
            "part": whole,
            "row": whole,
            **({"id": id_feature} if id_feature is not None else {}),
            **({"title": text} if title else {}),
            "text": text,
            "keyphrases": List(text),
            "reason": text,
            "detail": text,
            "source": text,
            "key": whole,
            "bands": List(Value("uint64")),
            "sketch": List(Value("uint8")),
            **dict.fromkeys(("characters", "words", "phrases", "present"), whole),
            **(dict.fromkeys(("tokens", "target_tokens"), whole) if tokenizer else {}),
        }
    )


def _examine_batch(
    batch: dict[str, list[Any]],
    indices: list[int],
    *,
    part: int,
    has_id: bool,
    title: str | None,
    columns: Columns,
    filters: Filters,
    tokenizer: PreTrainedTokenizerBase | None,
    near_threshold: float,
) -> dict[str, list[Any]]:
    texts = [_text_of(value) for value in batch[columns.text_column]]
    titles = [_text_of(value) for value in batch[title]] if title else [""] * len(texts)
    labels = batch[columns.keyphrases_column]
    phrases = [clean_keyphrases(split_keyphrases(each, columns.separator)) for each in labels]
    sources = (
        [join_title(*pair) for pair in zip(titles, texts, strict=True)]
        if columns.title_column
        else texts
    )
    found = measure(sources, phrases, threshold=near_threshold, tokenizer=tokenizer)
    if tokenizer is not None:
        lines = [columns.separator.join(row) for row in phrases]
        found["target_tokens"] = [count + 1 for count in count_tokens(lines, tokenizer)]
    nothing = [None] * len(texts)
    reasons = [
        filters.reason(text, row, source_tokens=source, target_tokens=target)
        for text, row, source, target in zip(
            texts,
            phrases,
            found.get("tokens", nothing),
            found.get("target_tokens", nothing),
            strict=True,
        )
    ]
    return {
        "part": [part] * len(texts),
        "row": indices,
        **({"id": batch["id"]} if has_id else {}),
        **({"title": titles} if title else {}),
        "text": texts,
        "keyphrases": phrases,
        "reason": [reason for reason, _ in reasons],
        "detail": [detail for _, detail in reasons],
        "source": sources,
        **found,
    }


def _text_of(value: Any) -> str:
    return "" if value is None else clean_text(str(value))
