"""The table of model families: what differs between them, as data.

To add a family, add a row here, a builder beside this file, and a recipe to ``tiny.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from frtune.errors import InputError, nearest
from frtune.tasks.base import ModelKind

FamilyName = Literal[
    "camembert", "flaubert", "bert", "t5", "bart", "polyglot", "gptj", "llama", "phi"
]


@dataclass(frozen=True)
class Family:
    """What one family of models needs that the others do not.

    Attributes:
        name: Name in ``build_<name>`` and on the command line.
        kind: Architecture; a task says which kinds fit it.
        default_checkpoint: Hub name that the builder loads when none is given.
        model_types: Values of ``config.model_type`` that belong to the family.
        lora_targets: Linear layers that LoRA adapts unless told otherwise: the query and value
            projections (LoRA paper, section 7.1). PEFT has no row for camembert and flaubert.
        padding_side: Side on which the tokenizer pads. Decoders generate from left-padded prompts.
        fp16: Whether half precision keeps finite: T5 overflows and gives NaN.
        gradient_checkpointing: Whether the architecture implements it.
        extra: Optional part of frtune (``pip install frtune[<extra>]``) that the tokenizer needs.
    """

    name: FamilyName
    kind: ModelKind
    default_checkpoint: str
    model_types: tuple[str, ...]
    lora_targets: tuple[str, ...]
    padding_side: Literal["left", "right"] = "right"
    fp16: bool = True
    gradient_checkpointing: bool = True
    extra: str | None = None

    @property
    def builder(self) -> str:
        """Name of the family's builder, for messages."""
        return f"build_{self.name}"


_ROWS = (
    Family(
        name="camembert",
        kind="encoder",
        default_checkpoint="almanach/camembert-base",
        model_types=("camembert",),
        lora_targets=("query", "value"),
    ),
    Family(
        name="flaubert",
        kind="encoder",
        default_checkpoint="flaubert/flaubert_base_cased",
        model_types=("flaubert",),
        lora_targets=("q_lin", "v_lin"),
        gradient_checkpointing=False,
        extra="flaubert",
    ),
    Family(
        name="bert",
        kind="encoder",
        default_checkpoint="google-bert/bert-base-cased",
        model_types=("bert",),
        lora_targets=("query", "value"),
    ),
    Family(
        name="t5",
        kind="encoder-decoder",
        default_checkpoint="paust/pko-t5-base",
        model_types=("t5",),
        lora_targets=("q", "v"),
        fp16=False,
    ),
    Family(
        name="bart",
        kind="encoder-decoder",
        default_checkpoint="ainize/kobart-news",
        model_types=("bart",),
        lora_targets=("q_proj", "v_proj"),
    ),
    Family(
        name="polyglot",
        kind="decoder",
        default_checkpoint="EleutherAI/polyglot-ko-1.3b",
        model_types=("gpt_neox",),
        lora_targets=("query_key_value",),
        padding_side="left",
    ),
    Family(
        name="gptj",
        kind="decoder",
        default_checkpoint="ainize/gpt-j-6B-float16",
        model_types=("gptj",),
        lora_targets=("q_proj", "v_proj"),
        padding_side="left",
    ),
    Family(
        name="llama",
        kind="decoder",
        default_checkpoint="huggyllama/llama-7b",
        model_types=("llama",),
        lora_targets=("q_proj", "v_proj"),
        padding_side="left",
    ),
    Family(
        name="phi",
        kind="decoder",
        default_checkpoint="microsoft/phi-2",
        model_types=("phi",),
        lora_targets=("q_proj", "v_proj"),
        padding_side="left",
    ),
)

FAMILIES: dict[str, Family] = {family.name: family for family in _ROWS}


def family_named(name: str) -> Family:
    """Return the family called ``name``.

    Raises:
        InputError: If there is none.

    Example:
        >>> family_named("polyglot").model_types
        ('gpt_neox',)
    """
    if name not in FAMILIES:
        raise InputError(
            f"family={name!r}: one of {', '.join(FAMILIES)}.{nearest(str(name), list(FAMILIES))}"
        )
    return FAMILIES[name]


def family_for(model_type: str) -> Family:
    """Return the family of a checkpoint's ``config.model_type``.

    Raises:
        InputError: If no family covers it.

    Example:
        >>> family_for("gpt_neox").name
        'polyglot'
    """
    for family in FAMILIES.values():
        if model_type in family.model_types:
            return family
    known = ", ".join(t for family in FAMILIES.values() for t in family.model_types)
    raise InputError(
        f"model_type={model_type!r}: one of {known}. Choose a checkpoint of one of these kinds."
    )


def families_for(kinds: object) -> list[str]:
    """Names of the families whose kind is in ``kinds``, in the table's order.

    Example:
        >>> families_for({"encoder-decoder"})
        ['t5', 'bart']
    """
    return [family.name for family in FAMILIES.values() if family.kind in kinds]  # type: ignore[operator]


def kind_of(model: Any) -> ModelKind:
    """The model's kind, by its family."""
    return family_for(model.config.model_type).kind
