"""Encoder layers that compute no padding: a batch's tokens end to end, but for attention.

All that a layer computes is computed for each token alone, except attention. So the tokens of a
padded batch enter the first layer as one row without padding, stand as rows again wherever
attention looks from one to another, and leave the last layer as padded rows. The numbers are those
of the padded batch; what is 0 is what nothing reads.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from itertools import pairwise
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from frtune.models.families import family_for
from frtune.training.step_cuts import cut

ATTENTION = "unpadded"  # its name in Transformers' tables, where SDPA stands otherwise
GROUP_OVERHEAD = 2048  # what one more group of rows costs in attention, in pairs of tokens
# tokens are filled up to a multiple: the CPU's matrix products are prepared anew for each number
MULTIPLE = 16
_ANY = 2**62


class _Group:
    """Rows of like length, one after another among a batch's tokens, among which attention looks.

    Args:
        lengths: Tokens of each row, falling, int64.
    """

    def __init__(self, lengths: torch.Tensor):
        self.tokens = int(lengths.sum())
        self.shape = len(lengths), int(lengths[0])
        used = torch.arange(self.shape[1], device=lengths.device) < lengths[:, None]
        self.padded = not bool(used.all())
        self._places = used.flatten().nonzero().squeeze(1)
        self.mask = used[:, None, None] if self.padded else None  # (rows, 1, 1, length)

    def rows(self, states: torch.Tensor) -> torch.Tensor:
        """Of shape ``(tokens, heads, size)``, to ``(rows, heads, length, size)``."""
        if self.padded:
            rows = states.new_zeros(self.shape[0] * self.shape[1], *states.shape[1:])
            states = rows.index_copy(0, self._places, states)
        return states.unflatten(0, self.shape).transpose(1, 2)

    def ends(self, states: torch.Tensor) -> torch.Tensor:
        """Of shape ``(rows, length, heads, size)``, to ``(tokens, heads, size)``."""
        states = states.flatten(0, 1)
        return states.index_select(0, self._places) if self.padded else states


class _Batch:
    """Where a padded batch's tokens are.

    Args:
        mask: 1 for tokens, 0 for padding; of shape ``(rows, length)``.
    """

    def __init__(self, mask: torch.Tensor):
        lengths, order = mask.sum(1).sort(descending=True, stable=True)
        row, column = mask[order].nonzero(as_tuple=True)
        self._shape, self._tokens = mask.shape, order[row] * mask.shape[1] + column
        self.spare = -len(self._tokens) % MULTIPLE  # tokens that nothing reads
        places = cut((lengths**2).tolist(), most=_ANY, overhead=GROUP_OVERHEAD)
        self.groups = [_Group(lengths[start:end]) for start, end in pairwise(places)]

    def pack(self, states: torch.Tensor) -> torch.Tensor:
        """Of shape ``(rows, length, size)``, to ``(1, tokens, size)``."""
        states = states.flatten(0, 1).index_select(0, self._tokens)
        return torch.nn.functional.pad(states, (0, 0, 0, self.spare))[None]

    def pad(self, states: torch.Tensor) -> torch.Tensor:
        """Of shape ``(1, tokens, size)``, to ``(rows, length, size)``; padding is 0."""
        padded = states.new_zeros(self._shape.numel(), states.shape[2])
        states = states[0].narrow(0, 0, len(self._tokens))
        return padded.index_copy(0, self._tokens, states).unflatten(0, self._shape)


_batch: ContextVar[_Batch] = ContextVar("the batch that is computed without padding")


def _attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """SDPA among the tokens of each row; states have the shape ``(1, heads, tokens, size)``."""
    batch = _batch.get()
    sizes = [*(group.tokens for group in batch.groups), batch.spare]
    split = (states[0].transpose(0, 1).split(sizes) for states in (query, key, value))
    found = []
    for group, *parts in zip(batch.groups, *split, strict=False):
        rows = map(group.rows, parts)
        found.append(group.ends(sdpa_attention_forward(module, *rows, group.mask, **options)[0]))
    found.append(found[0].new_zeros(batch.spare, *found[0].shape[1:]))
    return torch.cat(found)[None], None


AttentionInterface.register(ATTENTION, _attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)


def unpadded_layers(model: Any) -> torch.nn.ModuleList | None:
    """The layers of an encoder that can compute tokens end to end; ``None`` of another model."""
    config = model.config
    if not family_for(config.model_type).unpadded or config._attn_implementation != "sdpa":
        return None
    if getattr(config, "output_hidden_states", False):
        return None
    if getattr(config, "chunk_size_feed_forward", 0):
        return None  # chunks of the padded length
    if any(getattr(module, "gradient_checkpointing", False) for module in model.modules()):
        return None  # layers are computed once more when the batch is gone
    found = [
        module
        for module in model.modules()
        if isinstance(module, torch.nn.ModuleList) and len(module) == config.num_hidden_layers
    ]
    return found[0] if len(found) == 1 else None


@contextlib.contextmanager
def without_padding(
    config: Any, layers: torch.nn.ModuleList | None, inputs: Mapping[str, Any]
) -> Iterator[None]:
    """Have a model's layers compute ``inputs`` without padding.

    Losses and gradients are the same as with it, but for the order of sums, and for dropout, which
    draws other numbers.

    Args:
        config: The model's.
        layers: Its ``unpadded_layers``; with ``None`` all is as it would be.
        inputs: With ``attention_mask``, int64 of shape ``(rows, length)``; without one, or where
            nothing is padded, or a row is empty, all is as it would be.
    """
    mask = inputs.get("attention_mask")
    # layers first: looking at a mask on a GPU would wait for it
    if layers is None or mask is None or mask.dim() != 2 or mask.all() or not mask.any(1).all():
        yield
        return
    batch = _Batch(mask)

    def enter(_module: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        if args:
            return (batch.pack(args[0]), *args[1:]), options
        return args, options | {"hidden_states": batch.pack(options["hidden_states"])}

    def leave(_module: Any, _args: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (batch.pad(output[0]), *output[1:])
        return batch.pad(output)

    hooks = [
        layers[0].register_forward_pre_hook(enter, with_kwargs=True),
        layers[-1].register_forward_hook(leave),
    ]
    token = _batch.set(batch)
    config._attn_implementation = ATTENTION
    try:
        yield
    finally:
        config._attn_implementation = "sdpa"
        _batch.reset(token)
        for hook in hooks:
            hook.remove()
