"""A checkpoint's miniature: its architecture and tokenizer in few and narrow random layers."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from frtune.models.checkpoint_files import local_file
from frtune.models.config_sizes import narrowed
from frtune.models.family import Family
from frtune.models.tiny import write_random
from frtune.models.weights import untie_output

LAYERS, WIDTH, HEADS, INNER = 2, 64, 4, 128

_TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "vocab.json", "vocab.txt", "merges.txt", "spiece.model", "tokenizer.model",
    "sentencepiece.bpe.model", "chat_template.jinja",
)  # fmt: skip


def small_config(config: Any) -> Any:
    """Copy a config with few and narrow layers; vocabulary, positions and the rest stay.

    Example:
        >>> from transformers import LlamaConfig
        >>> small = small_config(LlamaConfig(vocab_size=32000))
        >>> small.num_hidden_layers, small.hidden_size, small.vocab_size
        (2, 64, 32000)
    """
    small = narrowed(config, layers=LAYERS, width=WIDTH, heads=HEADS, inner=INNER)
    if hasattr(small, "quantization_config"):
        del small.quantization_config
    return small


def write_miniature(
    checkpoint: str | os.PathLike[str], config: Any, family: Family, directory: Path, *, tied: Any
) -> None:
    """Write the miniature of a checkpoint as an ordinary checkpoint, in a directory yet to be made.

    The checkpoint's tokenizer files are copied, and its weights are not read; ``tied`` is what its
    config.json says of ``tie_word_embeddings``.
    """
    directory.mkdir(parents=True)
    finish = untie_output if tied is False else None
    write_random(family, small_config(config), directory, seed=0, finish=finish)
    for name in _TOKENIZER_FILES:
        if (file := local_file(checkpoint, name)) is not None:
            shutil.copyfile(file, directory / name)
