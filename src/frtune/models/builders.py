"""One builder a family, with its default checkpoint: ``build_<family>``."""

from __future__ import annotations

import inspect
import os
from typing import Any, Protocol

from peft import LoraConfig
from transformers import BitsAndBytesConfig

from frtune.models.bitsandbytes import QuantizationName
from frtune.models.build import build_model
from frtune.models.families import family_named
from frtune.models.weights import Built
from frtune.tasks.base import Task


class Builder(Protocol):
    """What every ``build_<family>`` is: :func:`frtune.build_model` with a default checkpoint."""

    def __call__(
        self,
        task: Task,
        *,
        checkpoint: str | os.PathLike[str] = ...,
        lora: LoraConfig | None = None,
        quantization: QuantizationName | BitsAndBytesConfig | None = None,
        gradient_checkpointing: bool = False,
        dtype: Any = None,
        proof: bool = True,
    ) -> Built:
        """Build the family's model and its tokenizer for ``task``."""
        ...


def builder(family: str) -> Builder:
    """Make the builder of a family of the table."""
    row = family_named(family)

    def build(task: Task, *, checkpoint: Any = row.default_checkpoint, **options: Any) -> Built:
        return build_model(task, checkpoint=checkpoint, family=row.name, **options)

    options = dict(inspect.signature(build_model).parameters)
    del options["family"]
    options["checkpoint"] = options["checkpoint"].replace(default=row.default_checkpoint)
    build.__signature__ = inspect.Signature(list(options.values()))  # type: ignore[attr-defined]
    build.__name__ = build.__qualname__ = row.builder
    build.__doc__ = f"""Build a {row.title} model and its tokenizer for ``task``.

    Arguments, results and errors are those of :func:`frtune.build_model`; the checkpoint must be
    a {row.title} one.
    """
    return build


build_camembert = builder("camembert")
build_flaubert = builder("flaubert")
build_bert = builder("bert")
build_roberta = builder("roberta")
build_xlm_roberta = builder("xlm_roberta")
build_electra = builder("electra")
build_deberta_v2 = builder("deberta_v2")
build_modernbert = builder("modernbert")
build_distilbert = builder("distilbert")
build_t5 = builder("t5")
build_bart = builder("bart")
build_mt5 = builder("mt5")
build_umt5 = builder("umt5")
build_mbart = builder("mbart")
build_pegasus = builder("pegasus")
build_polyglot = builder("polyglot")
build_gptj = builder("gptj")
build_llama = builder("llama")
build_phi = builder("phi")
build_qwen2 = builder("qwen2")
build_qwen3 = builder("qwen3")
build_gemma2 = builder("gemma2")
build_gemma3 = builder("gemma3")
build_mistral = builder("mistral")
build_exaone4 = builder("exaone4")
build_gpt2 = builder("gpt2")
build_opt = builder("opt")
build_phi3 = builder("phi3")
build_smollm3 = builder("smollm3")
build_olmo2 = builder("olmo2")
build_granite = builder("granite")
