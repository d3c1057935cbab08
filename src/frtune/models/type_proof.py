"""A model type that has no row, proven on a tiny model of its config before weights are loaded."""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import transformers
from peft import LoraConfig, PeftModel
from transformers import PreTrainedConfig

from frtune.environment.progress import brief_bars
from frtune.errors import InputError
from frtune.files import draft_folder
from frtune.models.checkpoint_files import first_line
from frtune.models.config_sizes import narrowed
from frtune.models.deepspeed import zero3_suspended
from frtune.models.families import FAMILIES
from frtune.models.family import Family
from frtune.models.lora import add_adapter, lora_config
from frtune.models.probe import probe_logits
from frtune.models.weights import head_names, quiet

_ROWS_OF_VOCABULARY = 256
_LARGEST = 50_000_000  # parameters
_TOLERANCE = 1e-4
_proven: set[tuple[Any, ...]] = set()


def prove_type(
    config: PreTrainedConfig, family: Family, auto_class: str, *, lora: LoraConfig | None = None
) -> None:
    """Prove that a model type trains, is saved and opens again; a type with a row is known to.

    A model of the config with two narrow layers goes forward and backward, is saved, and must give
    the same logits when it is opened; with ``lora`` its adapter, too. That takes about a second,
    and once a process.

    Args:
        config: The checkpoint's config, with the task's settings; it is not changed.
        family: What :func:`frtune.models.families.family_for` says of its type.
        auto_class: Name of the auto class that carries the task's head.
        lora: The adapter that is trained, if one is.

    Raises:
        InputError: Says what the tiny model fails in.
    """
    method = lora and (bool(lora.lora_dropout), lora.use_dora)
    key = (config.model_type, auto_class, method)
    if family.has_row or key in _proven:
        return
    stage = ["be made"]
    try:
        with _apart(), draft_folder() as folder:
            _live_through(config, family, auto_class, lora, folder, stage)
    except Exception as error:  # each type fails in its own way
        raise InputError(
            f"model_type={config.model_type!r}: has no row in the table of families, and a tiny "
            f"model of it fails to {stage[-1]} ({first_line(error)}). "
            f"Choose a checkpoint of one of {', '.join(_like(family))}."
        ) from error
    _proven.add(key)


@contextlib.contextmanager
def _apart() -> Iterator[None]:
    """Leave no trace in the run: its random numbers, its ZeRO-3, its log."""
    with (
        torch.random.fork_rng(devices=[]),
        zero3_suspended(),
        quiet(),
        brief_bars(),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        yield


def _live_through(
    config: Any, family: Family, auto_class: str, lora: Any, folder: Path, stage: list[str]
) -> None:
    loader = getattr(transformers, auto_class)
    small = _tiny_config(config)
    with torch.device("meta"):
        size = sum(p.numel() for p in loader.from_config(copy.deepcopy(small)).parameters())
    if size > _LARGEST:
        raise ValueError(f"{size:,} parameters with two narrow layers")
    model = loader.from_config(small, dtype=torch.float32)
    if family.kind == "encoder-decoder" and not hasattr(
        model, "prepare_decoder_input_ids_from_labels"
    ):
        raise ValueError("it makes no inputs of its decoder from labels")
    batch = _batch(family)
    stage.append("train")
    _check_gradients(model, batch)
    stage.append("be saved and opened with equal logits")
    model.save_pretrained(folder / "base")
    again = loader.from_pretrained(folder / "base", dtype=torch.float32)
    _check_equal(model, again, batch)
    if lora is None:
        return
    stage.append("train with LoRA")
    small_lora = lora_config(r=2, dropout=lora.lora_dropout, dora=lora.use_dora)
    heads = head_names(model)
    adapted: Any = add_adapter(model, small_lora, family, auto_class=auto_class, heads=heads)
    _check_gradients(adapted, batch, part="lora_B")
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:  # starts at 0, where it would change nothing
            torch.nn.init.normal_(weight)
    stage.append("be saved and opened with its adapter and equal logits")
    adapted.save_pretrained(str(folder / "adapter"))
    _check_equal(adapted, PeftModel.from_pretrained(again, str(folder / "adapter")), batch)


def _tiny_config(config: Any) -> Any:
    small = narrowed(config, layers=2, width=64, heads=4, inner=128)
    if hasattr(small, "quantization_config"):
        del small.quantization_config
    small.vocab_size = _ROWS_OF_VOCABULARY
    for name, value in list(vars(small).items()):
        if name.endswith("_token_id") and isinstance(value, int) and value >= _ROWS_OF_VOCABULARY:
            setattr(small, name, _ROWS_OF_VOCABULARY - 1)
    if getattr(small, "pad_token_id", None) is None:
        small.pad_token_id = 0
    if small.is_encoder_decoder and getattr(small, "decoder_start_token_id", None) is None:
        small.decoder_start_token_id = small.pad_token_id
    return small


def _batch(family: Family) -> dict[str, Any]:
    """Two rows, one of them padded; ids that stand for no special token."""
    ids = torch.arange(100, 116).reshape(2, 8)
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    batch["attention_mask"][1, -3:] = 0
    if family.kind == "encoder-decoder":
        batch["decoder_input_ids"] = ids[:, :4]
    return batch


def _check_gradients(model: Any, batch: dict[str, Any], part: str = "") -> None:
    logits = model.train()(**batch).logits
    logits.float().square().sum().backward()
    moved = [
        name
        for name, p in model.named_parameters()
        if part in name and p.grad is not None and bool(p.grad.abs().sum() > 0)
    ]
    if not moved:
        raise ValueError(f"no gradient of {part or 'its weights'}")


def _check_equal(model: Any, again: Any, batch: dict[str, Any]) -> None:
    expected = probe_logits(model, batch)
    difference = (probe_logits(again, batch) - expected).abs().max().item()
    if not difference <= _TOLERANCE * max(1.0, expected.abs().max().item()):
        raise ValueError(f"they differ by {difference:.2g}")


def _like(family: Family) -> list[str]:
    """Families of the same kind."""
    return [row.name for row in FAMILIES.values() if row.kind == family.kind]
