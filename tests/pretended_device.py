"""A device that is not there: tensors of real numbers that say they are on it, and what waits.

Tensors stay on the CPU, where kernels and autograd compute their real numbers. Those that are
*moved* say ``cuda:0``, and so does what is computed of them. An operation that a GPU would refuse
raises, and each that makes the CPU wait for the GPU is counted.
"""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Iterator
from typing import Any

import accelerate
import pytest
import torch
from torch.nn.utils import clip_grad
from torch.utils._foreach_utils import _group_tensors_by_device_and_dtype
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map_only
from transformers import TrainingArguments

DEVICE = torch.device("cuda", 0)
CPU = torch.device("cpu")
aten = torch.ops.aten

# their result has as many rows as values say, or is a value
WAITING = {
    aten._local_scalar_dense, aten.nonzero, aten.masked_select, aten.equal, aten._unique2,
    aten.unique_dim, aten.unique_consecutive, aten.bincount, aten.histc,
}  # fmt: skip
INDEXED = {aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_, aten._unsafe_index}
MOVING = {aten._to_copy, aten.copy_}
_DEVICE_OF: Any = torch.Tensor.device.__get__  # type: ignore[attr-defined]
_PARSE_TO: Any = torch._C._nn._parse_to  # type: ignore[attr-defined]


def is_moved(value: Any) -> bool:
    """Whether a tensor is on the device: its storage is, and so are all views of it."""
    return getattr(value.untyped_storage(), "moved", False)


def _mark(value: torch.Tensor) -> None:
    value.untyped_storage().moved = True  # type: ignore[attr-defined]


class Waits(TorchDispatchMode):
    """Holds operations against what a GPU allows, and counts those that wait for it.

    Attributes:
        found: Where each wait came from: the operation, then file and line of its callers,
            the nearest first.
    """

    def __init__(self):
        super().__init__()
        self.found: list[str] = []

    def add(self, what: str) -> None:
        """Count a wait."""
        frames = [
            f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"
            for frame in reversed(traceback.extract_stack(limit=40))
            if "/torch/" not in frame.filename and frame.filename != __file__
        ]
        self.found.append(" < ".join([what, *frames[:4]]))

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        packet = func.overloadpacket
        tensors = [each for each in tree_iter((args, kwargs)) if isinstance(each, torch.Tensor)]
        moved = any(map(is_moved, tensors))
        target = kwargs.get("device")
        if target is not None and target.type == DEVICE.type:
            kwargs["device"] = CPU
        if packet in MOVING:
            to_device = self._note_move(packet, args, kwargs, target)
        else:
            self._check(func, args, kwargs, tensors, moved)
            # C++ passes the options of a tensor, which is on the CPU in truth
            inside = not tensors and torch._C._current_graph_task_id() != -1
            to_device = moved or inside or (target is not None and target.type == DEVICE.type)
        out = func(*args, **kwargs)
        if to_device:
            tree_map_only(torch.Tensor, _mark, out)
        return out

    def _note_move(self, packet: Any, args: Any, kwargs: Any, target: Any) -> bool:
        """Count a copy that waits; returns whether it goes to the device."""
        if packet is not aten._to_copy:
            goes, source = is_moved(args[0]), args[1] if len(args) > 1 else args[0]
            blocking = not (args[2] if len(args) > 2 else kwargs.get("non_blocking", False))
        else:
            source, blocking = args[0], not kwargs.get("non_blocking", False)
            # C++ asks for the CPU where it means the device of a tensor: Python's ``to`` does not
            goes = is_moved(source) or (target is not None and target.type == DEVICE.type)
        comes = is_moved(source)
        if not source.numel():
            return goes  # nothing is copied
        if comes and not goes:
            self.add("copy to the CPU")
        elif goes and not comes and blocking:
            self.add("blocking copy to the device")
        return goes

    def _check(self, func: Any, args: Any, kwargs: Any, tensors: list, moved: bool) -> None:
        """Count what waits; refuse what mixes devices."""
        if not moved:
            return
        packet = func.overloadpacket
        others = [each for each in tensors if not is_moved(each) and each.dim()]
        if packet in INDEXED:
            indices = [index for index in args[1] if index is not None]
            masked = any(index.dtype in (torch.bool, torch.uint8) for index in indices)
            # one number from the CPU is written by masked_fill
            fills = len(args) > 2 and args[2].numel() == 1 and not is_moved(args[2])
            if masked and not fills:
                self.add(f"{packet.__name__} with a mask")
            if is_moved(args[0]):  # takes indices from the CPU, and copies them
                there = [index for index in indices if not is_moved(index)]
                for _ in there:
                    self.add("blocking copy of indices to the device")
                others = [each for each in others if all(each is not index for index in there)]
        elif packet in WAITING or (
            packet is aten.repeat_interleave and kwargs.get("output_size") is None
        ):
            self.add(packet.__name__)
        if others:
            raise RuntimeError(
                f"{func}: expected all tensors to be on the same device, but found at least two "
                f"devices, {DEVICE} and cpu! (shapes {[tuple(each.shape) for each in tensors]})"
            )


