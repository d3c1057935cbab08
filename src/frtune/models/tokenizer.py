"""Load a checkpoint's tokenizer as it was published, and give it what training needs."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Iterator
from typing import Any

from tokenizers import Tokenizer
from transformers import (
    AddedToken,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from frtune.errors import InputError
from frtune.models.checkpoint_files import first_line, local_file
from frtune.models.family import Family
from frtune.models.vocabulary_files import absent_half, check_tokenizer_files

logger = logging.getLogger(__name__)

PAD_TOKEN = "<|pad|>"  # what a decoder gets that has no padding token of its own

# Accents, Hangul, punctuation that tokenizers treat apart, digits, double and leading spaces.
PROBES = (
    "L'été, le maire a voté 1 234 € pour l'école ; où est la forêt ?",
    "서울시는 올해 예산안 12조 원을 확정했다고 밝혔다.",
    "The council's budget (2024) was approved, wasn't it?",
    "generate keyphrases: un deux  trois",
)


def load_tokenizer(
    checkpoint: str | os.PathLike[str], family: Family, config: PreTrainedConfig
) -> PreTrainedTokenizerBase:
    """Load the tokenizer so that its ids are those of ``tokenizer.json``.

    Transformers picks a class by name, and many classes rebuild the tokenizer from its vocabulary,
    deaf to the rest of ``tokenizer.json``: a byte-level tokenizer under T5's or BART's name fails
    or gives other ids than the model was trained with. Where that happens, the generic class,
    which reads the file as it is, takes over.

    Raises:
        InputError: If the checkpoint has no tokenizer that can be read.
        ImportError: If it needs a package that is missing.
    """
    name = os.fspath(checkpoint)
    published = local_file(name, "tokenizer.json")
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    except ImportError as error:
        if family.extra is None:
            raise
        raise ImportError(
            f"{family.name}'s tokenizer needs a package that is missing: "
            f"pip install 'frtune[{family.extra}]'."
        ) from error
    except Exception as error:  # each class fails in its own way on what it was not made for
        if published is None:
            half = absent_half(name)
            what = f"has no {half}, so that its tokenizer" if half else "its tokenizer"
            raise InputError(
                f"checkpoint={name!r}: {what} cannot be read. "
                f"Copy the tokenizer's files there. ({first_line(error)})"
            ) from error
        tokenizer = None
    if published is not None and (tokenizer is None or differing_probe(tokenizer, published)):
        logger.info("%s: tokenizer.json read as it is, past its named class", name)
        with _whole(published):
            tokenizer = PreTrainedTokenizerFast.from_pretrained(name)
    check_tokenizer_files(name, tokenizer, config.get_text_config().vocab_size)
    _name_special_tokens(tokenizer, config)
    tokenizer.padding_side = family.padding_side
    return tokenizer


@contextlib.contextmanager
def _whole(published: object) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # tokenizers raises bare exceptions
        raise InputError(
            f"{published}: is not a whole tokenizer ({first_line(error)}). Copy it again."
        ) from error


def differing_probe(tokenizer: PreTrainedTokenizerBase, published: os.PathLike[str]) -> str | None:
    """Return the first probe text that ``tokenizer.json`` itself encodes otherwise."""
    with _whole(published):
        reference = Tokenizer.from_file(os.fspath(published))
    reference.no_truncation()
    reference.no_padding()
    for text in PROBES:
        expected = reference.encode(text, add_special_tokens=False).ids
        if tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"] != expected:
            return text
    return None


def _name_special_tokens(tokenizer: PreTrainedTokenizerBase, config: PreTrainedConfig) -> None:
    """Name the special tokens that only the model's config knows."""
    for role in ("bos_token", "eos_token", "pad_token"):
        index = getattr(config, f"{role}_id", None)
        if getattr(tokenizer, role) is None and isinstance(index, int) and index >= 0:
            token = tokenizer.convert_ids_to_tokens(index) if index < len(tokenizer) else None
            if token is not None:
                setattr(tokenizer, role, token)


def add_tokens(
    tokenizer: PreTrainedTokenizerBase, family: Family, new_tokens: tuple[str, ...]
) -> list[int]:
    """Add the task's tokens, and for decoders a padding token of its own.

    A task's token becomes a special one: a single id, never split, skipped when decoding. One that
    the tokenizer has already is left as it is. A decoder whose padding token is missing or is its
    EOS gets another: the unknown token where bytes stand in for unknown text, so that it occurs
    nowhere else (LLaMA), or else a new ``<|pad|>``. Classification with a decoder reads the last
    token before the padding, and would take an EOS for padding.

    Returns:
        The ids of ``new_tokens``, in their order.

    Raises:
        InputError: If the tokenizer does not keep a token whole.
    """
    known = tokenizer.get_vocab()
    missing = [AddedToken(t, special=True, normalized=False) for t in new_tokens if t not in known]
    if missing:
        tokenizer.add_tokens(missing, special_tokens=True)
    if family.kind == "decoder" and tokenizer.pad_token_id in (None, tokenizer.eos_token_id):
        never_occurs = tokenizer.unk_token not in (None, tokenizer.eos_token)
        if never_occurs and _falls_back_to_bytes(tokenizer):
            tokenizer.pad_token = tokenizer.unk_token
        else:
            tokenizer.add_special_tokens({"pad_token": PAD_TOKEN})
    vocab = tokenizer.get_vocab()
    ids = [int(vocab[token]) for token in new_tokens]
    for token, index in zip(new_tokens, ids, strict=True):
        found = tokenizer(token, add_special_tokens=False)["input_ids"]
        if index not in found or len([i for i in found if i != index]) > 1:
            raise InputError(
                f"tokenizer={tokenizer.name_or_path!r}: splits {token!r}. "
                "Remove that token from it, so that it can be added whole."
            )
    return ids


def _falls_back_to_bytes(tokenizer: PreTrainedTokenizerBase) -> bool:
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    return bool(backend and json.loads(backend.to_str())["model"].get("byte_fallback"))
