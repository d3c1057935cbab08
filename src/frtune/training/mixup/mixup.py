"""MixUp of embeddings: a training row becomes a mix of two, and so does its label.

``x = share * T(x_i) + (1 - share) * T(x_j)`` and ``y = share * y_i + (1 - share) * y_j`` with
``share`` from Beta(alpha, alpha) (Zhang et al. 2018, section 2), where ``T`` is the embedding of
the tokens, the output of a block (Verma et al. 2019) or the vector of the sentence (Guo et al.
2019).
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from frtune.errors import InputError, nearest

if TYPE_CHECKING:
    import torch

Level = Literal["embeddings", "hidden", "sentence"]
LEVELS: tuple[str, ...] = get_args(Level)
IGNORED = -100


@dataclass(frozen=True)
class Mixup:
    """Train on mixes of pairs of rows: each batch anew, or on rows that are mixed once and stored.

    Attributes:
        level: What is mixed: ``embeddings`` (of tokens, before positions are added), ``hidden``
            (the output of a block) or ``sentence`` (what the head reads).
        alpha: Both parameters of the Beta distribution of shares. Small ones leave most rows nearly
            as they are; 1 draws all shares alike.
        layer: For ``hidden``, the block whose output is mixed, from 1; ``None`` draws one a batch.
        rows: Mix so many new rows from twice as many random ones, once, store them, and train on
            both kinds; ``None`` mixes every batch with itself.

    Example:
        >>> Mixup(level="hidden", alpha=0.4, layer=3)
        Mixup(level='hidden', alpha=0.4, layer=3, rows=None)
        >>> Mixup(alpha=0)
        Traceback (most recent call last):
        ...
        frtune.errors.InputError: alpha=0: above 0. 0.2 mixes little, 1 draws all shares alike.
    """

    level: Level = "embeddings"
    alpha: float = 0.2
    layer: int | None = None
    rows: int | None = None

    def __post_init__(self):
        if self.level not in LEVELS:
            hint = nearest(str(self.level), list(LEVELS))
            raise InputError(f"level={self.level!r}: {', '.join(LEVELS)}.{hint}")
        if not _is_number(self.alpha) or not 0 < self.alpha < math.inf:
            raise InputError(
                f"alpha={self.alpha!r}: above 0. 0.2 mixes little, 1 draws all shares alike."
            )
        for name in ("layer", "rows"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or value != int(value) or value < 1):
                raise InputError(f"{name}={value!r}: a whole number from 1, or leave it out.")
        if self.layer is not None and self.level != "hidden":
            raise InputError(f"layer={self.layer}: for level='hidden' only. Leave one of them out.")
        if self.rows is not None and self.level == "hidden":
            raise InputError(
                f"rows={self.rows}: not for level='hidden', which is mixed while training. Store "
                "mixes of 'embeddings' or 'sentence', or leave rows out."
            )

    def draw(self, size: int, *, blocks: int, seed: int, content: bytes) -> Mix:
        """Draw how a batch is mixed with itself: the same for the same seed and content.

        No generator has a state, so that a run draws the same mixes on whatever worker, goes on as
        it would have when it is resumed, and shuffles as it would without MixUp.

        Args:
            size: Rows in the batch.
            blocks: Blocks that the model has.
            seed: Seed of the run.
            content: What tells this batch from others.

        Example:
            >>> mix = Mixup(alpha=0.5).draw(4, blocks=6, seed=42, content=b"batch")
            >>> round(mix.share, 3), mix.partners, mix.layer
            (0.109, [3, 2, 1, 0], None)
        """
        import numpy as np

        digest = hashlib.sha256(f"{seed} ".encode() + content).digest()
        random = np.random.default_rng(int.from_bytes(digest, "big"))
        share = float(np.float32(random.beta(self.alpha, self.alpha)))
        partners = random.permutation(size).tolist()
        layer = int(random.integers(1, blocks + 1)) if self.level == "hidden" else None
        return Mix(share, partners, self.layer or layer)


class Mix(NamedTuple):
    """How a batch is mixed: ``share`` of each row, the rest of its partner, at block ``layer``."""

    share: float
    partners: list[int]
    layer: int | None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@dataclass(frozen=True)
class MixupCollator:
    """Make a batch as the task's collator does, and say how its rows are to be mixed.

    Args:
        collator: The task's collator.
        mixup: What to mix.
        seed: Seed of the run.
        classes: Labels of the head; ``None`` where it answers with a score.
        blocks: Blocks of the model.

    Returns:
        What ``collator`` returns, and ``soft_labels``, float32, mixed: (batch, classes), (batch,
        length, classes), or (batch,) of scores. ``labels`` stay those of the rows: they are
        counted. ``mixup`` says what ``frtune.training.mixup.hooks.mixed`` does in the forward pass. For
        the level ``embeddings``, ``attention_mask`` has the tokens of both rows of a pair, and
        ``input_ids`` the partner's where a row has padding: a token is there, with its position.
    """

    collator: Any
    mixup: Mixup
    seed: int
    classes: int | None
    blocks: int = 1

    def __call__(self, examples: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Make the batch of ``examples``."""
        import torch

        batch = self.collator(examples)
        ids, labels = batch["input_ids"], batch["labels"]
        size = len(labels)
        mix = self.mixup.draw(
            size, blocks=self.blocks, seed=self.seed, content=ids.numpy().tobytes()
        )
        rows = torch.tensor(mix.partners)
        orders = len(ids) // size  # sequences a row, one after the other
        partners = (rows[:, None] * orders + torch.arange(orders)).flatten()
        whole = one_hot(labels, self.classes)
        batch["soft_labels"] = blended(whole, mix.share, rows)
        batch["mixup"] = {
            "level": self.mixup.level,
            "share": mix.share,
            "partners": partners,
            "layer": mix.layer,
        }
        if self.mixup.level == "embeddings":
            batch["mixup"]["input_ids"] = ids
            batch.update(united_inputs(batch, mix.share, partners))
        return batch


