"""The part of the model card that says how Transformers and PEFT open the directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from peft.utils.other import TrainableTokensWrapper

from frtune.models.checkpoint_files import read_config
from frtune.models.families import kind_of
from frtune.tasks.base import Task

_NAME = "directory"  # of the variable


def plain_use(task: Task, model: Any, tokenizer: Any, *, output_dir: str, merged: bool) -> str:
    """Sections with Python lines that answer as ``frtune.load`` does, without frtune.

    They are meant for the folder that the model directory lies in. Of a task that has no such
    lines nothing is said.

    Args:
        task: What the model was trained for.
        model: In memory, with its adapter if it has one.
        tokenizer: The model's.
        output_dir: The model directory.
        merged: Whether ``merged/`` is there.
    """
    answering = task.transformers_lines(tokenizer, kind_of(model))
    if not answering:
        return ""
    auto_class = task.auto_classes[kind_of(model)]
    name = Path(output_dir).resolve().name
    loading = [
        f"from transformers import {auto_class}, AutoTokenizer, pipeline",
        "",
        f'{_NAME} = "{{}}"',
        f"tokenizer = AutoTokenizer.from_pretrained({_NAME})",
        f"model = {auto_class}.from_pretrained({_NAME})",
    ]
    if not hasattr(model, "peft_config"):
        return _section("Without frtune", "", [*loading, *answering], name)
    sections = []
    if _loses_bias(model):
        sections.append(
            "Beside trained rows of new tokens PEFT leaves out the bias of this model's output "
            "layer. Outside frtune use the merged model.\n"
        )
    else:
        heads = not task.generates
        opening = _with_peft(model, tokenizer, auto_class, output_dir, heads=heads)
        text = (
            "The base is named in `adapter_config.json`, too, by its whole path where it is a "
            "directory. Once that has moved, pass the base as these lines do.\n\n"
        )
        if getattr(model.config, "quantization_config", None) is not None:
            text += (
                "These lines open the base in full precision. In training it was quantised, and "
                "`frtune.load` quantises it again.\n\n"
            )
        lines = [line.replace("{}", name) for line in opening]
        sections.append(_section("With PEFT", text, [*lines, *answering], name))
    if merged:
        lines = [*loading, *answering]
        sections.append(_section("Merged, without PEFT", "", lines, f"{name}/merged"))
    else:
        sections.append(
            "`frtune.models.continued_adapter.merge_saved(directory, output)` writes the merged "
            "model, which needs no PEFT.\n"
        )
    return "\n".join(sections)


def _section(title: str, text: str, lines: list[str], name: str) -> str:
    code = "\n".join(lines).replace("{}", name, 1)
    return f"### {title}\n\n{text}```python\n{code}\n```\n"


def _with_peft(
    model: Any, tokenizer: Any, auto_class: str, output_dir: str, *, heads: bool
) -> list[str]:
    """Lines that open the base as the adapter found it, and the adapter."""
    base = str(model.peft_config["default"].base_model_name_or_path)
    rows = read_config(base).get_text_config().vocab_size
    inside = os.path.relpath(base, output_dir) if os.path.isdir(base) else ""
    if inside and not inside.startswith(os.pardir):
        place = f'f"{{{_NAME}}}/{inside}"'
    else:
        place = f'"{base}"'
    names = [*(["AutoConfig"] if heads else []), auto_class, "AutoTokenizer", "pipeline"]
    config = f", config=AutoConfig.from_pretrained({_NAME})" if heads else ""
    lines = [
        "from peft import PeftModel",
        f"from transformers import {', '.join(names)}",
        "",
        f'{_NAME} = "{{}}"',
        f"base = {place}",
        f"tokenizer = AutoTokenizer.from_pretrained({_NAME})",
        f"model = {auto_class}.from_pretrained(base{config})",
    ]
    if len(tokenizer) > rows:
        lines.append("model.resize_token_embeddings(len(tokenizer))  # rows of new tokens")
    if heads:
        lines.append("model.config.pad_token_id = tokenizer.pad_token_id")
    return [*lines, f"model = PeftModel.from_pretrained(model, {_NAME}).eval()"]


def _loses_bias(model: Any) -> bool:
    """Whether the output layer has trained rows and a bias (GPT-J, Phi)."""
    output = model.get_base_model().get_output_embeddings()
    if not isinstance(output, TrainableTokensWrapper):
        return False
    return getattr(output.token_adapter.base_layer, "bias", None) is not None
