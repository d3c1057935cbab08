"""The rating page in a browser: two raters, blind, back, stop and resume."""

from __future__ import annotations

import json
import re
import urllib.request
from itertools import combinations

import pytest

from chromium import visit
from frtune.rating.app import build_page
from frtune.rating.store import RatingStore
from frtune.rating.study import Item, RatingStudy
from frtune.rating.translations import WORDS
from frtune.tasks.highlight import CSS
from frtune.web.launch import Server, private_folder, start
from frtune.web.translations import PageLanguage

EVIL = "<script>alert(1)</script> <img src=x onerror=alert(2)>"
CHECKED = "document.querySelectorAll('input[type=radio]:checked').length"
# whether a part stands within the window
SEEN = """name => {
    const box = document.querySelector(name).getBoundingClientRect();
    return box.top > -1 && box.bottom < innerHeight + 1;
}"""
RUNS = ("baseline-secret", "tuned-secret")


@pytest.fixture(params=["score", "prefer"])
def served(request, tmp_path):
    """The store of a study of three items, and the address of its page."""
    items = tuple(Item(f"text {i} {EVIL}", ((EVIL, f"b{i}"), (f"t{i}",))) for i in range(3))
    store = RatingStore.create(tmp_path / "file", RatingStudy(RUNS, items, mode=request.param))
    language = PageLanguage(WORDS)
    with private_folder():
        page = build_page(store, language)
        address, _ = start(page, Server(), language, css=CSS)
        yield store, address
        page.close()


def test_the_page_knows_no_run_and_offers_no_api(served):
    _, address = served
    config = urllib.request.urlopen(f"{address}config").read().decode()
    assert "secret" not in config
    info = json.load(urllib.request.urlopen(f"{address}gradio_api/info"))
    assert info["named_endpoints"] == {}


@pytest.mark.browser
def test_a_rater_judges_goes_back_stops_and_resumes(served):
    store, address = served
    score = store.study.mode == "score"

    def begin(page):
        page.fill("#name textarea, #name input", " Ada ")
        page.click("#start")
        page.wait_for_selector("#text .frtune-text")

    def answer(page, grade):
        if score:
            for place in range(2):
                page.click(f"#grade{place} label:nth-of-type({grade + place})")
        else:
            page.click("#best label:nth-of-type(1)")

    def go(page, button):
        before = page.inner_text("#progress")
        page.click(button)
        page.wait_for_function(
            "t => document.querySelector('#progress').innerText != t", arg=before
        )
        page.wait_for_timeout(1_000)  # the components of a sheet change one after the other

    with visit(address, locale="fr-FR") as seen:
        page = seen.page
        begin(page)
        assert EVIL in page.inner_text("#text")
        assert page.locator("#text img, #wrong0 img, #wrong1 img").count() == 0
        page.click("#next")
        page.wait_for_selector("#message .frtune-error")
        assert WORDS["incomplete"][1] in page.inner_text("#message")
        answer(page, 2)
        page.locator("#wrong0 input[type=checkbox]").first.check()
        go(page, "#next")
        page.wait_for_function(f"() => {CHECKED} === 0")
        go(page, "#back")
        page.wait_for_selector("#wrong0 input:checked")
        if score:
            page.wait_for_selector("#grade1 label:nth-of-type(3) input:checked")
        go(page, "#next")
        assert "secret" not in page.content()
        assert seen.dialogs == []
        assert seen.hosts <= {"127.0.0.1", ""}
    assert len(store.judgements("Ada")) == 1

    with visit(address, locale="ko-KR") as seen:
        page = seen.page
        begin(page)
        assert WORDS["progress"][2].format(place=2, items=3, done=1) in page.inner_text("#progress")
        for _ in range(2):
            answer(page, 4)
            go(page, "#next")
        assert WORDS["finished"][2].format(items=3) in page.inner_text("#progress")
    found = store.judgements()
    assert len(found) == 3
    first = found["Ada", store.study.item_order("Ada")[0]]
    shown = store.study.run_order("Ada", store.study.item_order("Ada")[0])
    assert first.wrong == {shown[0]: (0,), shown[1]: ()}
    if score:
        assert first.ratings == {shown[0]: 2.0, shown[1]: 3.0}
    else:
        assert first.preferred == shown[0]


def _begin(page, name="Ada"):
    page.fill("#name textarea, #name input", name)
    page.press("#name textarea, #name input", "Enter")
    page.wait_for_selector("#text .frtune-text")


