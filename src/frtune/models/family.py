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

_KINDS: tuple[tuple[ModelKind, str], ...] = (  # BART is in the first three, BERT in the next two
    ("encoder-decoder", "AutoModelForSeq2SeqLM"),
    ("encoder", "AutoModelForMaskedLM"),
    ("decoder", "AutoModelForCausalLM"),
    ("encoder", "AutoModelForSequenceClassification"),
    ("encoder", "AutoModelForTokenClassification"),
)
_MAPPINGS = {
    "AutoModelForSeq2SeqLM": "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING",
    "AutoModelForMaskedLM": "MODEL_FOR_MASKED_LM_MAPPING",
    "AutoModelForCausalLM": "MODEL_FOR_CAUSAL_LM_MAPPING",
    "AutoModelForSequenceClassification": "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING",
    "AutoModelForTokenClassification": "MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING",
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
        default_checkpoint: Hub name that the builder loads when none is given; ``None`` for a type
            that has no row.
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
        unpadded: Whether its layers take tokens end to end, see ``training.unpadded``: nothing but
            attention looks from one token to another, and no layer asks for positions.
        sharding_tested: Whether tests train it under every sharding, and in 8 and 4 bits. The
            others are trained by one process, in full and with LoRA.
    """

    name: str
    title: str
    default_checkpoint: str | None
    model_types: tuple[str, ...]
    tiny: Tiny
    published: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    lora_targets: tuple[str, ...] | None = None
    fp16: bool = True
    extra: str | None = None
    block_modules: bool = True
    own_output: str | None = None
    published_output: str | None = None
    unpadded: bool = False
    sharding_tested: bool = False

    @property
    def has_row(self) -> bool:
        """Whether it stands in the table; what follows for another type must be proven."""
        return self.default_checkpoint is not None

    @property
    def builder(self) -> str:
        """Name of the builder that takes the family, for messages."""
        return f"build_{self.name}" if self.has_row else "build_model"

    @property
    def kind(self) -> ModelKind:
        """Architecture, by Transformers' auto classes; a task says which kinds fit it.

        Example:
            >>> from frtune.models.families import FAMILIES
            >>> FAMILIES["camembert"].kind, FAMILIES["bart"].kind, FAMILIES["polyglot"].kind
            ('encoder', 'encoder-decoder', 'decoder')
        """
        return kind_of_type(self.model_types[0])

    @property
    def language_model(self) -> str:
        """Name of the auto class that carries the head of pre-training, if it has one."""
        name = next(name for kind, name in _KINDS if kind == self.kind)
        return name if has_head(self.model_types[0], name) else "AutoModel"

    @property
    def padding_side(self) -> Literal["left", "right"]:
        """Side on which the tokenizer pads: decoders generate from left-padded prompts."""
        return "left" if self.kind == "decoder" else "right"

    @property
    def gradient_checkpointing(self) -> bool:
        """Whether Transformers can compute its activations again in the backward pass."""
        config_class = transformers.CONFIG_MAPPING[self.model_types[0]]
        model_class = transformers.MODEL_MAPPING.get(config_class, None)
        return getattr(model_class, "supports_gradient_checkpointing", False)


def has_head(model_type: str, auto_class: str) -> bool:
    """Whether Transformers has a model of the type for an auto class; of others it is not asked.

    Example:
        >>> has_head("bert", "AutoModelForTokenClassification")
        True
        >>> has_head("gptj", "AutoModelForTokenClassification")
        False
    """
    if auto_class not in _MAPPINGS:
        return True
    return transformers.CONFIG_MAPPING[model_type] in getattr(transformers, _MAPPINGS[auto_class])


@functools.cache
def kind_of_type(model_type: str) -> ModelKind:
    """Architecture of a model type, by the heads that Transformers has for it.

    Raises:
        InputError: If it has none for text.
    """
    if model_type not in transformers.CONFIG_MAPPING:
        raise InputError(f"model_type={model_type!r}: Transformers has no such type.")
    config_class: Any = transformers.CONFIG_MAPPING[model_type]
    layers = config_class.attribute_map.get("num_hidden_layers", "num_hidden_layers")
    sub_configs = config_class.sub_configs  # of MPT, too, which is one model
    if "text_config" in sub_configs or (sub_configs and not hasattr(config_class, layers)):
        parts = ", ".join(name.removesuffix("_config") for name in sub_configs)
        text = f"{model_type}_text"
        alone = f" Its text model alone is {text}." if text in transformers.CONFIG_MAPPING else ""
        raise InputError(f"model_type={model_type!r}: is made of several models ({parts}).{alone}")
    for kind, auto_class in _KINDS:
        if has_head(model_type, auto_class):
            if kind == "decoder" and config_class.is_encoder_decoder:
                break  # the decoder of a model that reads no text
            return kind
    raise InputError(f"model_type={model_type!r}: Transformers has no head for text on it.")
