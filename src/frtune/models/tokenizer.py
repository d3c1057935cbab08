"""Load a checkpoint's tokenizer as it was published, and give it what training needs."""

from __future__ import annotations

import json
import logging
import os
from typing import Any

from transformers import (
    AddedToken,
    AutoTokenizer,
    LlamaTokenizer,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from transformers.models.auto.tokenization_auto import get_tokenizer_config

from frtune.errors import InputError, first_line
from frtune.models.checkpoint_files import local_file
from frtune.models.family import Family
from frtune.models.tokenizer_files import (
    check_sentencepiece,
    check_vocabulary,
    differing_pieces,
    differing_probe,
    sentencepiece_file,
    whole,
)
from frtune.models.vocabulary_files import absent_half, check_tokenizer_files

logger = logging.getLogger(__name__)

PAD_TOKEN = "<|pad|>"  # what a decoder gets that has no padding token of its own


def load_tokenizer(
    checkpoint: str | os.PathLike[str], family: Family, config: PreTrainedConfig
) -> PreTrainedTokenizerBase:
    """Load the tokenizer so that its ids are those of ``tokenizer.json``.

    Transformers picks a class by name, and many classes rebuild the tokenizer from its vocabulary,
    deaf to the rest of ``tokenizer.json``: a byte-level tokenizer under T5's or BART's name fails
    or gives other ids than the model was trained with. Where that happens, the generic class,
    which reads the file as it is, takes over. A checkpoint with a SentencePiece model alone is held
    to that: without a class's name, LLaMA's would lose the space in front of the first word.

    FlauBERT's ``do_lower_case`` is heard, and a special token that the class adds by itself and the
    model has no row for (CamemBERT's ``<unk>NOTUSED``) is taken out again.

    Raises:
        InputError: If the checkpoint has no tokenizer that can be read, or one without vocabulary.
        ImportError: If it needs a package that is missing.
    """
    name = os.fspath(checkpoint)
    published = local_file(name, "tokenizer.json")
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    except ImportError as error:
        check_sentencepiece(name)
        advice = f"pip install 'frtune[{family.extra}]'." if family.extra else first_line(error)
        raise ImportError(
            f"{family.name}'s tokenizer needs a package that is missing: {advice}"
        ) from error
    except Exception as error:  # each class fails in its own way on what it was not made for
        if published is None:
            check_sentencepiece(name)
            half = absent_half(name)
            what = f"has no {half}, so that its tokenizer" if half else "its tokenizer"
            raise InputError(
                f"checkpoint={name!r}: {what} cannot be read. "
                f"Copy the tokenizer's files there. ({first_line(error)})"
            ) from error
        tokenizer = None
    if published is not None and (tokenizer is None or differing_probe(tokenizer, published)):
        logger.info("%s: tokenizer.json read as it is, past its named class", name)
        with whole(published):
            tokenizer = PreTrainedTokenizerFast.from_pretrained(name)
    elif published is None:
        tokenizer = _true_to_pieces(tokenizer, name)
    check_vocabulary(tokenizer, name)
    check_tokenizer_files(name, tokenizer, config.get_text_config().vocab_size)
    _hear_lower_case(tokenizer, config, name)
    _drop_rowless(tokenizer, config)
    _name_special_tokens(tokenizer, config)
    tokenizer.padding_side = family.padding_side
    return tokenizer


def _true_to_pieces(tokenizer: Any, name: str) -> Any:
    """The tokenizer, or LLaMA's class on the same files, if that alone has the model's pieces."""
    model = sentencepiece_file(tokenizer, name)
    if model is None or type(tokenizer) is not PreTrainedTokenizerFast:
        return tokenizer
    if differing_pieces(tokenizer, model) is None:
        return tokenizer
    other = LlamaTokenizer.from_pretrained(name, add_bos_token=True)
    return tokenizer if differing_pieces(other, model) else other


def _hear_lower_case(tokenizer: Any, config: PreTrainedConfig, name: str) -> None:
    """Make FlauBERT's tokenizer write lower case where its files say so, and save that it does."""
    if not hasattr(tokenizer, "do_lowercase"):
        return
    settings = get_tokenizer_config(name)
    wanted = settings.get("do_lower_case", getattr(config, "do_lower_case", False))
    # who saved the class's own setting had heard it, or trained without
    tokenizer.do_lowercase = settings.get("do_lowercase", bool(wanted))


def _drop_rowless(tokenizer: Any, config: PreTrainedConfig) -> None:
    """Take out special tokens that the class adds of itself, and that the model has no row for.

    They stand in no published vocabulary and have no use. A text that spells one would get an id
    beyond the embedding, and an embedding that grew for it makes an adapter that plain PEFT cannot
    open. Other tokens beyond the rows are the user's own: the embedding grows for them.
    """
    rows = getattr(config.get_text_config(), "vocab_size", None)
    if rows is None or len(tokenizer) <= rows or not tokenizer.is_fast:
        return
    vocab = tokenizer.get_vocab()
    beyond = {name for name in tokenizer.extra_special_tokens if vocab.get(str(name), 0) >= rows}
    try:
        own = set(type(tokenizer)().get_vocab())
    except (TypeError, ValueError, OSError):  # a class that brings no vocabulary
        return
    if unused := {str(name) for name in beyond} & own:
        backend = json.loads(tokenizer.backend_tokenizer.to_str())
        kept = [token for token in backend["added_tokens"] if token["content"] not in unused]
        state = json.dumps({**backend, "added_tokens": kept})
        tokenizer.backend_tokenizer.__setstate__(state.encode())
        extra = [token for token in tokenizer.extra_special_tokens if str(token) not in unused]
        tokenizer.extra_special_tokens = extra


def _name_special_tokens(tokenizer: PreTrainedTokenizerBase, config: PreTrainedConfig) -> None:
    """Name the special tokens that only the model's config knows."""
    for role in ("bos_token", "eos_token", "pad_token"):
        index = getattr(config, f"{role}_id", None)
        if getattr(tokenizer, role) is None and isinstance(index, int) and index >= 0:
            token = tokenizer.convert_ids_to_tokens(index) if index < len(tokenizer) else None
            if token is not None:
                setattr(tokenizer, role, token)


def add_tokens(
    tokenizer: PreTrainedTokenizerBase,
    family: Family,
    new_tokens: tuple[str, ...],
    *,
    own_padding: bool = True,
) -> list[int]:
    """Add the task's tokens, and for decoders a padding token of its own.

    A task's token becomes a special one: a single id, never split, skipped when decoding. One that
    the tokenizer has already is left as it is. A decoder whose padding token is missing or is its
    EOS gets another: the unknown token where bytes stand in for unknown text, so that it occurs
    nowhere else (LLaMA), or else a new ``<|pad|>``. Classification with a decoder reads the last
    token before the padding, and would take an EOS for padding. Without ``own_padding``, EOS is
    padding too where there is no other, and the vocabulary stays as it is.

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
        elif not own_padding:
            tokenizer.pad_token = tokenizer.eos_token
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
