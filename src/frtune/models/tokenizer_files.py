"""A tokenizer against the files it came from: is its vocabulary there, are its ids theirs?"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sentencepiece import SentencePieceProcessor
from tokenizers import Tokenizer
from tokenizers.models import Unigram
from transformers import PreTrainedTokenizerBase
from transformers.convert_slow_tokenizer import import_protobuf

from frtune.errors import InputError, first_line
from frtune.models.checkpoint_files import local_file

# Accents, Hangul, punctuation that tokenizers treat apart, digits, double and leading spaces.
PROBES = (
    "L'été, le maire a voté 1 234 € pour l'école ; où est la forêt ?",
    "서울시는 올해 예산안 12조 원을 확정했다고 밝혔다.",
    "The council's budget (2024) was approved, wasn't it?",
    "generate keyphrases: un deux  trois",
)
PUBLISHED = "tokenizer.json"
SENTENCEPIECE = ("sentencepiece.bpe.model", "spiece.model", "tokenizer.model", "spm.model")


@contextlib.contextmanager
def whole(published: object) -> Iterator[None]:
    """Say of which file it is when one cannot be read as a tokenizer (``InputError``)."""
    try:
        yield
    except Exception as error:  # tokenizers raises bare exceptions
        raise InputError(
            f"{published}: is not a whole tokenizer ({first_line(error)}). Copy it again."
        ) from error


def differing_probe(tokenizer: PreTrainedTokenizerBase, published: os.PathLike[str]) -> str | None:
    """Return the first probe text that ``tokenizer.json`` itself encodes otherwise."""
    with whole(published):
        reference = Tokenizer.from_file(os.fspath(published))
    reference.no_truncation()
    reference.no_padding()
    for text in PROBES:
        expected = reference.encode(text, add_special_tokens=False).ids
        if tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"] != expected:
            return text
    return None


def differing_pieces(tokenizer: PreTrainedTokenizerBase, published: os.PathLike[str]) -> str | None:
    """Return the first probe text that the SentencePiece model itself splits otherwise.

    Pieces must be equal, and ids but for one shift, which is the same for all: CamemBERT and XLM-R
    put special tokens in front. The probes are :data:`PROBES` with single spaces. Transformers
    takes the merges of a BPE model in the order of its pieces, sentencepiece by their scores, so
    that a run of spaces, or one at the start, becomes other tokens of LLaMA; such a tokenizer
    serves. One that lacks the space in front of the first word, a normalisation or the right order
    of pieces differs on plain words.
    """
    with whole(published):
        reference: Any = SentencePieceProcessor(model_file=os.fspath(published))
    unknown, shifts = unknown_id(tokenizer), set()
    for text in (" ".join(probe.split()) for probe in PROBES):
        ids: Any = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        expected: list[int] = reference.encode(text)
        if [index == unknown for index in ids] != [reference.is_unknown(own) for own in expected]:
            return text
        known = [pair for pair in zip(ids, expected, strict=True) if pair[0] != unknown]
        shifts |= {index - own for index, own in known}
        pieces = [reference.id_to_piece(own) for _, own in known]
        found = tokenizer.convert_ids_to_tokens([index for index, _ in known])
        if found != pieces or len(shifts) > 1:
            return text
    return None


def sentencepiece_file(
    tokenizer: PreTrainedTokenizerBase, checkpoint: str | os.PathLike[str]
) -> Path | None:
    """Path of the SentencePiece model that the tokenizer's class reads, where there is one."""
    name = type(tokenizer).vocab_files_names.get("vocab_file", "")
    return local_file(checkpoint, name) if name in SENTENCEPIECE else None


def unknown_id(tokenizer: Any) -> int | None:
    """Id that unknown text becomes, which need not be ``unk_token_id``; ``None`` if no text does.

    CamemBERT has ``<unk>`` at two ids: ``unk_token_id`` is the second, and text becomes the first.
    GPT-2's kind knows every byte, and calls EOS its unknown token.
    """
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        named_eos = tokenizer.unk_token == tokenizer.eos_token
        return None if named_eos else tokenizer.convert_tokens_to_ids(tokenizer.unk_token or "")
    if isinstance(backend.model, Unigram):  # it has no attribute that says so
        return json.loads(backend.model.__getstate__())["unk_id"]
    token = backend.model.unk_token
    return None if token is None else backend.token_to_id(token)


def check_sentencepiece(checkpoint: str) -> None:
    """Refuse a checkpoint whose SentencePiece model is broken, or cannot be read here.

    Transformers takes such a file for another kind's, and asks for another package.

    Raises:
        InputError: If the file is no SentencePiece model.
        ImportError: If ``protobuf`` is missing, without which Transformers reads none.
    """
    for path in filter(None, (local_file(checkpoint, name) for name in SENTENCEPIECE)):
        try:
            import_protobuf()
        except Exception as error:  # also one that is older than sentencepiece's own code
            raise ImportError(
                f"{path}: needs protobuf, which is missing or too old ({first_line(error)}): "
                "pip install -U protobuf"
            ) from error
        with whole(path):
            SentencePieceProcessor(model_file=os.fspath(path))


def check_vocabulary(tokenizer: Any, checkpoint: str) -> None:
    """Refuse a tokenizer that came out of a directory where its files are missing.

    Transformers makes some classes with special tokens alone, or with a space beside them, when
    their files are not there, and every word is unknown.

    Raises:
        InputError: If there is no vocabulary; it names the files.
    """
    special = {*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()}
    if len({*tokenizer.get_vocab()} - special) < 2:
        names = type(tokenizer).vocab_files_names
        own = " and ".join(names[part] for part in ("vocab_file", "merges_file") if part in names)
        raise InputError(
            f"checkpoint={checkpoint!r}: its tokenizer has no vocabulary. "
            f"Copy {PUBLISHED}, or {own}, there."
        )
