"""What a training step decides by values, read off its batch while that is on the CPU.

Asked of a tensor on a GPU, a value makes the CPU wait until the GPU has done all before it, in each
batch anew.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import torch
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

from frtune.tasks.loss import SCORED, StepLoss, of_tokens, scored_labels

PADDED = "padded"  # in a training batch: whether a mask hides a token
_LOOKING = ("sdpa", "eager")  # attention whose masks depend on whether there is padding
_padded: ContextVar[bool | None] = ContextVar("whether the batch is padded", default=None)


class KnownCollator:
    """Collate a training batch, and say what a step will ask of its values.

    Args:
        collator: Makes the batch.
        loss: ``compute_loss_func`` of the trainer.

    Returns:
        What ``collator`` returns; ``padded``, a truth value, where a mask says which tokens are
        there; and ``scored``, the ``scored_labels`` of labels of tokens, where ``loss`` is a
        ``StepLoss``.

    Example:
        >>> from frtune.tasks.collators import TokenCollator
        >>> batch = KnownCollator(TokenCollator(pad_id=1), StepLoss())([
        ...     {"input_ids": [5, 6], "labels": [-100, 2]}, {"input_ids": [7], "labels": [3]}])
        >>> batch["padded"], batch["scored"]["places"].tolist()
        (True, [1, 2])
    """

    def __init__(self, collator: Callable[[Sequence[dict[str, Any]]], Any], loss: Any):
        self.collator, self.loss = collator, loss

    def __call__(self, examples: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Make the batch of ``examples``."""
        batch = dict(self.collator(examples))
        masks = [batch[name] for name in batch if name.endswith("attention_mask")]
        if masks and all(torch.is_tensor(mask) and mask.dim() == 2 for mask in masks):
            batch[PADDED] = not all(bool(mask.all()) for mask in masks)
        labels = batch.get("labels")
        whole = of_tokens(labels) and "soft_labels" not in batch
        if whole and isinstance(self.loss, StepLoss):
            batch[SCORED] = scored_labels(labels, shift=self.loss.shift)
        return batch


@contextlib.contextmanager
def known_padding(padded: bool | None) -> Iterator[None]:
    """Have attention masks made without a look at their values; ``None`` changes nothing.

    Transformers leaves out the mask of a batch without padding, and asks the mask on the GPU. The
    masks are the same. Its table of masks is that of the process: other threads get theirs as ever.
    """
    if padded is None:
        yield
        return
    token = _padded.set(padded)
    _TABLE.take()
    try:
        yield
    finally:
        _TABLE.give_back()
        _padded.reset(token)


def _known(make: Callable[..., Any]) -> Callable[..., Any]:
    """``make``, a function that makes masks, where it is known whether there is padding."""

    def made(*args: Any, attention_mask: Any = None, **options: Any) -> Any:
        padded = _padded.get()
        if padded is None:
            return make(*args, attention_mask=attention_mask, **options)
        if attention_mask is None or not padded:
            return make(*args, attention_mask=None, **options)
        skips = {"allow_is_causal_skip": False, "allow_is_bidirectional_skip": False}
        return make(*args, attention_mask=attention_mask, **{**options, **skips})

    return made


class _MaskTable:
    """Transformers' table of masks, changed while anyone needs it so."""

    def __init__(self) -> None:
        self._lock, self._users = threading.Lock(), 0
        self._plain: dict[str, Callable[..., Any]] = {}

    def take(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._plain = {name: ALL_MASK_ATTENTION_FUNCTIONS[name] for name in _LOOKING}
                for name, make in self._plain.items():
                    ALL_MASK_ATTENTION_FUNCTIONS[name] = _known(make)

    def give_back(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users:
                return
            for name, make in self._plain.items():
                del ALL_MASK_ATTENTION_FUNCTIONS[name]
                if ALL_MASK_ATTENTION_FUNCTIONS[name] is not make:  # there was an own one
                    ALL_MASK_ATTENTION_FUNCTIONS[name] = make


_TABLE = _MaskTable()


def know_lengths(inputs: dict[str, Any], model: Any, columns: Sequence[str]) -> None:
    """Give FlauBERT and XLM lengths on the CPU: they hold the longest against the batch's width.

    Where there is a mask, nothing else is read off the lengths.

    Args:
        inputs: The batch, changed in place.
        model: The model.
        columns: Names of what its forward pass takes.
    """
    causal = getattr(model.config, "causal", False)  # makes a mask where the lengths are
    if "lengths" in columns and "attention_mask" in inputs and not causal:
        rows, width = inputs["attention_mask"].shape
        inputs.setdefault("lengths", torch.full((rows,), width))
