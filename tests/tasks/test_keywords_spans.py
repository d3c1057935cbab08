"""Finding keywords in a text, by character of the text as it was given."""

import csv
import time
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from frtune.tasks.spans import find_keywords, fold, plain


def found(text, *keywords, **options):
    return [text[a:b] for a, b in find_keywords(text, keywords, **options).spans]


@pytest.mark.parametrize(
    ("text", "keyword", "expected"),
    [
        ("L'opération a réussi.", "opération", ["opération"]),
        ("L’opération, l'OPÉRATION", "opération", ["opération", "OPÉRATION"]),
        ("jusqu'à lorsqu'Isaac", "isaac", ["Isaac"]),
        ("aujourd'hui", "hui", []),
        ("presqu'île", "île", []),
        ("quelqu'un", "un", []),
        ("l'« opération »", "opération", ["opération"]),
        ("le mot 'eau' ici", "eau", ["eau"]),
        ("the council's vote", "council", ["council"]),
        ("rock'n'roll", "rock", []),
        ("le chat, le chaton", "chat", ["chat"]),
        ("le centre-ville", "ville", ["ville"]),
        ("arc‑en‑ciel", "arc-en-ciel", ["arc‑en‑ciel"]),
        ("le prix de 3,14 euros", "3", []),
        ("en 2024, 3 fois", "3", ["3"]),
        ("du C++, en C", "C++", ["C++"]),
        ("le vent\n  d'ouest souffle", "vent d'ouest", ["vent\n  d'ouest"]),
        ("un cœur, un coeur", "cœur", ["cœur", "coeur"]),
        ("com\u00admune et commune", "commune", ["com\u00admune", "commune"]),
        ("un \U0001f642vent\U0001f642 fort", "vent", ["vent"]),
        ("snake_case", "snake", []),
        ("١٢ mots", "١٢", ["١٢"]),
        ("eau", "", []),
        ("", "eau", []),
    ],
)
def test_keywords_stand_between_word_boundaries(text, keyword, expected):
    assert found(text, keyword) == expected


def test_accents_matter_on_request():
    assert found("le marché marche", "marche") == ["marché", "marche"]
    assert found("le marché marche", "marche", ignore_accents=False) == ["marche"]
    assert found("Le MARCHÉ", "marché", ignore_accents=False) == ["MARCHÉ"]


@pytest.mark.parametrize("ignore_accents", [True, False])
def test_nfd_text_gives_offsets_into_itself(ignore_accents):
    text = unicodedata.normalize("NFD", "L’école d’été, là où l’élève naît")
    for keyword in ("école", "été", "élève"):
        spans = find_keywords(text, [keyword], ignore_accents=ignore_accents).spans
        assert [unicodedata.normalize("NFC", text[a:b]) for a, b in spans] == [keyword]


def test_the_longest_of_overlapping_keywords_wins_and_others_are_counted():
    text = "la facture électronique, puis la facture"
    result = find_keywords(text, ["facture", "facture électronique", "électronique", "devis"])
    assert [text[a:b] for a, b in result.spans] == ["facture électronique", "facture"]
    assert result.missing == ["devis"]
    assert result.hidden == ["électronique"]
    assert result.overlapped == 2


def test_equal_spellings_count_once():
    assert find_keywords("l'été", ["été", "Ete", "ÉTÉ "]).overlapped == 0


def test_a_long_text_takes_little_time():
    text = "L'été, à l'école, l'élève étudie. " * 600
    start = time.perf_counter()
    result = find_keywords(text, ["élève", "école", "été", "absent"])
    assert len(text) > 20_000 and len(result.spans) == 1800 and result.missing == ["absent"]
    assert time.perf_counter() - start < 5  # linear: 0.05 s


WORDS = ["été", "l'eau", "vent d’ouest", "Œuvre", "C++", "e\u0301le\u0300ve", "12", "mot\u00adclé"]
FILLING = st.text(st.sampled_from("abé ,.'’\n\u00ad\u0301«»-\U0001f642"), max_size=12)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(FILLING, st.sampled_from(WORDS)), max_size=6), FILLING)
def test_every_planted_keyword_is_covered(parts, tail):
    text, planted = "", []
    for filling, word in parts:
        text += f"{filling} . "
        planted.append((len(text), len(text) + len(word)))
        text += f"{word} ; "
    spans = find_keywords(text + tail, WORDS).spans
    assert spans == sorted(spans)
    for (_, end), (start, _) in pairwise(spans):
        assert end <= start
    assert set(planted) <= set(spans)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60))
@example("\u2033")  # NFKC makes two primes of it
@example("\u01fd")  # a ligature with an accent
@example("a \u00a8")  # an accent that stands alone becomes a space and a mark
@example(" \u3160\u3160 \u3131\u314f")  # NFKC makes Korean letters join
@example("\u0361\u206f\u0340")  # a mark behind an invisible character
@example("\uff76\uff9e")  # half-width katakana with its mark
def test_mapped_texts_point_back_to_where_they_came_from(text):
    for mapped in (plain(text), fold(text), fold(text, ignore_accents=False)):
        last = 0
        for i in range(len(mapped.text)):
            start, end = mapped.origin(i, i + 1)
            assert last <= start < end <= len(text)
            last = start
    assert plain(plain(text).text).text == plain(text).text
    for ignore_accents in (True, False):
        once = fold(text, ignore_accents=ignore_accents).text
        assert fold(once, ignore_accents=ignore_accents).text == once


def test_real_keywords_are_found_where_the_data_has_them(shared):
    path = shared / "data" / "fr_keys_youtube_wikinews" / "validation.csv"
    if not path.is_file():
        pytest.skip("no keyword data here")
    rows = list(csv.DictReader(path.open(encoding="utf-8")))
    results = [find_keywords(row["text"], row["keywords"].split(";")) for row in rows]
    missing = sum(len(result.missing) for result in results)
    total = sum(len(row["keywords"].split(";")) for row in rows)
    assert missing / total < 0.02
