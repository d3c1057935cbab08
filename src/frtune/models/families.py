"""The table of model families: what differs between them, as data.

To add a family, add a row; :class:`frtune.models.family.Family` documents the columns. A row may
also come at run time: ``FAMILIES["albert"] = Family("albert", ...)``. A type without a row has
what follows from Transformers and PEFT, and is proven before it is trained
(``frtune.models.type_proof``).
"""

from __future__ import annotations

import functools
from typing import Any

import transformers  # its classes load on first use, and torch with them

from frtune.errors import InputError, nearest
from frtune.models import decoders, encoder_decoders, encoders
from frtune.models import tiny_tokenizers as tokenizers
from frtune.models.family import Family, Tiny, kind_of_type
from frtune.tasks.base import ModelKind

_ROWS = (*encoders.ROWS, *encoder_decoders.ROWS, *decoders.ROWS)
FAMILIES: dict[str, Family] = {family.name: family for family in _ROWS}
_GENERAL_TINY: dict[ModelKind, Tiny] = {
    "encoder": Tiny({None: tokenizers.wordpiece}, {"pad_token_id": "[PAD]"}),
    "encoder-decoder": Tiny(
        {None: tokenizers.roberta_bpe},
        {
            "pad_token_id": "<pad>", "bos_token_id": "<s>", "eos_token_id": "</s>",
            "decoder_start_token_id": "</s>",
        },
    ),
    "decoder": Tiny(
        {None: tokenizers.gpt2_bpe},
        dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), "<|endoftext|>"),
    ),
}  # fmt: skip


def family_named(name: str) -> Family:
    """Return the family called ``name``, or that of the model type ``name``.

    Raises:
        InputError: If there is none.

    Example:
        >>> family_named("polyglot").model_types, family_named("xlm-roberta").name
        (('gpt_neox',), 'xlm_roberta')
        >>> family_named("albert").kind  # has no row
        'encoder'
    """
    name = str(name)
    found = FAMILIES.get(name) or FAMILIES.get(name.replace("-", "_"))
    if found is not None:
        return found
    for model_type in (name, name.replace("_", "-")):
        if model_type in transformers.CONFIG_MAPPING:
            return family_for(model_type)
    raise InputError(
        f"family={name!r}: one of {', '.join(FAMILIES)}, or a model type of Transformers."
        f"{nearest(name, [*FAMILIES, *transformers.CONFIG_MAPPING])}"
    )


def family_for(model_type: str) -> Family:
    """Return the family of a checkpoint's ``config.model_type``.

    A type without a row gets a family of its own: what Transformers and PEFT know of it.

    Raises:
        InputError: If the type has no head for text.

    Example:
        >>> family_for("gpt_neox").name
        'polyglot'
        >>> family_for("bloom").kind, family_for("bloom").default_checkpoint
        ('decoder', None)
    """
    for family in FAMILIES.values():
        if model_type in family.model_types:
            return family
    return _derived(model_type)


@functools.cache
def _derived(model_type: str) -> Family:
    try:
        kind = kind_of_type(model_type)
    except InputError as error:
        known = [t for family in FAMILIES.values() for t in family.model_types]
        raise InputError(
            f"{error} Choose a checkpoint of another type, such as {', '.join(known)}."
            f"{nearest(model_type, known)}"
        ) from error
    return Family(
        name=model_type.replace("-", "_"),
        title=model_type,
        default_checkpoint=None,
        model_types=(model_type,),
        tiny=_GENERAL_TINY[kind],
    )


def families_for(kinds: object) -> list[str]:
    """Names of the families whose kind is in ``kinds``, in the table's order.

    Example:
        >>> families_for({"encoder-decoder"})
        ['t5', 'bart', 'mt5', 'umt5', 'mbart', 'pegasus']
    """
    return [family.name for family in FAMILIES.values() if family.kind in kinds]  # type: ignore[operator]


def trained_by_tests(method: str, sharding: str) -> frozenset[str]:
    """Names of the families that a test of frtune trains by a method under a sharding.

    Example:
        >>> [name for name in ("bert", "roberta") if name in trained_by_tests("lora", "ddp")]
        ['bert']
    """
    alone = method in ("full", "lora") and sharding == "none"
    return frozenset(row.name for row in _ROWS if row.sharding_tested or alone)


def kind_of(model: Any) -> ModelKind:
    """The model's kind, by its family."""
    return family_for(model.config.model_type).kind


def published_settings(checkpoint: str) -> dict[str, Any] | None:
    """Type and sizes of a published checkpoint that the table knows, as its ``config.json`` has.

    Example:
        >>> published_settings("google-bert/bert-base-cased")
        {'model_type': 'bert', 'vocab_size': 28996}
    """
    for family in FAMILIES.values():
        if checkpoint in family.published:
            return {"model_type": family.model_types[0], **family.published[checkpoint]}
    return None
