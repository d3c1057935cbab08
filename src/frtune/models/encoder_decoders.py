"""Families of encoder-decoders: rows of the table."""

from __future__ import annotations

from frtune.models import tiny_tokenizers as tokenizers
from frtune.models.family import Family, Tiny

_T5_IDS = {"pad_token_id": "<pad>", "eos_token_id": "</s>", "decoder_start_token_id": "<pad>"}
_T5_BASE = {
    "d_model": 768, "d_ff": 2048, "num_layers": 12, "num_decoder_layers": 12, "num_heads": 12,
    "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False,
}  # fmt: skip
_T5_TINY = {
    "d_ff": 256, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False,
    "initializer_factor": 0.5, "dropout_rate": 0.0,
}  # fmt: skip

ROWS = (
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
        sharding_tested=True,
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
        sharding_tested=True,
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
        name="mt5", title="mT5", model_types=("mt5",),
        default_checkpoint="google/mt5-base",
        fp16=False,
        own_output="lm_head.weight",
        published={
            "google/mt5-base": {"vocab_size": 250112, **_T5_BASE},
            "google/mt5-small": {"vocab_size": 250112, "tie_word_embeddings": False},
        },
        tiny=Tiny({None: tokenizers.t5_unigram}, _T5_IDS, _T5_TINY),
    ),
    Family(
        name="umt5", title="umT5", model_types=("umt5",),
        default_checkpoint="google/umt5-base",
        lora_targets=("q", "v"),
        fp16=False,
        own_output="lm_head.weight",
        published={"google/umt5-base": {"vocab_size": 256384, **_T5_BASE}},
        tiny=Tiny({None: tokenizers.t5_unigram}, _T5_IDS, _T5_TINY),
    ),
    Family(
        name="mbart", title="mBART", model_types=("mbart",),
        default_checkpoint="facebook/mbart-large-50",
        lora_targets=("q_proj", "v_proj"),
        published={"facebook/mbart-large-50": {"vocab_size": 250054}},
        tiny=Tiny(
            {None: tokenizers.xlm_roberta_unigram},
            {
                "pad_token_id": "<pad>", "bos_token_id": "<s>", "eos_token_id": "</s>",
                "decoder_start_token_id": "</s>", "forced_eos_token_id": "</s>",
            },
            {"init_std": 0.05},
        ),
    ),
    Family(
        name="pegasus", title="PEGASUS", model_types=("pegasus",),
        default_checkpoint="google/pegasus-large",
        lora_targets=("q_proj", "v_proj"),
        published={"google/pegasus-large": {
            "vocab_size": 96103, "encoder_layers": 16, "decoder_layers": 16,
        }},
        tiny=Tiny(  # its sines are slow to make
            {None: tokenizers.pegasus_unigram},
            _T5_IDS,
            {"init_std": 0.05, "max_position_embeddings": 256},
        ),
    ),
)  # fmt: skip
