"""GPT-J: decoder."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from frtune.models.bitsandbytes import QuantizationName
from frtune.models.build import build_model
from frtune.models.weights import Built
from frtune.tasks.base import Task

if TYPE_CHECKING:
    from peft import LoraConfig
    from transformers import BitsAndBytesConfig


def build_gptj(
    task: Task,
    *,
    checkpoint: str | os.PathLike[str] = "ainize/gpt-j-6B-float16",
    lora: LoraConfig | None = None,
    quantization: QuantizationName | BitsAndBytesConfig | None = None,
    gradient_checkpointing: bool = False,
    dtype: Any = None,
    proof: bool = True,
) -> Built:
    """Build a GPT-J model and its tokenizer for ``task``.

    Arguments, results and errors are those of :func:`frtune.build_model`; the checkpoint must be
    a GPT-J one.
    """
    return build_model(
        task,
        checkpoint=checkpoint,
        family="gptj",
        lora=lora,
        quantization=quantization,
        gradient_checkpointing=gradient_checkpointing,
        dtype=dtype,
        proof=proof,
    )
