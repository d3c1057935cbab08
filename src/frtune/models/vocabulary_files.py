"""Whether a checkpoint's tokenizer is all there, and goes with the rows of its embedding."""

from __future__ import annotations

import json
import os
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from frtune.errors import InputError
from frtune.models.checkpoint_files import local_file
from frtune.tasks.config_file import TASK_FILE

_WHOLE, _SETTINGS = "tokenizer.json", "tokenizer_config.json"
_UNMADE, _NAMED = 0.1, 0.75  # shares: of a vocabulary without merges, of rows with a token


def check_tokenizer_files(
    checkpoint: str | os.PathLike[str], tokenizer: PreTrainedTokenizerBase, rows: int
) -> None:
    """Refuse a tokenizer that Transformers made without a file that it needs, or with half of one.

    It makes an empty one then, without a word, which knows no token of any text.

    Args:
        checkpoint: Where the tokenizer was loaded from.
        tokenizer: As loaded, before tokens are added.
        rows: Of the model's embedding, by its config.

    Raises:
        InputError: If a file is missing, lacks lines, or is another model's.
    """
    if local_file(checkpoint, TASK_FILE) and not local_file(checkpoint, _SETTINGS):
        raise InputError(f"{os.fspath(checkpoint)}: has no {_SETTINGS}. Copy the whole directory.")
    named = tokenizer.vocab_files_names
    parts = {role: name for role, name in named.items() if name != _WHOLE}
    here = {role: local_file(checkpoint, name) for role, name in parts.items()}
    absent = [parts[role] for role, file in here.items() if file is None]
    whole = local_file(checkpoint, _WHOLE) if tokenizer.is_fast else None
    if whole is None:
        needed = absent if tokenizer.is_fast or len(absent) == len(parts) else []
        if needed or not parts:
            file = _WHOLE if tokenizer.is_fast and len(absent) == len(parts) else needed[0]
            raise InputError(
                f"checkpoint={os.fspath(checkpoint)!r}: has no {file}, and its tokenizer would "
                "know no words. Copy all of the tokenizer's files there."
            )
        _check_merges(here.get("vocab_file"), here.get("merges_file"))
    _check_vocabulary(checkpoint, tokenizer, rows, _WHOLE if whole else next(iter(parts.values())))


def absent_half(checkpoint: str | os.PathLike[str]) -> str | None:
    """The missing one of ``vocab.json`` and ``merges.txt``, where the other is there."""
    halves = {name: local_file(checkpoint, name) for name in ("vocab.json", "merges.txt")}
    absent = [name for name, file in halves.items() if file is None]
    return absent[0] if len(absent) == 1 else None


def _check_merges(vocabulary: Path | None, merges: Path | None) -> None:
    """Refuse merges that make too few of the tokens: those beyond the cut would never occur."""
    if vocabulary is None or merges is None:
        return
    lines = merges.read_text("utf-8").split("\n")
    made = {"".join(line.split(" ")[:2]) for line in lines}
    tokens = json.loads(vocabulary.read_text("utf-8"))
    composed = [token for token in tokens if len(token.removesuffix("</w>")) > 1]
    unmade = sum(token not in made for token in composed)
    if unmade > _UNMADE * len(composed) + 100:  # special tokens have none
        raise InputError(
            f"{merges}: makes {len(composed) - unmade:,} of the {len(composed):,} tokens in "
            f"{vocabulary.name}. Copy it again."
        )


def _check_vocabulary(
    checkpoint: object, tokenizer: PreTrainedTokenizerBase, rows: int, file: str
) -> None:
    where = f"checkpoint={str(checkpoint)!r}"
    added = tokenizer.added_tokens_decoder
    unfit = len(tokenizer) - sum(index >= rows for index in added) > rows
    if unfit or len(tokenizer) < _NAMED * rows:
        raise InputError(
            f"{where}: {file} holds {len(tokenizer):,} tokens, and the embedding has {rows:,} "
            "rows by config.json. Copy those that belong together."
        )
