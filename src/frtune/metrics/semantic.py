"""Keyphrase scores by meaning: how near each phrase is to the nearest one on the other side."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

from frtune.metrics.phrases import check_documents

# phrases to vectors of length 1, (phrases, size)
Embed = Callable[[list[str]], "np.ndarray"]


def semantic_scores_per_document(
    predictions: Sequence[Sequence[str]], references: Sequence[Sequence[str]], embed: Embed
) -> dict[str, list[float]]:
    """Semantic precision, recall and F1 of each document (Wu et al. 2023, KPEval, equation 1).

    Precision is the mean over predictions of the largest cosine with a reference, recall the same
    the other way round; a negative cosine counts as 0. A document without predictions or without
    references scores 0.

    Args:
        predictions: One list of phrases per document.
        references: One list of phrases per document.
        embed: Turns phrases into vectors of length 1; called once, with each phrase once.

    Returns:
        ``semantic_precision``, ``semantic_recall`` and ``semantic_f1``, from 0 to 1.

    Example:
        >>> import numpy as np
        >>> vectors = {"car": [1.0, 0.0], "vehicle": [0.8, 0.6], "tree": [0.0, 1.0]}
        >>> embed = lambda phrases: np.array([vectors[phrase] for phrase in phrases])
        >>> scores = semantic_scores_per_document([["car"]], [["vehicle", "tree"]], embed)
        >>> scores["semantic_precision"], scores["semantic_recall"]
        ([0.8], [0.4])
    """
    check_documents(predictions, references)
    every = sorted({phrase for rows in (predictions, references) for row in rows for phrase in row})
    places = {phrase: place for place, phrase in enumerate(every)}
    vectors = embed(every) if every else None
    rows = []
    for predicted, true in zip(predictions, references, strict=True):
        precision = recall = 0.0
        if vectors is not None and predicted and true:
            left = vectors[[places[phrase] for phrase in predicted]]  # (predicted, size)
            right = vectors[[places[phrase] for phrase in true]]  # (true, size)
            cosines = (left @ right.T).clip(0.0, 1.0)  # (predicted, true)
            precision = float(cosines.max(axis=1).mean())
            recall = float(cosines.max(axis=0).mean())
        both = precision + recall
        rows.append((precision, recall, 2 * precision * recall / both if both else 0.0))
    columns = zip(*rows, strict=True) if rows else ([], [], [])
    names = ("semantic_precision", "semantic_recall", "semantic_f1")
    return {name: list(column) for name, column in zip(names, columns, strict=True)}


def encoder(checkpoint: str, *, batch_size: int = 64) -> Embed:
    """Make ``embed`` of a checkpoint: the mean of the last hidden states over tokens, length 1.

    Args:
        checkpoint: Directory or hub name of an encoder, such as a sentence-transformers model.
        batch_size: Phrases a batch.
    """
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModel.from_pretrained(checkpoint, dtype=torch.float32).eval()

    def embed(phrases: list[str]) -> np.ndarray:
        parts = []
        for start in range(0, len(phrases), batch_size):
            some = phrases[start : start + batch_size]
            options = {"padding": True, "truncation": True, "max_length": 64}
            batch = tokenizer(some, **options, return_tensors="pt")
            with torch.no_grad():
                states = model(**batch).last_hidden_state  # (batch, tokens, size)
            kept = batch["attention_mask"][..., None].to(states.dtype)
            mean = (states * kept).sum(1) / kept.sum(1).clamp(min=1)  # (batch, size)
            parts.append(torch.nn.functional.normalize(mean, dim=-1).numpy())
        return np.concatenate(parts)

    return embed
