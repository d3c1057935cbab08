"""Layers with weights of 8 bits, and the file that holds them: plain integers and scales.

A weight row ``w`` is stored as ``round(w / s)`` with its scale ``s = max |w| / 127``. With
``activations="int8"`` the inputs are rounded too, token by token, when they come (dynamic
quantisation), so that the product runs on integers and an answer does not depend on what else is in
the batch. They get 127 of the 256 levels: processors without VNNI add two products in 16 bits,
which more levels would overflow. With ``"float"`` only the weights are rounded.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
import transformers
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn
from transformers import PreTrainedModel

from frtune.errors import InputError, first_line
from frtune.models.weight_verification import check_finite, empty_model

INT8_WEIGHTS = "model.int8.safetensors"  # a name that Transformers does not take for full weights
_SCALE = "weight_scale"
_LEVELS = 127
_STEPS = 63  # of activations, on each side of zero

Activations = Literal["int8", "float"]


def quantize_rows(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Round each row of a matrix to 8 bits.

    Args:
        weight: ``(rows, columns)``, floating point.

    Returns:
        int8 of the same shape, and the scale of each row, float32 ``(rows,)``.

    Example:
        >>> values, scale = quantize_rows(torch.tensor([[0.5, -1.0], [0.0, 0.0]]))
        >>> values.tolist(), round(scale[0].item(), 5)  # 1 / 127
        ([[64, -127], [0, 0]], 0.00787)
    """
    weight = weight.detach().float()
    scale = weight.abs().amax(dim=1).clamp_min(torch.finfo(torch.float32).tiny) / _LEVELS
    return torch.round(weight / scale[:, None]).to(torch.int8), scale


class Int8Linear(nn.Module):
    """``nn.Linear`` with int8 weights.

    Args:
        weight: int8 ``(out_features, in_features)``.
        weight_scale: float32 ``(out_features,)``.
        bias: float32 ``(out_features,)`` or ``None``.
        activations: ``"int8"`` rounds each token's input to 8 bits too.
    """

    weight: Any  # None once it is packed
    weight_scale: torch.Tensor
    bias: Any

    def __init__(
        self,
        weight: torch.Tensor,
        weight_scale: torch.Tensor,
        bias: torch.Tensor | None,
        *,
        activations: Activations,
    ):
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.activations = activations
        self.register_buffer("weight", weight)
        self.register_buffer(_SCALE, weight_scale)
        self.register_buffer("bias", bias)
        self.packed: Any = None

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Multiply: ``(..., in_features)`` to ``(..., out_features)``, in the inputs' type."""
        inputs_type = inputs.dtype
        if self.activations == "float":
            outputs = F.linear(inputs, self.weight.to(inputs_type)) * self.weight_scale
        else:
            inputs = inputs.float()
            largest = inputs.abs().amax(dim=-1, keepdim=True)  # (..., 1)
            largest = largest.clamp_min(torch.finfo(torch.float32).tiny)
            outputs = self._integer_product(inputs / largest) * largest
        if self.bias is not None:
            outputs = outputs + self.bias
        return outputs.to(inputs_type)

    def _integer_product(self, inputs: torch.Tensor) -> torch.Tensor:
        """The product with inputs in -1 to 1, rounded to steps of 1/63."""
        rounded = torch.round(inputs * _STEPS)
        if self.packed is None:
            return F.linear(rounded, self.weight.float()) * (self.weight_scale / _STEPS)
        # the kernel wants unsigned integers, so that 64 stands for zero
        flat = rounded.add_(_STEPS + 1).to(torch.uint8).reshape(-1, self.in_features)
        zeros = torch.zeros(self.out_features, dtype=torch.long)
        found = torch.ops.onednn.qlinear_pointwise(
            flat, 1 / _STEPS, _STEPS + 1, self.packed, self.weight_scale, zeros, None,
            1.0, 0, torch.float32, "none", [], "",
        )  # fmt: skip
        return found.reshape(*inputs.shape[:-1], self.out_features)

    def pack(self) -> None:
        """Hand the weights to oneDNN's integer kernel, where PyTorch has it.

        The int8 tensor is dropped then, so that the weights are in memory once. Elsewhere the same
        rounded numbers are multiplied as floats.
        """
        if self.activations == "int8" and "onednn" in torch.backends.quantized.supported_engines:
            self.packed = torch.ops.onednn.qlinear_prepack(self.weight, None)
            self.weight = None


