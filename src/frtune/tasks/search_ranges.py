"""Where a search of settings looks, by task: what a specialist would try."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SearchRanges:
    """The ends or the choices of each setting that is searched, of a pre-trained model.

    Attributes:
        learning_rate: Least and greatest, on a logarithmic scale. 1e-5 to 1e-4 is where encoders
            are fine-tuned (Devlin et al. 2019, appendix A.3, and some way up for small ones).
        num_train_epochs: Least and greatest.
        rows_per_step: Rows of an optimizer step.
        weight_decay: Of AdamW.
        lora_r: Ranks of an adapter; its scale is twice the rank.
        lora_rate: With an adapter the greatest learning rate is so many times as large: it learns
            best at about ten times the rate of all weights (Schulman et al. 2025, "LoRA Without
            Regret").

    Example:
        >>> SearchRanges(num_train_epochs=(2, 4)).rows_per_step
        (8, 16, 32, 64)
    """

    learning_rate: tuple[float, float] = (1e-5, 1e-4)
    num_train_epochs: tuple[int, int] = (2, 6)
    rows_per_step: tuple[int, ...] = (8, 16, 32, 64)
    weight_decay: tuple[float, ...] = (0.0, 0.01, 0.03, 0.1)
    lora_r: tuple[int, ...] = (4, 8, 16, 32)
    lora_rate: float = 10.0
