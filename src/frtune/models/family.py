"""What is known of a family of models: the columns of the table, and what follows from them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import transformers  # its classes load on first use, and torch with them

from frtune.errors import InputError
from frtune.tasks.base import ModelKind

TokenizerRecipe = Callable[[Sequence[str], int], dict[str, Any]]

_LANGUAGE_MODELS: dict[ModelKind, str] = {
    "encoder": "AutoModelForMaskedLM",
    "encoder-decoder": "AutoModelForSeq2SeqLM",
    "decoder": "AutoModelForCausalLM",
}


@dataclass(frozen=True)
class Tiny:
    """How :func:`frtune.tiny_checkpoint` makes a small model of a family.

    Sizes follow from the config's class; a row holds what deviates.

    Attributes:
        tokenizers: What the user may ask for (``None``: the default), and the function that makes
            it of texts and a limit of the vocabulary.
        token_ids: Fields of the config that hold a token's id, and the token.
        settings: Other values of the config.
        spare_rows: Rows of the embedding beyond those that the tokenizer has tokens for.
    """

    tokenizers: Mapping[str | None, TokenizerRecipe]
    token_ids: Mapping[str, str]
    settings: Mapping[str, Any] = field(default_factory=dict)
    spare_rows: int = 0


@dataclass(frozen=True)
class Family:
    """What one family of models needs that the others do not.

    What Transformers and PEFT know stands in no row: the kind, whether activations can be
    checkpointed, positions, tied weights, the layers that LoRA adapts.

    Attributes:
        name: Name in ``build_<name>`` and on the command line.
        title: Name in prose.
        default_checkpoint: Hub name that the builder loads when none is given.
        model_types: Values of ``config.model_type`` that belong to the family.
        tiny: How a small model of it is made.
        published: Hub names, the default's among them, with the values of their ``config.json``
            that differ from the class's own and change a size: they are planned without network.
        lora_targets: Linear layers that LoRA adapts unless told otherwise, where PEFT has no row
            or names more than the query and value projections (LoRA paper, section 7.1).
        fp16: Whether half precision keeps finite: T5 overflows and gives NaN.
        extra: Optional part of frtune (``pip install frtune[<extra>]``) that the tokenizer needs.
        block_modules: Whether each block is one module; FlauBERT keeps a list for each part.
        own_output: Weight of the output layer in checkpoints that have one of their own, where
            Transformers ties it to the embedding whatever the config says.
        published_output: Prefix of the output layer in checkpoints, where Transformers renames it
            to ``lm_head.``.
    """

    name: str
    title: str
    default_checkpoint: str
    model_types: tuple[str, ...]
    tiny: Tiny
    published: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    lora_targets: tuple[str, ...] | None = None
    fp16: bool = True
    extra: str | None = None
    block_modules: bool = True
    own_output: str | None = None
    published_output: str | None = None

    @property
    def builder(self) -> str:
        """Name of the family's builder, for messages."""
        return f"build_{self.name}"

    @property
    def kind(self) -> ModelKind:
        """Architecture, by Transformers' auto classes; a task says which kinds fit it.

        Example:
            >>> from frtune.models.families import FAMILIES
            >>> FAMILIES["camembert"].kind, FAMILIES["bart"].kind, FAMILIES["polyglot"].kind
            ('encoder', 'encoder-decoder', 'decoder')
        """
        return _kind(self.model_types[0])

    @property
    def language_model(self) -> str:
        """Name of the auto class that carries the head of pre-training."""
        return _LANGUAGE_MODELS[self.kind]

    @property
    def padding_side(self) -> Literal["left", "right"]:
        """Side on which the tokenizer pads: decoders generate from left-padded prompts."""
        return "left" if self.kind == "decoder" else "right"

    @property
    def gradient_checkpointing(self) -> bool:
        """Whether Transformers can compute its activations again in the backward pass."""
        model_class: Any = transformers.MODEL_MAPPING[
            transformers.CONFIG_MAPPING[self.model_types[0]]
        ]
        return model_class.supports_gradient_checkpointing


@functools.cache
def _kind(model_type: str) -> ModelKind:
    config_class = transformers.CONFIG_MAPPING[model_type]
    mappings: dict[ModelKind, Any] = {  # BART is in all three, BERT in the last two
        "encoder-decoder": transformers.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING,
        "encoder": transformers.MODEL_FOR_MASKED_LM_MAPPING,
        "decoder": transformers.MODEL_FOR_CAUSAL_LM_MAPPING,
    }
    for kind, mapping in mappings.items():
        if config_class in mapping:
            return kind
    raise InputError(f"model_type={model_type!r}: no language model. Choose another checkpoint.")
