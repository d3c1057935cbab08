"""Graphs of a model for ONNX Runtime, by PyTorch's exporter: files and names as Optimum has them.

An encoder with its head is ``model.onnx``. An encoder-decoder is three graphs: ``encoder_model``,
``decoder_model``, which writes the first token and returns keys and values of every layer, and
``decoder_with_past_model``, which takes them, so that writing does not read its own text anew.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import DynamicCache, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput

from frtune.errors import InputError
from frtune.models.onnx_graph import EXTRA, GRAPH

ENCODER, DECODER, WITH_PAST = (
    "encoder_model.onnx",
    "decoder_model.onnx",
    "decoder_with_past_model.onnx",
)
SEPARATE_BYTES = 2**30  # weights of a graph from which they stand beside it: protobuf holds 2 GiB
_TORCH = (2, 9)  # the first that exports by torch.export unless it is told otherwise
_BATCH, _LENGTH, _WRITTEN = 2, 7, 3  # of the made-up rows that a graph is traced with; no two equal


def check_exporter() -> None:
    """Refuse (``InputError``) to begin without what PyTorch's exporter needs."""
    if tuple(map(int, torch.__version__.split(".")[:2])) < _TORCH:
        needed = ".".join(map(str, _TORCH))
        raise InputError(
            f"--to onnx: needs PyTorch {needed} or newer, and this is {torch.__version__}. "
            "Run: pip install -U torch"
        )
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InputError(f"--to onnx: needs the package {error.name}: {EXTRA}.") from error


def write_encoder(model: Any, folder: Path) -> list[str]:
    """Write the graph of an encoder with its head; returns the names of the files."""
    ids = _ids(model, _LENGTH)
    inputs = {"input_ids": ids, "attention_mask": _mask(ids)}
    if _typed(model):
        inputs["token_type_ids"] = torch.zeros_like(ids)
    axes = {name: {0: "batch", 1: "sequence"} for name in inputs}
    return _write(_Encoder(model, [*inputs]), inputs, axes, ["logits"], folder / GRAPH)


