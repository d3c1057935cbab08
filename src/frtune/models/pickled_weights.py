"""Weights that were published as pickles: read without running code, kept as safetensors."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import pickle
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from huggingface_hub import constants
from safetensors import SafetensorError
from safetensors.torch import save_file

from frtune.environment.disk import free_bytes, size_text
from frtune.errors import InputError, first_line
from frtune.files import remove_dead_drafts, staged, write_json

logger = logging.getLogger(__name__)

SAFE_INDEX = "model.safetensors.index.json"
_FORMAT = 1  # part of the cache's key: raise it whenever the same file gives other weights
_POINTER = b"version https://git-lfs"


def converted(files: Sequence[Path], checkpoint: object) -> Path:
    """Return a directory with the weights of pickled files as safetensors.

    They are written once into ``weights`` under ``FRTUNE_CACHE``, or under Hugging Face's
    directory of assets, and again when a file has changed. Of several processes one writes, and
    the others wait.

    Args:
        files: Pickled files of one checkpoint (``pytorch_model.bin``, or its shards).
        checkpoint: Their checkpoint, for messages.

    Raises:
        InputError: If a file is not whole or holds more than weights, or there is no room.
    """
    place = _root() / _key(files)
    if (place / SAFE_INDEX).is_file():
        return place
    try:
        place.mkdir(parents=True, exist_ok=True)
        with FileLock(place.with_suffix(".lock")):
            if not (place / SAFE_INDEX).is_file():  # nobody else did while this process waited
                _convert(files, place)
                logger.warning(
                    "%s: its weights are pickled; they were read without running code, and are "
                    "kept as safetensors in %s",
                    checkpoint,
                    place,
                )
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"{place}: cannot be written ({first_line(error)}), and the weights of {checkpoint} "
            "are kept there as safetensors. Name another directory in FRTUNE_CACHE."
        ) from error
    return place


def _advice(file: Path) -> str:
    """Say how to take the weights out of a pickle that holds more."""
    return (
        f"If you trust it, take them out once: python -c 'import torch; "
        f'w = torch.load("{file}", weights_only=False); '
        'torch.save({k: v for k, v in w.items() if torch.is_tensor(v)}, "plain.bin")\', '
        f"and put plain.bin in the place of {file.name} in a copy of the checkpoint."
    )


def _root() -> Path:
    named = os.environ.get("FRTUNE_CACHE")
    return Path(named or Path(constants.HF_ASSETS_CACHE) / "frtune").expanduser() / "weights"


def _key(files: Sequence[Path]) -> str:
    """Changes with each file: a hub's file is a link to one that is named by its content."""
    stats = [(str(file.resolve()), file.stat()) for file in files]
    known = [_FORMAT, [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]]
    return hashlib.blake2b(json.dumps(known).encode(), digest_size=16).hexdigest()


def _convert(files: Sequence[Path], place: Path) -> None:
    remove_dead_drafts(place)  # before the room is counted
    needed, free = sum(file.stat().st_size for file in files), free_bytes(place)
    if needed > free:
        raise InputError(
            f"{place}: the weights need {size_text(needed)} as safetensors, and {size_text(free)} "
            "are free. Make room, or name another directory in FRTUNE_CACHE."
        )
    weight_map: dict[str, str] = {}
    with staged(place) as draft:
        for i, file in enumerate(files, 1):
            name = f"model-{i:05d}-of-{len(files):05d}.safetensors"
            tensors = _apart(_tensors(file))
            save_file(tensors, draft / name, metadata={"format": "pt"})
            weight_map |= dict.fromkeys(tensors, name)
        # moved into place last: where it stands, all stands
        write_json(draft / SAFE_INDEX, {"metadata": {}, "weight_map": weight_map})


def check_pointer(file: Path) -> None:
    """Refuse (``InputError``) what Git leaves in the place of a large file that was not fetched."""
    with file.open("rb") as content:
        if content.read(len(_POINTER)) == _POINTER:
            raise InputError(f"{file}: is a pointer of Git LFS. Run git lfs pull in its directory.")


def _tensors(file: Path) -> dict[str, torch.Tensor]:
    """The weights of a pickled file, by name; nothing in it is run."""
    check_pointer(file)
    try:
        mapped = zipfile.is_zipfile(file)  # files of before PyTorch 1.6 are none
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a pickle's protocol
            found: Any = torch.load(file, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{file}: holds more than weights, and is not read, because a pickle of more can run "
            f"code. {_advice(file)}"
        ) from error
    except Exception as error:  # a damaged pickle fails in any way
        raise InputError(
            f"{file}: is not a whole file of weights ({first_line(error)}). Copy it again."
        ) from error
    if not isinstance(found, dict) or not found:
        raise InputError(f"{file}: holds no weights by name. Choose another checkpoint.")
    for name, tensor in found.items():
        if not isinstance(name, str) or not _is_plain(tensor):
            raise InputError(f"{file}: {name!r} in it is no weight. {_advice(file)}")
    return found


def _is_plain(tensor: Any) -> bool:
    """Whether it is a dense tensor, and no bigger than what is stored of it."""
    return (
        isinstance(tensor, torch.Tensor)
        and tensor.layout == torch.strided
        and not tensor.is_quantized
        and not tensor.is_meta
        and tensor.nbytes <= tensor.untyped_storage().nbytes()
    )


def _apart(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Contiguous tensors that share no memory, as safetensors wants them; tied ones twice."""
    found, seen = {}, set()
    for name, tensor in tensors.items():
        storage = tensor.untyped_storage().data_ptr()
        tensor = tensor.detach().contiguous()
        found[name] = tensor.clone() if storage in seen else tensor
        seen.add(storage)
    return found
