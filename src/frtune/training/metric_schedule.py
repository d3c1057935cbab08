"""Schedules that follow a score: their direction is that of the score."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from frtune.errors import InputError

METRIC_SCHEDULES = ("reduce_lr_on_plateau", "greedy")


def with_mode(args: Any) -> dict[str, Any]:
    """``lr_scheduler_kwargs`` with the ``mode`` of a schedule that follows a score.

    Transformers gives none, so that the rate would fall while a score grows.

    Raises:
        InputError: If the mode that was given is not that of ``greater_is_better``.
    """
    given = dict(args.lr_scheduler_kwargs or {})
    if args.lr_scheduler_type.value not in METRIC_SCHEDULES:
        return given
    mode = "max" if args.greater_is_better else "min"
    if given.get("mode", mode) != mode:
        raise InputError(
            f"lr_scheduler_kwargs mode={given['mode']}: {args.metric_for_best_model} with "
            f"greater_is_better={bool(args.greater_is_better)} is mode={mode}. Leave mode out."
        )
    return {**given, "mode": mode}


@contextlib.contextmanager
def scheduled(args: Any) -> Iterator[None]:
    """Have ``Trainer.create_scheduler`` find ``with_mode(args)`` in ``args``."""
    given = args.lr_scheduler_kwargs
    args.lr_scheduler_kwargs = with_mode(args) or given
    try:
        yield
    finally:
        args.lr_scheduler_kwargs = given
