"""The checkpoints that a study opens, told apart by their content."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedTokenizerBase

from frtune.errors import InputError
from frtune.models.adapter_base import ADAPTER_CONFIG, find_base
from frtune.models.checkpoint_files import (
    check_weights,
    local_file,
    read_config,
    weight_files,
)
from frtune.models.config_sizes import max_positions
from frtune.models.families import family_for
from frtune.models.family import Family
from frtune.models.loading import load_saved
from frtune.models.tokenizer import load_tokenizer
from frtune.models.weight_verification import check_whole
from frtune.models.weights import fit_tokens, read_weights
from frtune.study.hidden import Base, base_of
from frtune.tasks.config_file import load_task


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose config and tokenizer were read, and whose weights were not.

    Attributes:
        name: What the study calls it.
        path: Directory or hub name.
        family: Its family.
        config: Its config; of an adapter, that of the base.
        tokenizer: Its tokenizer.
        adapter: Whether it is a LoRA adapter, which is merged into its base.
    """

    name: str
    path: str
    family: Family
    config: PreTrainedConfig
    tokenizer: PreTrainedTokenizerBase
    adapter: bool

    @functools.cached_property
    def weights_hash(self) -> str:
        """Hash of the files that the weights come from."""
        found = hashlib.blake2b(digest_size=16)
        for file in _weight_files(self.path):
            with file.open("rb") as content:
                while block := content.read(1 << 20):
                    found.update(block)
        return found.hexdigest()

    @functools.cached_property
    def vocabulary_hash(self) -> str:
        """Hash of the tokenizer's tokens and their ids."""
        vocabulary = json.dumps(self.tokenizer.get_vocab(), sort_keys=True)
        return hashlib.blake2b(vocabulary.encode(), digest_size=16).hexdigest()

    @property
    def max_tokens(self) -> int | None:
        """Longest text that the model has positions for; ``None`` without a limit."""
        return max_positions(self.config)

    def describe(self) -> dict[str, Any]:
        """What the study says of it."""
        return {
            "name": self.name,
            "path": self.path,
            "family": self.family.name,
            "kind": self.family.kind,
            "model_type": self.config.model_type,
            "adapter": self.adapter,
            "layers": self.config.num_hidden_layers,
            "width": self.config.hidden_size,
            "vocabulary_hash": self.vocabulary_hash,
            "weights_hash": self.weights_hash,
        }


def read_checkpoint(name: str, path: str | os.PathLike[str]) -> Checkpoint:
    """Read config and tokenizer of a hub name, a model directory, or what ``frtune train`` left.

    Raises:
        InputError: If it is none of these, holds no weights, is of a family that frtune does
            not know, or is quantised.
    """
    path = os.fspath(path)
    adapter = (Path(path) / ADAPTER_CONFIG).is_file()
    source = find_base(Path(path)) if adapter else path
    config = read_config(source)
    if getattr(config, "quantization_config", None) is not None:
        raise InputError(
            f"{name}={path!r}: its weights are quantised, and so would be the statistics. "
            "Give the model that it was made from."
        )
    check_weights(source)
    family = family_for(config.model_type)
    tokenizer = load_tokenizer(path, family, config)
    return Checkpoint(name, path, family, config, tokenizer, adapter)


def load_base(checkpoint: Checkpoint) -> Base:
    """Load the weights in fp32, an adapter merged, onto the GPU where there is one.

    Raises:
        InputError: If weights are missing.
    """
    path = checkpoint.path
    if checkpoint.adapter:
        model = load_saved(path, load_task(path), merge=True)[0]
    else:
        model, info = read_weights(path, "AutoModel", checkpoint.config, None, None)
        # a masked language model's checkpoint lacks the pooler, which no hidden state needs
        check_whole(path, model, info, ["pooler"])
        fit_tokens(model, checkpoint.tokenizer)
    return base_of(model.to("cuda" if torch.cuda.is_available() else "cpu").eval())


def _weight_files(path: str) -> list[Path]:
    directory = Path(path)
    configs = [local_file(path, name) for name in ("config.json", ADAPTER_CONFIG)]
    found = [file for file in configs if file is not None]
    if (directory / ADAPTER_CONFIG).is_file():
        return [
            *found,
            *sorted(directory.glob("*.safetensors")),
            *_weight_files(find_base(directory)),
        ]
    return found + weight_files(path)
