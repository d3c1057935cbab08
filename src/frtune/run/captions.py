"""What the figures of a run show, in sentences with its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from frtune.run.curves import points

History = Sequence[Mapping[str, Any]]


def loss_caption(history: History) -> str:
    """How far the losses fell, and whether validation rose again.

    Example:
        >>> loss_caption([{"step": 1, "loss": 2.0}, {"step": 2, "eval_loss": 1.5},
        ...               {"step": 3, "loss": 1.0}, {"step": 4, "eval_loss": 1.75}])
        'The training loss went from 2.000 to 1.000. The validation loss was lowest, 1.500, at step 2 and rose to 1.750 by step 4: the model began to learn the training rows by heart.'
    """  # noqa: E501
    said = []
    _, losses = points(history, "loss")
    if losses:
        said.append(f"The training loss went from {losses[0]:.3f} to {losses[-1]:.3f}.")
    steps, losses = points(history, "eval_loss")
    if losses:
        least = int(np.nanargmin(losses))
        text = f"The validation loss was lowest, {losses[least]:.3f}, at step {steps[least]}"
        if losses[-1] > 1.05 * losses[least]:
            text += (
                f" and rose to {losses[-1]:.3f} by step {steps[-1]}: the model began to learn the "
                "training rows by heart"
            )
        said.append(f"{text}{', the last' if least == len(losses) - 1 else ''}.")
    return " ".join(said)


def score_caption(history: History, names: Sequence[str], kept: int | None) -> str:
    """What the first of the scores that was noted came to on the validation rows."""
    drawn = ((name, points(history, f"eval_{name}")[1]) for name in names)
    said = ""
    for name, values in [found for found in drawn if found[1]][:1]:
        said = f"{name} went from {values[0]:.3f} to {values[-1]:.3f} on the validation rows. "
    if kept is None:
        return said + "Each mark is an evaluation."
    return said + f"The dotted line is step {kept}, whose weights were kept."


def rate_caption(history: History) -> str:
    """Where the learning rate begins, is highest, and ends."""
    steps, rates = points(history, "learning_rate")
    if not rates:
        return ""
    most = int(np.argmax(rates))
    return (
        f"The learning rate was highest, {rates[most]:.3g}, at step {steps[most]}, and "
        f"{rates[-1]:.3g} at step {steps[-1]}, the last that was noted."
    )


def length_caption(lengths: Mapping[str, Sequence[int]], limit: int, what: str) -> str:
    """How long the rows are, and how many are longer than the limit.

    Example:
        >>> length_caption({"train": [4, 6, 8, 40]}, 16, "source")
        'Half of the rows have at most 7 tokens of source, 95 % at most 35, special tokens counted. 25 % have more than 16, the limit.'
    """  # noqa: E501
    every = np.concatenate([np.asarray(values) for values in lengths.values()])
    half, most = np.percentile(every, [50, 95])
    over = (every > limit).mean()
    share = "None has" if not over else f"{over:.0%} have".replace("%", " %")
    return (
        f"Half of the rows have at most {half:.0f} tokens of {what}, 95 % at most {most:.0f}, "
        f"special tokens counted. {share} more than {limit}, the limit."
    )
