"""Optimizer and schedule, tried on one weight before anything is read."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import torch
from transformers import Trainer, get_scheduler

from frtune.errors import InputError, first_line
from frtune.training.metric_schedule import METRIC_SCHEDULES, with_mode

_ERRORS = (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, AssertionError)
# read by some optimizers only
_OWN = ("optim_args", "adam_beta1", "adam_beta2", "adam_epsilon")


def check_optimizer(args: Any) -> None:
    """Refuse (``InputError``) an optimizer without its package, and what it does not read."""
    pairs = [each.split("=") for each in (args.optim_args or "").replace(" ", "").split(",")]
    if args.optim_args and any(len(pair) != 2 for pair in pairs):
        raise InputError(
            f"optim_args={args.optim_args}: has no names and values. Pass name=value,name=value."
        )
    chosen = _chosen(args)
    if chosen is None:
        return
    for name in _OWN:
        default = next(item.default for item in fields(args) if item.name == name)
        if getattr(args, name) != default:
            usual = copy.copy(args)
            setattr(usual, name, default)
            if _chosen(usual) == chosen:
                raise InputError(
                    f"{name}={getattr(args, name)}: optim={args.optim.value} does not read it. "
                    "Leave it out."
                )
    cls, options = chosen
    if not options.keys() & {"params", "model", "optimizer_dict"}:
        try:
            cls([torch.nn.Parameter(torch.ones(1))], **options)
        except _ERRORS as error:
            raise InputError(f"optim={args.optim.value}: {first_line(error)}.") from error


def _chosen(args: Any) -> tuple[Any, dict[str, Any]] | None:
    """The optimizer's class and arguments; ``None`` where it needs the real model for them."""
    try:
        return Trainer.get_optimizer_cls_and_kwargs(args, None)
    except (ImportError, ValueError) as error:
        if isinstance(error, ImportError) or "install" in str(error) or "import" in str(error):
            raise InputError(
                f"optim={args.optim.value}: its package is missing. {first_line(error)}"
            ) from error
    except (AttributeError, TypeError):
        pass
    return None


def check_scheduler(args: Any) -> None:
    """Refuse (``InputError``) a schedule that cannot be made, or whose rate is no number."""
    name = args.lr_scheduler_type.value
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    kwargs = args.lr_scheduler_kwargs or {}
    try:
        if not isinstance(kwargs, Mapping):
            raise TypeError("lr_scheduler_kwargs are no names and values")
        kwargs = with_mode(args)
        schedule = get_scheduler(
            args.lr_scheduler_type, optimizer,
            num_warmup_steps=1, num_training_steps=10, scheduler_specific_kwargs=dict(kwargs),
        )  # fmt: skip
        for _ in range(10):
            optimizer.step()
            schedule.step(*([1.0] if name in METRIC_SCHEDULES else []))
            rate = optimizer.param_groups[0]["lr"]
            if not (math.isfinite(rate) and rate >= 0):
                raise ValueError(f"the rate becomes {rate} times --learning-rate")
    except InputError:
        raise
    except _ERRORS as error:
        raise InputError(
            f"lr_scheduler_type={name}: {first_line(error)}. Pass --lr-scheduler-kwargs with what "
            "it takes, as '{\"min_lr_rate\": 0.1}'."
        ) from error
