"""One loss for every head, summed and divided by the items of the whole optimizer step.

Plain ``Trainer`` takes the mean of each micro-batch for some models and multiplies it by the number
of accumulation steps for others. Here a step's loss and gradients do not depend on how its rows
were cut into micro-batches and processes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import transformers.modeling_utils as modeling
from torch.nn import functional

from frtune.environment.device_copies import on_device

IGNORED = -100
SCORED = "scored"  # in a training batch: its ``scored_labels``


def scored_labels(labels: torch.Tensor, *, shift: bool) -> dict[str, torch.Tensor]:
    """Which labels count and where their logits stand: made on the CPU, so that no GPU is asked.

    Args:
        labels: (batch, length), -100 where no loss falls.
        shift: Decoders: position ``t`` predicts label ``t + 1``.

    Returns:
        ``labels`` (items,), and ``places`` (items,), their rows among logits of (batch * length).
        Of a decoder ``labels`` (batch * most,) and ``kept`` (batch, most): ``logits_to_keep`` of
        the model, for as many labels as the row has that has most. Where another has fewer, its
        first place again, and -100.

    Example:
        >>> found = scored_labels(torch.tensor([[-100, 5, 6], [-100, -100, 7]]), shift=True)
        >>> found["kept"].tolist(), found["labels"].tolist()
        ([[0, 1], [1, 1]], [5, 6, 7, -100])
        >>> found = scored_labels(torch.tensor([[5, 6], [7, -100]]), shift=False)
        >>> found["places"].tolist(), found["labels"].tolist()
        ([0, 1, 2], [5, 6, 7])
    """
    if not shift:
        places = (labels.flatten() != IGNORED).nonzero()[:, 0]
        return {"labels": labels.flatten()[places], "places": places}
    following = functional.pad(labels[:, 1:], (0, 1), value=IGNORED)
    counted = following != IGNORED
    most = max(1, max(counted.sum(1).tolist(), default=0))
    order = counted.int().argsort(dim=1, descending=True, stable=True)[:, :most]  # those first
    spare = torch.arange(order.shape[1], device=labels.device) >= counted.sum(1, keepdim=True)
    # a logit that is not finite, of padding say, must not reach the loss
    kept = torch.where(spare, order[:, :1], order)
    chosen = following.gather(1, kept).masked_fill(spare, IGNORED)
    return {"labels": chosen.flatten(), "kept": kept}


def of_tokens(labels: Any) -> bool:
    """Whether labels are those of tokens, (batch, length), rather than of rows.

    Several labels a row are (batch, classes), floating point.
    """
    return torch.is_tensor(labels) and labels.dim() == 2 and not labels.is_floating_point()


def keep_scored(inputs: dict[str, Any], loss: Any) -> None:
    """Have a decoder compute only the logits that ``loss`` reads; of a long prompt there are none.

    Args:
        inputs: The batch, changed in place: ``logits_to_keep`` is added where ``loss`` is a
            decoder's and this version of Transformers takes places of each row there, and
            ``scored`` where the batch came without.
        loss: ``compute_loss_func`` of the trainer.
    """
    takes_places = hasattr(modeling, "slice_logits_to_keep")  # 5.18 took those of all rows alone
    if takes_places and "labels" in inputs and isinstance(loss, StepLoss) and loss.shift:
        if SCORED not in inputs:
            inputs[SCORED] = scored_labels(inputs["labels"], shift=True)
        inputs["logits_to_keep"] = inputs[SCORED]["kept"]


@dataclass(frozen=True)
class StepLoss:
    """``compute_loss_func`` for a ``Trainer``: sum over items, divided by the step's items.

    Args:
        shift: Decoders: position ``t`` predicts label ``t + 1``.
        regression: Mean squared error on one output, instead of cross-entropy.
        label_smoothing: Share of the target mass spread over all classes, 0 to 1.
        class_weights: One factor per class; items still count as one each.
        binary: Several labels a row: binary cross-entropy of each label; an item is one label of
            one row. ``class_weights`` are then twice as many: of rows that lack each label, then of
            those that have it.
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
    binary: bool = False

    def __call__(
        self,
        outputs: Any,
        labels: torch.Tensor,
        num_items_in_batch: torch.Tensor | int | None = None,
        scored: Mapping[str, torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """Return the scalar loss, float32.

        Args:
            outputs: Has ``logits``: (batch, classes) or (batch, length, vocabulary); of a decoder,
                with ``scored``, also (batch, most, vocabulary), those that it keeps.
            labels: (batch,) or (batch, length), -100 where no loss falls. Or class probabilities,
                floating point, of the shape of the logits: the loss is the sum of each class's
                loss times its probability, and where all are 0 none falls. ``binary``: (batch,
                classes), 1 for each label that a row has.
            num_items_in_batch: Labels that count in the whole optimizer step, over all
                micro-batches and processes; ``None`` counts those given here.
            scored: ``scored_labels`` of labels (batch, length). Without them a GPU is waited for.
        """
        logits = outputs["logits"] if isinstance(outputs, dict) else outputs.logits
        weights = None
        if self.class_weights is not None:
            weights = on_device(self.class_weights, dtype=torch.float32, device=logits.device)
        if self.regression:
            total = functional.mse_loss(logits.squeeze(-1).float(), labels.float(), reduction="sum")
            counted = labels.numel()
        elif self.binary:
            total, counted = self._binary_cross_entropy(logits, labels, weights), labels.numel()
        elif labels.is_floating_point():
            total, counted = self._soft_cross_entropy(logits, labels, weights)
        else:
            scored = scored or self._scored(logits, labels)
            if "kept" in scored and logits.shape[:2] == scored["kept"].shape:
                logits = logits.flatten(0, 1)  # (batch * most, vocabulary)
            total, counted = self._cross_entropy(logits, scored, weights)
        # The mean of the micro-batches' and processes' means would weigh an item by how few there
        # are beside it; a sum over the items of the whole step is the same however it is cut.
        items = counted if num_items_in_batch is None else num_items_in_batch
        items = torch.as_tensor(items, device=total.device)
        return total / items.clamp(min=1)  # a batch in which nothing counts has no loss

    def _scored(self, logits: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        """What of the labels counts, where the collator did not say."""
        if labels.dim() == 1:
            return {"labels": labels}
        return scored_labels(labels, shift=self.shift)

    def _cross_entropy(
        self,
        logits: torch.Tensor,
        scored: Mapping[str, torch.Tensor],
        weights: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        scored = {name: value.to(logits.device) for name, value in scored.items()}
        labels = scored["labels"]
        # only the positions that count are cast to float32: (items, classes)
        if "places" in scored:
            logits = logits.flatten(0, 1).index_select(0, scored["places"])
        elif logits.dim() == 3:  # of a decoder that computes all
            logits = logits.take_along_dim(scored["kept"][..., None], 1).flatten(0, 1)
        logits = logits.float()
        summed = "none" if self.focal_gamma else "sum"
        losses = functional.cross_entropy(
            logits, labels, weights, label_smoothing=self.label_smoothing, reduction=summed,
            ignore_index=IGNORED,
        )  # fmt: skip
        if self.focal_gamma:
            true = labels.clamp(min=0)[:, None]  # where none counts, the loss is 0
            chances = logits.softmax(dim=-1).gather(1, true)[:, 0]
            # clamped: the gradient of a power below 1 is infinite at 0
            losses = ((1 - chances).clamp(min=1e-6) ** self.focal_gamma * losses).sum()
        return losses, (labels != IGNORED).sum()

    def _binary_cross_entropy(
        self, logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None
    ) -> torch.Tensor:
        logits, labels = logits.float(), labels.to(logits.device).float()
        smoothing = self.label_smoothing
        has = (1 - smoothing) * labels + smoothing / 2  # each label is one of two classes
        lacks = 1 - has
        if weights is not None:
            lacking, having = weights.view(2, -1)
            has, lacks = has * having, lacks * lacking
        # -log sigmoid(x) is softplus(-x)
        return (has * functional.softplus(-logits) + lacks * functional.softplus(logits)).sum()

    def _soft_cross_entropy(
        self, logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if self.shift:
            raise ValueError("labels: probabilities of a next token. Pass token ids.")
        labels = labels.to(logits.device).float()
        # where no label counts, each is multiplied by 0
        log_chances = logits.float().log_softmax(dim=-1)  # (batch, classes), or of each token
        losses = -log_chances
        losses = losses if weights is None else losses * weights
        # the loss of each class, were it the label, as the loss above has it
        smoothing = self.label_smoothing
        losses = (1 - smoothing) * losses + smoothing * losses.mean(-1, keepdim=True)
        if self.focal_gamma:
            losses = (1 - log_chances.exp()).clamp(min=1e-6) ** self.focal_gamma * losses
        return (labels * losses).sum(), labels.sum()
