"""Further arguments of ``Trainer`` for ``make_trainer``: each acts, or is refused by name."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from transformers import TrainerCallback, enable_full_determinism, set_seed
from transformers.trainer_utils import number_of_arguments

from frtune.errors import InputError, nearest
from frtune.tasks.base import Task
from frtune.tasks.collators import row_ids
from frtune.tasks.loss import StepLoss

# passed on to Trainer
OF_TRAINER = (
    "callbacks", "compute_loss_func", "compute_metrics", "data_collator", "model_init",
    "optimizer_cls_and_kwargs", "optimizers", "preprocess_logits_for_metrics",
)  # fmt: skip
OWN = ("cut_steps", "max_tokens_per_batch", "packing")
NAMED = (  # parameters of make_trainer
    "model", "tokenizer", "args", "train_dataset", "eval_dataset", "schedule", "mixup",
    "processing_class",
)  # fmt: skip


@dataclasses.dataclass
class ModelInit:
    """A user's ``model_init`` that gives a model it has made already before it makes another.

    Attributes:
        make: The user's function, of no argument or of an Optuna trial.
        ready: A model that was made for the checks.
    """

    make: Callable[..., Any]
    ready: Any = None

    def __call__(self, trial: Any = None) -> Any:
        """Make a model."""
        model, self.ready = self.ready, None
        if model is None:
            model = self.make(trial) if number_of_arguments(self.make) else self.make()
        if not isinstance(model, torch.nn.Module):
            raise InputError(
                f"model_init: returned a {type(model).__name__}. Return a model: "
                "build_model(task, ...)[0], for example."
            )
        return model


def first_model(model: Any, model_init: Any, args: Any) -> tuple[Any, ModelInit | None]:
    """The model to check, and what makes it anew; one of the two is given.

    It is made under the run's seed, as ``Trainer`` would.
    """
    if (model is None) == (model_init is None):
        given = "both are given" if model is not None else "neither is given"
        raise InputError(
            f"model and model_init: {given}. Pass one: a builder's model, or model=None and a "
            "function that makes it."
        )
    if model_init is None:
        if not isinstance(model, torch.nn.Module):
            raise InputError(
                f"model: a {type(model).__name__}. Pass the model that a builder returned, "
                "and its tokenizer after it."
            )
        return model, None
    if not callable(model_init) or number_of_arguments(model_init) > 1:
        raise InputError(
            "model_init: is no function of no argument, or of a trial. Pass "
            "lambda: build_model(task, ...)[0], for example."
        )
    (enable_full_determinism if args.full_determinism else set_seed)(args.seed)
    init = ModelInit(model_init)
    init.ready = model = init()
    return model, init


def one_tokenizer(tokenizer: Any, processing_class: Any) -> Any:
    """The tokenizer, by either of its two names."""
    if tokenizer is not None and processing_class is not None:
        raise InputError(
            "processing_class: is the tokenizer, which is given already. Leave one of the two out."
        )
    found = processing_class if tokenizer is None else tokenizer
    if found is None or not callable(found):
        raise InputError("tokenizer: is missing. Pass the one that the builder returned.")
    return found


def check_names(settings: Mapping[str, Any]) -> None:
    """Refuse (``InputError``) what no trainer of frtune takes, with the nearest name."""
    known = [*OF_TRAINER, *OWN, *NAMED]
    for name in settings:
        if name not in known:
            raise InputError(
                f"{name}: no argument of a trainer.{nearest(name, known)} There are "
                f"{', '.join(known)}."
            )


def trainer_settings(
    task: Task, model: Any, tokenizer: Any, args: Any, *, given: Mapping[str, Any], mixed: bool
) -> dict[str, Any]:
    """Arguments of ``TaskTrainer``: the task's collator and loss, or the user's in their place.

    Args:
        task: The task.
        model: The model.
        tokenizer: Its tokenizer.
        args: ``TrainingArguments``.
        given: What the user passed, of ``OF_TRAINER`` and ``OWN``.
        mixed: Whether rows are mixed.

    Raises:
        InputError: For what cannot act, beside the rest.
    """
    given = {name: value for name, value in given.items() if value is not None}
    for name in ("compute_loss_func", "compute_metrics", "data_collator"):
        if name in given and not callable(given[name]):
            raise InputError(f"{name}: a {type(given[name]).__name__}. Pass a function.")
    _check_collator(given, mixed)
    _check_cuts(given)
    _check_preprocess(task, args, given)
    _check_optimizers(model, args, given)
    own: dict[str, Any] = {
        "data_collator": task.collator(model, tokenizer),
        "compute_loss_func": task.loss(model, args),
        "preprocess_logits_for_metrics": None if task.generates else task.preprocess_logits,
    }
    if "callbacks" in given:
        given["callbacks"] = _callbacks(given["callbacks"])
    if "data_collator" in given:
        given["data_collator"] = UserCollator(given["data_collator"])
    if "compute_loss_func" in given:
        check_loss(own["compute_loss_func"], args)
        given["compute_loss_func"] = _of_folded(task, given["compute_loss_func"])
    if "preprocess_logits_for_metrics" in given:
        given["preprocess_logits_for_metrics"] = both(task, given["preprocess_logits_for_metrics"])
    return {**own, **given, "own_loss": "compute_loss_func" not in given}


@dataclasses.dataclass(frozen=True)
class UserCollator:
    """A user's collator for rows that have their number and length beside their tokens.

    Args:
        collator: Gets the columns that the model reads, and ``labels``.

    Returns:
        What ``collator`` returns, and ``row`` (batch,) where the rows have it.
    """

    collator: Callable[[list[dict[str, Any]]], Any]

    def __call__(self, examples: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Make the batch of ``examples``."""
        hidden = ["row", "length"]
        if "labels" in examples[0]:
            hidden += ["label", "label_ids"]  # raw columns, which collators take for labels
        seen = [{k: v for k, v in example.items() if k not in hidden} for example in examples]
        return {**self.collator(seen), **row_ids(examples)}


