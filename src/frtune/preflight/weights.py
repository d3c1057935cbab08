"""The real checkpoint's weights, by their headers: whole, and of the shapes of its config."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from frtune.errors import InputError
from frtune.models._checkpoint import first_line
from frtune.planning.parameters import Architecture, empty_model
from frtune.preflight.room import size_text


def weight_files(checkpoint: str | os.PathLike[str]) -> list[Path] | None:
    """The safetensors files of a checkpoint on this machine; ``None`` where none was downloaded.

    Raises:
        InputError: If the index names a file that is not there.
    """
    folder = _folder(os.fspath(checkpoint))
    if folder is None:
        return None
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"]
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return None
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, AttributeError) as error:
        raise InputError(f"{index}: cannot be read. Copy it again.") from error
    for name in names:
        if not (folder / name).is_file():
            raise InputError(
                f"{index}: names {name}, which is not there. Copy it beside the index."
            )
    return [folder / name for name in names]


def _folder(checkpoint: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    if os.path.isdir(checkpoint):
        return Path(checkpoint)
    for name in ("model.safetensors", "model.safetensors.index.json"):
        found = try_to_load_from_cache(checkpoint, name)
        if isinstance(found, str):
            return Path(found).parent
    return None


def empty_tensors(files: list[Path]) -> dict[str, Any]:
    """Every tensor of safetensors files on the meta device: name and shape, no data.

    Raises:
        InputError: If a file is cut off or is no safetensors file.
    """
    import torch
    from safetensors import SafetensorError, safe_open

    found = {}
    for file in files:
        try:
            with safe_open(str(file), framework="pt") as opened:
                for name in opened.keys():
                    found[name] = torch.empty(opened.get_slice(name).get_shape(), device="meta")
        except (SafetensorError, OSError) as error:
            raise InputError(
                f"{file}: is not whole ({first_line(error)}). It has {file.stat().st_size:,} "
                "bytes; copy or download it again."
            ) from error
    return found


def check_loadable(checkpoint: str | os.PathLike[str], found: Architecture) -> str:
    """Load the weights' names and shapes, without their data, where the run loads them.

    Returns:
        A note on what is there.

    Raises:
        InputError: If a file is cut off, or weights are missing or of another shape.
    """
    from frtune.models._build import _check_whole, _quiet, head_names

    files = weight_files(checkpoint)
    if files is None:
        return "weights not on this machine yet: the run downloads them first"
    tensors = empty_tensors(files)
    skeleton: Any = empty_model(found)
    with _quiet():
        model, info = type(skeleton).from_pretrained(
            None,
            config=skeleton.config,
            state_dict=tensors,
            device_map="meta",
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
    _check_whole(checkpoint, model, info, head_names(model))
    size = sum(file.stat().st_size for file in files)
    number = sum(tensor.numel() for tensor in tensors.values())
    return f"{number / 1e6:,.1f} million weights in {size_text(size)}"
