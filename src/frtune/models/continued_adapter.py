"""A saved adapter that is trained further, or merged before a new one is trained."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from peft import LoraConfig

from frtune.environment.progress import brief_bars
from frtune.errors import InputError
from frtune.files import new_folder
from frtune.models import deepspeed
from frtune.models.adapter_base import find_base, is_adapter
from frtune.models.checkpoint_files import read_for_task
from frtune.models.lineage import copy_lineage
from frtune.models.loading import load_saved
from frtune.models.model_verification import difference_of, prove_plain
from frtune.models.probe import made_up_batch, probe_logits
from frtune.models.proof_record import copy_record, warn_unproven
from frtune.models.saved_adapter import read_adapter_config
from frtune.models.tokenizer import load_tokenizer
from frtune.models.weights import Built, unshare
from frtune.outputs import check_output_directory
from frtune.tasks.base import ModelKind, Task
from frtune.tasks.config_file import TASK_FILE, load_task, save_task

_WAY_OUT = "pass --merge-first, or the directory of a merged model (merge_saved)"


def further(
    directory: str | os.PathLike[str], task: Task, lora: LoraConfig | None = None
) -> LoraConfig:
    """Settings of a saved adapter that a task is to train further.

    Args:
        directory: The saved adapter.
        task: What it is to learn: the task that it was trained for, with the same classes.
        lora: What is asked for; ``None`` asks for nothing. Its dropout is taken over.

    Raises:
        InputError: If the adapter is another task's, or ``lora`` asks for another adapter.
    """
    directory = Path(directory)
    if deepspeed.zero3_enabled():
        raise InputError(
            f"checkpoint={str(directory)!r}: an adapter, which is not trained further under "
            f"ZeRO-3. Use ZeRO-2; or {_WAY_OUT}."
        )
    _check_task(directory, task)
    saved: Any = read_adapter_config(directory)
    if lora is None:
        return saved
    asked = {"r": lora.r, "lora_alpha": lora.lora_alpha}
    asked |= {name: True for name in ("use_rslora", "use_dora") if getattr(lora, name)}
    if lora.target_modules is not None:
        asked["target_modules"] = lora.target_modules
    for name, value in asked.items():
        if value != (own := getattr(saved, name)):
            raise InputError(
                f"lora: {name}={value}, and the adapter in {str(directory)!r} has {own}. Leave it "
                f"out to train that adapter further; for a new one {_WAY_OUT}."
            )
    saved.lora_dropout = lora.lora_dropout
    return saved


def _check_task(directory: Path, task: Task) -> None:
    if not (directory / TASK_FILE).is_file():
        raise InputError(
            f"checkpoint={str(directory)!r}: an adapter without {TASK_FILE}, so not frtune's. Pass "
            "what PEFT's merge_and_unload() makes of it."
        )
    trained = load_task(directory)
    config, family, _ = read_for_task(find_base(directory), trained)
    asked = task.settled(load_tokenizer(directory, family, config), family.kind)
    if _parts(trained, family.kind) != _parts(asked, family.kind):
        raise InputError(
            f"checkpoint={str(directory)!r}: its adapter has the head and the tokens of "
            f"{trained.name}, which do not fit {task.name} with its classes here. To go on from "
            f"it, {_WAY_OUT}."
        )


def _parts(task: Task, kind: ModelKind) -> tuple[Any, ...]:
    """What a task puts on a model: its head, and its tokens."""
    return task.auto_classes.get(kind), task.config_overrides(), task.new_tokens(kind)


@brief_bars()
def merge_saved(
    directory: str | os.PathLike[str], output: str | os.PathLike[str], *, dtype: Any = None
) -> Path:
    """Write a saved adapter, merged into its base, as an ordinary checkpoint to start from.

    Args:
        directory: The saved adapter.
        output: Where to: a directory yet to be made.
        dtype: Type of the weights; ``None`` is fp32.

    Returns:
        ``output``.

    Raises:
        InputError: If there is no adapter, its base is not found, or ``output`` exists.
    """
    directory, output = Path(directory), check_output_directory(output, "output")
    if not is_adapter(directory):
        raise InputError(f"directory={str(directory)!r}: holds no adapter. Pass a LoRA directory.")
    if output.exists():
        raise InputError(f"output={str(output)!r}: exists. Give a new directory.")
    task = load_task(directory)
    warn_unproven(directory)
    with new_folder(output) as draft:
        merged = load_saved(directory, task, dtype=dtype, merge=True)
        write_merged(merged, task, source=directory, target=draft)
    return output


def write_proven(
    directory: Path,
    task: Task,
    target: Path,
    *,
    batch: Mapping[str, Any] | None,
    expected: Any = None,
    allowed: float | None = None,
    tokenizer: Any = None,
) -> float | None:
    """Merge a saved adapter into its full-precision base, and write it to ``target``, proven.

    Args:
        directory: The saved adapter.
        task: Its task.
        target: Where to.
        batch: Model inputs to compare logits on; ``None`` compares nothing.
        expected: Logits of the adapter on its base.
        allowed: How far those of the merged model may be from them; ``None`` for a quantised base,
            where they differ by what quantisation had cost.
        tokenizer: The directory's tokenizer, where it is known without reading it.

    Returns:
        The largest difference between a logit of the merged model and ``expected``.

    Raises:
        RuntimeError: If merging changes the logits, or Transformers opens another model.
    """
    merged = load_saved(directory, task, merge=True, tokenizer=tokenizer)
    if batch is None:
        write_merged(merged, task, source=directory, target=target, proof=False)
        return None
    difference = difference_of(expected, probe_logits(merged[0], batch))
    if allowed is not None and not difference <= allowed:
        raise RuntimeError(
            f"directory={str(directory)!r}: its adapter, merged, gives other logits "
            f"(difference {difference:.2g}, allowed {allowed:.2g}). Use the adapter as it is."
        )
    write_merged(merged, task, source=directory, target=target, batch=batch)
    return difference


def write_merged(
    merged: Built,
    task: Task,
    *,
    source: Path,
    target: Path,
    batch: Mapping[str, Any] | None = None,
    proof: bool = True,
) -> None:
    """Write a merged model, its tokenizer, its task and the lineage of ``source``.

    Raises:
        RuntimeError: With ``proof``, if Transformers opens a model with other logits of ``batch``
            (default: a few made-up ids).
    """
    model, tokenizer = merged
    if not getattr(model.config, "tie_word_embeddings", True):
        unshare(model)
    model.save_pretrained(target)
    if proof:
        batch = batch or made_up_batch(model)
        prove_plain(target, task, batch, probe_logits(model, batch))
    copy_lineage(source, target)
    copy_record(source, target)
    tokenizer.save_pretrained(target)
    save_task(task, target)
