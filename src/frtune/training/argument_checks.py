"""Training arguments that would fail once the data is read, refused before anything is."""

from __future__ import annotations

from typing import Any

import torch
from huggingface_hub import constants, get_token
from transformers import Trainer, get_scheduler
from transformers.integrations import get_reporting_integration_callbacks

from frtune.errors import InputError
from frtune.training.in_force import check_in_force


def check_arguments(args: Any) -> None:
    """Refuse (``InputError``) what ``Trainer`` takes, and what would fail later or do nothing."""
    check_in_force(args)
    for name in args.report_to or []:
        try:
            get_reporting_integration_callbacks([name])[0]()
        except (RuntimeError, ImportError) as error:
            raise InputError(
                f"report_to={name}: its package is missing. Install it, or pass --report-to none. "
                f"({error})"
            ) from error
        except ValueError as error:
            raise InputError(f"report_to={name}: no such tracker. {error}") from error
    _check_hub(args)
    _check_optimizer(args)
    for name, reason in (
        ("prediction_loss_only", "the scores need predictions"),
        ("batch_eval_metrics", "the scores are of all rows together"),
        ("label_names", "the task names its labels"),
    ):
        if getattr(args, name, None):
            raise InputError(f"{name}={getattr(args, name)}: {reason}. Leave it out.")


def _check_hub(args: Any) -> None:
    if not args.push_to_hub:
        return

    strategy = getattr(args.hub_strategy, "value", args.hub_strategy)
    if strategy in ("checkpoint", "all_checkpoints"):
        raise InputError(
            f"hub_strategy={strategy}: would push pickles of the optimizer. "
            "Pass --hub-strategy every_save or end."
        )
    if constants.HF_HUB_OFFLINE:
        raise InputError("push_to_hub=True: HF_HUB_OFFLINE is set. Unset it, or leave this out.")
    if not (args.hub_token or get_token()):
        raise InputError("push_to_hub=True: there is no token. Run hf auth login, or set HF_TOKEN.")


def _check_optimizer(args: Any) -> None:
    """Make the scheduler for nothing, and ask for the optimizer's package."""
    try:
        Trainer.get_optimizer_cls_and_kwargs(args, None)
    except ImportError as error:
        raise InputError(f"optim={args.optim.value}: its package is missing. {error}") from error
    except (ValueError, AttributeError, TypeError):
        pass  # it needs the model
    try:
        get_scheduler(
            args.lr_scheduler_type,
            torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0),
            num_warmup_steps=1,
            num_training_steps=10,
            scheduler_specific_kwargs=dict(args.lr_scheduler_kwargs or {}),
        )
    except (ValueError, TypeError) as error:
        raise InputError(
            f"lr_scheduler_type={args.lr_scheduler_type.value}: {error}. Pass "
            "--lr-scheduler-kwargs with what it takes, as '{\"min_lr_rate\": 0.1}'."
        ) from error
