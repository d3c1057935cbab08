"""Published sizes of the families' default checkpoints, and of one larger sibling.

With them ``frtune plan`` and the table in ``docs/memory.md`` need no network. Numbers are those of
each checkpoint's ``config.json``; settings that change no size are left out.
"""

from __future__ import annotations

from typing import Any

_BERT = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
         "intermediate_size": 3072}  # fmt: skip
_NEOX = {"model_type": "gpt_neox", "vocab_size": 30080, "num_attention_heads": 16,
         "rotary_pct": 0.5, "max_position_embeddings": 2048}  # fmt: skip

SHAPES: dict[str, dict[str, Any]] = {
    "almanach/camembert-base": {
        **_BERT, "model_type": "camembert", "vocab_size": 32005, "max_position_embeddings": 514,
        "type_vocab_size": 1, "pad_token_id": 1,
    },
    "flaubert/flaubert_base_cased": {
        "model_type": "flaubert", "vocab_size": 68729, "emb_dim": 768, "n_layers": 12,
        "n_heads": 12, "max_position_embeddings": 512, "n_langs": 1, "gelu_activation": True,
        "pad_token_id": 2,
    },
    "google-bert/bert-base-cased": {
        **_BERT, "model_type": "bert", "vocab_size": 28996, "max_position_embeddings": 512,
        "pad_token_id": 0,
    },
    "paust/pko-t5-base": {
        "model_type": "t5", "vocab_size": 50358, "d_model": 768, "d_kv": 64, "d_ff": 2048,
        "num_layers": 12, "num_decoder_layers": 12, "num_heads": 12,
        "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False, "pad_token_id": 0,
        "decoder_start_token_id": 0,
    },
    "ainize/kobart-news": {
        "model_type": "bart", "vocab_size": 30000, "d_model": 768, "encoder_layers": 6,
        "decoder_layers": 6, "encoder_attention_heads": 16, "decoder_attention_heads": 16,
        "encoder_ffn_dim": 3072, "decoder_ffn_dim": 3072, "max_position_embeddings": 1026,
        "pad_token_id": 3,
    },
    "EleutherAI/polyglot-ko-1.3b": {
        **_NEOX, "hidden_size": 2048, "num_hidden_layers": 24, "intermediate_size": 8192,
    },
    "EleutherAI/polyglot-ko-5.8b": {
        **_NEOX, "hidden_size": 4096, "num_hidden_layers": 28, "intermediate_size": 16384,
        "rotary_pct": 0.25,
    },
    "ainize/gpt-j-6B-float16": {
        "model_type": "gptj", "vocab_size": 50400, "n_embd": 4096, "n_layer": 28, "n_head": 16,
        "n_positions": 2048, "rotary_dim": 64, "tie_word_embeddings": False,
    },
    "huggyllama/llama-7b": {
        "model_type": "llama", "vocab_size": 32000, "hidden_size": 4096, "num_hidden_layers": 32,
        "num_attention_heads": 32, "intermediate_size": 11008, "max_position_embeddings": 2048,
        "pad_token_id": 0, "tie_word_embeddings": False,
    },
    "microsoft/phi-2": {
        "model_type": "phi", "vocab_size": 51200, "hidden_size": 2560, "num_hidden_layers": 32,
        "num_attention_heads": 32, "intermediate_size": 10240, "max_position_embeddings": 2048,
        "partial_rotary_factor": 0.4, "tie_word_embeddings": False,
    },
}  # fmt: skip
