"""Rows mixed once from pairs of training rows, stored in Arrow beside the originals."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, Features, List, Value, concatenate_datasets, config
from datasets.arrow_writer import ArrowWriter

from frtune.errors import InputError
from frtune.files import draft_file
from frtune.models import deepspeed
from frtune.tasks.base import Task
from frtune.tasks.loss import of_tokens
from frtune.training.mixup.hooks import head_of, sentence_place
from frtune.training.mixup.mixing import aligned, blended, head_classes, one_hot, united_inputs
from frtune.training.mixup.mixup import Mixup
from frtune.version import __version__

logger = logging.getLogger(__name__)

PAIRS_AT_ONCE = 8
COLUMNS = {"embeddings": "inputs_embeds", "sentence": "sentence_vector"}


def with_mixed_rows(
    dataset: Dataset, mixup: Mixup, task: Task, model: Any, *, collator: Any, seed: int
) -> Dataset:
    """Return encoded training rows with ``mixup.rows`` mixed ones behind them.

    The mixed rows are written to a file of their own beside that of the originals, and read from
    it page by page. A file of the same rows, weights, settings and seed is used again.

    What is mixed are embeddings, or vectors of sentences, as ``model`` makes them now.

    Returns:
        The rows. Mixed ones have ``soft_labels``, the pair in ``mixed_rows``, the ``share`` of its
        first row, and ``inputs_embeds`` (length, width) or ``sentence_vector`` (width), float32.
        Their ``labels`` are the first row's, and are only counted.

    Raises:
        InputError: If there are fewer than ``2 * mixup.rows`` rows, or they cannot be stored.
    """
    _check(dataset, mixup, task)
    path = _path(dataset, mixup, task, model, seed)
    if path.exists():
        logger.info("mixup: %s is used again", path)
    else:
        _write(path, dataset, mixup, task, model, collator=aligned(collator, model), seed=seed)
    return concatenate_datasets([dataset, Dataset.from_file(str(path))])


def _check(dataset: Dataset, mixup: Mixup, task: Task) -> None:
    rows = mixup.rows or 0
    if 2 * rows > len(dataset):
        raise InputError(
            f"mixup rows={rows}: needs {2 * rows} training rows, two for each, and there are "
            f"{len(dataset)}. Take {len(dataset) // 2} or fewer."
        )
    if task.symmetric:
        raise InputError(
            f"mixup rows={rows}: not for pairs in both orders. Leave symmetric or rows out."
        )
    if deepspeed.zero3_enabled():
        raise InputError(
            f"mixup rows={rows}: not under ZeRO-3, which splits the embedding. Leave rows out to "
            "mix each batch, or use ZeRO-2."
        )


def _path(dataset: Dataset, mixup: Mixup, task: Task, model: Any, seed: int) -> Path:
    """The file beside the originals', named by all that its content depends on."""
    digest = hashlib.sha256()
    parts = [dataset._fingerprint, asdict(mixup), repr(task), type(model).__name__, seed]
    digest.update(json.dumps([*parts, __version__]).encode())
    weights = model.state_dict()
    if mixup.level == "embeddings":
        weights = {"": model.get_input_embeddings().weight}
    for name, value in weights.items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().float().numpy().tobytes())
    files = dataset.cache_files
    folder = Path(files[0]["filename"]).parent if files else Path(config.HF_DATASETS_CACHE)
    return folder / f"mixup-{digest.hexdigest()[:24]}.arrow"


