"""Families of encoders: rows of the table."""

from __future__ import annotations

from frtune.models import tiny_tokenizers as tokenizers
from frtune.models.family import Family, Tiny

_FRAME = {"pad_token_id": "<pad>", "bos_token_id": "<s>", "eos_token_id": "</s>"}
_ROBERTA = {"max_position_embeddings": 514, "type_vocab_size": 1}
_DEBERTA_V3 = {
    "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
    "intermediate_size": 3072, "pooler_hidden_size": 768, "relative_attention": True,
    "position_buckets": 256, "norm_rel_ebd": "layer_norm", "share_att_key": True,
    "pos_att_type": ["p2c", "c2p"], "position_biased_input": False,
}  # fmt: skip
_ELECTRA_BASE = {
    "embedding_size": 768, "hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072,
}  # fmt: skip

ROWS = (
    Family(
        name="camembert", title="CamemBERT", model_types=("camembert",),
        default_checkpoint="almanach/camembert-base",
        lora_targets=("query", "value"),
        published={"almanach/camembert-base": {
            "vocab_size": 32005, "max_position_embeddings": 514, "type_vocab_size": 1,
        }},
        sharding_tested=True,
        unpadded=True,
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
        sharding_tested=True,
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
        sharding_tested=True,
        unpadded=True,
        tiny=Tiny({None: tokenizers.wordpiece}, {"pad_token_id": "[PAD]"}),
    ),
    Family(
        name="roberta", title="RoBERTa", model_types=("roberta",),
        default_checkpoint="FacebookAI/roberta-base",
        published={
            "FacebookAI/roberta-base": {"vocab_size": 50265, **_ROBERTA},
            "klue/roberta-base": {"vocab_size": 32000, **_ROBERTA},
        },
        unpadded=True,
        tiny=Tiny({None: tokenizers.roberta_bpe}, _FRAME, _ROBERTA),
    ),
    Family(
        name="xlm_roberta", title="XLM-RoBERTa", model_types=("xlm-roberta",),
        default_checkpoint="FacebookAI/xlm-roberta-base",
        published={"FacebookAI/xlm-roberta-base": {"vocab_size": 250002, **_ROBERTA}},
        unpadded=True,
        tiny=Tiny({None: tokenizers.xlm_roberta_unigram}, _FRAME, _ROBERTA),
    ),
    Family(
        name="electra", title="ELECTRA", model_types=("electra",),
        default_checkpoint="google/electra-base-discriminator",
        published={
            "google/electra-base-discriminator": _ELECTRA_BASE,
            "monologg/koelectra-base-v3-discriminator": {"vocab_size": 35000, **_ELECTRA_BASE},
        },
        unpadded=True,
        tiny=Tiny({None: tokenizers.wordpiece}, {"pad_token_id": "[PAD]"}),
    ),
    Family(
        name="deberta_v2", title="DeBERTa v2 and v3", model_types=("deberta-v2",),
        default_checkpoint="microsoft/mdeberta-v3-base",
        published={
            "microsoft/mdeberta-v3-base": {"vocab_size": 251000, **_DEBERTA_V3},
            "microsoft/deberta-v3-base": {"vocab_size": 128100, **_DEBERTA_V3},
        },
        tiny=Tiny(
            {None: tokenizers.deberta_unigram},
            {"pad_token_id": "[PAD]"},
            {name: value for name, value in _DEBERTA_V3.items() if "size" not in name
             and not name.startswith("num_")},
        ),
    ),
    Family(
        name="modernbert", title="ModernBERT", model_types=("modernbert",),
        default_checkpoint="answerdotai/ModernBERT-base",
        lora_targets=("Wqkv",),
        published={"answerdotai/ModernBERT-base": {}},
        tiny=Tiny(
            {None: tokenizers.modernbert_bpe},
            {
                "pad_token_id": "[PAD]", "bos_token_id": "[CLS]", "eos_token_id": "[SEP]",
                "cls_token_id": "[CLS]", "sep_token_id": "[SEP]",
            },
        ),
    ),
    Family(
        name="distilbert", title="DistilBERT", model_types=("distilbert",),
        default_checkpoint="distilbert/distilbert-base-multilingual-cased",
        lora_targets=("q_lin", "v_lin"),
        published={"distilbert/distilbert-base-multilingual-cased": {"vocab_size": 119547}},
        unpadded=True,
        tiny=Tiny({None: tokenizers.wordpiece}, {"pad_token_id": "[PAD]"}),
    ),
)  # fmt: skip
