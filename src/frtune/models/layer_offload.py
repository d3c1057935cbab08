"""A model of the host that computes on a GPU, where one of its layers is at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from transformers.modeling_layers import GradientCheckpointingLayer


@contextlib.contextmanager
def layers_in_turn(
    model: Any, device: Any, *, copy: Callable[[torch.Tensor], torch.Tensor] | None = None
) -> Iterator[None]:
    """Let ``model`` compute on ``device`` while the block runs, without gradients.

    A layer is copied there when it is called, and dropped when it has answered. What is in no layer
    (embeddings, heads) is there throughout; of a model without layers of Transformers' own kind,
    all is. What is on ``device`` already stays as it is.

    Args:
        model: On the host.
        device: Where its inputs are.
        copy: Makes the copy of a tensor; ``None`` takes ``tensor.to(device)``.
    """
    device, always = torch.device(device), copy is not None
    copy = copy or (lambda tensor: tensor.to(device))
    layers = [each for each in model.modules() if isinstance(each, GradientCheckpointingLayer)]
    inside = {id(part) for layer in layers for part in layer.modules()}
    there: dict[int, tuple[Any, torch.Tensor]] = {}  # by id, with the data on the host

    def fetch(tensors: Iterable[Any]) -> list[int]:
        new = []
        for tensor in tensors:
            if id(tensor) not in there and (always or tensor.device != device):
                there[id(tensor)] = tensor, tensor.data
                tensor.data = copy(tensor.data)
                new.append(id(tensor))
        return new

    def drop(names: Iterable[int]) -> None:
        for name in names:
            tensor, own = there.pop(name)
            tensor.data = own

    fetched: list[list[int]] = []  # by layer; one may stand in another
    hooks = [
        hook
        for layer in layers
        for hook in (
            layer.register_forward_pre_hook(
                lambda each, _: fetched.append(fetch(_tensors(each.modules())))
            ),
            layer.register_forward_hook(lambda *_: drop(fetched.pop()), always_call=True),
        )
    ]
    try:
        fetch(_tensors(part for part in model.modules() if id(part) not in inside))
        yield
    finally:
        for hook in hooks:
            hook.remove()
        drop(list(there))


def _tensors(modules: Iterable[Any]) -> Iterator[Any]:
    for module in modules:
        for tensor in (*module._parameters.values(), *module._buffers.values()):
            if tensor is not None:
                yield tensor
