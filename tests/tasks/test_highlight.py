import re
from html import unescape

from hypothesis import given
from hypothesis import strategies as st

from frtune.tasks.highlight import Mark, find_phrases, marked_text

EVIL = "<script>alert(1)</script><img src=x onerror=\"alert(2)\"> & 'quoted'"


def _plain(html: str) -> str:
    """The text of HTML, without what marks add."""
    return unescape(re.sub(r"<small>.*?</small>|<[^>]*>", "", html))


def test_markup_in_a_text_is_shown_as_text():
    html = marked_text(EVIL, [Mark(0, 8, 0.25), Mark(25, 40)])
    assert "<script" not in html and "<img" not in html
    assert set(re.findall(r"<(\w+)", html)) == {"div", "mark", "small"}
    assert _plain(html) == EVIL


def test_the_characters_of_the_offsets_are_highlighted():
    text = "L'été à l'école 🎓 d'été"
    html = marked_text(text, [Mark(20, 23, 0.5), Mark(2, 5, 0.9)])
    assert re.findall(r"<mark[^>]*>(.*?)<small>([\d.]+)</small></mark>", html) == [
        ("été", "0.90"),
        ("été", "0.50"),
    ]
    assert html.index("0.90") < html.index("0.50")


def test_marks_that_overlap_or_lie_outside_are_left_out():
    html = marked_text("abcdef", [Mark(1, 4), Mark(3, 5), Mark(1, 2), Mark(5, 9), Mark(-2, 1)])
    assert html == '<div class="frtune-text">a<mark>bcd</mark>ef</div>'


@given(
    st.text(max_size=30),
    st.lists(st.builds(Mark, st.integers(-2, 32), st.integers(-2, 32)), max_size=6),
)
def test_no_marks_change_the_text(text, marks):
    assert _plain(marked_text(text, marks)) == text


def test_phrases_are_found_whatever_their_case_and_apostrophes():
    text = "L’Opération vise la CANTINE  scolaire ; la cantine demeure."
    spans, present = find_phrases(text, ["opération", "cantine scolaire", "école", "cantine"])
    assert [text[start:end] for start, end in spans] == [
        "Opération",
        "CANTINE  scolaire",
        "cantine",
    ]
    assert present == [True, True, False, True]


def test_a_phrase_inside_a_longer_one_is_present():
    spans, present = find_phrases("the wind farm", ["wind farm", "wind", "win"])
    assert len(spans) == 1
    assert present == [True, True, False]


def test_korean_phrases_are_found_before_particles():
    text = "서울시는 급식 예산을 늘리고, 예산안을 밝혔다."
    spans, present = find_phrases(text, ["서울시", "예산", "급식 예산", "물가"])
    assert [text[start:end] for start, end in spans] == ["서울시", "급식 예산", "예산"]
    assert present == [True, True, True, False]


def test_blank_phrases_are_never_present():
    assert find_phrases("a text", ["", "  "]) == ([], [False, False])
