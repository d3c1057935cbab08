"""DeepSpeed's checkpoints, opened without executing what they hold.

What is loaded on resuming, and how (transformers 5.23, read in the source): ``optimizer.pt``,
``scheduler.pt``, ``scaler.pt`` and ``rng_state*.pth`` by ``torch.load(weights_only=True)``, which
unpickles tensors and plain containers only and refuses all else; weights and adapters by
safetensors; ``training_args.bin``, a pickle of objects, by nothing, so that it is not kept.
DeepSpeed's engine loads its own files with ``weights_only=False``; ``safe_deepspeed`` changes that.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch


@contextlib.contextmanager
def safe_deepspeed() -> Iterator[None]:
    """Have DeepSpeed save what loads with ``weights_only=True``, and load so; it unpickles else.

    What its files hold beside tensors and plain values is the few classes that are named here.
    """
    from deepspeed.runtime.checkpoint_engine.torch_checkpoint_engine import TorchCheckpointEngine
    from deepspeed.runtime.fp16.loss_scaler import DynamicLossScaler, LossScaler
    from deepspeed.runtime.zero.config import ZeroStageEnum
    from deepspeed.utils.tensor_fragment import fragment_address

    # the classes that torch.serialization.get_unsafe_globals_in_checkpoint finds there
    classes = [fragment_address, ZeroStageEnum, LossScaler, DynamicLossScaler]

    def load(self: Any, path: str, map_location: Any = None) -> Any:
        with torch.serialization.safe_globals(classes):
            return torch.load(path, map_location=map_location, weights_only=True)

    def by_value(self: Any, protocol: int) -> tuple[Any, ...]:
        return type(self), (self.value,)

    # the engine has no option for it: without the patch, whoever can write into a checkpoint can
    # run code here when it is resumed from
    before = TorchCheckpointEngine.load, ZeroStageEnum.__reduce_ex__
    TorchCheckpointEngine.load = load  # type: ignore[method-assign]
    # Python 3.11.0 to 3.11.3 pickle an enum as a call of getattr, which must not be let in
    ZeroStageEnum.__reduce_ex__ = by_value  # type: ignore[method-assign]
    try:
        yield
    finally:
        TorchCheckpointEngine.load, ZeroStageEnum.__reduce_ex__ = before  # type: ignore[method-assign]