def _check_collator(given: Mapping[str, Any], mixed: bool) -> None:
    if "data_collator" not in given:
        return
    for name, used in (("packing", given.get("packing")), ("mixup", mixed)):
        if used:
            raise InputError(f"data_collator: not with {name}, which makes batches itself.")


def _check_cuts(given: Mapping[str, Any]) -> None:
    if not isinstance(given.get("cut_steps", True), bool):
        raise InputError(f"cut_steps={given['cut_steps']!r}: True or False.")
    if "max_tokens_per_batch" not in given:
        return
    for name, uncut in (
        ("cut_steps=False", not given.get("cut_steps", True)),
        ("compute_loss_func", "compute_loss_func" in given),
    ):
        if uncut:
            raise InputError(
                f"max_tokens_per_batch={given['max_tokens_per_batch']}: not with {name}, where "
                "batches are not cut by tokens. Leave one of them out."
            )


def _check_preprocess(task: Task, args: Any, given: Mapping[str, Any]) -> None:
    if "preprocess_logits_for_metrics" in given:
        if not callable(given["preprocess_logits_for_metrics"]):
            raise InputError("preprocess_logits_for_metrics: is no function.")
        if task.generates:
            raise InputError(
                f"preprocess_logits_for_metrics: {task.name} is scored by what it writes, and keeps"
                " no logits. Leave it out; compute_metrics gets phrases."
            )
        if "compute_metrics" not in given:
            raise InputError(
                "preprocess_logits_for_metrics: only compute_metrics reads what it returns. Pass "
                "that too, or leave this out."
            )
    if task.generates and "compute_metrics" in given and "loss" in args.include_for_metrics:
        raise InputError(
            f"include_for_metrics=loss: {task.name} is scored by what it writes, apart from its "
            "loss. Leave it out; eval_loss has it."
        )


def _check_optimizers(model: Any, args: Any, given: Mapping[str, Any]) -> None:
    if "optimizer_cls_and_kwargs" in given:
        value = given["optimizer_cls_and_kwargs"]
        whole = isinstance(value, Sequence) and len(value) == 2 and isinstance(value[1], Mapping)
        if not (whole and inspect.isclass(value[0])):
            raise InputError(
                "optimizer_cls_and_kwargs: is no pair of a class and its arguments. Pass "
                "(torch.optim.SGD, {'lr': 0.1}), for example."
            )
    optimizers = given.get("optimizers", (None, None))
    if not (isinstance(optimizers, Sequence) and len(optimizers) == 2):
        raise InputError(
            "optimizers: is no pair of an optimizer and a scheduler. Pass (optimizer, None), for "
            "example."
        )
    optimizer, scheduler = optimizers
    if optimizer is None and scheduler is None:
        return
    if "model_init" in given:
        raise InputError(
            "optimizers: not with model_init, for they are of one model, and it makes others. "
            "Pass optimizer_cls_and_kwargs."
        )
    if "optimizer_cls_and_kwargs" in given and optimizer is not None:
        raise InputError("optimizers and optimizer_cls_and_kwargs: give one of them.")
    if optimizer is not None:
        theirs = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
        if not theirs & {id(weight) for weight in model.parameters() if weight.requires_grad}:
            raise InputError(
                "optimizers: holds no weight that is trained of this model. Make it from "
                "model.parameters()."
            )
    deepspeed = getattr(getattr(args, "hf_deepspeed_config", None), "config", None) or {}
    for name, value in (("optimizer", optimizer), ("scheduler", scheduler)):
        if value is not None and name in deepspeed:
            raise InputError(
                f"optimizers: DeepSpeed's configuration has its own {name}. Leave one of them out."
            )


def _callbacks(given: Any) -> list[Any]:
    found = list(given) if isinstance(given, (list, tuple)) else [given]
    for callback in found:
        cls = callback if inspect.isclass(callback) else type(callback)
        if not issubclass(cls, TrainerCallback):
            raise InputError(f"callbacks: {cls.__name__} is no TrainerCallback. Inherit from it.")
    return found


def check_loss(ours: Any, args: Any) -> None:
    """Refuse (``InputError``) a loss of the user's beside settings that only the task's reads."""
    if args.label_smoothing_factor:
        raise InputError(
            f"label_smoothing_factor={args.label_smoothing_factor}: compute_loss_func is a loss of "
            "your own, and ignores it. Leave one of them out."
        )
    for name in ("class_weights", "focal_gamma") if isinstance(ours, StepLoss) else ():
        if getattr(ours, name):
            raise InputError(
                f"compute_loss_func: the task has a loss with {name}, which yours replaces. Leave "
                "that setting of the task, or yours, out."
            )


def _of_folded(task: Task, loss: Callable[..., Any]) -> Callable[..., Any]:
    """A user's loss; of pairs in both orders it gets one row of logits a pair, as of others."""
    if not task.symmetric:
        return loss

    def folded(outputs: Any, labels: Any, num_items_in_batch: Any = None) -> Any:
        logits = task.fold_logits(outputs["logits"])
        return loss({**outputs, "logits": logits}, labels, num_items_in_batch=num_items_in_batch)

    return folded


def both(task: Task, theirs: Callable[..., Any]) -> Callable[..., Any]:
    """What the task keeps of logits, and what the user does, as a pair."""

    def kept(logits: Any, labels: Any) -> tuple[Any, Any]:
        given = task.fold_logits(logits) if task.symmetric else logits
        return task.preprocess_logits(logits, labels), theirs(given, labels)

    return kept
