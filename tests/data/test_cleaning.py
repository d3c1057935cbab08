import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frtune.data.checks import content_check, separator_check
from frtune.data.cleaning import clean_keyphrases, clean_text, split_keyphrases
from frtune.errors import InputError

MESSY = st.text(
    st.one_of(
        st.sampled_from("0123.) (-*•\"'«»“”;,|:가é\u0301\u200b\u00ad\n\t* #C+Keyphrases"),
        st.characters(exclude_categories=()),
    )
)

TABLE = [
    # bullets and numbering
    (["- 예산", "* school", "• canteen", "– vote"], ["예산", "school", "canteen", "vote"]),
    (["1. budget", "2. school"], ["budget", "school"]),
    (["1) budget", "(2) school"], ["budget", "school"]),
    (["1.예산", "2.학교"], ["예산", "학교"]),
    (["① 예산", "②학교"], ["예산", "학교"]),
    (["1. 2023 budget", "2. 3D"], ["2023 budget", "3D"]),
    # headers
    (["key-phrases: budget"], ["budget"]),
    (["Keyphrases: budget"], ["budget"]),
    (["Keywords：budget"], ["budget"]),
    (["**Key phrases:** budget"], ["budget"]),
    (["키워드: 예산"], ["예산"]),
    (["mots-clés : école"], ["école"]),
    (["Here are the keyphrases:", "budget"], ["budget"]),
    # quotation marks
    (['"budget"', "'vote'", "« école »", "“town”", "「예산」"],
     ["budget", "vote", "école", "town", "예산"]),
    (['"budget', 'school"'], ["budget", "school"]),
    # separators, blanks, duplicates
    ([";budget; ", "| school |", ", vote,"], ["budget", "school", "vote"]),
    (["", " ", "-", "...", "a"], ["a"]),
    (["Budget", "budget", "BUDGET "], ["Budget"]),
    (["e\u0301cole", "\u00e9cole"], ["école"]),
    (["bud\u00adget", "zero\u200bwidth", "no\u00a0break"], ["budget", "zerowidth", "no break"]),
    # what stays
    *[([kept], [kept]) for kept in (
        "TF(태스크포스)", "C++", "C#", "1.5°C", "3D", "2023 budget", "3. Liga", "-5°C", ".NET",
        "/etc/passwd", "A* search", "'90s", '24" monitor', "U.S.", "TF-IDF", "1,000 won",
        "rock 'n' roll", "(2023) report", "#hashtag", "Yahoo!", "COVID-19", "l'école",
    )],
]  # fmt: skip


@pytest.mark.parametrize(("phrases", "expected"), TABLE)
def test_phrases_are_cleaned(phrases, expected):
    assert clean_keyphrases(phrases) == expected


@pytest.mark.parametrize(
    ("value", "separator", "expected"),
    [
        (None, "; ", []),
        (float("nan"), "; ", []),
        ("", "; ", []),
        (7, "; ", ["7"]),
        ("a; b;c ;", "; ", ["a", "b", "c"]),
        ("a, 1,000", ", ", ["a", "1,000"]),
        ("TF-IDF - b", " - ", ["TF-IDF", "b"]),
        ("a|b | c", " | ", ["a", "b", "c"]),
        ("1. a\n2. b", "; ", ["1. a", "2. b"]),
        ("['a', 'l\\'été']", ";", ["a", "l'été"]),
        ('["a", "b; c"]', ";", ["a", "b; c"]),
        ("['a' 'b'\n 'c']", ";", ["a", "b", "c"]),
        ("[]", ";", []),
        ("[note] a; b", "; ", ["[note] a", "b"]),
        ("[__import__('os').getcwd()]", "; ", ["[__import__('os').getcwd()]"]),
        (["a", None, " ", "b; c"], "; ", ["a", "b; c"]),
        ((["a"], ["b"]), "; ", ["a", "b"]),
    ],
)
def test_labels_are_split(value, separator, expected):
    assert split_keyphrases(value, separator) == expected


@given(st.lists(MESSY, max_size=6))
def test_cleaning_phrases_twice_changes_nothing(phrases):
    once = clean_keyphrases(phrases)
    assert clean_keyphrases(once) == once
    folded = [unicodedata.normalize("NFC", phrase.casefold()) for phrase in once]
    assert len(set(folded)) == len(folded)
    assert all(phrase and phrase == phrase.strip() and "\n" not in phrase for phrase in once)


@given(MESSY)
def test_cleaning_a_text_twice_changes_nothing(text):
    once = clean_text(text)
    assert clean_text(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert not any(unicodedata.category(char) == "Cc" and char != "\n" for char in once)


@given(st.lists(st.from_regex(r"[a-z가-힣]{1,8}( [a-z가-힣]{1,8})?", fullmatch=True), max_size=6))
def test_joined_phrases_come_back(phrases):
    unique = list(dict.fromkeys(phrases))
    for separator in ("; ", " | ", ", "):
        assert split_keyphrases(separator.join(unique), separator) == unique


def test_joiners_stay_where_they_carry_meaning():
    assert clean_text("a\u200cb\u200dc") == "abc"
    assert clean_text("می\u200cخواهم 👨\u200d👩") == "می\u200cخواهم 👨\u200d👩"
    assert clean_text(None) == ""


def test_a_separator_that_never_occurs_names_those_that_do():
    from datasets import Dataset

    rows = Dataset.from_dict({"k": ["a, b", "c, d", "e"], "one": ["a", "b", "c"], "l": [["a"]] * 3})
    with pytest.raises(
        InputError, match=r"x.csv, column k: the separator '; ' is in none of 3.*', ' is in 2"
    ):
        separator_check(rows, "k", "; ", "x.csv")
    for column, separator in (("k", ", "), ("one", "; "), ("l", "; ")):
        separator_check(rows, column, separator, "x.csv")


def test_rows_without_text_or_keyphrases_are_named():
    from datasets import Dataset

    rows = Dataset.from_dict(
        {"t": ["a", " "], "blank": [" ", None], "k": ["x", ""], "n": ["-", ""]}
    )
    names = {"separator": "; ", "where": "x.csv"}
    content_check(rows, text_column="t", keyphrases_column="k", **names)
    with pytest.raises(InputError, match=r"x.csv, column blank: blank in all 2 rows"):
        content_check(rows, text_column="blank", keyphrases_column="k", **names)
    with pytest.raises(InputError, match=r"x.csv, column n: no keyphrase in any of 2 rows"):
        content_check(rows, text_column="t", keyphrases_column="n", **names)
