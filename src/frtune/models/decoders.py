"""Families of decoders: rows of the table."""

from __future__ import annotations

from frtune.models import tiny_tokenizers as tokenizers
from frtune.models.family import Family, Tiny

_TINY_DECODER = {"max_position_embeddings": 2048, "initializer_range": 0.05,
                 "tie_word_embeddings": False}  # fmt: skip
_TINY_TIED = {**_TINY_DECODER, "tie_word_embeddings": True}
_TEXT_ENDS = dict.fromkeys(("bos_token_id", "eos_token_id"), "<|endoftext|>")
_POLYGLOT = {"vocab_size": 30080, "num_attention_heads": 16}
_QUERY_VALUE = ("q_proj", "v_proj")
_QWEN_ENDS = {"bos_token_id": "<|endoftext|>", "eos_token_id": "<|im_end|>"}
_GEMMA_IDS = {"pad_token_id": "<pad>", "bos_token_id": "<bos>", "eos_token_id": "<eos>"}
_QWEN3 = {"head_dim": 128, "num_key_value_heads": 8, "max_position_embeddings": 40960}

ROWS = (
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
        sharding_tested=True,
        tiny=Tiny(
            {None: tokenizers.polyglot_bpe}, _TEXT_ENDS,
            {**_TINY_DECODER, "pad_token_id": None, "rotary_pct": 0.5},
        ),
    ),
    Family(
        name="gptj", title="GPT-J", model_types=("gptj",),
        default_checkpoint="ainize/gpt-j-6B-float16",
        published={"ainize/gpt-j-6B-float16": {}},
        sharding_tested=True,
        tiny=Tiny(  # as published, the embedding has more rows than the tokenizer has tokens
            {None: tokenizers.gpt2_bpe}, _TEXT_ENDS, _TINY_DECODER, spare_rows=16,
        ),
    ),
    Family(
        name="llama", title="LLaMA", model_types=("llama",),
        default_checkpoint="huggyllama/llama-7b",
        published={"huggyllama/llama-7b": {"pad_token_id": 0}},
        sharding_tested=True,
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
        sharding_tested=True,
        tiny=Tiny({None: tokenizers.codegen_bpe}, _TEXT_ENDS, _TINY_DECODER, spare_rows=16),
    ),
    Family(
        name="qwen2", title="Qwen2 and Qwen2.5", model_types=("qwen2",),
        default_checkpoint="Qwen/Qwen2.5-1.5B-Instruct",
        published={
            "Qwen/Qwen2.5-0.5B-Instruct": {
                "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24,
                "num_attention_heads": 14, "num_key_value_heads": 2, "tie_word_embeddings": True,
            },
            "Qwen/Qwen2.5-1.5B-Instruct": {
                "hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28,
                "num_attention_heads": 12, "num_key_value_heads": 2, "tie_word_embeddings": True,
            },
            "Qwen/Qwen2.5-7B-Instruct": {
                "vocab_size": 152064, "hidden_size": 3584, "intermediate_size": 18944,
                "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4,
            },
        },
        tiny=Tiny({None: tokenizers.qwen_bpe}, _QWEN_ENDS, _TINY_TIED, spare_rows=16),
    ),
    Family(
        name="qwen3", title="Qwen3", model_types=("qwen3",),
        default_checkpoint="Qwen/Qwen3-1.7B",
        published={
            "Qwen/Qwen3-0.6B": {
                **_QWEN3, "hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28,
                "num_attention_heads": 16, "tie_word_embeddings": True,
            },
            "Qwen/Qwen3-1.7B": {
                **_QWEN3, "hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 28,
                "num_attention_heads": 16, "tie_word_embeddings": True,
            },
            "Qwen/Qwen3-4B": {
                **_QWEN3, "hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36,
                "tie_word_embeddings": True,
            },
            "Qwen/Qwen3-8B": {
                **_QWEN3, "hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36,
            },
        },
        tiny=Tiny({None: tokenizers.qwen_bpe}, _QWEN_ENDS, _TINY_TIED, spare_rows=16),
    ),
    Family(
        name="gemma2", title="Gemma 2", model_types=("gemma2",),
        default_checkpoint="google/gemma-2-2b-it",
        fp16=False,
        published={"google/gemma-2-2b-it": {}},
        tiny=Tiny({None: tokenizers.gemma_bpe}, _GEMMA_IDS, _TINY_TIED),
    ),
    Family(
        name="gemma3", title="Gemma 3 (text)", model_types=("gemma3_text",),
        default_checkpoint="google/gemma-3-1b-it",
        fp16=False,
        published={"google/gemma-3-1b-it": {
            "vocab_size": 262144, "hidden_size": 1152, "intermediate_size": 6912,
            "num_attention_heads": 4, "num_key_value_heads": 1, "sliding_window": 512,
            "max_position_embeddings": 32768,
        }},
        tiny=Tiny({None: tokenizers.gemma_bpe}, _GEMMA_IDS, _TINY_TIED),
    ),
    Family(
        name="mistral", title="Mistral", model_types=("mistral",),
        default_checkpoint="mistralai/Mistral-7B-Instruct-v0.3",
        published={"mistralai/Mistral-7B-Instruct-v0.3": {
            "vocab_size": 32768, "max_position_embeddings": 32768, "sliding_window": None,
        }},
        tiny=Tiny(
            {None: tokenizers.llama_bpe},
            {"bos_token_id": "<s>", "eos_token_id": "</s>"},
            _TINY_DECODER,
        ),
    ),
    Family(
        name="exaone4", title="EXAONE 4", model_types=("exaone4",),
        default_checkpoint="LGAI-EXAONE/EXAONE-4.0-1.2B",
        lora_targets=_QUERY_VALUE,
        published={"LGAI-EXAONE/EXAONE-4.0-1.2B": {
            "hidden_size": 2048, "intermediate_size": 4096, "num_hidden_layers": 30,
            "num_key_value_heads": 8, "head_dim": 64, "max_position_embeddings": 65536,
            "tie_word_embeddings": True,
        }},
        tiny=Tiny(
            {None: tokenizers.exaone_bpe},
            {"pad_token_id": "[PAD]", "bos_token_id": "[BOS]", "eos_token_id": "[|endofturn|]"},
            _TINY_TIED,
        ),
    ),
    Family(
        name="gpt2", title="GPT-2", model_types=("gpt2",),
        default_checkpoint="openai-community/gpt2",
        published={
            "openai-community/gpt2": {},
            "skt/kogpt2-base-v2": {"vocab_size": 51200},
        },
        tiny=Tiny({None: tokenizers.gpt2_bpe}, _TEXT_ENDS, _TINY_TIED),
    ),
    Family(
        name="opt", title="OPT", model_types=("opt",),
        default_checkpoint="facebook/opt-125m",
        published={"facebook/opt-125m": {}},
        tiny=Tiny(
            {None: tokenizers.opt_bpe},
            {"pad_token_id": "<pad>", "bos_token_id": "</s>", "eos_token_id": "</s>"},
            {"init_std": 0.05},
        ),
    ),
    Family(
        name="phi3", title="Phi-3 and Phi-4-mini", model_types=("phi3",),
        default_checkpoint="microsoft/Phi-4-mini-instruct",
        lora_targets=("qkv_proj",),
        published={
            "microsoft/Phi-4-mini-instruct": {
                "vocab_size": 200064, "num_attention_heads": 24, "num_key_value_heads": 8,
                "max_position_embeddings": 131072, "tie_word_embeddings": True,
            },
            "microsoft/Phi-3-mini-4k-instruct": {},
        },
        tiny=Tiny(
            {None: tokenizers.gpt2_bpe},
            {**_TEXT_ENDS, "pad_token_id": "<|endoftext|>"},
            _TINY_TIED,
            spare_rows=16,
        ),
    ),
    Family(
        name="smollm3", title="SmolLM3", model_types=("smollm3",),
        default_checkpoint="HuggingFaceTB/SmolLM3-3B",
        lora_targets=_QUERY_VALUE,
        published={"HuggingFaceTB/SmolLM3-3B": {"max_position_embeddings": 65536}},
        tiny=Tiny(
            {None: tokenizers.qwen_bpe},
            {**_QWEN_ENDS, "pad_token_id": "<|endoftext|>"},
            _TINY_TIED,
        ),
    ),
    Family(
        name="olmo2", title="OLMo 2", model_types=("olmo2",),
        default_checkpoint="allenai/OLMo-2-0425-1B-Instruct",
        lora_targets=_QUERY_VALUE,
        published={"allenai/OLMo-2-0425-1B-Instruct": {
            "vocab_size": 100352, "hidden_size": 2048, "intermediate_size": 8192,
            "num_hidden_layers": 16, "num_attention_heads": 16, "num_key_value_heads": 16,
            "max_position_embeddings": 4096,
        }},
        tiny=Tiny(
            {None: tokenizers.olmo_bpe},
            {**_TEXT_ENDS, "pad_token_id": "<|pad|>"},
            _TINY_DECODER,
        ),
    ),
    Family(
        name="granite", title="Granite", model_types=("granite",),
        default_checkpoint="ibm-granite/granite-3.3-2b-instruct",
        lora_targets=_QUERY_VALUE,
        published={"ibm-granite/granite-3.3-2b-instruct": {
            "vocab_size": 49159, "hidden_size": 2048, "intermediate_size": 8192,
            "num_hidden_layers": 40, "num_key_value_heads": 8, "max_position_embeddings": 131072,
            "tie_word_embeddings": True,
        }},
        tiny=Tiny({None: tokenizers.gpt2_bpe}, _TEXT_ENDS, _TINY_TIED),
    ),
)  # fmt: skip
