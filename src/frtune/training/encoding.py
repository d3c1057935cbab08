"""Rows to tokens: checked, cached by content, counted where they were cut."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Dataset, DatasetDict
from datasets.fingerprint import Hasher
from transformers import PreTrainedTokenizerBase

from frtune.data.labels import with_names
from frtune.errors import InputError
from frtune.files import draft_folder
from frtune.models.config_sizes import max_positions
from frtune.models.tokenizer_verification import prove_texts
from frtune.moved import moved_names
from frtune.tasks.base import Task
from frtune.training.encoded_rows import encode_batch
from frtune.version import __version__

__getattr__ = moved_names(__name__)

logger = logging.getLogger(__name__)

ROWS_WORTH_A_PROCESS = 3_000
_NARROW = {"input_ids": "int32", "token_type_ids": "int8", "attention_mask": "int8"}
_MARK = "tokens of frtune "  # in the description of an encoded data set, before their key


def encode_dataset(
    dataset: Dataset,
    task: Task,
    tokenizer: PreTrainedTokenizerBase,
    *,
    kind: str,
    with_labels: bool = True,
    num_proc: int | None = None,
) -> Dataset:
    """Encode every row with ``task.encode``; rows that are encoded for it are left as they are.

    The result is an Arrow file keyed by the content of data, task and tokenizer, so that a second
    run starts at once. The columns that the scores need stay beside the tokens, and ``row`` numbers
    the rows from 0. A task may make several encoded rows of one; its ``encode`` then says whose
    they are in ``row_in_batch``, and the first of them keeps the raw columns (the rest: ``None``).

    Args:
        dataset: Raw rows.
        task: The task; its ``columns`` and ``label_columns`` must be there.
        tokenizer: As the builder returned it.
        kind: The model's kind.
        with_labels: Encode targets too.
        num_proc: Processes; by default one a core for large data sets.
    """
    if is_encoded(dataset, task, tokenizer, kind=kind):
        return dataset
    needed = [*task.columns, *(task.label_columns if with_labels else ())]
    if "TOKENIZERS_PARALLELISM" not in os.environ:
        # a map over processes leaves it "false" where os.environ does not show it
        os.unsetenv("TOKENIZERS_PARALLELISM")
    if num_proc is None:
        num_proc = min(os.cpu_count() or 1, len(dataset) // ROWS_WORTH_A_PROCESS) or None
    raw = dataset.select_columns(needed).with_format("arrow")
    encoded = raw.map(
        _encode_batch,
        batched=True,
        with_indices=True,
        num_proc=num_proc if (num_proc or 1) > 1 else None,
        fn_kwargs={
            "task": task,
            "tokenizer": tokenizer,
            "kind": kind,
            "with_labels": with_labels,
            "features": raw.features,
        },
        new_fingerprint=_fingerprint(dataset, task, tokenizer, kind, with_labels),
        desc="Tokenising",
    )
    encoded.reset_format()
    encoded.info.description = _MARK + _key(task, tokenizer, kind)
    return encoded


def encode_rows(
    rows: Sequence[Mapping[str, Any]] | Dataset, *given: Any, **options: Any
) -> Dataset:
    """``encode_dataset`` of a data set, or of a list of rows."""
    if not isinstance(rows, Dataset):
        rows = Dataset.from_list([dict(row) for row in rows])
    return encode_dataset(rows, *given, **options)


def encode_split(
    dataset: Dataset,
    task: Task,
    tokenizer: PreTrainedTokenizerBase,
    *,
    kind: str,
    split: str,
    checked: bool = False,
) -> Dataset:
    """Check and encode the rows of a split, and warn of those that are cut.

    Training rows also prove the tokenizer: it must know their letters.

    ``split`` is ``"training"`` or ``"validation"``, as messages call it. Rows that ``task.check``
    has seen are ``checked``, and not checked anew.

    Raises:
        InputError: If a row cannot be used, or the tokenizer does not know the training texts.
    """
    if is_encoded(dataset, task, tokenizer, kind=kind):
        return dataset
    if not checked:
        task.check(dataset, split)
    if split == "training":
        prove_texts(tokenizer, task.corpus(dataset))
    encoded = encode_dataset(dataset, task, tokenizer, kind=kind)
    for note in task.encoding_notes(encoded):
        logger.warning("%s: %s", split, note)
    cut = truncation_report(encoded)
    for column, limit in task.limits.items():
        if cut.get(column):
            found = (cut[column], cut["rows"], limit)
            logger.warning("%s: %d of %d rows are longer than %s and were cut", split, *found)
    return encoded


def is_encoded(
    dataset: Dataset, task: Task, tokenizer: PreTrainedTokenizerBase, *, kind: str
) -> bool:
    """Whether a data set holds the tokens of this task and tokenizer.

    Rows that were encoded for others are to be encoded anew, from the raw columns beside the
    tokens. Tokens that frtune did not make are taken for right.

    Raises:
        InputError: If they were encoded for others, and in windows that hold no raw rows.
    """
    if "input_ids" not in dataset.column_names:
        return False
    mark = dataset.info.description or ""
    if _MARK not in mark or _MARK + _key(task, tokenizer, kind) in mark:
        return True
    if len(set(dataset["row"][:])) < len(dataset):
        raise InputError(
            "data: holds windows of texts that were tokenised for another task or tokenizer. "
            "Give the rows as they were before."
        )
    logger.warning("the data was tokenised for another task or tokenizer, and is tokenised again")
    return False


def tokenised_elsewhere(dataset: Dataset) -> bool:
    """Whether a data set holds tokens that frtune did not make."""
    return "input_ids" in dataset.column_names and _MARK not in (dataset.info.description or "")


def encode_once(
    splits: DatasetDict,
    directory: str | Path,
    task: Task,
    tokenizer: PreTrainedTokenizerBase,
    *,
    kind: str,
) -> DatasetDict:
    """Encode splits and keep them in ``directory``, or open what an earlier run kept there.

    It is opened when rows, task, tokenizer and kind are the same, and replaced when they are not.
    The folder is one of ``save_to_disk``, with the raw columns beside the tokens, so that
    ``load_splits`` and every ``--data`` open it too. Of several processes, one must come first.

    Args:
        splits: Raw rows.
        directory: Where they are kept.
        task: As for ``encode_dataset``, after ``fit``.
        tokenizer: As the builder returned it.
        kind: The model's kind.
    """
    directory = Path(directory)
    wanted = {
        name: _fingerprint(rows, task, tokenizer, kind, True) for name, rows in splits.items()
    }
    note = directory / "tokens.json"
    if note.is_file() and json.loads(note.read_text(encoding="utf-8")) == wanted:
        return DatasetDict.load_from_disk(str(directory))
    encoded = DatasetDict(
        {name: encode_dataset(rows, task, tokenizer, kind=kind) for name, rows in splits.items()}
    )
    with draft_folder(directory.absolute().parent) as place:
        encoded.save_to_disk(str(draft := place / directory.name))
        (draft / note.name).write_text(json.dumps(wanted), encoding="utf-8")
        shutil.rmtree(directory, ignore_errors=True)
        draft.rename(directory)
    return DatasetDict.load_from_disk(str(directory))


def _encode_batch(table, indices, *, task, tokenizer, kind, with_labels, features):
    batch = with_names(features.decode_batch(table.to_pydict()), features)
    encoded, owners, firsts = encode_batch(
        batch, task, tokenizer, kind=kind, with_labels=with_labels
    )
    if len(owners) != len(indices) or not all(firsts):
        raw = [owner if first else None for owner, first in zip(owners, firsts, strict=True)]
        table = table.take(pa.array(raw, pa.int64()))
    columns = {name: _as_arrow(name, values) for name, values in encoded.items()}
    raw_columns = dict(zip(table.column_names, table.columns, strict=True))
    return pa.table({**raw_columns, **columns, "row": [indices[owner] for owner in owners]})


def _as_arrow(name: str, values: list[Any]) -> Any:
    """A column as ``datasets`` would write it, without its search for mixed types."""

    def narrowed(found: Any) -> Any:
        if pa.types.is_list(found):
            return pa.list_(narrowed(found.value_type))
        return getattr(pa, _NARROW[name])() if pa.types.is_int64(found) else found

    array = pa.array(values)
    return array.cast(narrowed(array.type)) if name in _NARROW else array


def _fingerprint(dataset: Any, task: Task, tokenizer: Any, kind: str, with_labels: bool) -> str:
    return Hasher.hash([dataset._fingerprint, _key(task, tokenizer, kind), with_labels])


def _key(task: Task, tokenizer: Any, kind: Any) -> str:
    """Equal for what encodes rows alike: task, tokenizer, kind of model, version of frtune."""
    task = task.settled(tokenizer, kind)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    vocabulary = backend.to_str() if backend is not None else json.dumps(tokenizer.get_vocab())
    fields = json.dumps(dataclasses.asdict(task), sort_keys=True)
    special = json.dumps(tokenizer.special_tokens_map, sort_keys=True, default=str)
    name = type(tokenizer).__name__
    template = getattr(tokenizer, "chat_template", None)
    return Hasher.hash([task.name, fields, vocabulary, special, template, name, kind, __version__])


def truncation_report(dataset: Dataset) -> dict[str, int]:
    """Count ``rows`` of an encoded data set, and those with ``source_cut`` or ``target_cut``."""
    names = [name for name in ("source_cut", "target_cut") if name in dataset.column_names]
    # None of a row that was mixed
    return {"rows": len(dataset), **{name: sum(map(bool, dataset[name][:])) for name in names}}


def check_length(task: Task, model: Any) -> None:
    """Refuse a task whose longest row does not fit the model's positions."""
    positions = max_positions(model.config)
    if positions is None:
        return
    checked = [("source", task.max_source_tokens, positions)]
    if task.generates and getattr(model.config, "is_encoder_decoder", False):
        checked = [("target", task.max_target_tokens, positions), *checked]
    elif task.generates:  # a decoder reads the target behind the source
        room = positions - task.max_target_tokens
        checked = [("source", task.max_source_tokens, room)]
    for name, tokens, room in checked:
        if tokens > room:
            raise InputError(
                f"max_{name}_tokens={tokens}: this {model.config.model_type} has {positions} "
                f"positions. Pass --max-{name}-tokens {room} or less."
            )


def check_dataset(name: str, dataset: Any) -> None:
    """Refuse (``InputError``) what is no ``Dataset`` of rows; ``name`` is the argument's."""
    if dataset is None:
        return
    if isinstance(dataset, DatasetDict):
        raise InputError(
            f"{name}: a DatasetDict with splits {', '.join(map(str, dataset))}. Pick one: "
            f'{name}=data["{next(iter(dataset), "train")}"].'
        )
    if not isinstance(dataset, Dataset):
        raise InputError(
            f"{name}: a {type(dataset).__name__}. Pass a datasets.Dataset; "
            "datasets.Dataset.from_list(rows) makes one."
        )
    if len(dataset) == 0:
        raise InputError(f"{name}: has no rows.")