def _write(
    path: Path, dataset: Dataset, mixup: Mixup, task: Task, model: Any, *, collator: Any, seed: int
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    classes = head_classes(task, model)
    features = _features(dataset, mixup, classes)
    with draft_file(path) as draft:
        with ArrowWriter(
            path=str(draft), features=features, writer_batch_size=PAIRS_AT_ONCE
        ) as writer:
            for row in mixed_rows(dataset, mixup, model, collator, classes=classes, seed=seed):
                writer.write(row)
            writer.finalize()


def _features(dataset: Dataset, mixup: Mixup, classes: int | None) -> Features:
    number = Value("float32")
    vector = List(number)
    soft: Any = number if classes is None else vector
    labels = dataset.features["labels"]
    token_labels = isinstance(labels, List) and labels.feature.dtype.startswith("int")
    return Features({
        **{name: dataset.features[name] for name in _kept(dataset)},
        "soft_labels": List(soft) if token_labels else soft,
        "mixed_rows": List(Value("int64")),
        "share": number,
        COLUMNS[mixup.level]: List(vector) if mixup.level == "embeddings" else vector,
    })  # fmt: skip


def _kept(dataset: Dataset) -> list[str]:
    names = ("input_ids", "token_type_ids", "labels", "length", "row")
    return [name for name in names if name in dataset.column_names]


def mixed_rows(
    dataset: Dataset, mixup: Mixup, model: Any, collator: Any, *, classes: int | None, seed: int
) -> Iterator[dict[str, Any]]:
    """Mix random pairs of rows, each row in one pair at most; yield them one by one.

    Dropout is off. ``collator`` pads on the side on which rows are aligned.
    """
    random = np.random.default_rng(seed)
    count = mixup.rows or 0
    chosen = random.permutation(len(dataset))[: 2 * count].reshape(count, 2)
    shares = random.beta(mixup.alpha, mixup.alpha, count).astype(np.float32).tolist()
    rows = dataset.select_columns(_kept(dataset))
    for start in range(0, count, PAIRS_AT_ONCE):
        pairs = chosen[start : start + PAIRS_AT_ONCE].tolist()
        examples = [rows[i] for pair in pairs for i in pair]
        of_sentences = mixup.level == "sentence"
        vectors = _sentence_vectors(model, collator(examples)) if of_sentences else ()
        for k, pair in enumerate(pairs):
            two, share = slice(2 * k, 2 * k + 2), shares[start + k]
            found = _mixed_row(model, collator(examples[two]), share, classes, vectors[two])
            if "row" in rows.column_names:
                found["row"] = len(dataset) + start + k
            yield {**found, "mixed_rows": pair, "share": share}


def _mixed_row(
    model: Any, batch: dict[str, Any], share: float, classes: int | None, vectors: Any
) -> dict[str, Any]:
    """Mix the two rows of a batch into one."""
    turned = torch.tensor([1, 0])
    shown = united_inputs(batch, share, turned)
    if not len(vectors):
        with torch.no_grad():
            layer = model.get_input_embeddings()
            found = layer(batch["input_ids"].to(layer.weight.device)).float().cpu()
        seen = shown["attention_mask"][0] == 1
        values = {"inputs_embeds": blended(found, share, turned)[0][seen].numpy()}
    else:
        # the encoder still reads something, and what it makes of it is replaced
        seen = torch.arange(len(shown["input_ids"][0])) == shown["attention_mask"][0].argmax()
        values = {"sentence_vector": blended(vectors, share, turned)[0].numpy()}
    labels = batch["labels"]
    soft = blended(one_hot(labels, classes), share, turned)[0]
    tokens = of_tokens(labels)
    for name in ("input_ids", "token_type_ids"):
        if name in shown:
            values[name] = shown[name][0][seen].tolist()
    return {
        **values,
        "labels": (labels[0][seen] if tokens else labels[0]).tolist(),
        "soft_labels": (soft[seen] if tokens else soft).tolist(),
        "length": int(seen.sum()),
    }


def _sentence_vectors(model: Any, batch: dict[str, Any]) -> torch.Tensor:
    """What the head reads of each row, ``(rows, width)``, float32, without dropout."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    device = next(model.parameters()).device
    inputs = {k: v.to(device) for k, v in batch.items() if k not in ("labels", "row")}
    found: list[torch.Tensor] = []
    hook = head_of(inner).register_forward_pre_hook(lambda module, args: found.append(args[0]))
    training = model.training
    try:
        with torch.no_grad():
            model.eval()(**inputs)
    finally:
        model.train(training)
        hook.remove()
    values = found[0] if found[0].dim() == 2 else found[0][:, sentence_place(inner)]
    return values.float().cpu()


@dataclass(frozen=True)
class StoredCollator:
    """Make batches of original rows, mixed rows, or both.

    Args:
        collator: The task's collator.
        classes: Labels of the head; ``None`` where it answers with a score.

    Returns:
        What ``collator`` returns of the ids; where a row is a mixed one, ``soft_labels`` of all
        rows, and in ``mixup`` the stored values, (batch, length, width) or (batch, width), and
        which rows they are of.
    """

    collator: Any
    classes: int | None

    def __call__(self, examples: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Make the batch of ``examples``."""
        batch = self.collator(examples)
        stored = [example.get("soft_labels") is not None for example in examples]
        if not any(stored):
            return batch
        soft = one_hot(batch["labels"], self.classes)
        first = examples[stored.index(True)]
        level = "embeddings" if first.get("inputs_embeds") is not None else "sentence"
        tokens, token_labels = level == "embeddings", of_tokens(batch["labels"])
        shape = batch["input_ids"].shape if tokens else (len(stored),)
        values = torch.zeros(*shape, np.shape(first[COLUMNS[level]])[-1])
        for i in np.flatnonzero(stored):
            seen = i, batch["attention_mask"][i] == 1
            mixed, kept = examples[i]["soft_labels"], examples[i][COLUMNS[level]]
            soft[seen if token_labels else i] = torch.as_tensor(mixed, dtype=torch.float32)
            values[seen if tokens else i] = torch.as_tensor(kept, dtype=torch.float32)
        batch["soft_labels"] = soft
        batch["mixup"] = {"level": level, "stored": torch.tensor(stored), "values": values}
        return batch
