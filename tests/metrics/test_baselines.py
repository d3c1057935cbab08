import pytest

from frtune.errors import InputError
from frtune.metrics import baseline_rows, baselines, first_phrases, tfidf_phrases, title_copy

KOREAN = "삼성전자가 차세대 반도체 공장을 평택에 짓는다. 삼성전자는 인공지능(AI)에 투자한다."


def test_first_phrases_stop_at_stop_words_and_punctuation():
    text = "The solar cell of the lab, with silicon wafers. The solar cell is new."
    assert first_phrases([text], 10, "en") == [["solar cell", "lab", "silicon wafers"]]
    assert first_phrases([text], 1, "en") == [["solar cell"]]
    assert first_phrases(["NASA, the Nasa"], 10, "en") == [["NASA"]]


def test_first_phrases_split_french_elisions_and_keep_accents():
    text = "L'étude de l’atmosphère d'Europe"
    assert first_phrases([text], 10, "fr") == [["étude", "atmosphère", "Europe"]]


def test_first_phrases_of_another_language_break_at_short_words():
    text = "Die Wirkung der Steuerreform auf Löhne"
    assert first_phrases([text], 10, "de") == [["Wirkung", "Steuerreform", "Löhne"]]


def test_first_phrases_in_korean_drop_particles():
    assert first_phrases([KOREAN], 4, "ko") == [
        ["삼성전자", "차세대 반도체 공장", "평택", "인공지능"]
    ]


def test_korean_without_kiwi_keeps_words_and_warns(monkeypatch):
    monkeypatch.setattr(baselines, "find_spec", lambda name: None)
    with pytest.warns(UserWarning, match=r"frtune\[ko\]"):
        assert first_phrases(["서울의 봄, 온다!"], 5, "ko") == [["서울의", "온다"]]


def test_blank_text_has_no_phrases():
    assert first_phrases(["", "  ", "the of"], 5, "en") == [[], [], []]
    assert first_phrases(["", " "], 5, "ko") == [[], []]


def test_title_copy_predicts_the_titles_chunks():
    assert title_copy(["A Model of Ship Control"], language="en") == [["Model", "Ship Control"]]


def test_tfidf_prefers_what_training_texts_lack():
    train = ["wind power here"] * 5 + ["solar power there"]
    first = tfidf_phrases(train, ["wind, blows near solar panels"], 1, "en")
    assert first == [["blows"]]
    ranked = tfidf_phrases(train, ["power of wind, solar"], 9, "en")[0]
    assert ranked.index("solar") < ranked.index("wind") < ranked.index("power")


def test_tfidf_phrases_have_no_stop_word_at_an_edge():
    found = tfidf_phrases(["x"], ["the theory of games is on the table"], 50, "en")[0]
    assert "theory of games" in found
    assert not [p for p in found if p.split()[0] in {"the", "of"} or p.split()[-1] in {"of", "is"}]


def test_tfidf_does_not_learn_from_the_scored_texts():
    train = ["alpha beta"]
    alone = tfidf_phrases(train, ["gamma delta"], 3, "en")
    assert tfidf_phrases(train, ["gamma delta", "gamma", "gamma"], 3, "en")[0] == alone[0]


def test_baseline_rows_hold_what_the_data_allows():
    rows = baseline_rows([KOREAN], k=3, language="ko", train_texts=[KOREAN], titles=["반도체 공장"])
    assert list(rows) == ["first_phrases", "tfidf", "title_copy"]
    assert all(len(lists) == 1 and 1 <= len(lists[0]) <= 3 for lists in rows.values())
    assert list(baseline_rows(["a wind"], language="en")) == ["first_phrases"]


def test_bad_input_is_named():
    with pytest.raises(InputError, match="k=0"):
        first_phrases(["a"], 0)
    with pytest.raises(InputError, match="train_texts"):
        tfidf_phrases([], ["a"])
