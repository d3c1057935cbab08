"""What a checkpoint is, before any weight is loaded: its config, its files, its family."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig
from transformers.utils.hub import cached_file

from frtune.errors import InputError, first_line
from frtune.models.config_fields import field_at_fault
from frtune.models.config_values import check_sizes, keep_known_attention
from frtune.models.families import FAMILIES, families_for, family_for
from frtune.models.family import Family, has_head
from frtune.models.onnx_graph import refuse_graph
from frtune.models.pickled_weights import SAFE_INDEX, check_pointer, converted
from frtune.tasks.base import Task

_SAFE, _PICKLED = "model.safetensors", "pytorch_model.bin"
_PICKLED_INDEX = "pytorch_model.bin.index.json"
WEIGHT_FILES = (_SAFE, SAFE_INDEX, _PICKLED, _PICKLED_INDEX)  # in the order of preference
_FOREIGN = ("tf_model.h5", "model.ckpt.index", "flax_model.msgpack")


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
    settings: dict[str, Any] = {}
    try:
        settings, _ = PreTrainedConfig.get_config_dict(name)
        model_type = settings.get("model_type")
        named = isinstance(model_type, str) and model_type in CONFIG_MAPPING
        known = CONFIG_MAPPING[model_type] if named else PreTrainedConfig
        check_sizes(settings, name, known.attribute_map)
        config = AutoConfig.from_pretrained(name, trust_remote_code=False)
    except InputError:
        raise
    except OSError as error:
        raise InputError(
            f"checkpoint={name!r}: neither a directory here nor a hub model that can be reached. "
            f"Check the name and the network, or pass a directory. ({first_line(error)})"
        ) from error
    except Exception as error:  # each class fails in its own way on values it was not made for
        at_fault = _field_at_fault(settings)
        raise InputError(
            f"checkpoint={name!r}: its config cannot be read{at_fault}. Choose a checkpoint of "
            "a kind that Transformers has itself; code from the hub is never run. "
            f"({first_line(error)})"
        ) from error
    keep_known_attention(config, name)
    return config


def _field_at_fault(settings: dict[str, Any]) -> str:
    """The field without which the config can be read, for a message."""

    def fails(kept: dict[str, Any]) -> bool:
        try:
            AutoConfig.for_model(**kept)
        except Exception:
            return True
        return False

    name = field_at_fault(settings, fails)
    return f": {name}={settings[name]!r:.80}" if name else ""


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
    """Refuse a directory without weights, or whose weights are not whole.

    Returns:
        Its safetensors files, of pickled weights those in the cache; none for a hub name.

    Raises:
        InputError: If it has no weights, or a file of them is missing, not whole, or holds more.
    """
    return weight_files(checkpoint) if os.path.isdir(checkpoint) else []


def weight_files(checkpoint: str | os.PathLike[str]) -> list[Path]:
    """Files of a checkpoint's weights, as safetensors; of a hub name they are downloaded.

    Pickled weights are converted, once, into the cache.

    Raises:
        InputError: As of ``check_weights``.
    """
    return weights_source(checkpoint)[1]


def weights_source(checkpoint: str | os.PathLike[str]) -> tuple[str, list[Path]]:
    """Directory or hub name to load the weights from as safetensors, and their files.

    Raises:
        InputError: As of ``check_weights``.
    """
    source = os.fspath(checkpoint)
    files = _safetensors(source)
    if not files:
        source = str(_converted(source))
        files = _safetensors(source)
    for file, names in files.items():
        check_safetensors(file, names)
    return source, list(files)


def _safetensors(checkpoint: str | os.PathLike[str]) -> dict[Path, list[str]]:
    if (whole := local_file(checkpoint, _SAFE)) is not None:
        return {whole: []}
    return _shards(checkpoint, SAFE_INDEX)


def _converted(checkpoint: str | os.PathLike[str]) -> Path:
    """Directory with a checkpoint's pickled weights as safetensors."""
    whole = local_file(checkpoint, _PICKLED)
    files = [whole] if whole is not None else list(_shards(checkpoint, _PICKLED_INDEX))
    if files:
        return converted(files, checkpoint)
    check_trainable(checkpoint)
    where = f"checkpoint={os.fspath(checkpoint)!r}"
    if not os.path.isdir(checkpoint):
        raise InputError(
            f"{where}: neither {_SAFE} nor {_PICKLED} can be reached. "
            "Check the name and the network, or pass a directory."
        )
    raise InputError(f"{where}: has no {_SAFE}. Copy the weights there, or pass another directory.")


