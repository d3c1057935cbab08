import json
import math
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frtune.errors import InputError
from frtune.metrics import (
    keyphrase_scores,
    keyphrase_scores_per_document,
    split_phrases,
)

MATCHES = [
    {"match": "exact"},
    {"match": "partial"},
    {"match": "fuzzy"},
    {"match": "stem", "language": "en"},
]
phrase = st.text(alphabet="ab é가나;-", max_size=4)
phrases = st.lists(phrase, max_size=6)
documents = st.lists(st.tuples(phrases, phrases), max_size=5)


def columns(pairs):
    return [a for a, _ in pairs], [b for _, b in pairs]


@pytest.mark.parametrize("options", MATCHES)
def test_perfect_predictions_score_one(options):
    lists = [["solar cells", "wind"], ["café"]]
    scores = keyphrase_scores(lists, lists, **options)
    for cut in (10, "m", "o"):
        for measure in ("precision", "recall", "f1"):
            assert scores[f"{measure}_at_{cut}"] == scores[f"micro_{measure}_at_{cut}"] == 1.0
    assert scores["jaccard"] == 1.0


@pytest.mark.parametrize("options", MATCHES)
def test_disjoint_predictions_score_zero(options):
    scores = keyphrase_scores([["wind"]], [["solar cells"]], **options)
    assert {v for k, v in scores.items() if "_at_" in k or k == "jaccard"} == {0.0}


@pytest.mark.parametrize("options", MATCHES)
def test_document_without_predictions_scores_zero_and_counts(options):
    scores = keyphrase_scores([["wind"], []], [["wind"], ["sun"]], **options)
    assert scores["f1_at_10"] == scores["f1_at_m"] == scores["f1_at_o"] == 0.5
    assert scores["micro_precision_at_m"] == 1.0
    assert scores["micro_recall_at_m"] == 0.5
    assert scores["empty_predictions"] == 1


def test_document_without_references_scores_zero_or_is_left_out():
    lists = [["wind"], ["sun"], []], [["wind"], [], []]
    zero, skip = (keyphrase_scores(*lists, empty_reference=rule) for rule in ("zero", "skip"))
    assert zero["f1_at_m"] == zero["jaccard"] == pytest.approx(1 / 3)
    assert zero["micro_precision_at_m"] == 0.5
    assert skip["f1_at_m"] == skip["jaccard"] == skip["micro_precision_at_m"] == 1.0
    assert zero["empty_references"] == skip["empty_references"] == 2
    each = keyphrase_scores_per_document(*lists, empty_reference="skip")["f1_at_m"]
    assert each[0] == 1.0 and math.isnan(each[1]) and math.isnan(each[2])


def test_nothing_at_all_scores_zero():
    assert set(keyphrase_scores([], [], texts=[]).values()) == {0.0}
    assert set(keyphrase_scores([], [], empty_reference="skip").values()) == {0.0}


def test_hand_computed_exact_scores():
    # hits at 2: a; at m: a, c; at o (3): a, c
    scores = keyphrase_scores([["a", "x", "c", "y"]], [["a", "b", "c"]], k=2)
    assert scores["precision_at_2"] == 1 / 2
    assert scores["recall_at_2"] == 1 / 3
    assert scores["f1_at_2"] == pytest.approx(2 / 5)
    assert scores["precision_at_m"] == 2 / 4
    assert scores["recall_at_m"] == 2 / 3
    assert scores["f1_at_m"] == pytest.approx(4 / 7)
    assert scores["precision_at_o"] == scores["recall_at_o"] == scores["f1_at_o"] == 2 / 3
    assert scores["jaccard"] == 1 / 4  # 1 / (2 + 3 - 1)


def test_hand_computed_partial_scores_count_predictions_and_unmatched_references():
    # Both predictions lie in "ab", none touches "cd" and "ef": 2 hits, 0 wrong, 2 missed.
    scores = keyphrase_scores([["a", "b"]], [["ab", "cd", "ef"]], match="partial")
    assert scores["precision_at_10"] == 1.0
    assert scores["recall_at_10"] == 2 / 4
    assert scores["f1_at_10"] == pytest.approx(4 / 6)
    # Either direction.
    assert keyphrase_scores([["abc"]], [["b"]], match="partial")["f1_at_10"] == 1.0


def test_partial_misses_references_that_only_later_predictions_match():
    scores = keyphrase_scores([["a", "x", "b"]], [["a", "b"]], match="partial", k=2)
    assert scores["f1_at_2"] == pytest.approx(2 / (2 + 1 + 1))
    assert scores["f1_at_m"] == pytest.approx(4 / 5)


