"""Generation for many rows: ordered by length, shared out over processes, put back in order.

Only token ids are kept, and on request their log probabilities; no logits are held.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from frtune.environment.progress import brief_bar
from frtune.models.families import kind_of
from frtune.tasks.base import ModelKind, Task
from frtune.tasks.collators import prompt_batch
from frtune.tasks.generated import Generated
from frtune.training.autocast import cast_once
from frtune.training.decoding import Drawing, write_batch
from frtune.training.distributed import gathered
from frtune.training.draws import Votes, undrawn, warpers_of
from frtune.training.row_order import by_length

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class Prompts:
    """The part of each encoded row that a model reads before it writes; read row by row."""

    rows: Dataset
    kind: ModelKind

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> list[int]:
        row = self.rows[i]
        return row["input_ids"][: row["prompt_length"] if self.kind == "decoder" else None]


def prompts_of(dataset: Dataset, kind: ModelKind) -> Prompts:
    """The prompts of an encoded data set; none is held in memory."""
    needed = ["input_ids", *(["prompt_length"] if kind == "decoder" else [])]
    return Prompts(dataset.select_columns(needed), kind)


def _batches(lengths: Sequence[int], batch_size: int, new: int) -> list[list[int]]:
    """Rows of like length, longest first.

    A batch of the longest rows has ``batch_size``; of shorter ones, as many as take no more memory:
    tokens read and ``new`` ones written, padding included.
    """
    order = by_length(lengths)
    budget = batch_size * (lengths[order[0]] + new)
    batches, start = [], 0
    while start < len(order):
        count = budget // (lengths[order[start]] + new)
        batches.append(order[start : start + count])
        start += count
    return batches


def _share(
    batches: list[list[int]], rank: int, world_size: int
) -> Iterator[tuple[list[int], bool]]:
    """Every ``world_size``-th batch, and whether it counts.

    All ranks get equally many batches (ZeRO-3 generates in step); a rank without work left repeats
    the shortest batch, which does not count.
    """
    for start in range(0, len(batches), world_size):
        mine = start + rank
        yield (batches[mine], True) if mine < len(batches) else (batches[-1], False)


def generation_settings(
    tokenizer: PreTrainedTokenizerBase, *, end_id: int, max_new_tokens: int, **options: Any
) -> dict[str, Any]:
    """What ``model.generate`` is told: greedy decoding, unless the options say otherwise.

    Args:
        tokenizer: Gives the pad token, and its own end token, which ends a row, too.
        end_id: Token that ends a row's output.
        max_new_tokens: Limit of the output, end token included.
        options: Further settings of ``generate``, such as ``num_beams``, or ``synced_gpus``: all
            ranks go on until all are done (needed under ZeRO-3).
    """
    ends = [end_id]
    if tokenizer.eos_token_id not in (None, end_id):
        ends.append(tokenizer.eos_token_id)
    return {
        "max_new_tokens": max_new_tokens,
        "eos_token_id": ends,
        "pad_token_id": tokenizer.pad_token_id,
        "do_sample": False,
        "use_cache": True,  # a config saved while training with checkpointing says False
        # BART's checkpoints force EOS at the limit, so that every row would seem to end by itself
        "forced_eos_token_id": None,
        **options,
    }


def generate_rows(
    model: Any,
    rows: Dataset,
    task: Task,
    tokenizer: Any,
    *,
    options: Mapping[str, Any],
    **running: Any,
) -> list[Generated]:
    """``generate`` for encoded rows of ``task``; ``options`` are for ``generation_settings``."""
    kind = kind_of(model)
    end_id = task.end_id(tokenizer, kind)
    settings = generation_settings(
        tokenizer, end_id=end_id, max_new_tokens=task.max_target_tokens, **options
    )
    return generate(model, prompts_of(rows, kind), settings, **running)


def generate(
    model: PreTrainedModel,
    prompts: Prompts | Sequence[Sequence[int]],
    settings: dict[str, Any],
    *,
    batch_size: int = 8,
    autocast: Callable[[], contextlib.AbstractContextManager] = contextlib.nullcontext,
    shared: bool = True,
    progress: str | None = None,
    scored: bool = False,
    votes: Votes | None = None,
) -> list[Generated]:
    """Let ``model`` write after each prompt; every process gets all results.

    Args:
        model: A model with ``generate``; it is put in eval mode and back.
        prompts: Token ids of each row.
        settings: From ``generation_settings``.
        batch_size: Rows a batch, in each process, where rows are longest; more where they are
            shorter, in the same memory.
        autocast: Makes the context that the model computes in.
        shared: Several processes call this and share the prompts out; else each does its own.
        progress: Label of a progress bar on rank 0; ``None`` shows none.
        scored: Note the log probability of each token.
        votes: Draw each row several times, each token with its log probability. A row's numbers
            come from the seed and its prompt: no batch and no other row changes them.

    Returns:
        One ``Generated`` per prompt, in the order of ``prompts``.
    """
    if not len(prompts):
        return []
    rank, world_size = 0, 1
    if shared and torch.distributed.is_available() and torch.distributed.is_initialized():
        rank, world_size = torch.distributed.get_rank(), torch.distributed.get_world_size()
    copies = 1 if votes is None else votes.count
    # each row stands here once for each time that it is written
    lengths = [length for i in range(len(prompts)) for length in [len(prompts[i])] * copies]
    warpers = warpers_of(settings, model.generation_config)
    settings = settings if votes is None else undrawn(settings)
    batches = _batches(lengths, batch_size, settings["max_new_tokens"])
    found: list[tuple[int, Generated]] = []
    was_training = model.training
    model.eval()
    quiet = progress is None or rank > 0
    bar = brief_bar(total=len(lengths), desc=progress, disable=quiet, unit="row")
    try:
        with cast_once(model, autocast):
            for rows, counts in _share(batches, rank, world_size):
                written = _written(
                    model, prompts, rows, settings, scored=scored, votes=votes, warpers=warpers
                )
                found += zip(rows, written, strict=True) if counts else ()
                bar.update(min(len(rows) * world_size, len(lengths) - bar.n))
    finally:
        bar.close()
        model.train(was_training)
    written = _in_order(gathered(found) if world_size > 1 else found, len(lengths))
    if votes is None:
        return written
    return [
        replace(written[i], votes=tuple(written[i : i + copies]))
        for i in range(0, len(written), copies)
    ]


def _written(
    model: PreTrainedModel,
    prompts: Prompts | Sequence[Sequence[int]],
    rows: Sequence[int],
    settings: dict[str, Any],
    *,
    scored: bool,
    votes: Votes | None,
    warpers: Any,
) -> list[Generated]:
    """What is written for one batch of rows, each of which is a vote where there are votes."""
    limit, ends = settings["max_new_tokens"], settings["eos_token_id"]
    copies = 1 if votes is None else votes.count
    sources = list(dict.fromkeys(i // copies for i in rows))  # each read once
    batch = [prompts[i] for i in sources]
    side = "right" if model.config.is_encoder_decoder else "left"
    inputs = prompt_batch(batch, pad_id=settings["pad_token_id"], side=side)
    inputs = {name: tensor.to(model.device) for name, tensor in inputs.items()}
    drawing = None
    if votes is not None:
        places = [(sources.index(i // copies), i % copies) for i in rows]
        numbers = [votes.numbers(prompt, limit) for prompt in batch]
        chosen = np.stack([numbers[source][vote] for source, vote in places])
        drawing = Drawing(
            torch.tensor([source for source, _ in places], device=model.device),
            torch.from_numpy(chosen).to(model.device),
            warpers,
        )
    ids, log_probs = write_batch(
        model, inputs, settings, scored=scored or drawing is not None, drawing=drawing
    )
    values = log_probs or [None] * len(ids)
    return [_ended(*row, ends, limit) for row in zip(ids, values, strict=True)]


def _ended(
    ids: list[int], log_probs: list[float] | None, ends: Sequence[int], limit: int
) -> Generated:
    ids, finished = _until_end(ids, ends, limit)
    return Generated(ids, finished, None if log_probs is None else log_probs[: len(ids)])


def _until_end(ids: list[int], ends: Sequence[int], limit: int) -> tuple[list[int], bool]:
    for i, token in enumerate(ids):
        if token in ends:
            return ids[: i + 1], True
    return ids[:limit], False


def _in_order(found: list[tuple[int, Generated]], rows: int) -> list[Generated]:
    by_row = dict(found)
    if len(by_row) != rows or len(found) != rows:
        raise RuntimeError(
            f"generation gave {len(found)} results for {len(by_row)} of {rows} rows. "
            "A process stopped early; see its log."
        )
    return [by_row[i] for i in range(rows)]
