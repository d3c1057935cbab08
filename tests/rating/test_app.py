"""The rating page in a browser: two raters, blind, back, stop and resume."""

from __future__ import annotations

import json
import urllib.request

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
