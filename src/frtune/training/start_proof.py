"""Before the first step: what will be trained can be saved, and opens with equal logits."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import json
import random
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft.utils.other import ModulesToSaveWrapper
from transformers import Trainer

from frtune.environment.progress import brief_bars
from frtune.errors import InputError, first_line
from frtune.files import draft_folder
from frtune.models.adapter_base import save_base_record, save_head_config
from frtune.models.continued_adapter import write_proven
from frtune.models.deepspeed import zero3_suspended
from frtune.models.families import kind_of
from frtune.models.model_verification import (
    MERGING,
    allowed_difference,
    difference_of,
    logits_of_opened,
    open_again,
)
from frtune.models.narrow_copy import narrow_copy
from frtune.models.probe import probe_logits
from frtune.models.weights import quiet
from frtune.tasks.config_file import save_task
from frtune.training.distributed import on_main
from frtune.training.resource_errors import MemoryFullError, is_memory_full
from frtune.training.trainer import TaskTrainer

WHOLE, TRAINED = 400_000_000, 50_000_000  # weights; of a larger model a narrow copy is tried
_ROWS, _LOOKED_AT = 2, 16
_NOISE, _SEED = 0.05, 2_718_281_828
# settings of an adapter that no failure hangs on; the others are named when it fails
_USUAL = {
    "alpha_pattern", "auto_mapping", "base_model_name_or_path", "inference_mode", "lora_alpha",
    "lora_dropout", "num_attention_heads", "num_layers", "num_transformer_submodules", "peft_type",
    "peft_version", "r", "revision", "target_modules", "task_type", "token_dim",
}  # fmt: skip
_PLACE = re.compile(r"directory='[^']*': ")  # temporary
_proven: set[str] = set()


def prove_start(trainer: TaskTrainer, *, merge: bool = False) -> None:
    """Prove that the trainer's model can be saved and opened again, once what trains has moved.

    Every weight that trains is moved a little; the model is saved as ``frtune.save`` does, in a
    temporary directory, opened as ``frtune.load`` does, and must give the same logits on two rows.
    Then the weights and the random state are put back, bit by bit. Of a model of more than 400
    million weights, or 50 million that train, and of one that ZeRO-3 splits, a copy is tried that
    has all of its layers, 64 wide. A structure is proven once a process. All processes must call
    this.

    Args:
        trainer: Before its first step.
        merge: Whether the adapter is to be merged too.

    Raises:
        InputError: Names the adapter's method and settings, and what it fails in.
        MemoryFullError: If memory runs out.
    """
    model: Any = trainer.model
    if trainer.train_dataset is None:
        return
    key = f"{_structure(model)} {trainer.task.name} {merge}"

    def prove() -> None:  # whether it was done before is the main process's to say, for all
        if key not in _proven:
            _prove(trainer, model, merge=merge)
            _proven.add(key)

    on_main(trainer.args, prove)


def _prove(trainer: TaskTrainer, model: Any, *, merge: bool) -> None:
    adapters = getattr(model, "peft_config", None) or {}
    if adapters and set(adapters) != {"default"}:
        raise InputError(
            f"{_named(model)}: adapter_name={', '.join(map(str, adapters))}: one adapter is "
            "trained and saved, the one called 'default'. Leave adapter_name out, and add no other."
        )
    stage = ["be trained"]
    try:
        with _apart(model), draft_folder() as folder:
            subject = model
            if not _is_tried_whole(model):
                subject = narrow_copy(model, trainer.task, folder / "base")
            if subject is not None:
                _live_through(trainer, subject, folder / "saved", stage, merge=merge)
    except Exception as error:  # each method fails in its own way
        if is_memory_full(error):
            raise MemoryFullError(
                "memory ran out before the first step, in the proof that the model can be saved. "
                "Pass --no-proof to leave it out; frtune plan says what fits."
            ) from error
        way = "use lora_config() in build_model" if adapters else "build the model with build_model"
        if stage[-1] == "be merged":
            way = "leave out merge"
        reason = _PLACE.sub("", first_line(error)).rstrip(".")
        raise InputError(
            f"{_named(model)}: cannot {stage[-1]}, as was tried before the first step ({reason}). "
            f"{way[0].upper()}{way[1:]}."
        ) from error


def _live_through(
    trainer: TaskTrainer, model: Any, folder: Path, stage: list[str], *, merge: bool
) -> None:
    task, tokenizer = trainer.task, trainer.processing_class
    inputs = _inputs(trainer, model)
    if hasattr(model, "peft_config"):
        _check_trains(trainer, model, inputs)
    batch = {name: value for name, value in inputs.items() if name != "labels"}
    before = probe_logits(model, batch)
    with _moved(model, batch, before) as expected:
        stage.append("be saved")
        model.save_pretrained(str(folder))
        save_task(task, folder)
        save_base_record(folder, model)
        save_head_config(folder, model, task, tokenizer)
        stage.append("be opened again with equal logits")
        again = open_again(folder, model, task, tokenizer)[0]
        difference = difference_of(expected, logits_of_opened(again, model, batch))
        if not difference <= allowed_difference(model, expected):
            raise ValueError(f"they differ by {difference:.2g}{_others(model, again)}")
        if merge:
            stage.append("be merged")
            quantized = getattr(model.config, "quantization_config", None) is not None
            write_proven(
                folder, task, folder / "merged", batch=batch, expected=expected,
                allowed=None if quantized else MERGING * allowed_difference(model, expected),
                tokenizer=tokenizer,
            )  # fmt: skip


def _others(model: Any, again: Any) -> str:
    """Names of the weights that are others in what was opened."""
    found = dict(again.named_parameters())
    others = [
        name
        for name, weight in model.named_parameters()
        if name in found
        and "original_module" not in name  # a frozen copy that nothing computes with
        and weight.shape == found[name].shape
        and not torch.equal(weight.cpu(), found[name].to(weight.dtype).cpu())
    ]
    shown = ", ".join(others[:2]) + (", ..." if len(others) > 2 else "")
    return f"; not stored: {shown}" if others else ""


@contextlib.contextmanager
def _apart(model: Any) -> Iterator[None]:
    """Leave no trace in the run: random numbers, modes of modules, ZeRO-3, its log."""
    states = random.getstate(), np.random.get_state()
    device = next(model.parameters()).device
    modes = [(module, module.training) for module in model.modules()]
    data = [(weight, weight.data) for weight in model.parameters()]
    with (
        torch.random.fork_rng([device] if device.type == "cuda" else []),
        zero3_suspended(),
        quiet(),
        brief_bars(),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        # no run's own seed: a head that is not stored would be drawn as it was, and seem stored
        torch.manual_seed(_SEED)
        model.eval()
        try:
            yield
        finally:
            for module, training in modes:
                module.training = training
            for weight, own in data:
                if weight.dtype != own.dtype:  # bitsandbytes casts biases where it computes
                    weight.data = own
            random.setstate(states[0])
            np.random.set_state(states[1])


def _inputs(trainer: TaskTrainer, model: Any) -> dict[str, Any]:
    """Two short rows of the training set, as the model gets them."""
    rows = list(itertools.islice(iter(trainer.train_dataset), _LOOKED_AT))  # type: ignore[arg-type]
    rows = sorted(rows, key=lambda row: len(row["input_ids"]))[:_ROWS]
    device = next(model.parameters()).device
    batch = trainer.data_collator(rows)
    return {name: value.to(device) for name, value in batch.items() if name != "row"}


def _check_trains(trainer: TaskTrainer, model: Any, inputs: dict[str, Any]) -> None:
    """A loss must have a gradient for what trains, and each trained copy of a module must act."""
    copies = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, ModulesToSaveWrapper)
    }
    called: set[str] = set()
    hooks = [
        module.register_forward_hook(lambda *_, name=name: called.add(name))
        for name, module in copies.items()
    ]
    kept = {name: weight.grad for name, weight in model.named_parameters()}
    try:
        items = (inputs["labels"] != -100).sum() if "labels" in inputs else None
        loss: Any = Trainer.compute_loss(trainer, model, dict(inputs), num_items_in_batch=items)
        loss.backward()
    finally:
        for hook in hooks:
            hook.remove()
        for name, weight in model.named_parameters():
            weight.grad = kept[name]
    if idle := sorted(copies.keys() - called):
        raise ValueError(f"modules_to_save: the model does not compute with {', '.join(idle)}")


@contextlib.contextmanager
def _moved(model: Any, batch: dict[str, Any], before: Any) -> Iterator[Any]:
    """Move every weight that trains, for a while, so far that the logits move; yields these."""
    trained = _trained(model)
    kept = [weight.detach().clone() for weight in trained]
    generator = torch.Generator().manual_seed(0)
    try:
        for noise in (_NOISE, 4 * _NOISE, 16 * _NOISE):
            with torch.no_grad():
                for weight, own in zip(trained, kept, strict=True):
                    change = noise * torch.randn(own.shape, generator=generator)
                    weight.copy_(own + change.to(own))
            logits = probe_logits(model, batch)
            if (logits - before).abs().max() > 10 * allowed_difference(model, logits):
                break
        yield logits
    finally:
        with torch.no_grad():
            for weight, own in zip(trained, kept, strict=True):
                weight.copy_(own)


def _trained(model: Any) -> list[Any]:
    return [weight for weight in model.parameters() if weight.requires_grad]


def _is_tried_whole(model: Any) -> bool:
    weights = list(model.parameters())
    split = any(hasattr(weight, "ds_id") for weight in weights)
    devices = {weight.device for weight in weights}
    size, trained = (sum(w.numel() for w in some) for some in (weights, _trained(model)))
    return not split and len(devices) == 1 and size <= WHOLE and trained <= TRAINED


def _named(model: Any) -> str:
    """The method of an adapter and its unusual settings; or the class of a model."""
    adapters = getattr(model, "peft_config", None)
    if not adapters:
        return f"model={type(model).__name__}"
    config = next(iter(adapters.values()))
    usual = {
        field.name: field.default
        for field in dataclasses.fields(config)
        if field.default is not dataclasses.MISSING
    }
    unusual = [
        f"{name}={value!r}"
        for name, value in vars(config).items()
        if name not in _USUAL and value and name in usual and value != usual[name]
    ]
    shown = f" ({', '.join(text[:60] for text in unusual)})" if unusual else ""
    return f"adapter={config.peft_type.value}{shown}"


def _structure(model: Any) -> str:
    """What the proof hangs on: classes, settings, names, shapes, types, and what is shared."""
    seen: dict[int, int] = {}
    weights = [
        (name, tuple(w.shape), str(w.dtype), w.requires_grad, seen.setdefault(id(w), len(seen)))
        for name, w in model.named_parameters(remove_duplicate=False)
    ]
    adapters = getattr(model, "peft_config", None) or {}
    settings = [sorted((name, str(value)) for name, value in vars(config).items())
                for config in adapters.values()]  # fmt: skip
    # saving writes the classes; an adapter's settings have the place of its base
    config = {**model.config.to_dict(), "architectures": None, "_name_or_path": None}
    content = [type(model).__name__, str(config), settings, weights, kind_of(model)]
    return hashlib.blake2b(json.dumps(content).encode(), digest_size=16).hexdigest()
