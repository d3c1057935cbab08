"""The real checkpoint's weights, by their headers: whole, and of the shapes of its config."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import try_to_load_from_cache
from safetensors import safe_open

from frtune.environment.disk import size_text
from frtune.models.adapter_base import base_of
from frtune.models.checkpoint_files import WEIGHT_FILES, check_weights
from frtune.models.weight_verification import check_whole
from frtune.models.weights import head_names, quiet
from frtune.planning.parameters import Architecture, empty_model


def _folder(checkpoint: str) -> Path | None:
    if os.path.isdir(checkpoint):
        return Path(checkpoint)
    cached = (try_to_load_from_cache(checkpoint, name) for name in WEIGHT_FILES)
    return next((Path(found).parent for found in cached if isinstance(found, str)), None)


def check_loadable(checkpoint: str | os.PathLike[str], found: Architecture) -> str:
    """Load the weights' names and shapes, without data, as the run does; return a note on them.

    Pickled weights are converted for it, as the run would.

    Raises:
        InputError: If a file is cut off, or weights are missing or of another shape.
    """
    folder = _folder(base_of(checkpoint))
    if folder is None:
        return "weights not on this machine yet: the run downloads them first"
    files, tensors = check_weights(folder), {}
    for file in files:
        with safe_open(str(file), framework="pt") as opened:
            shapes = {name: opened.get_slice(name).get_shape() for name in opened.keys()}
        tensors |= {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
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
