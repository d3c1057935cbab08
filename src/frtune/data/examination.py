"""One pass over the rows: clean them, measure them, and say which a filter rejects."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from datasets import Dataset, Features, List, Value, concatenate_datasets
from transformers import PreTrainedTokenizerBase

from frtune.data.cleaning import clean_text
from frtune.data.filters import Filters
from frtune.data.label_sets import item_names
from frtune.data.measures import count_tokens, measure, measured_types, processes
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
    tables, used = [], [*schema.names, *extra]
    for number, part in enumerate(parts):
        rows = part.rows.select_columns(used)
        types = _features(schema, {name: rows.features[name] for name in used}, extra, tokenizer)
        work_on = partial(
            _examine_batch,
            part=number,
            extra=extra,
            schema=schema,
            filters=filters,
            tokenizer=tokenizer,
            class_names=item_names(part.rows, schema.target_column),
        )
        table = rows.map(
            work_on,
            batched=True,
            with_indices=True,
            remove_columns=used,
            features=types,
            cache_file_name=str(work / f"part{number}.arrow"),
            load_from_cache_file=False,
            num_proc=processes(len(rows), num_proc),
            desc=f"cleaning {Path(part.name).name}",
        )
        tables.append(table)
    return concatenate_datasets(tables)


def _features(
    schema: RowSchema, read: dict[str, Any], extra: list[str], tokenizer: Any
) -> Features:
    """Types of the columns; a target that is a plain value keeps the type that it was read with."""
    whole, text = Value("int64"), Value("string")
    known = {"phrases": List(text), "labels": List(text), "label": text, "score": Value("float64")}
    counted = tokenizer and schema.target_text is not None
    return Features(
        {
            **dict.fromkeys(("part", "row"), whole),
            **{name: text if name == "title" else read[name] for name in extra},
            **{schema.names[column]: text for column in schema.text_columns},
            schema.target_name: known.get(schema.target, read[schema.target_column]),
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
        carried["title"] = ["" if v is None else clean_text(str(v)) for v in batch["title"]]
    firsts = next(iter(texts.values()))
    columns = {"phrases": "phrases", "source_tokens": "tokens", "target_tokens": "target_tokens"}
    none = [None] * len(sources)
    counts = {name: found.get(column, none) for name, column in columns.items()}
    reasons = []
    for i, source in enumerate(sources):
        row = {column: batch[column][i] for column in schema.names}
        reason = schema.rejected(row, firsts[i], targets[i])
        if not reason[0]:
            reason = filters.reason(source, **{name: each[i] for name, each in counts.items()})
        reasons.append(reason)
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
