"""A model's copy in narrow random layers, with its adapter: what saving it does costs little."""

from __future__ import annotations

import copy
import logging
from pathlib import Path
from typing import Any

from safetensors import safe_open

from frtune.errors import first_line
from frtune.models.checkpoint_files import read_for_task, weight_files
from frtune.models.config_sizes import narrowed
from frtune.models.lora import wrap
from frtune.models.weights import head_names, load_weights, untie_output, untied_output
from frtune.tasks.base import Task

logger = logging.getLogger(__name__)


def narrow_copy(model: Any, task: Task, folder: Path) -> Any:
    """A copy with all layers, 64 wide, random weights and the same adapter, its base on disk.

    ``None``, with a warning, where the adapter's own sizes do not fit so narrow a model.
    """
    adapters = getattr(model, "peft_config", None)
    base = model.get_base_model() if adapters else model
    config = narrowed(base.config, layers=None, width=64, heads=4, inner=128)
    packed = getattr(config, "quantization_config", None)
    if packed is not None:
        del config.quantization_config
    try:
        small: Any = type(base)(config)
        if untied_output(base) is not None:
            untie_output(small)
        small.save_pretrained(folder, state_dict=_as_stored(base, small) if adapters else None)
        small.name_or_path = small.config._name_or_path = str(folder)
        if packed is not None:
            again, _, auto_class = read_for_task(folder, task)
            small = load_weights(folder, auto_class, again, quantization=packed)
        if adapters:
            settings = copy.deepcopy(adapters["default"])
            settings.base_model_name_or_path = str(folder)
            small = wrap(small, settings)
    except Exception as error:
        logger.warning("not tried before the first step, on a narrow copy: %s", first_line(error))
        return None
    trains = {name: weight.requires_grad for name, weight in model.named_parameters()}
    for name, weight in small.named_parameters():
        if name in trains:
            weight.requires_grad_(trains[name])
    return small.eval()


def _as_stored(base: Any, small: Any) -> dict[str, Any]:
    """The weights of ``small`` without those of a new head, which its checkpoint lacks."""
    stored: set[str] = set()
    for file in weight_files(base.name_or_path):
        with safe_open(file, framework="pt") as tensors:
            stored.update(tensors.keys())
    heads, prefix = tuple(f"{name}." for name in head_names(base)), f"{base.base_model_prefix}."
    return {
        name: weight
        for name, weight in small.state_dict().items()
        if not name.startswith(heads) or {name, name.removeprefix(prefix)} & stored
    }
