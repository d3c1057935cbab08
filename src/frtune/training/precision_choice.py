"""What a run trains in where the user leaves it open: by device, family, and a measurement."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate.state import AcceleratorState
from transformers import Trainer

from frtune.environment.hardware import has_accelerator
from frtune.environment.precision import Precision, choose_precision, training_device
from frtune.models.family import Family
from frtune.training.atomic_checkpoints import newest_whole, read_manifest
from frtune.training.distributed import least, on_main
from frtune.training.in_force import deepspeed_config, precision

logger = logging.getLogger(__name__)

_BATCHES, _ROWS = 8, 2
_SCALES = (2.0**16, 2.0**12, 2.0**8)  # GradScaler begins with the first, and halves
# of arguments: "open", "not fp16" or "default"; none where the user chose
_MARK = "frtune_precision"


def first_choice(
    given: Mapping[str, Any], *, tiny: bool = False
) -> tuple[dict[str, bool], str | None]:
    """The fields ``bf16`` and ``fp16``, and how arguments are to be marked.

    fp16 is left to ``settle_precision``, which knows the family.

    Args:
        given: Training arguments by name; without ``bf16`` and ``fp16`` the device decides.
        tiny: Casting costs a tiny model more than it saves.

    Raises:
        InputError: If the device does not compute in what is asked for.
    """
    asked = {name: given.get(name) for name in ("bf16", "fp16")}
    use_cpu = bool(given.get("use_cpu", not has_accelerator()))
    by_default = asked["bf16"] is None and not asked["fp16"]
    if tiny and by_default:
        return {"bf16": False, "fp16": False}, "default"
    found = choose_precision(training_device(use_cpu=use_cpu), bears_fp16=True, **asked)
    chosen = {"bf16": found.precision == "bf16", "fp16": bool(asked["fp16"])}
    if not by_default:
        return chosen, None
    if found.precision == "fp16":
        return chosen, "open"
    return chosen, "not fp16" if asked["fp16"] is False else "default"


def mark(args: Any, value: str | None) -> Any:
    """Note whether the precision of arguments was left to frtune; returns them."""
    if value is not None:
        setattr(args, _MARK, value)
    return args


def marked(args: Any) -> str | None:
    """The note; ``None`` where the user chose."""
    return getattr(args, _MARK, None)


def settle_precision(args: Any, family: Family) -> None:
    """Choose between fp16 and fp32 for a family, where the arguments leave it open.

    DeepSpeed, whose weights are in what it computes in, trains in fp16 only if asked.
    """
    if marked(args) != "open" or deepspeed_config(args) is not None:
        return
    device = training_device(use_cpu=args.use_cpu)
    found = choose_precision(device, bears_fp16=family.fp16)
    if found.precision != precision(args):
        _set(args, found.precision)
    if args.process_index == 0:
        logger.warning("%s: %s", found.precision, found.reason)


def prove_fp16(trainer: Any) -> None:
    """Go over to fp32 where the first rows overflow in fp16, which frtune chose; says so."""
    args = trainer.args
    if marked(args) != "open" or precision(args) != "fp16" or trainer.train_dataset is None:
        return
    what = overflow(trainer, args.device)
    finite = least(int(what is None), args.device) if args.world_size > 1 else what is None
    if not finite:
        if args.process_index == 0:
            logger.warning("fp32: in fp16 the %s of the first rows overflows", what or "loss")
        switch(trainer, "fp32")


def overflow(trainer: Any, device: torch.device) -> str | None:
    """What of the first rows is not finite in fp16, ``loss`` or ``gradient``; ``None`` if all is.

    Weights, gradients and random states stay as they were.
    """
    rows, model = trainer.train_dataset, trainer.model
    collate = trainer.task.collator(model, trainer.processing_class)
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    training = model.training
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        try:
            for start in range(0, min(len(rows), _BATCHES * _ROWS), _ROWS):
                batch = collate([rows[i] for i in range(start, min(start + _ROWS, len(rows)))])
                batch = {name: batch[name].to(device) for name in batch if name != "row"}
                items = (batch["labels"] != -100).sum().clamp(min=1)
                for scale in _SCALES:
                    model.train()
                    with torch.autocast(device.type, torch.float16):
                        # Trainer's own: a loss that is not finite shall not end the run
                        loss: Any = Trainer.compute_loss(
                            trainer, model, dict(batch), num_items_in_batch=items
                        )
                    if not torch.isfinite(loss).all():
                        return "loss"
                    (loss.float() * scale).backward()
                    found = [weight.grad for weight in trained if weight.grad is not None]
                    finite = all(bool(torch.isfinite(each).all()) for each in found)
                    model.zero_grad(set_to_none=True)
                    if finite:
                        break
                else:
                    return "gradient"
        finally:
            model.zero_grad(set_to_none=True)
            model.train(training)
    return None


def keep_begun(trainer: Any, resume: str | bool) -> None:
    """Go on in what the run began with, where the user leaves it open; all processes call this."""
    args = trainer.args
    if marked(args) is None or deepspeed_config(args) is not None:
        return

    def begun() -> Precision | None:
        found = newest_whole(str(args.output_dir)) if resume is True else Path(str(resume))
        if found is None or not found.is_dir():
            return None
        try:
            said = read_manifest(found)["conditions"]["arguments"]
        except (OSError, ValueError, KeyError, TypeError):  # refused later, with the reason
            return None
        return "bf16" if said.get("bf16") else "fp16" if said.get("fp16") else "fp32"

    kept = on_main(args, begun)
    if kept in (None, precision(args)) or (kept == "fp16" and marked(args) == "not fp16"):
        return
    device = training_device(use_cpu=args.use_cpu)
    if (kept == "bf16" and device.type == "cuda" and not device.bf16) or (
        kept == "fp16" and device.type == "cpu"
    ):
        return  # refused later: it is another run
    if args.process_index == 0:
        logger.warning("%s: the run began with it", kept)
    switch(trainer, kept)


def switch(trainer: Any, to: Precision) -> None:
    """Have a trainer that has not begun train in another precision."""
    _set(trainer.args, to)
    trainer.create_accelerator_and_postprocess()
    trainer._conditions = None


def _set(args: Any, to: Precision) -> None:
    args.bf16, args.fp16 = to == "bf16", to == "fp16"
    args.mixed_precision = "no" if to == "fp32" else to
    AcceleratorState._reset_state()  # holds the precision of the process