def _device(tensor: torch.Tensor) -> torch.device:
    found = _DEVICE_OF(tensor)
    return DEVICE if found.type == "cpu" and is_moved(tensor) else found


@contextlib.contextmanager
def counted() -> Iterator[Waits]:
    """Pretend the device inside of the block; trainers made there train on it."""
    with Waits() as waits, pytest.MonkeyPatch.context() as patch:
        for name, value in _methods(waits).items():
            patch.setattr(torch.Tensor, name, value)
        patch.setattr(torch, "tensor", _maker(torch.tensor))
        patch.setattr(torch, "as_tensor", _maker(torch.as_tensor))
        for owner in (TrainingArguments, accelerate.Accelerator):
            plain: Any = owner.device.fget
            patch.setattr(
                owner, "device", property(lambda self, plain=plain: plain(self) and DEVICE)
            )
        for module in (clip_grad, sys.modules[torch.optim.Optimizer.__module__]):
            patch.setattr(module, "_group_tensors_by_device_and_dtype", _grouped)
        for name, value in _CUDA.items():
            patch.setattr(torch.cuda, name, value)
        yield waits


_CUDA: dict[str, Any] = {
    "_lazy_init": lambda: None,
    "memory_reserved": lambda *_: 0,
    "memory_allocated": lambda *_: 0,
    "max_memory_allocated": lambda *_: 2**20,
    "reset_peak_memory_stats": lambda *_: None,
    "mem_get_info": lambda *_: (2**36, 2**36),
    "get_rng_state": lambda *_: torch.get_rng_state(),
    "set_rng_state": lambda *_: None,
}


def _grouped(lists: Any, with_indices: bool = False) -> Any:
    """As torch's, which asks C++ for the device of each group."""
    groups = _group_tensors_by_device_and_dtype(lists, with_indices)
    return {
        (tensors[0][0].device, dtype): (tensors, indices)
        for (_, dtype), (tensors, indices) in groups.items()
    }


def _maker(plain: Any) -> Any:
    """``torch.tensor`` or ``torch.as_tensor``, which move what they made by themselves."""

    def make(data, *args, device=None, **options):
        made = plain(data, *args, **options)
        return made if device is None else made.to(device)

    return make


def _methods(waits: Waits) -> dict[str, Any]:
    """Methods of tensors that tell of their device, or move them, before any operation runs."""
    plain: Any = torch.Tensor.to
    plain_list, plain_numpy = torch.Tensor.tolist, torch.Tensor.numpy

    def to(self, *args, copy=False, **options):
        if args and isinstance(args[0], torch.Tensor):
            args = (args[0].device, args[0].dtype, *args[1:])
        device, dtype, non_blocking, _ = _PARSE_TO(*args, **options)
        dtype, here = dtype or self.dtype, self.device
        device = here if device is None else device
        if (device.type, dtype) == (here.type, self.dtype) and not copy:
            return self
        if DEVICE.type not in (device.type, here.type):
            return plain(self, device=device, dtype=dtype, copy=copy)
        if device.type == "cpu":  # C++ believes that the tensor is there already
            waits.add("copy to the CPU")
            made = plain(self, dtype=dtype, copy=True)
            made.untyped_storage().moved = False
            return made
        return plain(self, device=DEVICE, dtype=dtype, non_blocking=non_blocking, copy=copy)

    def tolist(self):
        if is_moved(self):
            waits.add("tolist")
        return plain_list(self)

    def numpy(self, *args, **options):
        if is_moved(self):
            raise TypeError(f"can't convert {DEVICE} device type tensor to numpy.")
        return plain_numpy(self, *args, **options)

    return {
        "device": property(_device),
        "is_cuda": property(is_moved),
        "to": to,
        "cpu": lambda self, *_, **__: self.to(CPU),
        "cuda": lambda self, *_, **__: self.to(DEVICE),
        "tolist": tolist,
        "numpy": numpy,
        "__array__": lambda self, *_, **__: self.numpy(),
    }
