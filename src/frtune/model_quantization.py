"""A finished model in 8 or 4 bits: one directory, proven in a fresh process."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from frtune.environment.progress import brief_bars
from frtune.errors import InputError, nearest
from frtune.files import draft_folder, new_folder, write_json
from frtune.model_cards import markdown
from frtune.model_cards.checked import checked, made_up
from frtune.model_cards.metadata import derived_metadata, front_matter
from frtune.model_cards.sections import sections_for
from frtune.model_cards.usage import use_lines
from frtune.models.bitsandbytes import QUANTIZATION_FILE, quantization_record
from frtune.models.checkpoint_files import read_for_task
from frtune.models.families import kind_of
from frtune.models.int8 import pack_layers, quantize_layers, save_int8
from frtune.models.lineage import copy_lineage
from frtune.models.loading import ADAPTER_CONFIG, load_saved
from frtune.models.probe import probe_logits
from frtune.models.proof_record import copy_record, warn_unproven
from frtune.models.tokenizer_files import PROBES
from frtune.models.weights import kept_names, load_weights
from frtune.outputs import check_output_directory
from frtune.tasks.base import Task
from frtune.tasks.config_file import check_directory, import_program, load_task, save_task
from frtune.version import __version__

logger = logging.getLogger(__name__)

Method = Literal["int8", "int8-weights", "bnb-int8", "nf4"]
METHODS: dict[str, str] = {
    "int8": "8-bit weights and activations, for CPUs",
    "int8-weights": "8-bit weights, activations as they were, for CPUs",
    "bnb-int8": "LLM.int8() of bitsandbytes, for GPUs",
    "nf4": "4-bit NormalFloat of bitsandbytes, for GPUs",
}
_PROBE_ROWS, _PROBE_TOKENS = 16, 64
_ALLOWED = 1e-2  # of the largest logit, between this process and a fresh one


def quantize(
    directory: str | Path, output_dir: str | Path, *, method: Method = "int8", proof: bool = True
) -> dict[str, Any]:
    """Make a saved model smaller; ``frtune.load`` opens the new directory.

    The linear layers and the token embedding of the base are quantised; the task's head and a
    language model's output layer stay in full precision. An adapter is merged first.

    Args:
        directory: What ``frtune train`` or ``frtune.save`` left: full weights or an adapter.
        output_dir: A new or empty directory, outside of ``directory``.
        method: ``"int8"``: a row of weights shares a scale, and activations are rounded token by
            token while the model runs. ``"int8-weights"`` rounds weights alone: no faster, but
            closer to the original. ``"bnb-int8"`` and ``"nf4"`` are those of bitsandbytes.
        proof: Open the result in a fresh process; its logits must be those of this one.

    Returns:
        What ``frtune_quantization.json`` holds: ``method``, ``source``, ``size_before_bytes``,
        ``size_after_bytes`` (of the weights), ``layers``, ``max_logit_difference`` and
        ``same_choice`` (share of equal best labels or tokens) against the original on probe
        texts, ``reload_difference`` (``None`` without proof).

    Raises:
        InputError: If the directory holds no finished model in full precision, or the output is
            not a new directory.
        RuntimeError: If the fresh process finds other logits.
    """
    check_output_directory(output_dir, "output")
    directory, output_dir = Path(directory), Path(output_dir)
    if method not in get_args(Method):
        hint = nearest(str(method), list(METHODS))
        raise InputError(f"method={method!r}: one of {', '.join(METHODS)}.{hint}")
    task = _check_places(directory, output_dir)
    warn_unproven(directory)
    adapted = (directory / ADAPTER_CONFIG).is_file()
    model, tokenizer = load_saved(directory, task, merge=adapted)
    before = sum(t.numel() * t.element_size() for t in model.parameters())
    batch = _probe_batch(directory, tokenizer)
    original = probe_logits(model, batch)
    with new_folder(output_dir) as draft:
        tokenizer.save_pretrained(draft)
        save_task(task, draft)
        copy_lineage(directory, draft)
        copy_record(directory, draft)
        if method in ("int8", "int8-weights"):
            layers = _write_int8(model, draft, method)
        else:
            model, layers = _write_bitsandbytes(model, task, draft, method)
        found = probe_logits(model, batch)
        record = {
            "frtune_version": __version__,
            "method": method,
            "source": str(directory),
            "merged_adapter": adapted,
            "size_before_bytes": before,
            "size_after_bytes": sum(file.stat().st_size for file in draft.glob("*.safetensors")),
            "layers": layers,
            **_differences(original, found, batch["attention_mask"].bool()),
            "reload_difference": None,
        }
        write_json(draft / QUANTIZATION_FILE, record)
        if proof:
            record["reload_difference"] = _prove(draft, task, batch, found)
            write_json(draft / QUANTIZATION_FILE, record)
        card = _card(
            task, model, tokenizer, draft=draft, name=output_dir.resolve().name, record=record
        )
        (draft / "README.md").write_text(card, encoding="utf-8")
    return record


def _check_places(directory: Path, output_dir: Path) -> Task:
    """The task of a directory that can be quantised into ``output_dir``."""
    task = load_task(check_directory(directory))
    record = quantization_record(directory)
    if record is not None:
        raise InputError(
            f"{directory}: is quantised already ({record['method']}). "
            f"Quantise what it was made from, {record.get('source')}."
        )
    check_output_directory(output_dir, "output", empty=True, outside=directory)
    return task


def _write_int8(model: PreTrainedModel, draft: Path, method: str) -> int:
    """Quantise ``model`` in place and write it; how many layers were replaced."""
    activations = "int8" if method == "int8" else "float"
    layers = quantize_layers(model, activations=activations, skip=kept_names(model))
    save_int8(model, draft)
    pack_layers(model)
    return len(layers)


@brief_bars()
def _write_bitsandbytes(
    model: PreTrainedModel, task: Task, draft: Path, method: str
) -> tuple[PreTrainedModel, int]:
    """Quantise while loading, which is how bitsandbytes works, and write that model."""
    with tempfile.TemporaryDirectory(dir=draft) as folder:
        model.save_pretrained(folder)
        config, _, auto_class = read_for_task(folder, task)
        name = "int8" if method == "bnb-int8" else "nf4"
        quantized = load_weights(folder, auto_class, config, quantization=name, new_head=False)
    quantized.eval()
    quantized.config._name_or_path = ""
    quantized.save_pretrained(draft)
    classes = ("Linear8bitLt", "Linear4bit")
    return quantized, sum(type(module).__name__ in classes for module in quantized.modules())


def _probe_batch(directory: Path, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """A few texts as the model reads them: of the test rows where they lie there, or made up."""
    texts: list[str] = []
    if (path := directory / "predictions.jsonl").is_file():
        with path.open(encoding="utf-8") as lines:
            rows = [json.loads(line) for line in islice(lines, _PROBE_ROWS)]
        texts = [str(row["input"]) for row in rows if row.get("input")]
    options: Any = {"padding": True, "padding_side": "right", "return_tensors": "pt"}
    encoded: Any = tokenizer(texts or list(PROBES), verbose=False, **options)
    names = ("input_ids", "attention_mask", "token_type_ids")
    # cut here, since a tokenizer keeps the truncation that it is told
    return {name: encoded[name][:, :_PROBE_TOKENS] for name in names if name in encoded}


def _differences(original: Any, found: Any, real: Any) -> dict[str, float | None]:
    """How far the logits moved, and the share of equal choices where there is a choice."""
    # logits: (batch, classes) or (batch, length, classes); real: (batch, length), no padding
    if original.ndim == 3 and original.shape[1] == real.shape[1]:
        original, found = original[real], found[real]  # (tokens, classes)
    same = None
    if original.shape[-1] > 1:
        same = (original.argmax(-1) == found.argmax(-1)).to(torch.float32).mean().item()
    return {
        "max_logit": original.abs().max().item(),
        "max_logit_difference": (original - found).abs().max().item(),
        "same_choice": same,
    }


def _prove(directory: Path, task: Task, batch: dict[str, Any], expected: Any) -> float:
    """Open ``directory`` in a fresh process; how far a logit is from ``expected`` at most."""
    with draft_folder() as folder:
        asked, answered = folder / "batch.safetensors", folder / "logits.safetensors"
        save_file({name: value.contiguous() for name, value in batch.items()}, asked)
        program = (
            f"{import_program(task)}; from frtune.model_quantization import _answer; "
            "_answer(*sys.argv[1:])"
        )
        command = [sys.executable, "-c", program, str(directory), str(asked), str(answered)]
        environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise RuntimeError(f"{directory}: a fresh process cannot open the result: {last}")
        found = load_file(answered)["logits"]
    difference = (expected - found).abs().max().item()
    if not difference <= _ALLOWED * max(1.0, expected.abs().max().item()):
        raise RuntimeError(
            f"{directory}: a fresh process finds other logits (difference {difference:.2g}). "
            "Do not use it; report the model and the method."
        )
    return difference


def _answer(directory: str, asked: str, answered: str) -> None:
    """Write the logits of a saved model for a saved batch: the other side of ``_prove``."""
    model, _ = load_saved(directory, load_task(directory))
    save_file({"logits": probe_logits(model, load_file(asked)).contiguous()}, answered)


def _card(
    task: Task,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    *,
    draft: Path,
    name: str,
    record: dict[str, Any],
) -> str:
    """Text of ``README.md``; where Transformers opens the directory, with lines that were run."""
    source, method = record["source"], record["method"]
    before, after = (record[f"size_{name}_bytes"] / 2**20 for name in ("before", "after"))
    merged = ", its adapter merged first" if record["merged_adapter"] else ""
    same = record["same_choice"]
    choices = "" if same is None else f"; {same:.1%} of the choices are the same"
    own = method in ("int8", "int8-weights")
    plain = "Only frtune opens these weights.\n"
    if not own:
        unchecked = None if record["reload_difference"] is not None else "it was not proven"
        sections = sections_for(task, model, tokenizer, directory=draft, merged=False)
        plain = checked(
            sections, task, made_up(task), directory=draft, name=name, unchecked=unchecked
        )
    data = derived_metadata(
        task, kind_of(model), source,
        name=name,
        library="frtune" if own else "transformers",
        tags=["quantized", method],
    )  # fmt: skip
    return (
        f"{front_matter(data)}\n# {task.name}: {markdown.plain(name)}\n\n"
        f"{markdown.code(source)} quantised with `{method}` "
        f"({METHODS[method]}){merged}: {record['layers']} layers, weights "
        f"{before:.1f} MiB before and {after:.1f} MiB after. The head is in full precision.\n\n"
        f"On probe texts a logit moved by {record['max_logit_difference']:.3g} at most, of "
        f"{record['max_logit']:.3g}{choices}. What that means for the scores says\n"
        "`frtune compare ORIGINAL QUANTISED --data X`.\n\n"
        f"## Use\n\n{use_lines(task, name)}\n## Use without frtune\n\n{plain}"
    )
