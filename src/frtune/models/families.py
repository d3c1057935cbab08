"""The table of model families: what differs between them, as data.

To add a family, add a row; :class:`frtune.models.family.Family` documents the columns. A row may
also come at run time: ``FAMILIES["roberta"] = Family("roberta", ...)``.
"""

from __future__ import annotations

from typing import Any

from frtune.errors import InputError, nearest
from frtune.models import tiny_tokenizers as tokenizers
from frtune.models.family import Family, Tiny
from frtune.tasks.base import ModelKind

_TINY_DECODER = {"max_position_embeddings": 2048, "initializer_range": 0.05,
                 "tie_word_embeddings": False}  # fmt: skip
_TEXT_ENDS = dict.fromkeys(("bos_token_id", "eos_token_id"), "<|endoftext|>")
_POLYGLOT = {"vocab_size": 30080, "num_attention_heads": 16}

_ROWS = (
    Family(
        name="camembert", title="CamemBERT", model_types=("camembert",),
        default_checkpoint="almanach/camembert-base",
        lora_targets=("query", "value"),
        published={"almanach/camembert-base": {
            "vocab_size": 32005, "max_position_embeddings": 514, "type_vocab_size": 1,
        }},
        tiny=Tiny(
            {None: tokenizers.camembert_unigram},
            {"pad_token_id": "<pad>", "bos_token_id": "<s>", "eos_token_id": "</s>"},
            {"max_position_embeddings": 514, "type_vocab_size": 1, "layer_norm_eps": 1e-5},
        ),
    ),
    Family(
        name="flaubert", title="FlauBERT", model_types=("flaubert",),
        default_checkpoint="flaubert/flaubert_base_cased",
        lora_targets=("q_lin", "v_lin"),
        extra="flaubert",
        block_modules=False,
        published={"flaubert/flaubert_base_cased": {
            "vocab_size": 68729, "emb_dim": 768, "n_heads": 12,
        }},
        tiny=Tiny(
            {None: tokenizers.xlm_bpe},
            {
                "bos_index": "<s>", "eos_index": "</s>", "pad_index": "<pad>", "unk_index": "<unk>",
                "mask_index": "<special1>", "mask_token_id": "<special1>", "pad_token_id": "<pad>",
                "bos_token_id": "<s>", "eos_token_id": "</s>",
            },
            {
                "embed_init_std": 128**-0.5, "n_langs": 1, "use_lang_emb": True,
                "lang2id": {"fr": 0}, "id2lang": {0: "fr"},
            },
        ),
    ),
    Family(
        name="bert", title="BERT", model_types=("bert",),
        default_checkpoint="google-bert/bert-base-cased",
        published={"google-bert/bert-base-cased": {"vocab_size": 28996}},
        tiny=Tiny({None: tokenizers.wordpiece}, {"pad_token_id": "[PAD]"}),
    ),
    Family(
        name="t5", title="T5", model_types=("t5",),
        default_checkpoint="paust/pko-t5-base",
        fp16=False,
        own_output="lm_head.weight",
        published={"paust/pko-t5-base": {
            "vocab_size": 50358, "d_model": 768, "num_layers": 12, "num_decoder_layers": 12,
            "num_heads": 12, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False,
            "decoder_start_token_id": 0,
        }},
        tiny=Tiny(  # T5 v1.1, as pko-t5: gated GELU, output layer of its own
            {None: tokenizers.t5_unigram, "byte-level": tokenizers.t5_byte_level},
            {"pad_token_id": "<pad>", "eos_token_id": "</s>", "decoder_start_token_id": "<pad>"},
            {
                "d_ff": 256, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False,
                # a factor of 0.1 takes three times the steps to learn, 1.0 starts wild
                "initializer_factor": 0.5, "dropout_rate": 0.0,
            },
        ),
    ),
    Family(
        name="bart", title="BART", model_types=("bart",),
        default_checkpoint="ainize/kobart-news",
        published={"ainize/kobart-news": {
            "vocab_size": 30000, "d_model": 768, "encoder_layers": 6, "decoder_layers": 6,
            "encoder_ffn_dim": 3072, "decoder_ffn_dim": 3072, "max_position_embeddings": 1026,
            "pad_token_id": 3,
        }},
        tiny=Tiny(  # KoBART starts its decoder with EOS, as facebook/bart does
            {None: tokenizers.kobart_bpe, "byte-level": tokenizers.roberta_bpe},
            {
                "pad_token_id": "<pad>", "bos_token_id": "<s>", "eos_token_id": "</s>",
                "decoder_start_token_id": "</s>", "forced_eos_token_id": "</s>",
            },
            {"max_position_embeddings": 2048, "init_std": 0.05},
        ),
    ),
    Family(
        name="polyglot", title="Polyglot (GPT-NeoX)", model_types=("gpt_neox",),
        default_checkpoint="EleutherAI/polyglot-ko-1.3b",
        published_output="embed_out.",
        published={
            "EleutherAI/polyglot-ko-1.3b": {
                **_POLYGLOT, "hidden_size": 2048, "num_hidden_layers": 24,
                "intermediate_size": 8192, "rotary_pct": 0.5,
            },
            "EleutherAI/polyglot-ko-5.8b": {
                **_POLYGLOT, "hidden_size": 4096, "num_hidden_layers": 28,
                "intermediate_size": 16384, "rotary_pct": 0.25,
            },
        },
        tiny=Tiny(
            {None: tokenizers.polyglot_bpe}, _TEXT_ENDS,
            {**_TINY_DECODER, "pad_token_id": None, "rotary_pct": 0.5},
        ),
    ),
    Family(
        name="gptj", title="GPT-J", model_types=("gptj",),
        default_checkpoint="ainize/gpt-j-6B-float16",
        published={"ainize/gpt-j-6B-float16": {}},
        tiny=Tiny(  # as published, the embedding has more rows than the tokenizer has tokens
            {None: tokenizers.gpt2_bpe}, _TEXT_ENDS, _TINY_DECODER, spare_rows=16,
        ),
    ),
    Family(
        name="llama", title="LLaMA", model_types=("llama",),
        default_checkpoint="huggyllama/llama-7b",
        published={"huggyllama/llama-7b": {"pad_token_id": 0}},
        tiny=Tiny(
            {None: tokenizers.llama_bpe},
            {"bos_token_id": "<s>", "eos_token_id": "</s>"},
            {**_TINY_DECODER, "intermediate_size": 256},
        ),
    ),
    Family(
        name="phi", title="Phi", model_types=("phi",),
        default_checkpoint="microsoft/phi-2",
        lora_targets=("q_proj", "v_proj"),
        published={"microsoft/phi-2": {
            "hidden_size": 2560, "num_hidden_layers": 32, "intermediate_size": 10240,
            "partial_rotary_factor": 0.4,
        }},
        tiny=Tiny({None: tokenizers.codegen_bpe}, _TEXT_ENDS, _TINY_DECODER, spare_rows=16),
    ),
)  # fmt: skip

FAMILIES: dict[str, Family] = {family.name: family for family in _ROWS}
SHIPPED = frozenset(FAMILIES)  # those that the tests train in every combination


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
