"""A directory of ``frtune export``: its record, and an encoder's graph as a model that answers."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from transformers import PreTrainedConfig

from frtune.environment.threads import fit_threads
from frtune.errors import InputError, first_line
from frtune.files import read_record

EXPORT_FILE = "frtune_export.json"
GRAPH, QUANTIZED = "model.onnx", "model_quantized.onnx"
EXTRA = "pip install 'frtune[export]'"


def export_record(directory: str | os.PathLike[str]) -> dict[str, Any] | None:
    """What ``frtune export`` wrote of a directory; ``None`` of one that it did not write.

    Raises:
        InputError: If the file cannot be read.
    """
    path = Path(directory) / EXPORT_FILE
    return read_record(path, "frtune export", "Export again", source=str, files=list)


def graph_kind(directory: str | os.PathLike[str]) -> str | None:
    """``"onnx"`` or ``"onnx-int8"`` of a directory of ``frtune export``; ``None`` of others."""
    record = export_record(directory)
    if record is None:
        return None
    return "onnx-int8" if QUANTIZED in record["files"] else "onnx"


def refuse_graph(directory: str | os.PathLike[str]) -> None:
    """Refuse (``InputError``) a directory of ``frtune export`` where weights are needed."""
    record = export_record(directory)
    if record is not None:
        raise InputError(
            f"{os.fspath(directory)}: holds a graph for ONNX Runtime, and no weights. Pass the "
            f"model that it was made from, {record['source']}."
        )


def check_graph_options(directory: str | os.PathLike[str], **options: Any) -> None:
    """Refuse (``InputError``) options of a device or a type: a graph has its own."""
    for name, value in options.items():
        if value not in (None, False, "cpu", "fp32", "float32", torch.float32):
            raise InputError(
                f"{name}={value!r}: {os.fspath(directory)} holds a graph for ONNX Runtime, which "
                "computes on the CPU in the graph's own type. Leave it out."
            )


def onnxruntime() -> Any:
    """The package ``onnxruntime``; an ``InputError`` names the extra where it is missing."""
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(f"A graph needs onnxruntime: {EXTRA}.") from error
    return onnxruntime


def open_session(path: Path) -> Any:
    """Open a graph on the CPU, with as many threads as PyTorch has.

    Raises:
        InputError: If the file is missing, or is no whole graph.
    """
    runtime = onnxruntime()
    if not path.is_file():
        raise InputError(f"{path}: is missing. Copy the whole directory, or export again.")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = fit_threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors: what it warns of is no one's to change
    try:
        return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no common base but this
        raise InputError(
            f"{path}: ONNX Runtime cannot open it ({first_line(error)}). Copy it again."
        ) from error


class OnnxEncoder(torch.nn.Module):
    """A graph of an encoder with its head, called as the Transformers model that it was made from.

    Args:
        path: The graph: ``input_ids``, ``attention_mask`` and, where the model has them,
            ``token_type_ids``, int64 of shape ``(batch, length)``, to ``logits``, float32.
        config: The model's.
    """

    is_quantized = False
    base_model_prefix = ""
    device, dtype = torch.device("cpu"), torch.float32

    def __init__(self, path: Path, config: PreTrainedConfig):
        super().__init__()
        self.config = config
        self.session = open_session(path)
        self.names = [each.name for each in self.session.get_inputs()]

    def get_output_embeddings(self) -> None:
        """None: it is no language model."""
        return None

    def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any = None) -> Any:
        """Compute ``logits`` of a batch, ``(batch, classes)`` or ``(batch, length, classes)``."""
        if token_type_ids is None:
            token_type_ids = torch.zeros_like(input_ids)  # as the model's own forward has it
        given = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "token_type_ids": token_type_ids,
        }
        logits = self.session.run(["logits"], {name: given[name].numpy() for name in self.names})
        return SimpleNamespace(logits=torch.from_numpy(logits[0]))


def open_graph(directory: Path, config: PreTrainedConfig) -> OnnxEncoder:
    """Open the encoder's graph of a directory of ``frtune export``.

    Raises:
        InputError: If it is an encoder-decoder's, or not whole.
    """
    record = export_record(directory) or {"source": "?", "files": []}
    name = next((name for name in (GRAPH, QUANTIZED) if name in record["files"]), None)
    if name is None:
        raise InputError(
            f"{directory}: holds the graphs of an encoder-decoder, which its README.md says how "
            f"to run. frtune answers with the model that they were made from, {record['source']}."
        )
    return OnnxEncoder(directory / name, config).eval()