def check_trainable(checkpoint: str | os.PathLike[str]) -> None:
    """Refuse a directory whose weights are of a kind that does not train; nothing is read.

    Raises:
        InputError: If they are another library's, or those of ``frtune quantize`` for serving.
    """
    if any(local_file(checkpoint, name) for name in WEIGHT_FILES):
        return
    refuse_graph(checkpoint)
    where = f"checkpoint={os.fspath(checkpoint)!r}"
    for name in _FOREIGN:
        if local_file(checkpoint, name) is not None:
            raise InputError(
                f"{where}: has weights of another library alone ({name}). "
                f"Choose a checkpoint with {_SAFE} or {_PICKLED}."
            )
    if local_file(checkpoint, "model.int8.safetensors") is not None:
        raise InputError(
            f"{where}: is quantised for serving, and does not train. "
            "Pass the model that it was made from."
        )


def _shards(checkpoint: str | os.PathLike[str], index_name: str) -> dict[Path, list[str]]:
    """The files that the index of split weights names, which stand beside it, and the weights."""
    if (index := local_file(checkpoint, index_name)) is None:
        return {}
    found: dict[str, list[str]] = {}
    try:
        for weight, name in sorted(json.loads(index.read_text("utf-8"))["weight_map"].items()):
            found.setdefault(str(name), []).append(weight)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{index}: is no index of weights. Copy the whole directory.") from error
    kind = ".bin" if index_name == _PICKLED_INDEX else ".safetensors"
    files = {}
    for name, weights in sorted(found.items()):
        if name != os.path.basename(name) or not name.endswith(kind):
            raise InputError(f"{index}: names {name!r}, which is no {kind[1:]} file beside it.")
        if (file := local_file(checkpoint, name)) is None:
            raise InputError(f"{index}: names {name}, which is missing. Copy the whole directory.")
        files[file] = weights
    return files


def check_safetensors(path: Path, names: Collection[str] = ()) -> None:
    """Refuse (``InputError``) a file of weights that is missing, cut short, or something else.

    ``names`` are of weights that must be in it.
    """
    try:
        check_pointer(path)
        with safe_open(path, framework="numpy") as tensors:
            absent = sorted({*names}.difference(tensors.keys()) if names else ())
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"{path}: is not a whole safetensors file ({first_line(error)}). Copy it again."
        ) from error
    if absent:
        raise InputError(
            f"{path}: lacks {len(absent)} weights that the index names ({absent[0]}). "
            "Copy the whole directory."
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
    if family.kind not in heads:
        kind = f"{'a' if family.kind == 'decoder' else 'an'} {family.kind}"
        raise InputError(
            f"task={task.name!r}: not for {family.name}, which is {kind}. {_fitting(task)}"
        )
    auto_class = heads[family.kind]
    if not has_head(family.model_types[0], auto_class):
        raise InputError(
            f"task={task.name!r}: not for {family.name}: Transformers has no {auto_class} for it. "
            f"{_fitting(task)}"
        )
    return auto_class


def _fitting(task: Task) -> str:
    """The families that a task fits, for a message; it reads the code of each."""
    heads = task.auto_classes
    named = [FAMILIES[name] for name in families_for(set(heads))]
    fitting = [row.name for row in named if has_head(row.model_types[0], heads[row.kind])]
    return f"Use one of {', '.join(fitting)}."


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


def local_file(checkpoint: str | os.PathLike[str], name: str) -> Path | None:
    """Path of one of the checkpoint's files on this machine, or ``None`` when it has none."""
    cases = ("missing_entries", "connection_errors", "gated_repo")
    quietly: Any = {f"_raise_exceptions_for_{case}": False for case in cases}
    found: Any = cached_file(os.fspath(checkpoint), name, **quietly)
    return Path(found) if found else None


def number_of_weights(file: Path) -> int:
    """How many numbers a safetensors file holds, by its header."""
    with safe_open(file, framework="pt") as tensors:
        return sum(math.prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())


def stores(checkpoint: str | os.PathLike[str], name: str) -> bool:
    """Whether the checkpoint's weights hold one called ``name``."""
    for file in weight_files(checkpoint):
        with safe_open(file, framework="pt") as tensors:
            if name in set(tensors.keys()):
                return True
    return False