def test_macro_and_micro_differ_as_they_should():
    lists = [["a"], ["b", "x", "y"]], [["a"], ["b"]]
    scores = keyphrase_scores(*lists)
    assert scores["precision_at_m"] == pytest.approx((1 + 1 / 3) / 2)
    assert scores["micro_precision_at_m"] == 2 / 4
    assert scores["f1_at_m"] == pytest.approx((1 + 1 / 2) / 2)
    assert scores["micro_f1_at_m"] == pytest.approx(2 / 3)
    # F1 of the means: p = 2/3, r = 1.
    assert keyphrase_scores(*lists, macro="pr")["f1_at_m"] == pytest.approx(4 / 5)


def test_cut_k_divides_by_k_however_few_predictions_there_are():
    lists = [["a"]], [["a", "b"]]
    assert keyphrase_scores(*lists, k=5)["precision_at_5"] == 1.0
    padded = keyphrase_scores(*lists, k=5, cut="k")
    assert padded["precision_at_5"] == 1 / 5
    assert padded["recall_at_5"] == 1 / 2
    assert padded["f1_at_5"] == pytest.approx(2 / 7)
    assert padded["precision_at_o"] == 1 / 2
    assert padded["precision_at_m"] == 1.0


def test_duplicates_go_or_stay():
    lists = [["a", "A", "a", "x"]], [["a", "b"]]
    dropped = keyphrase_scores(*lists)
    kept = keyphrase_scores(*lists, dedup=False)
    assert dropped["precision_at_m"] == 1 / 2
    assert kept["precision_at_m"] == 3 / 4
    assert dropped["duplicate_rate"] == kept["duplicate_rate"] == 2 / 4
    assert dropped["jaccard"] == kept["jaccard"] == 1 / 5  # 1 / (4 + 2 - 1): repeats stay


def test_duplicates_are_dropped_after_stemming():
    scores = keyphrase_scores(
        [["network", "networks"]], [["networks"]], match="stem", language="en"
    )
    assert scores["precision_at_m"] == 1.0


def test_partial_keeps_duplicates_and_case_by_default():
    scores = keyphrase_scores([["a", "a", "B"]], [["a", "b"]], match="partial")
    assert scores["precision_at_m"] == 2 / 3
    folded = keyphrase_scores([["a", "B"]], [["a", "b"]], match="partial", normalize="casefold")
    assert folded["precision_at_m"] == 1.0


def test_fuzzy_threshold_decides():
    lists = [["broadcastng"]], [["broadcasting"]]  # similarity 2 * 11 / 23 = 0.957
    assert keyphrase_scores(*lists, match="fuzzy", threshold=0.95)["f1_at_m"] == 1.0
    assert keyphrase_scores(*lists, match="fuzzy", threshold=0.96)["f1_at_m"] == 0.0
    assert keyphrase_scores(*lists)["f1_at_m"] == 0.0


def test_stems_join_inflections_in_french_and_english():
    french = [["réseaux neuronaux"]], [["Réseau neuronal"]]
    assert keyphrase_scores(*french, match="stem", language="fr")["f1_at_m"] == 1.0
    assert keyphrase_scores(*french)["f1_at_m"] == 0.0
    assert (
        keyphrase_scores([["generalizations"]], [["generalization"]], match="stem", language="en")[
            "f1_at_m"
        ]
        == 1.0
    )


def test_accents_count():
    assert keyphrase_scores([["pâte"]], [["pète"]])["f1_at_m"] == 0.0
    assert keyphrase_scores([["pâte"]], [["pète"]], match="stem", language="fr")["f1_at_m"] == 0.0


def test_empty_phrases_are_dropped_before_the_cut():
    scores = keyphrase_scores([["", " ", "a"]], [["a", ""]], k=1)
    assert scores["f1_at_1"] == 1.0
    assert scores["predictions"] == scores["references"] == 1


def test_present_and_absent_parts_split_both_lists():
    scores = keyphrase_scores(
        [["Neural networks", "physics", "graph"]],
        [["neural network", "graphs", "physics"]],
        texts=["We train a neural network. Graph theory helps."],
        match="stem",
        language="en",
    )
    assert scores["present_f1_at_10"] == 1.0  # network and graph
    assert scores["absent_f1_at_10"] == 1.0  # physics
    assert scores["micro_present_recall_at_m"] == 1.0


