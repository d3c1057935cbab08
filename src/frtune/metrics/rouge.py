"""ROUGE on ``rouge_score``, with a tokenizer that fits the language."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from rapidfuzz.distance import LCSseq
from rouge_score import rouge_scorer

from frtune.errors import InputError
from frtune.metrics.tokenizers import AnyTokenizer, Tokens, find_tokenizer, warn_about_lost_letters

ROUGE_KEYS = ("rouge1", "rouge2", "rougeL", "rougeLsum")
Documents = Sequence[str] | Sequence[Sequence[str]]  # texts, or lists of tokens


def rouge_scores(
    predictions: Documents, references: Documents, *, tokenizer: AnyTokenizer = None
) -> dict[str, float]:
    """Return the mean over documents of the ROUGE F-measures.

    Args:
        predictions: Texts, or documents that are lists of tokens already.
        references: The same, as many.
        tokenizer: ``"ko"`` (Kiwi morphemes), ``"komoran"``, ``"fr"`` or ``"words"`` (case-folded
            words with their accents), ``"whitespace"``, ``"rouge"`` (``rouge_score``'s own, for
            unaccented English), a function from a text to its tokens, or an object with
            ``tokenize``. Texts need one; ``frtune.metrics.default_tokenizer`` chooses by script.
            Lists of tokens need none.

    Returns:
        ``rouge1``, ``rouge2``, ``rougeL`` and ``rougeLsum``, from 0 to 1. ``rougeLsum`` takes line
        breaks for sentence ends, as ``rouge_score`` does; without any it equals ``rougeL``.

    Raises:
        InputError: If lengths differ, or texts come without a tokenizer.
        ImportError: If the tokenizer's package isn't installed; it names the extra.

    Warns:
        LostCharactersWarning: If the tokenizer drops more than 1 % of the letters and digits.

    Example:
        >>> rouge_scores(["la pâte"], ["la pète"], tokenizer="fr")["rouge1"]
        0.5
        >>> rouge_scores([["서울", "의", "봄"]], [["서울", "봄"]])["rougeL"]
        0.8
    """
    values = rouge_scores_per_document(predictions, references, tokenizer=tokenizer)
    return {key: sum(v) / len(v) if v else 0.0 for key, v in values.items()}


def rouge_scores_per_document(
    predictions: Documents, references: Documents, *, tokenizer: AnyTokenizer = None
) -> dict[str, list[float]]:
    """Return each document's F-measures, for confidence intervals and reports.

    The arguments are those of ``rouge_scores``.

    Example:
        >>> rouge_scores_per_document(["a b", "c"], ["a b", "d"], tokenizer="whitespace")["rouge2"]
        [1.0, 0.0]
    """
    if len(predictions) != len(references):
        raise InputError(
            f"len(references)={len(references)}: as many as predictions ({len(predictions)}). "
            "Pass one reference per prediction."
        )
    tokens = _tokenize([*predictions, *references], tokenizer)
    half = len(predictions)
    values: dict[str, list[float]] = {key: [] for key in ROUGE_KEYS}
    for predicted, wanted in zip(tokens[:half], tokens[half:], strict=True):
        values["rouge1"].append(_ngram_f1(predicted, wanted, 1))
        values["rouge2"].append(_ngram_f1(predicted, wanted, 2))
        values["rougeL"].append(_lcs_f1(predicted, wanted))
    # The union of one line's LCS is that LCS, so only texts of several lines need more.
    values["rougeLsum"] = list(values["rougeL"])
    pairs = enumerate(zip(predictions, references, strict=True))
    lines = {row: pair for row, pair in pairs if any("\n" in str(text) for text in pair)}
    for row, score in _summary_f1s(lines, tokenizer).items():
        values["rougeLsum"][row] = score
    return values


def _tokenize(documents: list[Any], tokenizer: Any) -> list[Tokens]:
    texts = [isinstance(document, str) for document in documents]
    if tokenizer is None:
        if any(texts):
            raise InputError(
                f"tokenizer=None: only for lists of tokens, and document {texts.index(True)} is a "
                "text. Pass tokenizer=frtune.metrics.default_tokenizer(references), for example."
            )
        return [list(document) for document in documents]
    if isinstance(tokenizer, str) and not all(texts):
        raise InputError(
            f"tokenizer={tokenizer!r}: only for texts, and some documents are lists of tokens. "
            "Leave tokenizer out."
        )
    found = find_tokenizer(tokenizer)
    tokens = found.tokenize_all(documents)
    if all(texts):
        name = tokenizer if isinstance(tokenizer, str) else found.signature
        warn_about_lost_letters(documents, tokens, name)
    return tokens


def _f1(shared: int, predicted: int, wanted: int) -> float:
    # In rouge_score's order of operations, so that results are equal to the last bit.
    precision, recall = shared / max(predicted, 1), shared / max(wanted, 1)
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


def _ngram_f1(predicted: Tokens, wanted: Tokens, n: int) -> float:
    ours = Counter(zip(*(predicted[i:] for i in range(n)), strict=False))
    theirs = Counter(zip(*(wanted[i:] for i in range(n)), strict=False))
    shared = sum(min(count, theirs[ngram]) for ngram, count in ours.items())
    return _f1(shared, max(len(predicted) - n + 1, 0), max(len(wanted) - n + 1, 0))


def _lcs_f1(predicted: Tokens, wanted: Tokens) -> float:
    # rouge_score fills a table in Python; rapidfuzz's bit-parallel LCS gives the same length.
    ids = {token: i for i, token in enumerate(dict.fromkeys([*predicted, *wanted]))}
    length = LCSseq.similarity([ids[t] for t in predicted], [ids[t] for t in wanted])
    return _f1(int(length), len(predicted), len(wanted))


def _summary_f1s(texts: dict[int, tuple[str, str]], tokenizer: Any) -> dict[int, float]:
    """Let ``rouge_score`` itself score texts of several lines; all lines are tokenized at once."""
    if not texts:
        return {}
    pairs = texts.values()
    lines = list({line: None for pair in pairs for text in pair for line in text.split("\n")})
    tokens = dict(zip(lines, find_tokenizer(tokenizer).tokenize_all(lines), strict=True))
    lookup = SimpleNamespace(tokenize=tokens.__getitem__)
    scorer = rouge_scorer.RougeScorer(["rougeLsum"], tokenizer=lookup)
    return {
        row: float(scorer.score(reference, prediction)["rougeLsum"].fmeasure)
        for row, (prediction, reference) in texts.items()
    }
