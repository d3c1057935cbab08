"""One pass over the rows: clean them, measure them, and say which a filter rejects."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets import Features, List, Value, concatenate_datasets

from frtune.data.cleaning import clean_text
from frtune.data.labels import class_names
from frtune.data.measures import count_tokens, measure, measured_types, processes

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

    from frtune.data.filters import Filters
    from frtune.data.row_schema import RowSchema
    from frtune.data.sources import Part


def examine(
    parts: list[Part],
    work: Path,
    *,
    schema: RowSchema,
    filters: Filters,
    tokenizer: PreTrainedTokenizerBase | None,
    num_proc: int | None,
) -> Dataset:
    """Clean and measure the rows of all parts, into Arrow files in ``work``.

    Returns:
        A row for each row read, in order: ``part`` and ``row`` (where it came from, from 0), ``id``
        (and for keyphrases ``title``) where there are any, the task's columns under the names they
        are written under, ``reason`` and ``detail`` (empty when no filter rejects it), ``source``
        (what is compared) and the columns of ``measures.measure``.
    """
    extra = [
        name
        for name in schema.carried
        if all(name in part.rows.column_names for part in parts)
        and name not in (*schema.names, *schema.names.values())
    ]
    tables = []
    for number, part in enumerate(parts):
        used = [*schema.names, *extra]
        rows = part.rows.select_columns(used)
        work_on = partial(
            _examine_batch,
            part=number,
            extra=extra,
            schema=schema,
            filters=filters,
            tokenizer=tokenizer,
            class_names=class_names(part.rows, schema.target_column),
        )
        table = rows.map(
            work_on,
            batched=True,
            with_indices=True,
            remove_columns=used,
            features=_features(
                schema,
                {name: rows.features[name] for name in extra},
                tokenizer,
                as_read=rows.features[schema.target_column],
            ),
            cache_file_name=str(work / f"part{number}.arrow"),
            load_from_cache_file=False,
            num_proc=processes(len(rows), num_proc),
            desc=f"cleaning {Path(part.name).name}",
        )
        tables.append(table)
    return concatenate_datasets(tables)


def _features(
    schema: RowSchema, extra: dict[str, Any], tokenizer: Any, *, as_read: Any
) -> Features:
    """Types of the columns; a target that is a plain value keeps the type that it was read with."""
    whole, text = Value("int64"), Value("string")
    known = {"phrases": List(text), "label": text, "score": Value("float64")}
    target = known.get(schema.target, as_read)
    counted = tokenizer and schema.target_text is not None
    if "title" in extra:
        extra["title"] = text
    return Features(
        {
            **dict.fromkeys(("part", "row"), whole),
            **extra,
            **{schema.names[column]: text for column in schema.text_columns},
            schema.target_name: target,
            **dict.fromkeys(("reason", "detail", "source"), text),
            **measured_types(phrases=schema.target == "phrases", tokens=bool(tokenizer)),
            **({"target_tokens": whole} if counted else {}),
        }
    )


def _examine_batch(
    batch: dict[str, list[Any]],
    indices: list[int],
    *,
    part: int,
    extra: list[str],
    schema: RowSchema,
    filters: Filters,
    tokenizer: PreTrainedTokenizerBase | None,
    class_names: list[str] | None,
) -> dict[str, list[Any]]:
    texts = schema.texts(batch)
    targets = schema.targets(batch[schema.target_column], class_names)
    phrases = targets if schema.target == "phrases" else None
    sources = schema.sources(texts)
    found = measure(sources, phrases, threshold=filters.near_threshold, tokenizer=tokenizer)
    if tokenizer is not None and schema.target_text is not None:
        lines = [schema.target_text(target) for target in targets]
        found["target_tokens"] = [count + 1 for count in count_tokens(lines, tokenizer)]
    carried = {name: batch[name] for name in extra}
    if "title" in extra:
        carried["title"] = [_text_of(value) for value in batch["title"]]
    reasons = _reasons(
        batch, texts, targets, found, sources=sources, schema=schema, filters=filters
    )
    return {
        "part": [part] * len(indices),
        "row": indices,
        **carried,
        **texts,
        schema.target_name: targets,
        "reason": [reason for reason, _ in reasons],
        "detail": [detail for _, detail in reasons],
        "source": sources,
        **found,
    }


def _reasons(
    batch: dict[str, list[Any]],
    texts: dict[str, list[str]],
    targets: list[Any],
    found: dict[str, Any],
    *,
    sources: list[str],
    schema: RowSchema,
    filters: Filters,
) -> list[tuple[str, str]]:
    """Why each row is rejected: it cannot be used, or it is beyond a limit."""
    firsts = next(iter(texts.values()))
    counts = {
        name: found.get(column, [None] * len(sources))
        for name, column in (
            ("phrases", "phrases"),
            ("source_tokens", "tokens"),
            ("target_tokens", "target_tokens"),
        )
    }
    reasons = []
    for i, source in enumerate(sources):
        row = {column: batch[column][i] for column in schema.names}
        reason = schema.rejected(row, firsts[i], targets[i])
        if not reason[0]:
            reason = filters.reason(source, **{name: each[i] for name, each in counts.items()})
        reasons.append(reason)
    return reasons


def _text_of(value: Any) -> str:
    return "" if value is None else clean_text(str(value))
