"""Open a directory that was saved after training: full weights, or an adapter and its base."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from transformers import BitsAndBytesConfig, PreTrainedTokenizerBase

from frtune import models
from frtune.errors import InputError
from frtune.models.adapter_base import ADAPTER_CONFIG
from frtune.models.bitsandbytes import QuantizationName, quantization_record, torch_dtype
from frtune.models.checkpoint_files import check_weights, read_for_task
from frtune.models.deepspeed import zero3_suspended
from frtune.models.int8 import load_int8
from frtune.models.onnx_graph import export_record, open_graph, refuse_graph
from frtune.models.tokenizer import load_tokenizer
from frtune.models.weights import Built, load_weights
from frtune.moved import moved_names
from frtune.tasks.base import Task

__getattr__ = moved_names(__name__)


def load_saved(
    directory: str | os.PathLike[str],
    task: Task,
    *,
    dtype: Any = None,
    quantization: QuantizationName | BitsAndBytesConfig | None = None,
    merge: bool = False,
    tokenizer: PreTrainedTokenizerBase | None = None,
    device: str | None = None,
    graphs: bool = False,
) -> Built:
    """Open a saved directory.

    Args:
        directory: Full weights, those of ``frtune quantize``, or a PEFT adapter whose
            ``adapter_config.json`` names its base.
            The base is looked for beside the adapter, under its last name, then where it was.
        task: The task the model was trained for.
        dtype: Type of the weights; ``None`` is fp32.
        quantization: Load the weights in 8 or 4 bits.
        merge: Merge an adapter into its base, which must not be quantised then.
        tokenizer: The directory's tokenizer, where it is known without reading it.
        device: Where weights are quantised; ``None`` takes a GPU where there is one.
        graphs: Open a graph of ``frtune export`` too, as an ``OnnxEncoder``; else it is refused.

    Returns:
        The model in evaluation mode (a PEFT model for an adapter, unless merged), its tokenizer.

    Raises:
        InputError: If the directory or its base is missing or not whole, the base another model,
            or a weight NaN.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise InputError(f"directory={str(directory)!r}: does not exist. Pass a saved model's.")
    if merge and quantization is not None:
        raise InputError(
            f"quantization={quantization!r}: not with merge=True, for merged 8 or 4 bit weights "
            "are rounded. Leave one of the two out."
        )
    if graphs and export_record(directory) is not None:
        config, family, _ = read_for_task(directory, task)
        graph: Any = open_graph(directory, config)
        return graph, load_tokenizer(directory, family, config)
    refuse_graph(directory)
    dtype = torch_dtype(dtype)
    record = quantization_record(directory)
    if record is not None and quantization is not None:
        raise InputError(
            f"quantization={quantization!r}: {directory} is quantised already "
            f"({record['method']}). Leave it out."
        )
    with zero3_suspended():  # of a run in the same process, whose own model is split
        if not (directory / ADAPTER_CONFIG).is_file():
            method = record and record["method"]
            return _load_full(directory, task, dtype, quantization, method, tokenizer, device)
        model, tokenizer = models.saved_adapter.load_adapter(
            directory, task, dtype, quantization, tokenizer, device
        )
        if merge:
            model = models.saved_adapter.merge(model).model
    return model.eval(), tokenizer


def _load_full(
    directory: Path,
    task: Task,
    dtype: Any,
    quantization: Any,
    method: Any,
    tokenizer: Any,
    device: str | None,
) -> Built:
    config, family, auto_class = read_for_task(directory, task)
    if method in ("int8", "int8-weights"):
        activations = "int8" if method == "int8" else "float"
        model = load_int8(directory, auto_class, config, activations=activations)
        return model, load_tokenizer(directory, family, config)
    check_weights(directory)
    tokenizer = tokenizer or load_tokenizer(directory, family, config)
    model = load_weights(
        directory, auto_class, config, dtype=dtype, quantization=quantization, new_head=False,
        device=device,
    )  # fmt: skip
    return model.eval(), tokenizer
