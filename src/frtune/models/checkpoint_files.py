"""What a checkpoint is, before any weight is loaded: its config, its files, its family."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, PreTrainedConfig
from transformers.utils.hub import cached_file

from frtune.errors import InputError
from frtune.models.families import FAMILIES, families_for, family_for
from frtune.models.family import Family, has_head
from frtune.tasks.base import Task

_SAFE, _INDEX = "model.safetensors", "model.safetensors.index.json"
_PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5", "model.ckpt.index")


def read_config(checkpoint: str | os.PathLike[str]) -> PreTrainedConfig:
    """Read the config of a directory or hub name.

    Raises:
        InputError: If there is no such checkpoint, or none that Transformers knows.
    """
    name = os.fspath(checkpoint)
    directory = Path(name)
    if directory.is_dir():
        _check_directory(directory)
    elif directory.exists() or name.startswith((".", "/", "~")) or name.count("/") > 1 or not name:
        raise InputError(
            f"checkpoint={name!r}: no such directory. Pass a directory with config.json, "
            'or a hub name such as "google-bert/bert-base-cased".'
        )
    try:
        return AutoConfig.from_pretrained(name, trust_remote_code=False)
    except OSError as error:
        raise InputError(
            f"checkpoint={name!r}: neither a directory here nor a hub model that can be reached. "
            f"Check the name and the network, or pass a directory. ({first_line(error)})"
        ) from error
    except (ValueError, KeyError) as error:
        raise InputError(
            f"checkpoint={name!r}: its config cannot be read. Choose a checkpoint of a kind that "
            f"Transformers has itself; code from the hub is never run. ({first_line(error)})"
        ) from error


def _check_directory(directory: Path) -> None:
    if (directory / "config.json").is_file():
        return
    if (directory / "adapter_config.json").is_file():
        raise InputError(
            f"checkpoint={str(directory)!r}: an adapter without its base. "
            "Open it with frtune.load, or pass a merged model."
        )
    raise InputError(
        f"checkpoint={str(directory)!r}: has no config.json. Pass the directory of a model."
    )


def check_weights(checkpoint: str | os.PathLike[str]) -> list[Path]:
    """Refuse a directory without weights, or with pickled ones, which can run any code.

    Returns:
        Its safetensors files; none for a hub name.

    Raises:
        InputError: If it has no safetensors file, or one that is not whole.
    """
    directory = Path(checkpoint)
    if not directory.is_dir():
        return []
    whole, index = directory / _SAFE, directory / _INDEX
    if whole.is_file() or index.is_file():
        files = [whole] if whole.is_file() else _shards(index)
        for file in files:
            check_safetensors(file)
        return files
    pickled = [name for name in _PICKLED if (directory / name).is_file()]
    if pickled:
        raise InputError(
            f"checkpoint={str(directory)!r}: weights in {pickled[0]}, while only safetensors is "
            f"read, because a pickle can run code. {conversion(directory)}"
        )
    if (directory / "model.int8.safetensors").is_file():
        raise InputError(
            f"checkpoint={str(directory)!r}: is quantised for serving, and does not train. "
            "Pass the model that it was made from."
        )
    raise InputError(
        f"checkpoint={str(directory)!r}: has no {_SAFE}. Copy the weights there, "
        "or pass another directory."
    )


def _shards(index: Path) -> list[Path]:
    """The files that the index of split weights names; they stand beside it."""
    try:
        names = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{index}: is no index of weights. Copy the whole directory.") from error
    for name in names:
        if name != os.path.basename(name) or not name.endswith(".safetensors"):
            raise InputError(f"{index}: names {name!r}, which is no safetensors file beside it.")
    return [index.with_name(name) for name in names]


def check_safetensors(path: Path) -> None:
    """Refuse (``InputError``) a file of weights that is missing, cut short, or something else."""
    try:
        with safe_open(path, framework="numpy"):
            pass
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"{path}: is not a whole safetensors file ({first_line(error)}). Copy it again."
        ) from error


def conversion(checkpoint: object) -> str:
    """Say how to convert pickled weights."""
    return (
        "If you trust it, convert it once: "
        "python -c 'from transformers import AutoModelForPreTraining as M; "
        f'M.from_pretrained("{checkpoint}", use_safetensors=False).save_pretrained("converted")\', '
        "and copy the tokenizer's files there."
    )


def check_family(checkpoint: object, model_type: str, wanted: Family | None) -> Family:
    """Return the checkpoint's family; an ``InputError`` if it is not the builder's, ``wanted``."""
    if wanted is None or model_type in wanted.model_types:
        return wanted or family_for(model_type)
    other = f"Use {family_for(model_type).builder}"
    allowed = " or ".join(repr(name) for name in wanted.model_types)
    such = f", or a checkpoint such as {wanted.default_checkpoint!r}" if wanted.has_row else ""
    raise InputError(
        f"checkpoint={str(checkpoint)!r}: its model_type is {model_type!r}, and {wanted.builder} "
        f"takes {allowed}. {other}{such}."
    )


def check_task(task: Task, family: Family) -> str:
    """Return the auto class with the task's head; an ``InputError`` if the task does not fit."""
    heads = task.auto_classes
    named = [FAMILIES[name] for name in families_for(set(heads))]
    fitting = [row.name for row in named if has_head(row.model_types[0], heads[row.kind])]
    instead = f"Use one of {', '.join(fitting)}."
    if family.kind not in task.auto_classes:
        kind = f"{'a' if family.kind == 'decoder' else 'an'} {family.kind}"
        raise InputError(f"task={task.name!r}: not for {family.name}, which is {kind}. {instead}")
    auto_class = task.auto_classes[family.kind]
    if not has_head(family.model_types[0], auto_class):
        raise InputError(
            f"task={task.name!r}: not for {family.name}: Transformers has no {auto_class} for it. "
            f"{instead}"
        )
    return auto_class


