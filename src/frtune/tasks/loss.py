"""One loss for every head, summed and divided by the items of the whole optimizer step.

Plain ``Trainer`` takes the mean of each micro-batch for some models and multiplies it by the number
of accumulation steps for others. Here a step's loss and gradients do not depend on how its rows
were cut into micro-batches and processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import transformers.modeling_utils as modeling
from torch.nn import functional

IGNORED = -100


def scored_positions(labels: torch.Tensor) -> torch.Tensor:
    """Where a decoder's loss reads its logits: before each label that counts.

    Args:
        labels: (batch, length), -100 where no loss falls.

    Returns:
        Bool, of the same shape: ``logits_to_keep`` of the model.

    Example:
        >>> scored_positions(torch.tensor([[-100, -100, 5, 6]])).tolist()
        [[False, True, True, False]]
    """
    kept = torch.zeros_like(labels, dtype=torch.bool)
    kept[:, :-1] = labels[:, 1:] != IGNORED
    return kept


def keep_scored(inputs: dict[str, Any], loss: Any) -> None:
    """Have a decoder compute only the logits that ``loss`` reads; of a long prompt there are none.

    Args:
        inputs: The batch, changed in place: ``logits_to_keep`` is added where ``loss`` is a
            decoder's and this version of Transformers takes a mask there.
        loss: ``compute_loss_func`` of the trainer.
    """
    takes_mask = hasattr(modeling, "slice_logits_to_keep")  # 5.18 took positions alone
    if takes_mask and "labels" in inputs and getattr(loss, "shift", False):
        inputs["logits_to_keep"] = scored_positions(inputs["labels"])


@dataclass(frozen=True)
class StepLoss:
    """``compute_loss_func`` for a ``Trainer``: sum over items, divided by the step's items.

    Args:
        shift: Decoders: position ``t`` predicts label ``t + 1``.
        regression: Mean squared error on one output, instead of cross-entropy.
        label_smoothing: Share of the target mass spread over all classes, 0 to 1.
        class_weights: One factor per class; items still count as one each.
        focal_gamma: Weigh each item by ``(1 - p) ** focal_gamma``, where ``p`` is the probability
            of its label (Lin et al. 2017, equation 4); 0 weighs all alike.

    Example:
        >>> logits = torch.zeros(1, 2, 4)
        >>> loss = StepLoss()({"logits": logits}, torch.tensor([[1, -100]]), num_items_in_batch=1)
        >>> round(loss.item(), 4)  # ln 4
        1.3863
    """

    shift: bool = False
    regression: bool = False
    label_smoothing: float = 0.0
    class_weights: Sequence[float] | None = None
    focal_gamma: float = 0.0

    def __call__(
        self,
        outputs: Any,
        labels: torch.Tensor,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Return the scalar loss, float32.

        Args:
            outputs: Has ``logits``: (batch, classes) or (batch, length, vocabulary); of a decoder,
                also (items, vocabulary), those at ``scored_positions(labels)`` alone.
            labels: (batch,) or (batch, length), -100 where no loss falls. Or class probabilities,
                floating point, of the shape of the logits: the loss is the sum of each class's
                loss times its probability, and where all are 0 none falls.
            num_items_in_batch: Labels that count in the whole optimizer step, over all
                micro-batches and processes; ``None`` counts those given here.
        """
        logits = outputs["logits"] if isinstance(outputs, dict) else outputs.logits
        weights = None
        if self.class_weights is not None:
            weights = torch.tensor(self.class_weights, device=logits.device)
        if self.regression:
            total = functional.mse_loss(logits.squeeze(-1).float(), labels.float(), reduction="sum")
            counted = labels.numel()
        elif labels.is_floating_point():
            total, counted = self._soft_cross_entropy(logits, labels, weights)
        else:
            total, counted = self._cross_entropy(logits, labels, weights)
        # The mean of the micro-batches' and processes' means would weigh an item by how few there
        # are beside it; a sum over the items of the whole step is the same however it is cut.
        items = counted if num_items_in_batch is None else num_items_in_batch
        items = torch.as_tensor(items, device=total.device)
        return total / items.clamp(min=1)  # a batch in which nothing counts has no loss

    def _cross_entropy(
        self, logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if self.shift:
            logits = logits[:, :-1] if logits.dim() == 3 else logits
            labels = labels[:, 1:]
        labels = labels.to(logits.device)
        kept = labels != IGNORED
        # only the positions that count are cast to float32: (items, classes)
        logits = (logits[kept] if logits.dim() > labels.dim() else logits).float()
        labels = labels[kept]
        summed = "none" if self.focal_gamma else "sum"
        losses = functional.cross_entropy(
            logits, labels, weights, label_smoothing=self.label_smoothing, reduction=summed
        )
        if self.focal_gamma:
            chances = logits.softmax(dim=-1).gather(1, labels[:, None])[:, 0]
            # clamped: the gradient of a power below 1 is infinite at 0
            losses = ((1 - chances).clamp(min=1e-6) ** self.focal_gamma * losses).sum()
        return losses, kept.sum()

    def _soft_cross_entropy(
        self, logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if self.shift:
            raise ValueError("labels: probabilities of a next token. Pass token ids.")
        labels = labels.to(logits.device)
        kept = labels.sum(-1) > 0
        logits, labels = logits[kept].float(), labels[kept].float()
        log_chances = logits.log_softmax(dim=-1)  # (items, classes)
        losses = -log_chances
        losses = losses if weights is None else losses * weights
        # the loss of each class, were it the label, as the loss above has it
        smoothing = self.label_smoothing
        losses = (1 - smoothing) * losses + smoothing * losses.mean(-1, keepdim=True)
        if self.focal_gamma:
            losses = (1 - log_chances.exp()).clamp(min=1e-6) ** self.focal_gamma * losses
        return (labels * losses).sum(), labels.sum()
