"""Prove that a model goes on from the encoder of another."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from safetensors import safe_open
from transformers import PreTrainedModel

from frtune.errors import InputError


def prove_encoder(model: PreTrainedModel, directory: str | os.PathLike[str]) -> int:
    """Check that a model's encoder is, bit by bit, the one that was saved in ``directory``.

    For a model that was built from another task's directory: its head is new, and everything under
    it must be what was saved.

    Args:
        model: As a builder returned it, in the type of the saved weights.
        directory: The full model that it was built from (``model.safetensors``).

    Returns:
        How many weights were compared: all those of the encoder.

    Raises:
        InputError: If the directory holds no safetensors of a full model.
        RuntimeError: If a weight is missing there or differs.
    """
    files = sorted(Path(directory).glob("model*.safetensors"))
    if not files:
        raise InputError(
            f"directory={os.fspath(directory)!r}: holds no model.safetensors. "
            "Give the directory of a full model; merge an adapter first."
        )
    prefix = f"{model.base_model_prefix}."
    own = {name: w for name, w in model.state_dict().items() if name.startswith(prefix)}
    left = dict(own)
    for file in files:
        with safe_open(file, framework="pt") as saved:
            for name in [name for name in saved.keys() if name in left]:
                if not torch.equal(left.pop(name).cpu(), saved.get_tensor(name)):
                    raise RuntimeError(
                        f"{name}: differs from {file}. Build the model from that directory."
                    )
    if left or not own:
        raise RuntimeError(
            f"{next(iter(left), prefix)}: not saved in {directory}. "
            "Build the model from a directory of the same family."
        )
    return len(own)
