"""A tokenizer checked at load: against its own file, on accents and Hangul, on the user's texts."""

from __future__ import annotations

import logging
import os
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from frtune.data.token_ids import token_ids
from frtune.errors import InputError
from frtune.models.checkpoint_files import local_file
from frtune.models.tokenizer_files import (
    PROBES,
    PUBLISHED,
    SENTENCEPIECE,
    differing_pieces,
    differing_probe,
    sentencepiece_file,
    unknown_id,
)
from frtune.tasks.base import ModelKind

logger = logging.getLogger(__name__)

_SCRIPTS = {"French": "été forêt façade où Noël cœur", "Korean": "서울시는 예산안을 확정했다"}
_UNKNOWN_WARNING, _UNKNOWN_ERROR = 0.05, 0.5


@dataclass(frozen=True)
class TokenizerReport:
    """What the tokenizer proof found.

    Attributes:
        equals_file: Whether the ids are those of ``tokenizer.json``, or of the SentencePiece model
            where that stands alone (``None`` without such a file).
        lost_scripts: Scripts of which some letters are unknown or do not come back.
        unknown_rate: Share of unknown tokens in ``texts`` (in the probe texts without).
        appends_eos: Whether the tokenizer itself ends a text with EOS. Where it does not, the
            task appends EOS to sources and targets.
    """

    equals_file: bool | None
    lost_scripts: tuple[str, ...]
    unknown_rate: float
    appends_eos: bool


def prove_tokenizer(
    tokenizer: PreTrainedTokenizerBase,
    *,
    checkpoint: str | os.PathLike[str] | None = None,
    kind: ModelKind = "encoder",
    texts: Iterable[str] | None = None,
) -> TokenizerReport:
    """Check a tokenizer against its own file, on accents and Hangul, and on the user's texts.

    Ids that differ from ``tokenizer.json`` and a generating model without EOS are errors, and so
    is a tokenizer that does not know half of the user's tokens. A script that is not in the
    vocabulary is logged as a warning: a French tokenizer need not know Hangul. Lower-casing and
    Unicode normalisation (NFKC) count as the same text.

    A checkpoint without ``tokenizer.json`` is held to its SentencePiece model, on probes with
    single spaces: pieces must be equal, and ids but for one shift. Runs of spaces are left out,
    where Transformers' own conversion differs, and no text of a corpus that has none.

    Args:
        tokenizer: As loaded, before tokens are added.
        checkpoint: Where it came from; ``None`` leaves out the comparison with the file.
        kind: The model's kind; a model that generates needs an EOS token.
        texts: Some of the user's texts; the first 200 are read.

    Raises:
        InputError: If the tokenizer fails.
    """
    name = tokenizer.name_or_path
    held_to = None if checkpoint is None else _hold_to_file(tokenizer, checkpoint)
    if kind != "encoder" and tokenizer.eos_token_id is None:
        raise InputError(
            f"tokenizer={name!r}: has no EOS token, so that generation cannot stop. "
            'Set "eos_token" in its tokenizer_config.json.'
        )
    lost = tuple(script for script, text in _SCRIPTS.items() if _loses(tokenizer, text))
    if lost:
        logger.warning("tokenizer %s: does not know all letters of: %s", name, ", ".join(lost))
    ids = tokenizer("a", verbose=False)["input_ids"]
    rate = unknown_rate(tokenizer, PROBES) if texts is None else prove_texts(tokenizer, texts)
    appends_eos = bool(ids) and ids[-1] == tokenizer.eos_token_id
    return TokenizerReport(held_to, lost, rate, appends_eos)


def _hold_to_file(tokenizer: Any, checkpoint: str | os.PathLike[str]) -> bool | None:
    """Refuse other ids than those of the checkpoint's own file; ``None`` where it has none."""
    published = local_file(checkpoint, PUBLISHED)
    model = sentencepiece_file(tokenizer, checkpoint) if published is None else None
    if (own := published or model) is None:
        return None
    differing = (differing_probe if published else differing_pieces)(tokenizer, own)
    if differing is not None:
        raise InputError(
            f"tokenizer={tokenizer.name_or_path!r}: other ids than its own {own.name} for "
            f"{differing[:30]!r}. Save it again with the version of Transformers that made it, "
            "or pass proof=False."
        )
    if published is not None:
        _compare_beside(tokenizer, checkpoint)
    return True


def _compare_beside(tokenizer: Any, checkpoint: str | os.PathLike[str]) -> None:
    """Warn of a SentencePiece model beside ``tokenizer.json`` that splits texts otherwise."""
    for name in SENTENCEPIECE:
        path = Path(checkpoint, name)
        if path.is_file() and (differing := differing_pieces(tokenizer, path)):
            logger.warning(
                "%s: other ids than tokenizer.json beside it for %r; tokenizer.json is used",
                path, differing[:30],
            )  # fmt: skip


def _loses(tokenizer: PreTrainedTokenizerBase, text: str) -> bool:
    ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    back: Any = tokenizer.decode(ids, clean_up_tokenization_spaces=False)
    return _folded(back) != _folded(text)


def _folded(text: str) -> str:
    """The text without case, spaces and compatibility forms."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def unknown_rate(tokenizer: PreTrainedTokenizerBase, texts: Iterable[str]) -> float:
    """Share of tokens of ``texts`` that are unknown to the tokenizer, 0 to 1."""
    sample, unknown = list(texts), unknown_id(tokenizer)
    if not sample or unknown is None:
        return 0.0
    ids = [i for row in token_ids(sample, tokenizer) for i in row]
    return ids.count(unknown) / max(1, len(ids))


def prove_texts(tokenizer: PreTrainedTokenizerBase, texts: Iterable[str]) -> float:
    """Check that a tokenizer knows the user's texts; the first 200 are read.

    Returns:
        The share of unknown tokens. Above 5 % it is logged as a warning.

    Raises:
        InputError: If the tokenizer does not know half of the tokens.
    """
    name = tokenizer.name_or_path
    rate = unknown_rate(tokenizer, islice(texts, 200))
    if rate > _UNKNOWN_ERROR:
        raise InputError(
            f"tokenizer={name!r}: knows {1 - rate:.0%} of the texts' tokens. "
            "Choose a checkpoint for the texts' language."
        )
    if rate > _UNKNOWN_WARNING:
        logger.warning("tokenizer %s: %.0f %% of the texts' tokens are unknown", name, 100 * rate)
    return rate
