"""Training arguments that do nothing with frtune, or nothing without another: two tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any

from frtune.errors import InputError

# without effect, or against what the scores rely on; the default alone is taken
REFUSED = {
    "prediction_loss_only": "the scores need predictions",
    "batch_eval_metrics": "the scores are of all rows together",
    "eval_do_concat_batches": "the scores are of all rows together",
    "eval_use_gather_object": "what is gathered are tensors",
    "label_names": "the task names its labels",
    "length_column_name": "the lengths stand in the column length",
    "remove_unused_columns": "raw columns, which the scores read, cannot go into a batch",
    "logging_nan_inf_filter": "a loss that is not finite ends the run",
    "enable_jit_checkpoint": "SIGTERM saves a checkpoint without it",
    "use_liger_kernel": "its loss returns no logits, and the task's loss reads them",
    "liger_kernel_config": "use_liger_kernel is not for frtune",
    "bf16_full_eval": "the scores would be of other weights than the saved ones; pass --bf16",
    "fp16_full_eval": "the scores would be of other weights than the saved ones; pass --fp16",
    "debug": "a loss that is not finite names its rows without it",
    "sortish_sampler": "Trainer does not read it; pass --train-sampling-strategy",
    "parallelism_config": "models are split with --deepspeed",
}
# what the command line does by itself, and a script of one's own may ask for
REFUSED_BY_RUNS = {
    "do_train": "frtune train always trains",
    "do_predict": "the test rows are always scored",
    "resume_from_checkpoint": "pass --resume with the run's --output-dir; its newest whole "
    "checkpoint is taken",
}


def _evaluates(args: Any) -> bool:
    return args.eval_strategy != "no"


def _in_workers(args: Any) -> bool:
    return args.dataloader_num_workers > 0


def _pushes(args: Any) -> bool:
    return args.push_to_hub


def _in_trackio(args: Any) -> bool:
    return "trackio" in args.report_to


def _projects(args: Any) -> bool:
    return args.optim.value.startswith(("galore", "apollo"))


# effect only with another argument: which, and whether it is set
Needs = tuple[str, Callable[[Any], bool]]
NEEDS: dict[str, Needs] = {
    "eval_delay": ("--eval-strategy epoch or steps", _evaluates),
    "do_eval": ("--eval-strategy epoch or steps", _evaluates),
    "greater_is_better": ("--metric-for-best-model", lambda args: args.metric_for_best_model),
    "dataloader_persistent_workers": ("--dataloader-num-workers 1 or more", _in_workers),
    "dataloader_multiprocessing_context": ("--dataloader-num-workers 1 or more", _in_workers),
    "dataloader_prefetch_factor": ("--dataloader-num-workers 1 or more", _in_workers),
    "dataloader_in_order": ("--dataloader-num-workers 1 or more", _in_workers),
    "optim_target_modules": ("an --optim of GaLore or APOLLO", _projects),
    "activation_checkpointing_kwargs": (
        "--activation-checkpointing true", lambda args: args.gradient_checkpointing
    ),
    "gradient_checkpointing_kwargs": (
        "--activation-checkpointing true", lambda args: args.gradient_checkpointing
    ),
}  # fmt: skip
OF_TRACKERS = (
    "run_name", "project", "trackio_space_id", "trackio_bucket_id", "trackio_static_space_id",
)  # fmt: skip
NEEDS["run_name"] = ("--report-to with a tracker", lambda args: bool(args.report_to))
NEEDS |= dict.fromkeys(OF_TRACKERS[1:], ("--report-to trackio", _in_trackio))
# a script may call trainer.push_to_hub(), or set the strategy later; a run does not
OF_HUB = (
    "hub_model_id", "hub_token", "hub_private_repo", "hub_strategy", "hub_always_push",
    "hub_revision",
)  # fmt: skip
NEEDED_BY_RUNS: dict[str, Needs] = {
    "eval_steps": ("--eval-strategy steps", lambda args: args.eval_strategy == "steps"),
    "save_steps": ("--save-strategy steps", lambda args: args.save_strategy == "steps"),
    **dict.fromkeys(OF_HUB, ("--push-to-hub true", _pushes)),
}


def check_effects(args: Any, *, of_run: bool = False) -> None:
    """Refuse arguments that do nothing.

    Args:
        args: ``TrainingArguments``.
        of_run: They are of ``run()`` or ``frtune train``, and no script's own.

    Raises:
        InputError: Names the argument, why it is refused, and what to do.
    """
    refused = REFUSED | (REFUSED_BY_RUNS if of_run else {})
    needs = NEEDS | (NEEDED_BY_RUNS if of_run else {})
    for name, value in changed(args).items():
        if name == "run_name" and value == args.output_dir:
            continue  # what Trainer's versions before 5 put there
        if name in refused:
            raise InputError(f"{name}={_shown(name, value)}: {refused[name]}. Leave it out.")
        if name in needs and not needs[name][1](args):
            raise InputError(
                f"{name}={_shown(name, value)}: does nothing without {needs[name][0]}. Pass that "
                "too, or leave it out."
            )


def _shown(name: str, value: Any) -> str:
    return "..." if name.endswith("_token") else str(getattr(value, "value", value))


def changed(args: Any) -> dict[str, Any]:
    """The arguments whose values are not the defaults of ``args``' class."""
    found = {}
    for item in fields(args):
        default = item.default_factory() if item.default_factory is not MISSING else item.default
        value = getattr(args, item.name, default)
        same = getattr(value, "value", value) == getattr(default, "value", default)
        if not same and (value or default):  # no words, no number, no switch are alike
            found[item.name] = value
    return found