def test_presence_asks_for_whole_words_but_korean_particles_may_follow():
    english = keyphrase_scores([["art"]], [["art"]], texts=["The party."])
    assert (english["present_f1_at_m"], english["absent_f1_at_m"]) == (0.0, 1.0)
    korean = keyphrase_scores(
        [["인공지능"]], [["인공지능"]], texts=["인공지능은 빠르다"], language="ko"
    )
    assert (korean["present_f1_at_m"], korean["absent_f1_at_m"]) == (1.0, 0.0)
    dotted = keyphrase_scores([["협·단체"]], [["협·단체"]], texts=["민관 협·단체장이 모였다"])
    assert dotted["present_f1_at_m"] == 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 0}, "k=0"),
        ({"k": 2.5}, "k=2.5"),
        ({"k": True}, "k=True"),
        ({"match": "loose"}, "match='loose'"),
        ({"match": "stem"}, "language=None"),
        ({"match": "stem", "language": "ko"}, "Korean has no stemmer"),
        ({"cut": "padded"}, "cut='padded'"),
        ({"normalize": "nfkd"}, "normalize='nfkd'"),
        ({"threshold": 0.5}, "only with match='fuzzy'"),
        ({"match": "fuzzy", "threshold": 90}, "threshold=90"),
        ({"normalise": "nfc"}, "Did you mean normalize"),
        ({"texts": ["a", "b"]}, r"len\(texts\)=2"),
    ],
)
def test_bad_options_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        keyphrase_scores([["a"]], [["a"]], **arguments)


def test_bad_documents_are_named():
    with pytest.raises(InputError, match=r"len\(references\)=0"):
        keyphrase_scores([["a"]], [])
    with pytest.raises(InputError, match=r"predictions\[1\]='a; b'"):
        keyphrase_scores([["a"], "a; b"], [["a"], ["b"]])
    with pytest.raises(InputError, match=r"references\[0\]"):
        keyphrase_scores([["a"]], [[None]])


def test_split_phrases_needs_no_space_after_the_separator():
    assert split_phrases("a;b;  c ;;", "; ") == ["a", "b", "c"]
    assert split_phrases("a\nb", "\n") == ["a", "b"]


@pytest.mark.parametrize("options", MATCHES)
@settings(max_examples=60, deadline=None)
@given(pairs=documents, k=st.integers(1, 5), cut=st.sampled_from(["pred", "k"]))
def test_scores_stay_between_zero_and_one(options, pairs, k, cut):
    predictions, references = columns(pairs)
    texts = [" ".join(r[::2]) for r in references]
    scores = keyphrase_scores(predictions, references, k=k, cut=cut, texts=texts, **options)
    fractions = {name: v for name, v in scores.items() if "_at_" in name or name == "jaccard"}
    assert len(fractions) == 3 * 2 * 9 + 1
    assert all(0.0 <= value <= 1.0 for value in fractions.values()), fractions
    json.dumps(scores, allow_nan=False)


@settings(max_examples=100, deadline=None)
@given(a=phrases, b=phrases)
def test_jaccard_is_symmetric_when_nothing_is_cut(a, b):
    assert keyphrase_scores([a], [b])["jaccard"] == keyphrase_scores([b], [a])["jaccard"]


@pytest.mark.parametrize("options", MATCHES)
@settings(max_examples=60, deadline=None)
@given(data=st.data(), a=phrases, b=phrases)
def test_order_does_not_matter_at_m(options, data, a, b):
    shuffled = data.draw(st.permutations(a)), data.draw(st.permutations(b))
    first, second = (
        keyphrase_scores([a], [b], **options),
        keyphrase_scores([shuffled[0]], [shuffled[1]], **options),
    )
    for measure in ("precision", "recall", "f1"):
        assert first[f"{measure}_at_m"] == second[f"{measure}_at_m"]


@pytest.mark.parametrize("options", MATCHES)
@settings(max_examples=60, deadline=None)
@given(pairs=documents)
def test_unicode_form_does_not_matter(options, pairs):
    predictions, references = columns(pairs)
    decomposed = [[unicodedata.normalize("NFD", p) for p in line] for line in predictions]
    assert keyphrase_scores(decomposed, references, **options) == keyphrase_scores(
        predictions, references, **options
    )


@settings(max_examples=100, deadline=None)
@given(a=phrases, b=phrases)
def test_partial_never_scores_below_exact(a, b):
    common = {"dedup": True, "normalize": "nfc"}
    exact = keyphrase_scores([a], [b], **common)["f1_at_m"]
    assert keyphrase_scores([a], [b], match="partial", **common)["f1_at_m"] >= exact - 1e-12


@settings(max_examples=60, deadline=None)
@given(pairs=documents)
def test_mean_of_documents_is_the_score(pairs):
    predictions, references = columns(pairs)
    scores = keyphrase_scores(predictions, references, match="partial")
    each = keyphrase_scores_per_document(predictions, references, match="partial")
    for name, values in each.items():
        assert len(values) == len(pairs)
        assert scores[name] == pytest.approx(sum(values) / max(len(values), 1))


def test_real_generations_give_the_published_numbers(korean_run):
    predictions = [split_phrases(row["generated"]) for row in korean_run]
    references = [split_phrases(row["reference"]) for row in korean_run]
    scores = keyphrase_scores(predictions, references, k=10, match="partial")
    assert f"{scores['f1_at_10']:.6f}" == "0.598693"
    assert f"{scores['jaccard']:.6f}" == "0.262277"
    assert keyphrase_scores(predictions, references)["jaccard"] == scores["jaccard"]
