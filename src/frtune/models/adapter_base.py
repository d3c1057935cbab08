"""The base of an adapter: what is written down of it, and how it is found again."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from frtune.errors import InputError
from frtune.files import write_json
from frtune.models.bitsandbytes import BASE_FILE, base_record
from frtune.models.checkpoint_files import local_file, read_for_task, weight_files
from frtune.tasks.base import Task

ADAPTER_CONFIG = "adapter_config.json"

_PIECES, _PIECE_BYTES = 8, 512
# what another version of Transformers, or another head, writes into the same model's config
_BESIDE_THE_POINT = {
    "_name_or_path", "architectures", "dtype", "id2label", "label2id", "num_labels",
    "problem_type", "torch_dtype", "transformers_version", "use_cache",
}  # fmt: skip


def fingerprint(checkpoint: str | os.PathLike[str]) -> str | None:
    """Hash what a checkpoint is, wherever it lies and however its weights are cut into files.

    It covers the settings in ``config.json`` that change outputs, and of every weight the name,
    type, shape and 4 KiB of its bytes, in eight pieces spread over it; all of a smaller weight.
    Two trainings of one checkpoint differ in it. Bytes between the pieces and the tokenizer's
    files are not covered. A model of 7 billion weights takes less than a second.

    Args:
        checkpoint: Directory or hub name.

    Returns:
        32 hex digits; ``None`` where config or weights are not to be had.
    """
    config, files = local_file(checkpoint, "config.json"), _weight_files(checkpoint)
    if config is None or not files:
        return None
    try:
        settings = json.loads(config.read_text("utf-8"))
        kept = {name: settings[name] for name in settings.keys() - _BESIDE_THE_POINT}
    except (ValueError, AttributeError, RecursionError):
        return None
    digest = hashlib.blake2b(json.dumps(kept, sort_keys=True).encode(), digest_size=16)
    for name, content in sorted(weight for file in files for weight in _weights(file)):
        digest.update(name.encode() + content)
    return digest.hexdigest()


def _weight_files(checkpoint: str | os.PathLike[str]) -> list[Path]:
    try:
        return weight_files(checkpoint)
    except InputError:  # loading says more of them
        return []


def _weights(file: Path) -> Iterator[tuple[str, bytes]]:
    """Name of each weight, with its type, shape and some of its bytes."""
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(length))
        header.pop("__metadata__", None)
        for name, entry in header.items():
            start, end = entry["data_offsets"]
            content = f" {entry['dtype']} {entry['shape']} ".encode()
            size = end - start
            step = max(_PIECE_BYTES, (size - _PIECE_BYTES) // (_PIECES - 1))
            for offset in range(0, size, step):
                stream.seek(8 + length + start + offset)
                content += stream.read(min(_PIECE_BYTES, size - offset))
            yield name, content


@functools.cache
def _hub_fingerprint(name: str) -> str | None:
    """The same, asked for once: each checkpoint of a run would ask the hub for its files again."""
    return fingerprint(name)


def save_base_record(directory: str | os.PathLike[str], model: Any) -> None:
    """Write down which base an adapter was trained on, and in how many bits.

    Nothing is written for a ``model`` without adapter.
    """
    if not hasattr(model, "peft_config"):
        return
    base = model.peft_config["default"].base_model_name_or_path
    found = getattr(model.config, "quantization_config", None)
    known = fingerprint if os.path.isdir(base or "") else _hub_fingerprint
    record: dict[str, Any] = {"fingerprint": known(base) if base else None}
    if found is not None:
        record["quantization_config"] = found if isinstance(found, dict) else found.to_dict()
    write_json(Path(directory) / BASE_FILE, record)


def save_head_config(
    directory: str | os.PathLike[str], model: Any, task: Task, tokenizer: Any
) -> None:
    """Write beside an adapter with a head the base's ``config.json`` with the head's classes.

    The base opens with it under PEFT and Transformers: it has as many rows of the embedding as the
    base has, before those of new tokens.
    """
    if not hasattr(model, "peft_config") or task.generates:
        return
    base = model.get_base_model()
    config, _, _ = read_for_task(model.peft_config["default"].base_model_name_or_path, task)
    config.architectures = [type(base).__name__]
    if (padding := tokenizer.pad_token_id) < config.get_text_config().vocab_size:
        config.pad_token_id = padding
    config.save_pretrained(directory)


def is_adapter(checkpoint: str | os.PathLike[str]) -> bool:
    """Whether a checkpoint is the directory of a saved adapter."""
    return (Path(checkpoint) / ADAPTER_CONFIG).is_file()


def base_of(checkpoint: str | os.PathLike[str]) -> str:
    """The base of a saved adapter; any other checkpoint is its own.

    Raises:
        InputError: As of ``find_base``.
    """
    return find_base(Path(checkpoint)) if is_adapter(checkpoint) else os.fspath(checkpoint)


def find_base(directory: Path) -> str:
    """Return the checkpoint that an adapter belongs to.

    A base beside the adapter comes first, then the path that was written down, then the hub. One
    that has another fingerprint than the base that the adapter was trained on is passed over.

    Raises:
        InputError: If it is nowhere to be found, or what is there is another model.
    """
    named = _recorded_name(directory)
    last = Path(named).name
    beside = [place / last for place in (directory, *directory.absolute().parents[:2])]
    places = [str(place) for place in beside if last and (place / "config.json").is_file()]
    if named and (Path(named).is_dir() or not _is_path(named)):
        places.append(named)
    if not places:
        raise InputError(
            f"directory={str(directory)!r}: its base {named!r} does not exist. "
            f"Put the base into {str(directory / (last or 'tiny'))!r}."
        )
    wanted = base_record(directory).get("fingerprint")
    if wanted is None:
        return places[0]
    found = {place: fingerprint(place) for place in places}
    for place, own in found.items():
        if own in (wanted, None):  # of what has no weights, loading says more
            return place
    place, own = next(iter(found.items()))
    raise InputError(
        f"directory={str(directory)!r}: its base was {named!r} with fingerprint {wanted}, and "
        f"{place!r} is another model, with {own}. "
        f"Put the base that it was trained on into {str(directory / last)!r}."
    )


def _is_path(name: str) -> bool:
    return (name.startswith((".", "/", "~")) and "/" in name) or name.count("/") > 1


def _recorded_name(directory: Path) -> str:
    path = directory / ADAPTER_CONFIG
    try:
        named = json.loads(path.read_text("utf-8")).get("base_model_name_or_path") or ""
    except (ValueError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: is no configuration of an adapter. Copy it again.") from error
    if not isinstance(named, str):
        raise InputError(f"{path}: base_model_name_or_path={named!r}: a directory or hub name.")
    return named
