"""Sampling whose random numbers hang on the seed and the prompt, and not on the batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import (
    EpsilonLogitsWarper,
    EtaLogitsWarper,
    LogitsProcessor,
    LogitsProcessorList,
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

# in the order of ``generate``, each with the value that changes nothing
_WARPERS = {
    "temperature": (TemperatureLogitsWarper, 1.0),
    "top_k": (TopKLogitsWarper, 0),
    "top_p": (TopPLogitsWarper, 1.0),
    "min_p": (MinPLogitsWarper, 0.0),
    "typical_p": (TypicalLogitsWarper, 1.0),
    "epsilon_cutoff": (EpsilonLogitsWarper, 0.0),
    "eta_cutoff": (EtaLogitsWarper, 0.0),
}


@dataclass(frozen=True)
class Votes:
    """How many times each row is drawn.

    Attributes:
        count: So many times.
        seed: Of the random numbers.
    """

    count: int
    seed: int

    def numbers(self, prompt: Sequence[int], limit: int) -> np.ndarray:
        """Numbers from 0 to 1 for each token of each vote of a prompt: float32 ``(votes, limit)``.

        The first votes are the same whatever their number is.
        """
        drawn = np.random.default_rng([self.seed, *prompt])
        return drawn.random((self.count, limit), dtype=np.float32)


def warpers_of(settings: Mapping[str, Any], own: Any) -> LogitsProcessorList:
    """What changes probabilities before a token is drawn: by the settings, else by the model's."""
    found = LogitsProcessorList()
    for name, (made, off) in _WARPERS.items():
        value = settings[name] if name in settings else getattr(own, name, None)
        if value is not None and value != off:
            found.append(made(value))
    return found


def undrawn(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings without those of sampling: ``Draw`` leaves one token to a greedy search."""
    kept = {name: value for name, value in settings.items() if name not in _WARPERS}
    return {**kept, "do_sample": False, "num_beams": 1}


class Draw(LogitsProcessor):
    """Draw each row's token with a number of its own, and leave no other token.

    A number picks the token at which the cumulated probability passes it. So a row draws the same
    in every batch and process, but for the rounding of its logits.

    Args:
        numbers: float32 ``(rows, steps)``, from 0 to 1, 1 excluded.
        warpers: From ``warpers_of``.
    """

    def __init__(self, numbers: torch.Tensor, warpers: LogitsProcessorList):
        self.numbers, self.warpers, self.step = numbers, warpers, 0

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores ``(rows, vocabulary)`` that are -inf but for one token of each row."""
        scores = self.warpers(input_ids, scores)
        total = scores.float().softmax(-1).cumsum(-1)
        last = total[:, -1:]
        number = self.numbers[:, self.step, None] * last
        # a number that is rounded up to the sum would pick a token without probability
        number = torch.minimum(number, torch.nextafter(last, torch.zeros_like(last)))
        token = torch.searchsorted(total, number, right=True)
        self.step += 1
        return torch.full_like(scores, -torch.inf).scatter(1, token, 0.0)