class Int8Embedding(nn.Module):
    """``nn.Embedding`` with int8 rows, which are turned back into floats when looked up.

    Args:
        weight: int8 ``(tokens, width)``.
        weight_scale: float32 ``(tokens,)``.
    """

    weight: torch.Tensor
    weight_scale: torch.Tensor

    def __init__(self, weight: torch.Tensor, weight_scale: torch.Tensor):
        super().__init__()
        self.num_embeddings, self.embedding_dim = weight.shape
        self.register_buffer("weight", weight)
        self.register_buffer(_SCALE, weight_scale)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Look up: ``(...)`` to ``(..., width)``, float32."""
        return F.embedding(ids, self.weight) * F.embedding(ids, self.weight_scale[:, None])


def quantize_layers(
    model: PreTrainedModel, *, activations: Activations, skip: Collection[str] = ()
) -> list[str]:
    """Replace the linear layers and the token embedding of a model by int8 ones, in place.

    Left as they are: what ``skip`` names, layers of other classes, and weights that two layers
    share (an embedding that is also the output layer).

    Args:
        model: In full precision, without an adapter.
        activations: As of ``Int8Linear``.
        skip: Names of modules that stay, with all in them.

    Returns:
        Names of the layers that were replaced.
    """
    uses = Counter(id(p) for module in model.modules() for p in module._parameters.values())
    embedding = model.get_input_embeddings()
    replaced = []
    for name, module in list(model.named_modules()):
        # a subclass of an embedding does more than look up
        if type(module) is not nn.Linear and (
            module is not embedding or type(module) is not nn.Embedding
        ):
            continue
        if uses[id(module.weight)] > 1 or any(f"{name}.".startswith(f"{s}.") for s in skip):
            continue
        values, scale = quantize_rows(module.weight)
        bias = getattr(module, "bias", None)
        _put(model, name, values, scale, None if bias is None else bias.detach(), activations)
        replaced.append(name)
    return replaced


def _put(model: Any, name: str, weight: Any, scale: Any, bias: Any, activations: Any) -> None:
    parent, _, child = name.rpartition(".")
    if isinstance(model.get_submodule(name), nn.Linear):
        new: nn.Module = Int8Linear(weight, scale, bias, activations=activations)
    else:
        new = Int8Embedding(weight, scale)
    setattr(model.get_submodule(parent), child, new)


def pack_layers(model: nn.Module) -> None:
    """Make a quantised model ready to run on this processor; it stays on the CPU."""
    for module in model.modules():
        if isinstance(module, Int8Linear):
            module.pack()
    model.is_quantized = True  # type: ignore[assignment]  # as Transformers marks its own


def save_int8(model: PreTrainedModel, directory: str | os.PathLike[str]) -> None:
    """Write the weights and the config of a quantised model that is not packed yet.

    Buffers that Transformers computes are written too, so that loading needs no initialisation.
    """
    tensors, first, tied = {}, {}, {}
    parameters = model.named_parameters(remove_duplicate=False)
    for name, tensor in [*parameters, *model.named_buffers(remove_duplicate=False)]:
        if first.setdefault(id(tensor), name) != name:
            tied[name] = first[id(tensor)]
        else:
            tensors[name] = tensor.detach().clone().contiguous()
    metadata = {"format": "pt", "tied": json.dumps(tied)}
    save_file(tensors, Path(directory) / INT8_WEIGHTS, metadata=metadata)
    model.config.save_pretrained(directory)
    if model.can_generate():
        model.generation_config.save_pretrained(directory)


def load_int8(
    directory: str | os.PathLike[str], auto_class: str, config: Any, *, activations: Activations
) -> PreTrainedModel:
    """Open what ``save_int8`` wrote; no full-precision model is made on the way.

    Raises:
        InputError: If the file is missing or is not this model's.
    """
    path = Path(directory) / INT8_WEIGHTS
    try:
        with safe_open(path, framework="pt") as file:
            tied = json.loads((file.metadata() or {}).get("tied", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (OSError, SafetensorError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}). Copy the whole directory.") from error
    check_finite(str(path), tensors.items())
    model = empty_model(directory, getattr(transformers, auto_class), config)
    try:
        _fill(model, tensors, tied, activations)
    except (AttributeError, KeyError, RuntimeError) as error:
        raise InputError(
            f"{path}: is not of this model ({error}). Copy the whole directory."
        ) from error
    named = [*model.named_parameters(), *model.named_buffers()]
    absent = [name for name, tensor in named if tensor.is_meta]
    if absent:
        raise InputError(f"{path}: lacks {', '.join(absent[:3])}. Copy the whole directory.")
    if (Path(directory) / "generation_config.json").is_file():
        try:
            model.generation_config = transformers.GenerationConfig.from_pretrained(directory)
        except OSError as error:
            raise InputError(f"{directory}: {first_line(error)} Copy it again.") from error
    pack_layers(model)
    return model.eval()


def _fill(model: Any, tensors: dict[str, Any], tied: dict[str, str], activations: Any) -> None:
    for key in [key for key in tensors if key.endswith(f".{_SCALE}")]:
        name = key.removesuffix(f".{_SCALE}")
        _put(
            model, name, tensors.pop(f"{name}.weight"), tensors.pop(key),
            tensors.pop(f"{name}.bias", None), activations,
        )  # fmt: skip
    parameters = {name: _assign(model, name, tensor) for name, tensor in tensors.items()}
    for name, source in tied.items():
        _assign(model, name, parameters[source])


def _assign(model: Any, name: str, tensor: torch.Tensor) -> torch.Tensor:
    parent, _, child = name.rpartition(".")
    module = model.get_submodule(parent)
    before = getattr(module, child, None)
    if before is not None and before.shape != tensor.shape:
        raise KeyError(f"{name} is of shape {list(tensor.shape)}, not {list(before.shape)}")
    if child in module._parameters and not isinstance(tensor, nn.Parameter):
        tensor = nn.Parameter(tensor, requires_grad=False)
    elif child not in {**module._parameters, **module._buffers}:
        raise KeyError(f"{name} unknown")
    setattr(module, child, tensor)
    return tensor
