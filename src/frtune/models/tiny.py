"""Tiny checkpoints: the real architecture and tokenizer kind, small enough to train in minutes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from transformers import CONFIG_MAPPING, PreTrainedTokenizerFast

from frtune.environment.progress import brief_bars
from frtune.errors import InputError
from frtune.files import new_folder
from frtune.models.config_sizes import narrowed
from frtune.models.deepspeed import zero3_suspended
from frtune.models.families import family_named
from frtune.models.family import Family
from frtune.outputs import check_output_directory, contents

_SIZES = {"layers": 2, "width": 128, "heads": 4, "inner": 512}

TokenizerKind = Literal["byte-level"]


def tiny_checkpoint(
    family: str,
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
        family: Name of the family, such as ``"t5"``, or a model type that has no row.
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
    directory = check_output_directory(directory, "directory")
    files = _tokenizer_files(row, corpus, tokenizer, vocab_size)
    if contents(directory):
        raise InputError(
            f"directory={str(directory)!r}: a new or empty directory. Choose another, or remove it."
        )
    with new_folder(directory) as draft:
        for name, content in files.items():
            if not isinstance(content, str):
                content = json.dumps(content, ensure_ascii=False, indent=None) + "\n"
            (draft / name).write_text(content, encoding="utf-8")
        _write_model(row, files, draft, seed=seed)
    return directory


def _tokenizer_files(
    family: Family, corpus: Iterable[str], tokenizer: str | None, vocab_size: int
) -> dict[str, Any]:
    recipe = family.tiny.tokenizers.get(tokenizer)
    if recipe is None:
        allowed = " or ".join(map(repr, family.tiny.tokenizers))
        raise InputError(f"tokenizer={tokenizer!r}: {allowed} for {family.name}.")
    if vocab_size < 500:
        raise InputError(
            f"vocab_size={vocab_size}: at least 500. Pass vocab_size=4000, for example."
        )
    texts = [text for text in corpus if text and not text.isspace()]
    if not texts:
        raise InputError("corpus: at least one text that is not blank. Pass the training texts.")
    return recipe(texts, vocab_size)


def tiny_config(family: Family, **settings: Any) -> Any:
    """The config of a tiny model of ``family``; ``settings`` are what its tokenizer says."""
    config_class: Any = CONFIG_MAPPING[family.model_types[0]]
    recipe = family.tiny
    config = config_class(**recipe.settings, **settings)
    return narrowed(config, **_SIZES, kept=recipe.settings)


@brief_bars()
def _write_model(family: Family, files: dict[str, Any], directory: Path, *, seed: int) -> None:
    if "tokenizer.json" in files:
        tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(directory / "tokenizer.json"))
        vocab = tokenizer.get_vocab()
    else:
        vocab = files["vocab.json"]
    recipe = family.tiny
    ids = {name: vocab[token] for name, token in recipe.token_ids.items()}
    small = tiny_config(family, **ids, vocab_size=len(vocab) + recipe.spare_rows)
    untied = family.own_output is not None and recipe.settings.get("tie_word_embeddings") is False
    finish = _start_untied if untied else None
    write_random(family, small, directory, seed=seed, finish=finish)


def write_random(
    family: Family, config: Any, directory: Path, *, seed: int, finish: Any = None
) -> None:
    """Write random weights under the family's head of pre-training; ``finish`` changes them."""
    with torch.random.fork_rng(devices=[]), zero3_suspended():
        torch.manual_seed(seed)
        loader = getattr(transformers, family.language_model)
        model = loader.from_config(config, dtype=torch.float32)
        if finish is not None:
            finish(model)
    model.save_pretrained(directory)


def _start_untied(model: Any) -> None:
    """Give T5 v1.1 its own output layer, which v5 ties to the embedding whatever the config says.

    T5's own scale of 1 for both is made for pretraining: the first logits are as wide as the
    model, and the rows move slowly. These scales memorise in a third of the steps.
    """
    width = model.config.hidden_size
    embedding = model.get_input_embeddings()
    weight = torch.randn(model.config.vocab_size, width) * width**-0.5
    model.get_output_embeddings().weight = torch.nn.Parameter(weight)
    embedding.weight.data.mul_(0.2)
    model.config.tie_word_embeddings = False