def _steps(page, key, place, items=3):
    """Press a key, and wait for the sheet at ``place``."""
    page.keyboard.press(key)
    page.get_by_text(f"{place} of {items}").wait_for()
    page.wait_for_timeout(1_000)


@pytest.mark.browser
def test_keys_alone_judge_skip_and_comment(served):
    store, address = served
    score = store.study.mode == "score"
    with visit(address, viewport={"width": 390, "height": 800}) as seen:
        page = seen.page
        page.wait_for_selector("#start")
        assert seen.rings()[:2] == ["", ""], "the name, and the button"
        _begin(page)
        page.wait_for_timeout(1_000)
        rings = seen.rings()
        assert len(rings) >= 8 and not any(rings)
        page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
        page.keyboard.press("Control+Enter")
        page.wait_for_selector("#message .frtune-error")
        page.wait_for_function(SEEN, arg="#message .frtune-error")
        for digit in ("4", "2") if score else ("2",):
            page.keyboard.press(digit)
            page.wait_for_timeout(300)
        page.focus("#comment textarea, #comment input")
        page.keyboard.type("3 lists")
        _steps(page, "Control+Enter", 2)
        assert page.input_value("#comment textarea, #comment input") == ""
        page.focus("#skip")
        assert not page.evaluate(SEEN, "#progress p")
        _steps(page, "Enter", 3)
        assert page.evaluate(SEEN, "#progress p"), "the next text from its beginning"
        page.evaluate("document.activeElement.blur()")
        for digit in ("1", "5") if score else ("0",):
            page.keyboard.press(digit)
            page.wait_for_timeout(300)
        page.keyboard.press("Control+Enter")
        page.get_by_text(WORDS["skipped"][0].format(left=1, items=3)).wait_for()
        page.focus("#open")
        _steps(page, "Enter", 2)
        assert seen.wide() == []
    order = store.study.item_order("Ada")
    found = store.judgements("Ada")
    assert set(found) == {("Ada", order[0]), ("Ada", order[2])}
    first, third = found["Ada", order[0]], found["Ada", order[2]]
    assert first.comment == "3 lists"
    shown = store.study.run_order("Ada", order[0])
    if score:
        assert first.ratings == {shown[0]: 4.0, shown[1]: 2.0}
    else:
        assert first.preferred == shown[1] and third.preferred is None


@pytest.mark.browser
@pytest.mark.parametrize("served", ["score"], indirect=True)
def test_an_answer_is_of_the_sheet_that_is_seen(served):
    store, address = served
    with visit(address) as seen:
        page = seen.page
        _begin(page)
        page.wait_for_timeout(1_000)
        for place in range(2):
            page.click(f"#grade{place} label:nth-of-type(2)")
        page.evaluate("['skip', 'next'].forEach(name => document.getElementById(name).click())")
        page.get_by_text("1 answered").wait_for()
        page.wait_for_timeout(1_000)
    order = store.study.item_order("Ada")
    assert set(store.judgements("Ada")) == {("Ada", order[0])}


@pytest.mark.browser
@pytest.mark.parametrize("served", ["score"], indirect=True)
@pytest.mark.parametrize(("locale", "place"), [("fr-FR", 1), ("ko-KR", 2)])
def test_the_scale_says_which_end_is_good(served, locale, place):
    _, address = served
    with visit(address, locale=locale) as seen:
        _begin(seen.page)
        seen.page.wait_for_selector("#grade1 label")
        labels = seen.page.locator("#grade1 label span").all_inner_texts()
        assert [label for label in labels if label] == [
            WORDS["worst"][place].format(grade="1"), "2", "3", "4",
            WORDS["best_grade"][place].format(grade="5"),
        ]  # fmt: skip


@pytest.mark.browser
def test_every_string_is_in_the_raters_language(served):
    _, address = served
    found = {}
    for locale in ("en-US", "fr-FR", "ko-KR"):
        with visit(address, locale=locale) as seen:
            strings = seen.strings()
            _begin(seen.page)
            seen.page.wait_for_timeout(1_000)
            seen.page.click("#next")
            seen.page.wait_for_selector("#message .frtune-error")
            strings |= seen.strings()
            assert not [s for s in strings if "[object" in s or "__i18n__" in s]
            theirs = re.compile(r"^(b\d|t\d|text \d.*|Ada|logo|\W*)$|script")
            found[locale] = {s for s in strings if len(s) > 2 and not theirs.search(s)}
            assert seen.page.get_attribute("html", "lang") == locale[:2]
    for one, other in combinations(found, 2):
        assert found[one] & found[other] == set(), (one, other)
