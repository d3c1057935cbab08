"""A checkpoint's miniature: its architecture and tokenizer in few and narrow random layers."""

from __future__ import annotations

import copy
import os
import shutil
from pathlib import Path
from typing import Any

import torch
import transformers

from frtune.models.checkpoint_files import local_file
from frtune.models.deepspeed import zero3_suspended
from frtune.models.families import Family

LAYERS, WIDTH, HEADS, INNER = 2, 64, 4, 128

_BERT = {"num_hidden_layers": LAYERS, "hidden_size": WIDTH, "num_attention_heads": HEADS,
         "intermediate_size": INNER}  # fmt: skip
_LLAMA = {**_BERT, "num_key_value_heads": HEADS, "head_dim": WIDTH // HEADS}
# by family; a name that the config lacks is left out
_SIZES: dict[str, dict[str, int]] = {
    "camembert": _BERT,
    "flaubert": {"n_layers": LAYERS, "emb_dim": WIDTH, "n_heads": HEADS},
    "bert": _BERT,
    "t5": {"num_layers": LAYERS, "num_decoder_layers": LAYERS, "d_model": WIDTH,
           "num_heads": HEADS, "d_kv": WIDTH // HEADS, "d_ff": INNER},
    "bart": {"encoder_layers": LAYERS, "decoder_layers": LAYERS, "num_hidden_layers": LAYERS,
             "d_model": WIDTH, "encoder_attention_heads": HEADS, "decoder_attention_heads": HEADS,
             "encoder_ffn_dim": INNER, "decoder_ffn_dim": INNER},
    "polyglot": _BERT,
    "gptj": {"n_layer": LAYERS, "n_embd": WIDTH, "n_head": HEADS, "rotary_dim": 8},
    "llama": _LLAMA,
    "phi": _LLAMA,
}  # fmt: skip
_BASES = {
    "encoder": "AutoModelForMaskedLM",
    "encoder-decoder": "AutoModelForSeq2SeqLM",
    "decoder": "AutoModelForCausalLM",
}
_TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "vocab.json", "vocab.txt", "merges.txt", "spiece.model", "tokenizer.model",
    "sentencepiece.bpe.model",
)  # fmt: skip


def small_config(config: Any, family: Family) -> Any:
    """Copy a config with few and narrow layers; vocabulary, positions and the rest stay.

    Example:
        >>> from transformers import LlamaConfig
        >>> from frtune.models.families import family_named
        >>> small = small_config(LlamaConfig(vocab_size=32000), family_named("llama"))
        >>> small.num_hidden_layers, small.hidden_size, small.vocab_size
        (2, 64, 32000)
    """
    small = copy.deepcopy(config)
    for name, size in _SIZES[family.name].items():
        if getattr(small, name, None) is not None:
            setattr(small, name, size)
    if hasattr(small, "quantization_config"):
        del small.quantization_config
    return small


def write_miniature(
    checkpoint: str | os.PathLike[str], config: Any, family: Family, directory: Path, *, tied: Any
) -> None:
    """Write the miniature of a checkpoint as an ordinary checkpoint directory.

    Args:
        checkpoint: The real one; its tokenizer's files are copied, its weights are not read.
        config: Its config.
        family: Its family.
        directory: Where to; it must not exist.
        tied: What its config.json says of ``tie_word_embeddings``.
    """
    directory.mkdir(parents=True)
    small = small_config(config, family)
    with torch.random.fork_rng(devices=[]), zero3_suspended():
        torch.manual_seed(0)
        loader = getattr(transformers, _BASES[family.kind])
        model = loader.from_config(small, dtype=torch.float32)
        output = model.get_output_embeddings()
        if tied is False and output.weight is model.get_input_embeddings().weight:
            # v5 ties every T5, and would load an output layer of its own into the embedding
            output.weight = torch.nn.Parameter(output.weight.detach().clone())
            model.config.tie_word_embeddings = False
    model.save_pretrained(directory)
    for name in _TOKENIZER_FILES:
        if (file := local_file(checkpoint, name)) is not None:
            shutil.copyfile(file, directory / name)
