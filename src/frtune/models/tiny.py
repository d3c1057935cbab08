"""Tiny checkpoints: the real architecture and tokenizer kind, small enough to train in minutes."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from transformers import PreTrainedTokenizerFast

from frtune.environment.progress import brief_bars
from frtune.errors import InputError
from frtune.models.deepspeed import zero3_suspended
from frtune.models.families import Family, FamilyName, family_named
from frtune.models.tiny_tokenizers import RECIPES

_WIDTH, _LAYERS, _HEADS, _INNER = 128, 2, 4, 512
_POSITIONS = 2048  # a source of 1024 tokens, its target, and room

TokenizerKind = Literal["byte-level"]


def tiny_checkpoint(
    family: FamilyName,
    corpus: Iterable[str],
    directory: str | os.PathLike[str],
    *,
    tokenizer: TokenizerKind | None = None,
    vocab_size: int = 4000,
    seed: int = 0,
) -> Path:
    """Write a small, randomly initialised checkpoint of a family, with its own tokenizer.

    The tokenizer is of the family's true kind and is trained on ``corpus``. The model has the
    real architecture with 2 layers (2 + 2 for encoder-decoders) of width 128. The directory is
    an ordinary checkpoint: ``config.json``, ``model.safetensors``, tokenizer files.

    Args:
        family: Name of the family, such as ``"t5"``.
        corpus: Texts to train the tokenizer on; they are read once.
        directory: Where to write. It must not exist, or be empty.
        tokenizer: ``"byte-level"`` gives T5 the tokenizer of pko-t5, and BART that of
            facebook/bart; ``None`` the family's default.
        vocab_size: Upper limit of the vocabulary; a small corpus fills less.
        seed: Seed of the weights.

    Returns:
        The directory.

    Raises:
        InputError: If the family has no such tokenizer, the corpus has no text, or the directory
            holds something.
        ImportError: If the family's tokenizer needs a package that is missing.

    Example:
        >>> from tempfile import mkdtemp
        >>> path = tiny_checkpoint("bert", ["un petit corpus"], mkdtemp() + "/tiny")
        >>> sorted(file.name for file in path.iterdir())
        ['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json']
    """
    row = family_named(family)
    files = _tokenizer_files(row, corpus, tokenizer, vocab_size)
    directory = Path(directory)
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise InputError(
            f"directory={str(directory)!r}: a new or empty directory. Choose another, or remove it."
        )
    directory.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    try:
        _write_files(files, unfinished)
        _write_model(row, files, unfinished, seed=seed)
        unfinished.chmod(0o755)
        if directory.exists():
            directory.rmdir()
        unfinished.rename(directory)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return directory


def _tokenizer_files(
    family: Family, corpus: Iterable[str], tokenizer: str | None, vocab_size: int
) -> dict[str, Any]:

    recipe = RECIPES.get((family.name, tokenizer))
    if recipe is None:
        allowed = [repr(kind) for name, kind in RECIPES if name == family.name]
        raise InputError(f"tokenizer={tokenizer!r}: {' or '.join(allowed)} for {family.name}.")
    if vocab_size < 500:
        raise InputError(f"vocab_size={vocab_size}: at least 500. Pass vocab_size=4000, say.")
    texts = [text for text in corpus if text and not text.isspace()]
    if not texts:
        raise InputError("corpus: at least one text that is not blank. Pass the training texts.")
    return recipe(texts, vocab_size)


def _write_files(files: dict[str, Any], directory: Path) -> None:
    for name, content in files.items():
        if not isinstance(content, str):
            content = json.dumps(content, ensure_ascii=False, indent=None) + "\n"
        (directory / name).write_text(content, encoding="utf-8")


@brief_bars()
def _write_model(family: Family, files: dict[str, Any], directory: Path, *, seed: int) -> None:

    if "tokenizer.json" in files:
        tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(directory / "tokenizer.json"))
        vocab = tokenizer.get_vocab()
    else:
        vocab = files["vocab.json"]
    config_class, auto_class, settings = _RECIPES[family.name](vocab)
    config = getattr(transformers, config_class)(**settings)
    with torch.random.fork_rng(devices=[]), zero3_suspended():
        torch.manual_seed(seed)
        model = getattr(transformers, auto_class).from_config(config, dtype=torch.float32)
        if family.name == "t5":
            _start_t5(model)
    model.save_pretrained(directory)


def _start_t5(model: Any) -> None:
    """Give T5 v1.1 its own output layer, which v5 ties to the embedding whatever the config says.

    T5's own scale of 1 for both is made for pretraining: the first logits are as wide as the
    model, and the rows move slowly. These scales memorise in a third of the steps.
    """
    width = model.config.d_model
    weight = torch.randn(model.config.vocab_size, width) * width**-0.5
    model.lm_head.weight = torch.nn.Parameter(weight)
    model.shared.weight.data.mul_(0.2)
    model.config.tie_word_embeddings = False


def _camembert(vocab: dict[str, int]) -> tuple[str, str, dict[str, Any]]:
    return (
        "CamembertConfig",
        "AutoModelForMaskedLM",
        {
            **_bert_shape(vocab),
            "max_position_embeddings": 514,  # positions start at pad id + 1
            "type_vocab_size": 1,
            "layer_norm_eps": 1e-5,
            "pad_token_id": vocab["<pad>"],
            "bos_token_id": vocab["<s>"],
            "eos_token_id": vocab["</s>"],
        },
    )


def _bert(vocab: dict[str, int]) -> tuple[str, str, dict[str, Any]]:
    return (
        "BertConfig",
        "AutoModelForMaskedLM",
        {
            **_bert_shape(vocab),
            "max_position_embeddings": 512,
            "pad_token_id": vocab["[PAD]"],
        },
    )


def _bert_shape(vocab: dict[str, int]) -> dict[str, Any]:
    return {
        "vocab_size": len(vocab),
        "hidden_size": _WIDTH,
        "num_hidden_layers": _LAYERS,
        "num_attention_heads": _HEADS,
        "intermediate_size": _INNER,
    }


def _flaubert(vocab: dict[str, int]) -> tuple[str, str, dict[str, Any]]:
    return (
        "FlaubertConfig",
        "AutoModelForMaskedLM",
        {
            "vocab_size": len(vocab),
            "emb_dim": _WIDTH,
            "n_layers": _LAYERS,
            "n_heads": _HEADS,
            "max_position_embeddings": 512,
            "embed_init_std": _WIDTH**-0.5,
            "gelu_activation": True,
            "n_langs": 1,
            "use_lang_emb": True,
            "lang2id": {"fr": 0},
            "id2lang": {0: "fr"},
            "bos_index": vocab["<s>"],
            "eos_index": vocab["</s>"],
            "pad_index": vocab["<pad>"],
            "unk_index": vocab["<unk>"],
            "mask_index": vocab["<special1>"],
            "mask_token_id": vocab["<special1>"],
            "pad_token_id": vocab["<pad>"],
            "bos_token_id": vocab["<s>"],
            "eos_token_id": vocab["</s>"],
        },
    )


def _t5(vocab: dict[str, int]) -> tuple[str, str, dict[str, Any]]:
    # T5 v1.1, as pko-t5: gated GELU, output layer of its own
    return (
        "T5Config",
        "AutoModelForSeq2SeqLM",
        {
            "vocab_size": len(vocab),
            "d_model": _WIDTH,
            "d_kv": _WIDTH // _HEADS,
            "d_ff": _INNER // 2,
            "num_layers": _LAYERS,
            "num_decoder_layers": _LAYERS,
            "num_heads": _HEADS,
            "feed_forward_proj": "gated-gelu",
            "tie_word_embeddings": False,
            "initializer_factor": 0.5,  # 0.1 takes three times the steps to learn, 1.0 starts wild
            "dropout_rate": 0.0,
            "pad_token_id": vocab["<pad>"],
            "eos_token_id": vocab["</s>"],
            "decoder_start_token_id": vocab["<pad>"],
        },
    )


def _bart(vocab: dict[str, int]) -> tuple[str, str, dict[str, Any]]:
    # KoBART starts its decoder with EOS, as facebook/bart does
    return (
        "BartConfig",
        "AutoModelForSeq2SeqLM",
        {
            "vocab_size": len(vocab),
            "d_model": _WIDTH,
            "encoder_layers": _LAYERS,
            "decoder_layers": _LAYERS,
            "encoder_attention_heads": _HEADS,
            "decoder_attention_heads": _HEADS,
            "encoder_ffn_dim": _INNER,
            "decoder_ffn_dim": _INNER,
            "max_position_embeddings": _POSITIONS,
            "init_std": 0.05,
            "pad_token_id": vocab["<pad>"],
            "bos_token_id": vocab["<s>"],
            "eos_token_id": vocab["</s>"],
            "decoder_start_token_id": vocab["</s>"],
            "forced_eos_token_id": vocab["</s>"],
        },
    )


def _polyglot(vocab: dict[str, int]) -> tuple[str, str, dict[str, Any]]:
    return (
        "GPTNeoXConfig",
        "AutoModelForCausalLM",
        {
            **_decoder_shape(len(vocab), "<|endoftext|>", vocab),
            "intermediate_size": _INNER,
            "rotary_pct": 0.5,
            "use_parallel_residual": True,
            "pad_token_id": None,
        },
    )


def _gptj(vocab: dict[str, int]) -> tuple[str, str, dict[str, Any]]:
    return (
        "GPTJConfig",
        "AutoModelForCausalLM",
        {
            # as published, the embedding has more rows than the tokenizer has tokens
            "vocab_size": len(vocab) + 16,
            "n_embd": _WIDTH,
            "n_layer": _LAYERS,
            "n_head": _HEADS,
            "n_positions": _POSITIONS,
            "rotary_dim": _WIDTH // _HEADS // 2,
            "initializer_range": 0.05,
            "bos_token_id": vocab["<|endoftext|>"],
            "eos_token_id": vocab["<|endoftext|>"],
            "tie_word_embeddings": False,
        },
    )


def _llama(vocab: dict[str, int]) -> tuple[str, str, dict[str, Any]]:
    return (
        "LlamaConfig",
        "AutoModelForCausalLM",
        {
            **_decoder_shape(len(vocab), "</s>", vocab),
            "intermediate_size": _INNER // 2,
            "bos_token_id": vocab["<s>"],
        },
    )


def _phi(vocab: dict[str, int]) -> tuple[str, str, dict[str, Any]]:
    return (
        "PhiConfig",
        "AutoModelForCausalLM",
        {
            **_decoder_shape(len(vocab) + 16, "<|endoftext|>", vocab),
            "intermediate_size": _INNER,
        },
    )


def _decoder_shape(vocab_size: int, eos: str, vocab: dict[str, int]) -> dict[str, Any]:
    return {
        "vocab_size": vocab_size,
        "hidden_size": _WIDTH,
        "num_hidden_layers": _LAYERS,
        "num_attention_heads": _HEADS,
        "max_position_embeddings": _POSITIONS,
        "initializer_range": 0.05,
        "bos_token_id": vocab[eos],
        "eos_token_id": vocab[eos],
        "tie_word_embeddings": False,
    }


_RECIPES = {
    "camembert": _camembert,
    "flaubert": _flaubert,
    "bert": _bert,
    "t5": _t5,
    "bart": _bart,
    "polyglot": _polyglot,
    "gptj": _gptj,
    "llama": _llama,
    "phi": _phi,
}