def write_encoder_decoder(model: Any, folder: Path) -> list[str]:
    """Write the three graphs of an encoder-decoder; returns the names of the files."""
    ids = _ids(model, _LENGTH)
    mask, written = _mask(ids), _ids(model, _WRITTEN)
    source, target = {0: "batch", 1: "source"}, {0: "batch", 1: "target"}
    found = _write(
        _SourceEncoder(model),
        {"input_ids": ids, "attention_mask": mask},
        {"input_ids": source, "attention_mask": source},
        ["last_hidden_state"],
        folder / ENCODER,
    )
    with torch.no_grad():
        hidden = _SourceEncoder(model)(ids, mask)
        first = {
            "encoder_attention_mask": mask,
            "input_ids": written,
            "encoder_hidden_states": hidden,
        }
        states = _Decoder(model)(*first.values())[1:]
    names = past_names(len(states) // 4)
    found += _write(
        _Decoder(model),
        first,
        {"encoder_attention_mask": source, "input_ids": target, "encoder_hidden_states": source},
        ["logits", *(f"present.{name}" for name in names)],
        folder / DECODER,
    )
    past = {f"past_key_values.{name}": state for name, state in zip(names, states, strict=True)}
    axes = {name: {0: "batch", 2: "source" if ".encoder." in name else "past"} for name in past}
    found += _write(
        _DecoderWithPast(model),
        {"encoder_attention_mask": mask, "input_ids": _ids(model, 1), **past},
        {"encoder_attention_mask": source, "input_ids": {0: "batch"}, **axes},
        ["logits", *(f"present.{name}" for name in names if ".decoder." in name)],
        folder / WITH_PAST,
    )
    return found


def past_names(layers: int) -> list[str]:
    """Names of the keys and values of a decoder's layers, less what stands before them.

    Example:
        >>> past_names(1)
        ['0.decoder.key', '0.decoder.value', '0.encoder.key', '0.encoder.value']
    """
    return [
        f"{layer}.{side}.{kind}"
        for layer in range(layers)
        for side in ("decoder", "encoder")
        for kind in ("key", "value")
    ]


def _ids(model: Any, length: int) -> torch.Tensor:
    rows = model.config.get_text_config().vocab_size
    return torch.arange(_BATCH * length).reshape(_BATCH, length) % rows


def _mask(ids: torch.Tensor) -> torch.Tensor:
    """A mask with padding in its last row: of one without any, a trace may drop the mask."""
    mask = torch.ones_like(ids)
    mask[-1, -2:] = 0
    return mask


def _typed(model: Any) -> bool:
    """Whether the model tells the two texts of a pair apart by a token's type."""
    takes = "token_type_ids" in inspect.signature(model.forward).parameters
    return takes and getattr(model.config, "type_vocab_size", 0) > 1


class _Encoder(torch.nn.Module):
    """An encoder with its head, its inputs in the order of ``names``."""

    def __init__(self, model: Any, names: Sequence[str]):
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return self.model(**dict(zip(self.names, inputs, strict=True))).logits


class _SourceEncoder(torch.nn.Module):
    def __init__(self, model: Any):
        super().__init__()
        self.encoder = model.get_encoder()

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


class _Decoder(torch.nn.Module):
    """A decoder and the output layer; returns logits, then keys and values as ``past_names``."""

    def __init__(self, model: Any):
        super().__init__()
        self.model = model

    def forward(self, mask: Any, input_ids: Any, hidden_states: Any) -> tuple[Any, ...]:
        found = self.model(
            attention_mask=mask,
            decoder_input_ids=input_ids,
            encoder_outputs=BaseModelOutput(last_hidden_state=hidden_states),
            use_cache=True,
        )
        cache = found.past_key_values
        both = (cache.self_attention_cache.layers, cache.cross_attention_cache.layers)
        layers = (layer for pair in zip(*both, strict=True) for layer in pair)
        return (found.logits, *(each for layer in layers for each in (layer.keys, layer.values)))


class _DecoderWithPast(torch.nn.Module):
    """The next token; returns logits, then keys and values of self-attention, one longer."""

    def __init__(self, model: Any):
        super().__init__()
        self.model = model

    def forward(self, mask: Any, input_ids: Any, *past: torch.Tensor) -> tuple[Any, ...]:
        own, cross = DynamicCache(), DynamicCache()
        for layer in range(len(past) // 4):
            keys, values, cross_keys, cross_values = past[4 * layer : 4 * layer + 4]
            own.update(keys, values, layer)
            cross.update(cross_keys, cross_values, layer)
        # the keys of the source are in the cache: its hidden states count by their shape alone
        hidden = past[0].new_zeros(*mask.shape, self.model.config.hidden_size)
        found = self.model(
            attention_mask=mask,
            decoder_input_ids=input_ids,
            encoder_outputs=BaseModelOutput(last_hidden_state=hidden),
            past_key_values=EncoderDecoderCache(own, cross),
            use_cache=True,
        )
        layers = found.past_key_values.self_attention_cache.layers
        return (found.logits, *(each for layer in layers for each in (layer.keys, layer.values)))


def _write(
    module: torch.nn.Module,
    inputs: Mapping[str, torch.Tensor],
    axes: Mapping[str, Mapping[int, str]],
    outputs: Sequence[str],
    path: Path,
) -> list[str]:
    """Trace a module and write its graph, large weights in a file beside it.

    Args:
        module: Takes the inputs by their place.
        inputs: Examples, by the names that the graph gives them.
        axes: Of each input, the axes that may have any length, by name.
        outputs: Names of the outputs.
        path: The graph's file.

    Returns:
        Names of the files.
    """
    import onnx_ir

    shapes = tuple(dict(axes[name]) for name in inputs)
    given = list(inspect.signature(module.forward).parameters.values())
    if given[-1].kind is inspect.Parameter.VAR_POSITIONAL:  # those of *past are one argument
        shapes = (*shapes[: len(given) - 1], shapes[len(given) - 1 :])
    with torch.no_grad(), _quiet():
        program: Any = torch.onnx.export(
            module.eval(),
            tuple(inputs.values()),
            dynamo=True,
            dynamic_shapes=shapes,
            input_names=[*inputs],
            output_names=[*outputs],
            verbose=False,
        )
    graph = program.model
    weights = sum(each.const_value.nbytes for each in graph.graph.initializers.values())
    beside = f"{path.name}_data" if weights > SEPARATE_BYTES else None
    onnx_ir.save(graph, os.fspath(path), external_data=beside)
    return [path.name, *([beside] if beside else [])]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep to itself what the exporter says of its own steps, and of torchvision."""
    before = logging.root.manager.disable
    told = io.StringIO()  # of a model that fails, a thousand lines of its operations
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(told),
        contextlib.redirect_stderr(told),
    ):
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(before)
