import unicodedata
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score import rouge_scorer

from frtune.errors import InputError
from frtune.metrics import (
    LostCharactersWarning,
    default_tokenizer,
    rouge_scores,
    rouge_scores_per_document,
)
from frtune.metrics.tokenizers import words

KEYS = ["rouge1", "rouge2", "rougeL", "rougeLsum"]


class Split:
    def tokenize(self, text):
        return text.split()


line = st.lists(st.sampled_from(["가", "b", "é", "d"]), max_size=9).map(" ".join)
text = st.lists(line, min_size=1, max_size=3).map("\n".join)


@settings(max_examples=200, deadline=None)
@given(pairs=st.lists(st.tuples(text, text), min_size=1, max_size=4))
def test_values_equal_those_of_rouge_score(pairs):
    predictions, references = [a for a, _ in pairs], [b for _, b in pairs]
    ours = rouge_scores_per_document(predictions, references, tokenizer="whitespace")
    scorer = rouge_scorer.RougeScorer(KEYS, tokenizer=Split())
    for row, (prediction, reference) in enumerate(pairs):
        theirs = scorer.score(reference, prediction)
        for key in KEYS:
            assert ours[key][row] == theirs[key].fmeasure, (key, prediction, reference)


def test_perfect_disjoint_and_empty_documents():
    scores = rouge_scores_per_document(
        ["a b", "a b", "", ""], ["a b", "c d", "a", ""], tokenizer="fr"
    )
    assert scores["rouge1"] == scores["rougeL"] == [1.0, 0.0, 0.0, 0.0]
    assert rouge_scores([], [], tokenizer="fr") == dict.fromkeys(KEYS, 0.0)


def test_hand_computed_scores():
    scores = rouge_scores(["a b c d"], ["a c b"], tokenizer="whitespace")
    assert scores["rouge1"] == pytest.approx(6 / 7)
    assert scores["rouge2"] == 0.0
    assert scores["rougeL"] == scores["rougeLsum"] == pytest.approx(4 / 7)


def test_given_tokens_need_no_tokenizer():
    assert rouge_scores([["a", "b c"]], [["b c", "a"]])["rouge1"] == 1.0
    assert rouge_scores([["a"]], [["a"]], tokenizer=lambda tokens: tokens)["rouge1"] == 1.0


def test_tokenizer_may_be_a_function_or_an_object():
    lists = ["서울의 봄"], ["서울의 밤"]
    assert rouge_scores(*lists, tokenizer=str.split) == rouge_scores(*lists, tokenizer=Split())
    table = {"서울의 봄": ["서울", "의", "봄"], "서울의 밤": ["서울", "의", "밤"]}
    assert rouge_scores(*lists, tokenizer=table.__getitem__)["rouge1"] == pytest.approx(2 / 3)


def test_french_keeps_accents_and_splits_elisions():
    assert rouge_scores(["pâte"], ["pète"], tokenizer="fr")["rouge1"] == 0.0
    assert rouge_scores(["l’école"], ["l'École"], tokenizer="fr")["rouge1"] == 1.0
    assert words("Qu'il s'agisse d'aujourd'hui") == ["qu", "il", "s", "agisse", "d", "aujourd'hui"]
    assert words("aujourd’hui") == words("aujourd'hui") == ["aujourd'hui"]
    assert words("don't œuvre straße") == ["don't", "œuvre", "strasse"]


def test_unicode_form_does_not_matter():
    for name, sample in (("fr", "pâté d'été"), ("whitespace", "pâté 서울"), ("ko", "서울의 봄")):
        decomposed = unicodedata.normalize("NFD", sample)
        assert decomposed != sample
        assert rouge_scores([decomposed], [sample], tokenizer=name)["rougeL"] == 1.0


@pytest.mark.parametrize("sample", ["서울의 봄 SK", "la pâte à l'été"])
def test_lost_letters_warn(sample):
    with pytest.warns(LostCharactersWarning, match="drops"):
        rouge_scores([sample], [sample], tokenizer="rouge")


@pytest.mark.parametrize(
    ("name", "sample"),
    [
        ("rouge", "plain English, 1 time"),
        ("fr", "la pâte à l'été"),
        ("ko", "SK하이닉스는 반도체를 수출했다. 1000+ 프로젝트"),
        ("whitespace", "서울의 봄"),
    ],
)
def test_fitting_tokenizers_do_not_warn(name, sample):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert rouge_scores([sample], [sample], tokenizer=name)["rouge1"] == 1.0


def test_warning_points_at_the_callers_line():
    with pytest.warns(LostCharactersWarning) as caught:
        rouge_scores(["서울"], ["서울"], tokenizer="rouge")
    assert caught[0].filename == __file__


def test_default_tokenizer_goes_by_script(monkeypatch):
    assert default_tokenizer(["삼성전자 SK", "서울"]) == "ko"
    assert default_tokenizer([unicodedata.normalize("NFD", "서울")]) == "ko"
    assert default_tokenizer(["l'été"]) == "fr"
    assert default_tokenizer([]) == default_tokenizer(["123"]) == "fr"
    monkeypatch.setattr("frtune.metrics.tokenizers.find_spec", lambda name: None)
    with pytest.warns(UserWarning, match=r"frtune\[ko\]"):
        assert default_tokenizer(["서울"]) == "whitespace"


def test_missing_komoran_names_the_extra(monkeypatch):
    def nothing(package):
        raise __import__("importlib.metadata").metadata.PackageNotFoundError(package)

    monkeypatch.setattr("frtune.metrics.morphemes.version", nothing)
    with pytest.raises(ImportError, match=r"pip install 'frtune\[komoran\]'"):
        rouge_scores(["서울"], ["서울"], tokenizer="komoran")


def test_bad_input_is_named():
    with pytest.raises(InputError, match=r"len\(references\)=2"):
        rouge_scores(["a"], ["a", "b"], tokenizer="fr")
    with pytest.raises(InputError, match="tokenizer=None"):
        rouge_scores(["a"], ["a"])
    with pytest.raises(InputError, match="tokenizer='french'"):
        rouge_scores(["a"], ["a"], tokenizer="french")
    with pytest.raises(InputError, match="lists of tokens"):
        rouge_scores([["a"]], [["a"]], tokenizer="fr")
    with pytest.raises(InputError, match="tokenizer=5"):
        rouge_scores(["a"], ["a"], tokenizer=5)
    with pytest.raises(InputError, match="a list of strings"):
        rouge_scores(["a"], ["a"], tokenizer=lambda text: [1])


def test_given_morphemes_give_the_published_numbers(korean_run):
    scores = rouge_scores(
        [row["generated_morphs"] for row in korean_run],
        [row["reference_morphs"] for row in korean_run],
    )
    assert f"{scores['rouge1']:.6f}" == "0.659491"
    assert f"{scores['rouge2']:.6f}" == "0.456888"
    assert f"{scores['rougeL']:.6f}" == "0.542405"
    assert scores["rougeLsum"] == scores["rougeL"]


def test_kiwi_scores_real_korean_far_above_the_default(korean_run):
    some = korean_run[:200]
    lists = [row["generated"] for row in some], [row["reference"] for row in some]
    with pytest.warns(LostCharactersWarning):
        default = rouge_scores(*lists, tokenizer="rouge")["rouge1"]
    spaces = rouge_scores(*lists, tokenizer="whitespace")["rouge1"]
    assert default + 0.05 < spaces < rouge_scores(*lists, tokenizer="ko")["rouge1"] - 0.1