def blended(values: torch.Tensor, share: float, partners: torch.Tensor) -> torch.Tensor:
    """Mix each row with its partner: ``share * values + (1 - share) * values[partners]``."""
    return share * values + (1 - share) * values[partners]


def united(mask: torch.Tensor, share: float, partners: torch.Tensor) -> torch.Tensor:
    """Let a row see what it sees or its partner does; the share of a row that is 0 sees nothing.

    Args:
        mask: Rows first; boolean, of 0 and 1, or to be added to scores (0 and very negative).
        share: Share of the rows themselves.
        partners: The partner of each row.
    """
    import torch

    if share == 1:
        return mask
    other = mask[partners]
    return other if share == 0 else torch.maximum(mask, other)


def united_inputs(
    batch: dict[str, torch.Tensor], share: float, partners: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Mask, ids and token types of pairs of sequences: the partner's where a row has padding."""
    import torch

    own = batch["attention_mask"] == 1
    inputs = {"attention_mask": united(batch["attention_mask"], share, partners)}
    for name in ("input_ids", "token_type_ids"):
        if name in batch:
            values, other = batch[name], batch[name][partners]
            shown = values if share == 1 else torch.where(own, values, other)
            inputs[name] = other if share == 0 else shown
    return inputs


def one_hot(labels: torch.Tensor, classes: int | None) -> torch.Tensor:
    """Class ids as probabilities, float32, 0 throughout where a label is -100; scores as they are.

    Example:
        >>> import torch
        >>> one_hot(torch.tensor([1, -100]), 2).tolist()
        [[0.0, 1.0], [0.0, 0.0]]
    """
    from torch.nn import functional

    if classes is None:
        return labels.float()
    counted = labels != IGNORED
    return functional.one_hot(labels.clamp(min=0), classes).float() * counted[..., None]


def check_mixup(mixup: Mixup, task: Any, model: Any, args: Any) -> None:
    """Refuse what cannot be mixed, before the first step.

    Raises:
        InputError: Names the way out.
    """
    from frtune.training.mixup.hooks import block_count, check_hidden

    if task.generates:
        raise InputError(
            f"mixup: not for {task.name}, which writes text and has no label to mix. Leave it out."
        )
    if mixup.level == "sentence" and task.name == "keywords":
        raise InputError(
            "mixup level='sentence': keywords are labels of tokens. Take 'embeddings' or 'hidden'."
        )
    if mixup.rows is None and args.per_device_train_batch_size < 2:
        raise InputError(
            "mixup with per_device_train_batch_size=1: a row is mixed with another of its batch. "
            "Pass 2 or more."
        )
    if args.torch_compile or args.n_gpu > 1:
        what = "torch_compile=True" if args.torch_compile else f"{args.n_gpu} GPUs in one process"
        way = "Leave it out" if args.torch_compile else "Launch with torchrun, a process for each"
        raise InputError(f"mixup: not with {what}. {way}.")
    if mixup.level == "hidden":
        blocks = block_count(model)
        if mixup.layer is not None and mixup.layer > blocks:
            raise InputError(f"mixup layer={mixup.layer}: this model has blocks 1 to {blocks}.")
        check_hidden(model)


def aligned(collator: Any, model: Any) -> Any:
    """The task's collator, padding on the left for a decoder.

    A decoder answers at the last token. Padded on the left, the last tokens of two rows stand at
    the same place, where each has read its whole text.
    """
    from frtune.training.encoding import kind_of

    return dataclasses.replace(collator, side="left") if kind_of(model) == "decoder" else collator


def head_classes(task: Any, model: Any) -> int | None:
    """Labels that the head tells apart; ``None`` where it answers with a score."""
    return None if getattr(task, "scored", False) else model.config.num_labels


def training_collator(mixup: Mixup, task: Any, model: Any, *, collator: Any, seed: int) -> Any:
    """The collator of training batches: ``collator`` is the task's own."""
    from frtune.training.mixup.hooks import block_count
    from frtune.training.mixup.stored_rows import StoredCollator

    classes = head_classes(task, model)
    collator = aligned(collator, model)
    if mixup.rows is not None:
        return StoredCollator(collator, classes=classes)
    return MixupCollator(collator, mixup, seed=seed, classes=classes, blocks=block_count(model))
