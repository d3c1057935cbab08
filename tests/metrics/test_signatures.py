from importlib.metadata import version

import pytest

from frtune.errors import InputError
from frtune.metrics import (
    keyphrase_scores,
    keyphrase_signatures,
    rouge_scores,
    rouge_signatures,
)

COUNTS = {"documents", "predictions", "references", "empty_predictions", "empty_references"}


def test_signatures_read_as_documented():
    assert (
        keyphrase_signatures(match="partial")["f1_at_10"]
        == "f1_at_10|match:partial|norm:nfc|dedup:no|cut:pred|avg:macro|v:0.2"
    )
    kiwi = ".".join(version("kiwipiepy").split(".")[:2])
    assert rouge_signatures(tokenizer="ko")["rougeL"] == f"rougeL|tok:kiwi-{kiwi}|agg:mean|v:0.2"


@pytest.mark.parametrize("texts", [None, ["a"]])
def test_every_score_has_a_signature(texts):
    scores = keyphrase_scores([["a"]], [["a"]], k=5, texts=texts)
    signatures = keyphrase_signatures(k=5, with_texts=texts is not None)
    assert set(signatures) == set(scores) - COUNTS
    assert all(value.split("|")[0] == key for key, value in signatures.items())
    assert set(rouge_signatures()) == set(rouge_scores([], []))


CHOICES = [
    {},
    {"match": "partial"},
    {"match": "fuzzy"},
    {"match": "fuzzy", "threshold": 0.8},
    {"match": "stem", "language": "en"},
    {"match": "stem", "language": "fr"},
    {"normalize": "nfc"},
    {"normalize": "none"},
    {"dedup": False},
    {"cut": "k"},
    {"macro": "pr"},
    {"empty_reference": "skip"},
    {"match": "partial", "dedup": True},
    {"match": "partial", "normalize": "casefold"},
]


def test_different_conventions_have_different_signatures():
    signatures = [keyphrase_signatures(**choice)["f1_at_10"] for choice in CHOICES]
    assert len(set(signatures)) == len(CHOICES)


def test_equal_conventions_have_equal_signatures():
    explicit = {"normalize": "nfc", "dedup": False, "cut": "pred", "macro": "f1"}
    assert keyphrase_signatures(match="partial", **explicit) == keyphrase_signatures(
        match="partial"
    )
    assert keyphrase_signatures(match="fuzzy", threshold=0.9) == keyphrase_signatures(match="fuzzy")
    # Language plays no part in exact matching.
    assert keyphrase_signatures(language="fr") == keyphrase_signatures(language="ko")
    # How F1 is averaged plays no part in precision.
    assert (
        keyphrase_signatures(macro="pr")["precision_at_m"]
        == keyphrase_signatures()["precision_at_m"]
    )
    assert rouge_signatures(tokenizer="fr") == rouge_signatures(tokenizer="words")


def test_presence_shows_in_the_parts_alone():
    stem = keyphrase_signatures(language="en", with_texts=True)
    plain = keyphrase_signatures(language="en", with_texts=True, presence="words")
    assert stem["f1_at_m"] == plain["f1_at_m"]
    assert stem["present_f1_at_m"] != plain["present_f1_at_m"]


def test_jaccard_signature_names_its_cut():
    assert keyphrase_signatures(k=5)["jaccard"] != keyphrase_signatures(k=10)["jaccard"]
    assert keyphrase_signatures(dedup=False)["jaccard"] == keyphrase_signatures()["jaccard"]


def test_bad_options_are_refused_like_the_scores_do():
    with pytest.raises(InputError, match="k=0"):
        keyphrase_signatures(k=0)
