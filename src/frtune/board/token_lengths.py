"""How long the training rows are in tokens of a checkpoint, against the limit of the run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from frtune.data.loading import read_whole
from frtune.models.adapter_base import base_of
from frtune.models.checkpoint_files import read_for_task
from frtune.models.tokenizer import load_tokenizer
from frtune.run.lengths import source_lengths
from frtune.tasks.base import Task


@dataclass(frozen=True)
class TokenLengths:
    """Lengths of texts, special tokens included.

    Attributes:
        counted: Rows whose tokens were counted; a sample of many.
        median: Half of the rows have at most so many tokens.
        longest: Tokens of the longest.
        limit: Tokens that the run reads of a row.
        longer: Counted rows that lose their end.
    """

    counted: int
    median: int
    longest: int
    limit: int
    longer: int


def token_lengths(data: Path, checkpoint: str, task: Task) -> TokenLengths:
    """Count the tokens of prepared training rows; ``task.max_source_tokens`` is the limit.

    Raises:
        InputError: If the data or the checkpoint's tokenizer cannot be read.
        ImportError: If the tokenizer needs a package that is missing.
    """
    rows = read_whole(data, task=task)[0]["train"]
    task = task.fit(rows)
    config, family, _ = read_for_task(base_of(checkpoint), task)
    tokenizer = load_tokenizer(checkpoint, family, config)
    task = task.settled(tokenizer, family.kind)
    lengths = np.asarray(source_lengths({"train": rows}, task, tokenizer)["train"])
    limit = task.max_source_tokens
    return TokenLengths(
        len(lengths),
        int(np.median(lengths)),
        int(lengths.max()),
        limit,
        int((lengths > limit).sum()),
    )
