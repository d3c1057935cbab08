"""Lines that open a model directory with Transformers, PEFT or sentence-transformers."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from peft.utils.other import TrainableTokensWrapper

from frtune.model_cards.usage import literal
from frtune.models.bitsandbytes import base_quantization
from frtune.models.checkpoint_files import read_config
from frtune.models.families import kind_of
from frtune.tasks.base import Task

_NAME = "directory"  # of the variable
_OPEN = re.compile(r'"\.\.\."')


@dataclass(frozen=True)
class Section:
    """Python lines that answer as ``frtune.load`` does, without frtune.

    Attributes:
        title: What they use.
        text: What is said before them.
        lines: For the folder that the model directory lies in. The line ``directory =`` stands
            for its place, and each ``"..."`` for a text.
        inside: Of the model directory, what they open.
    """

    title: str
    text: str
    lines: Sequence[str]
    inside: str = ""

    def code(self, directory: str | os.PathLike[str], texts: Sequence[str]) -> str:
        """The lines for a directory and some texts."""
        found = []
        left = [*texts]
        for line in self.lines:
            if line == f"{_NAME} =":
                line = f"{_NAME} = {literal(os.path.join(directory, self.inside).rstrip('/'))}"
            found.append(_OPEN.sub(lambda told: literal(left.pop(0)) if left else told[0], line))
        return "\n".join(found)


def sections_for(
    task: Task, model: Any, tokenizer: Any, *, directory: str | os.PathLike[str], merged: bool
) -> list[Section]:
    """The sections of a model's card; of a task that has no such lines, none.

    Args:
        task: What the model was trained for.
        model: In memory, with its adapter if it has one.
        tokenizer: The model's.
        directory: The model directory.
        merged: Whether ``merged/`` is there.
    """
    kind = kind_of(model)
    answering = task.transformers_lines(tokenizer, kind)
    if not answering:
        return []
    auto_class = task.auto_classes[kind]
    full = [*_opening(auto_class), "", *answering]
    if not hasattr(model, "peft_config"):
        found = [Section("Transformers", "", full)]
        pair = task.cross_encoder_lines(kind)
        if pair and find_spec("sentence_transformers"):
            found.append(Section("sentence-transformers", "", [*_cross_encoder(task), "", *pair]))
        return found
    found = []
    if not _loses_bias(model):
        found.append(_with_peft(task, model, tokenizer, auto_class, directory, answering))
    if merged:
        found.append(Section("Merged, without PEFT", "", full, inside="merged"))
    return found


def remarks_for(model: Any, *, merged: bool) -> list[str]:
    """What is to be said of an adapter beside the sections."""
    if not hasattr(model, "peft_config"):
        return []
    found = []
    if _loses_bias(model):
        found.append(
            "Beside trained rows of new tokens PEFT leaves out the bias of this model's output "
            "layer. Outside frtune use the merged model."
        )
    if not merged:
        found.append(
            "`frtune.models.continued_adapter.merge_saved(directory, output)` writes the merged "
            "model, which needs no PEFT."
        )
    return found


def _opening(auto_class: str) -> list[str]:
    return [
        "import torch",
        f"from transformers import {auto_class}, AutoTokenizer",
        "",
        f"{_NAME} =",
        f"tokenizer = AutoTokenizer.from_pretrained({_NAME})",
        f"model = {auto_class}.from_pretrained({_NAME}).eval()",
    ]


def _cross_encoder(task: Task) -> list[str]:
    return [
        "from sentence_transformers import CrossEncoder",
        "",
        f"{_NAME} =",
        f"model = CrossEncoder({_NAME}, max_length={task.max_source_tokens})",
    ]


def _with_peft(
    task: Task,
    model: Any,
    tokenizer: Any,
    auto_class: str,
    directory: str | os.PathLike[str],
    answering: Sequence[str],
) -> Section:
    """Lines that open the base as the adapter found it, and the adapter."""
    base = str(model.peft_config["default"].base_model_name_or_path)
    config = read_config(base)
    inside = os.path.relpath(base, directory) if os.path.isdir(base) else ""
    is_inside = inside and not inside.startswith(os.pardir)
    place = f"{_NAME} + {literal('/' + inside)}" if is_inside else literal(base)
    heads = not task.generates
    packing = _packing(directory)
    names = [auto_class, "AutoTokenizer", "AutoConfig" if heads else "GenerationConfig"]
    names += ["BitsAndBytesConfig"] if packing else []
    options = [f"config=AutoConfig.from_pretrained({_NAME})"] if heads else []
    options += ['dtype="float32"'] if str(config.dtype).endswith("16") else []
    options += [f"quantization_config={packing}"] if packing else []
    lines = [
        "import torch",
        "from peft import PeftModel",
        "from transformers import (",
        *(f"    {name}," for name in sorted(names)),
        ")",
        "",
        f"{_NAME} =",
        f"base = {place}",
        f"tokenizer = AutoTokenizer.from_pretrained({_NAME})",
        f"model = {auto_class}.from_pretrained(",
        *(f"    {option}," for option in ["base", *options]),
        ")",
    ]
    if len(tokenizer) > config.get_text_config().vocab_size:
        lines.append("model.resize_token_embeddings(len(tokenizer))  # rows of new tokens")
    if heads:
        lines.append("model.config.pad_token_id = tokenizer.pad_token_id")
    else:
        lines.append(f"model.generation_config = GenerationConfig.from_pretrained({_NAME})")
    lines.append(f"model = PeftModel.from_pretrained(model, {_NAME}).eval()")
    text = (
        "The base is named in `adapter_config.json`, too, by its whole path where it is a "
        "directory. Once that has moved, pass the base as these lines do."
    )
    return Section("PEFT", text, [*lines, "", *answering])


def _packing(directory: str | os.PathLike[str]) -> str | None:
    """How the base of an adapter is quantised, as Python."""
    config = base_quantization(directory)
    if config is None:
        return None
    given = (f"{name}={value!r}" for name, value in config.to_diff_dict().items() if name[0] != "_")
    return f"BitsAndBytesConfig({', '.join(given)})"


def _loses_bias(model: Any) -> bool:
    """Whether the output layer has trained rows and a bias (GPT-J, Phi)."""
    output = model.get_base_model().get_output_embeddings()
    if not isinstance(output, TrainableTokensWrapper):
        return False
    return getattr(output.token_adapter.base_layer, "bias", None) is not None