def read_for_task(
    checkpoint: str | os.PathLike[str],
    task: Task,
    wanted: Family | None = None,
    *,
    settings: dict[str, Any] | None = None,
) -> tuple[PreTrainedConfig, Family, str]:
    """Read a checkpoint's config for a task: with its settings, the family, and the auto class.

    Args:
        checkpoint: Hub name or directory.
        task: The task; its settings are written into the config.
        wanted: The family it must belong to; ``None`` goes by the config.
        settings: What the config says, where it is known without reading it.

    Raises:
        InputError: If the checkpoint cannot be read, or the family or the task does not fit it.
    """
    config = AutoConfig.for_model(**settings) if settings else read_config(checkpoint)
    family = check_family(checkpoint, config.model_type, wanted)
    auto_class = check_task(task, family)
    for name, value in task.config_overrides().items():
        setattr(config, name, value)
    return config, family, auto_class


def first_line(error: BaseException) -> str:
    """The first line of an error's text, for a message of one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def local_file(checkpoint: str | os.PathLike[str], name: str) -> Path | None:
    """Path of one of the checkpoint's files on this machine, or ``None`` when it has none."""
    cases = ("missing_entries", "connection_errors", "gated_repo")
    quietly: Any = {f"_raise_exceptions_for_{case}": False for case in cases}
    found: Any = cached_file(os.fspath(checkpoint), name, **quietly)
    return Path(found) if found else None


def stores(checkpoint: str | os.PathLike[str], name: str) -> bool:
    """Whether the checkpoint's safetensors on this machine hold a weight called ``name``."""
    if (index := local_file(checkpoint, _INDEX)) is not None:
        return name in json.loads(index.read_text("utf-8"))["weight_map"]
    if (weights := local_file(checkpoint, _SAFE)) is None:
        return False
    with safe_open(weights, framework="pt") as tensors:
        return name in set(tensors.keys())
