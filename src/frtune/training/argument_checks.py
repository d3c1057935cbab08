"""The gate: training arguments that would fail late, or do nothing, before anything is read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from accelerate.utils import DynamoBackend
from huggingface_hub import constants, get_token
from transformers import EarlyStoppingCallback
from transformers.integrations import get_reporting_integration_callbacks
from transformers.training_args import trainer_log_levels

from frtune.errors import InputError, nearest
from frtune.ranges import check_fields
from frtune.training.argument_effects import check_effects
from frtune.training.in_force import check_in_force
from frtune.training.optimizer_checks import check_optimizer, check_scheduler

CHOICES: dict[str, tuple[str, ...]] = {
    "log_level": tuple(trainer_log_levels),
    "log_level_replica": tuple(trainer_log_levels),
    "train_sampling_strategy": ("random", "sequential", "group_by_length", "batch_rebalance"),
    "include_num_input_tokens_seen": ("no", "all", "non_padding"),
    "dataloader_multiprocessing_context": ("fork", "spawn", "forkserver"),
    "torch_compile_backend": tuple(each.value.lower() for each in DynamoBackend),
    "torch_compile_mode": (
        "default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs",
    ),
}  # fmt: skip
DICTS = (
    "activation_checkpointing_kwargs", "gradient_checkpointing_kwargs", "lr_scheduler_kwargs",
)  # fmt: skip


def check_arguments(args: Any, *, of_run: bool = False, compute_metrics: Any = None) -> None:
    """Refuse what ``Trainer`` takes, and what would fail later or do nothing.

    Called by ``make_trainer``, by ``run`` and by ``preflight``, so that all three refuse alike.

    Args:
        args: ``TrainingArguments``.
        of_run: They are of ``run()`` or ``frtune train``, and no script's own.
        compute_metrics: The user's own, which may read what ``include_for_metrics`` adds.

    Raises:
        InputError: Names the argument, what is allowed, and what to do.
    """
    check_fields(args)
    _check_words(args)
    check_in_force(args)
    check_effects(args, of_run=of_run)
    _check_metrics_input(args, compute_metrics)
    _check_trackers(args)
    _check_hub(args)
    _check_best(args)
    check_scheduler(args)
    check_optimizer(args)


def check_callbacks(args: Any, callbacks: Sequence[Any]) -> None:
    """Refuse (``InputError``) an ``EarlyStoppingCallback`` that has no score to follow."""
    kinds = [each if isinstance(each, type) else type(each) for each in callbacks]
    if not any(issubclass(kind, EarlyStoppingCallback) for kind in kinds):
        return
    for name, missing in (
        ("eval_strategy", args.eval_strategy == "no"),
        ("metric_for_best_model", not args.metric_for_best_model),
    ):
        if missing:
            value = getattr(args, name)
            raise InputError(
                f"EarlyStoppingCallback with {name}={getattr(value, 'value', value)}: has no score "
                f"to follow. Pass {name} too, or leave the callback out."
            )


def _check_words(args: Any) -> None:
    """Texts that are one of a few, dictionaries, and what may not be empty."""
    if not os.fspath(args.output_dir).strip():
        raise InputError("output_dir='': is empty. Name a directory.")
    for name, allowed in CHOICES.items():
        value = getattr(args, name, None)
        if value is not None and value not in allowed:
            raise InputError(
                f"{name}={value!r}: {', '.join(allowed)}.{nearest(str(value), list(allowed))}"
            )
    for name in DICTS:
        value = getattr(args, name, None)
        if value is not None and not isinstance(value, dict):
            raise InputError(f"{name}={value!r}: names and values. Pass '{{\"name\": 1}}'.")
    if getattr(args.accelerator_config, "dispatch_batches", False):
        raise InputError(
            "accelerator_config dispatch_batches=True: one process would make the batches of all, "
            "and frtune deals the rows of a step to each. Leave it out."
        )


def _check_best(args: Any) -> None:
    """What selects the best checkpoint."""
    best = args.save_strategy == "best"
    if (best or args.load_best_model_at_end) and not args.metric_for_best_model:
        what = "save_strategy=best" if best else "load_best_model_at_end=True"
        raise InputError(f"{what}: by which score? Pass --metric-for-best-model, as loss.")
    if best and args.eval_strategy == "no":
        raise InputError("save_strategy=best: needs --eval-strategy epoch or steps. Pass it too.")


def _check_metrics_input(args: Any, compute_metrics: Any) -> None:
    for name in args.include_for_metrics:
        if name not in ("inputs", "loss"):
            raise InputError(f"include_for_metrics={name}: inputs or loss.")
        if compute_metrics is None:
            raise InputError(
                f"include_for_metrics={name}: does nothing without compute_metrics of your own. "
                "Leave it out."
            )


def _check_trackers(args: Any) -> None:
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
