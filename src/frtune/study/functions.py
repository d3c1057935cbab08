"""Parts of a study for a notebook: a model and a tokenizer in, a frame out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from frtune.errors import InputError
from frtune.study.collect import Collected, collect
from frtune.study.compare import compare_tokens
from frtune.study.corpus import encode
from frtune.study.frames import layer_frame, pair_frame
from frtune.study.hidden import base_of
from frtune.study.probes import add_probes
from frtune.study.sampling import text_keys
from frtune.study.settings import Settings


def layer_statistics(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    **settings: Any,
) -> pd.DataFrame:
    """Norms, cosines, outlier dimensions and spectrum of each layer's tokens.

    Args:
        model: A Transformers or PEFT model, with or without a head; it is left as it was.
        tokenizer: Its tokenizer.
        texts: Texts; blank ones are left out.
        **settings: As in ``Settings``: ``max_tokens``, ``token_budget``, ``seed``, ``bf16``, ...

    Returns:
        Frame of ``layer`` (0 is the embeddings), ``statistic``, ``value``, ``low``, ``high``.

    Raises:
        InputError: If there is no text, or a setting is out of its range.
    """
    found = _collect(model, tokenizer, texts, None, Settings(**settings))
    return layer_frame([("", found)]).drop(columns="checkpoint")


def compare_layers(
    model_a: PreTrainedModel,
    model_b: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    **settings: Any,
) -> pd.DataFrame:
    """Drift, CKA, Procrustes distance and shared neighbours of the same tokens in two models.

    Args:
        model_a: A model, before fine-tuning say.
        model_b: Another that takes the same tokens.
        tokenizer: The tokenizer of both.
        texts: Texts; blank ones are left out.
        **settings: As in ``Settings``: ``sample_tokens``, ``neighbours``, ``max_tokens``, ...

    Returns:
        Frame of ``layer_a``, ``layer_b``, ``statistic``, ``value``, ``low``, ``high``.

    Raises:
        InputError: If there is no text, or a setting is out of its range.
    """
    chosen = Settings(**settings)
    a = _collect(model_a, tokenizer, texts, None, chosen).arrays["tokens"]
    b = _collect(model_b, tokenizer, texts, None, chosen).arrays["tokens"]
    rows = [("", "", value) for value in compare_tokens(a, b, chosen)]
    return pair_frame(rows).drop(columns=["a", "b"])


def probe_layers(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    labels: Sequence[str | int],
    **settings: Any,
) -> pd.DataFrame:
    """Accuracy of linear probes, Fisher ratio and silhouette of each layer.

    Args:
        model: A model, with or without a head.
        tokenizer: Its tokenizer.
        texts: Texts; blank ones are left out.
        labels: The class of each text.
        **settings: As in ``Settings``: ``sample_texts``, ``seed``, ``max_tokens``, ...

    Returns:
        Frame of ``layer``, ``statistic``, ``value``, ``low``, ``high``; the statistics of the first
        token's vector end in ``first`` or hold it, those of the mean vector ``mean``.

    Raises:
        InputError: If labels and texts differ in number, or fewer than two classes have enough
            texts.
    """
    if len(labels) != len(texts):
        raise InputError(
            f"labels: {len(labels)} for {len(texts)} texts. Pass one label for each text."
        )
    found = _collect(model, tokenizer, texts, labels, Settings(**settings))
    frame = layer_frame([("", found)]).drop(columns="checkpoint")
    return frame.loc[frame["statistic"].str.match("probe|fisher|silhouette")].reset_index(drop=True)


def _collect(
    model: Any, tokenizer: Any, texts: Sequence[str], labels: Any, settings: Settings
) -> Collected:
    kept = [i for i, text in enumerate(texts) if text.strip()]
    classes = None if labels is None else [labels[i] for i in kept]
    words = [texts[i] for i in kept]
    keys = text_keys(words, classes, seed=settings.seed)
    corpus = encode(tokenizer, words, keys, max_tokens=settings.max_tokens)
    if not len(corpus.lengths):
        raise InputError(f"texts: {len(texts)}, none with words in it. Pass texts to read.")
    base = base_of(model)
    found = collect(base, corpus, settings)
    if classes is not None:
        by_key = dict(zip(keys.tolist(), zip(words, classes, strict=True), strict=True))
        notes = add_probes(found, by_key, base.kind, settings)
        if not any("probe_mean_accuracy" in layer for layer in found.statistics):
            raise InputError(notes[0][1])
    return found
