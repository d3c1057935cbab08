"""The real checkpoint's weights, by their headers: whole, and of the shapes of its config."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import try_to_load_from_cache
from safetensors import safe_open

from frtune.models.checkpoint_files import check_weights
from frtune.models.weights import check_whole, head_names, quiet
from frtune.planning.parameters import Architecture, empty_model
from frtune.preflight.resources import size_text

_FILE, _INDEX = "model.safetensors", "model.safetensors.index.json"


def weight_files(checkpoint: str | os.PathLike[str]) -> list[Path] | None:
    """The safetensors files of a checkpoint on this machine; ``None`` where none was downloaded.

    Raises:
        InputError: If there are other files in their place, or one is cut off or missing.
    """
    folder = _folder(os.fspath(checkpoint))
    if folder is None:
        return None
    check_weights(folder)
    if (folder / _FILE).is_file():
        return [folder / _FILE]
    names = json.loads((folder / _INDEX).read_text(encoding="utf-8"))["weight_map"].values()
    return [folder / name for name in sorted(set(names))]


def _folder(checkpoint: str) -> Path | None:

    if os.path.isdir(checkpoint):
        return Path(checkpoint)
    for name in (_FILE, _INDEX):
        found = try_to_load_from_cache(checkpoint, name)
        if isinstance(found, str):
            return Path(found).parent
    return None


def empty_tensors(files: list[Path]) -> dict[str, Any]:
    """Every tensor of safetensors files on the meta device: name and shape, no data."""
    found = {}
    for file in files:
        with safe_open(str(file), framework="pt") as opened:
            for name in opened.keys():
                found[name] = torch.empty(opened.get_slice(name).get_shape(), device="meta")
    return found


def check_loadable(checkpoint: str | os.PathLike[str], found: Architecture) -> str:
    """Load the weights' names and shapes, without their data, where the run loads them.

    Returns:
        A note on what is there.

    Raises:
        InputError: If a file is cut off, or weights are missing or of another shape.
    """
    files = weight_files(checkpoint)
    if files is None:
        return "weights not on this machine yet: the run downloads them first"
    tensors = empty_tensors(files)
    skeleton: Any = empty_model(found)
    with quiet():
        model, info = type(skeleton).from_pretrained(
            None,
            # not the skeleton's: an untied T5 says so there, and its embeddings would seem missing
            config=copy.deepcopy(found.config),
            state_dict=tensors,
            device_map="meta",
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
    check_whole(checkpoint, model, info, head_names(model))
    size = sum(file.stat().st_size for file in files)
    number = sum(tensor.numel() for tensor in tensors.values())
    return f"{number / 1e6:,.1f} million weights in {size_text(size)}"
