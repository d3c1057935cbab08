"""The review page in a browser: keys alone, three languages, nothing computed out of a text."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import replace
from itertools import combinations

import pytest

from chromium import visit
from frtune import SequenceClassification
from frtune.review.app import build_page
from frtune.review.folder import Decision
from frtune.review.ranking import ranked
from frtune.review.review import Review
from frtune.review.rows import read_rows
from frtune.review.translations import WORDS
from frtune.run.settings import RunSettings
from frtune.tasks.highlight import CSS
from frtune.web.launch import Server, private_folder, start
from frtune.web.translations import PageLanguage
from small_data import rows_of, write

# how many lines each name takes, however high its cell is
LINES = """() => [...document.querySelectorAll("#doubt th")].map(name => {
    const range = document.createRange();
    range.selectNodeContents(name);
    return new Set([...range.getClientRects()].map(box => box.top)).size;
})"""
EVIL = "<script>alert(1)</script> <img src=x onerror=alert(2)>"


@pytest.fixture
def served(tmp_path):
    """A review whose first row is the one with another label, and the address of its page."""
    rows = rows_of("classification")
    rows = [{**row, "text": f"{row['text']} {EVIL}", "label": f"{EVIL} {row['label']}"}
            for row in rows]  # fmt: skip
    data = write(tmp_path / "rows.csv", rows)
    found = read_rows(SequenceClassification(), RunSettings(data=str(data), max_test_rows=0))
    chances = {"even": [0.9, 0.1], "odd": [0.1, 0.9]}
    labels = [label.split()[-1] for label in found.rows["label"]]
    said = [{"chances": chances[label]} for label in labels]
    said[4] = {"chances": chances[labels[4]][::-1]}
    folder = tmp_path / "out"
    folder.mkdir()
    review = Review(found, ranked(found, said, []), folder)
    language = PageLanguage(WORDS)
    with private_folder():
        page = build_page(review, language)
        address, _ = start(page, Server(), language, css=CSS)
        yield review, address
        page.close()


def test_the_page_offers_no_api_and_is_for_this_machine(served):
    _, address = served
    assert address.startswith("http://127.0.0.1:")
    info = json.load(urllib.request.urlopen(f"{address}gradio_api/info"))
    assert info["named_endpoints"] == {}


@pytest.mark.browser
def test_a_person_keeps_changes_drops_and_saves_with_keys_alone(served):
    review, address = served
    labels = review.found.task.known_labels

    def press(page, key, wait=True):
        before = page.inner_text("#progress")
        page.keyboard.press(key)
        if wait:
            page.wait_for_function(
                "t => document.querySelector('#progress').innerText != t", arg=before
            )
            page.wait_for_timeout(700)  # the components change one after the other

    with visit(address, locale="fr-FR") as seen:
        page = seen.page
        page.wait_for_selector("#text .frtune-text")
        page.wait_for_timeout(1_000)
        assert WORDS["progress"][1].format(place=1, rows=24, doubted=1, decided=0) in (
            page.inner_text("#progress")
        )
        assert EVIL in page.inner_text("#text") and EVIL in page.inner_text("#doubt")
        assert page.locator("#text img, #doubt img, #doubt script").count() == 0
        assert "les modèles disent" in page.inner_text("#doubt")
        press(page, "c")
        press(page, "k")
        press(page, "d")
        press(page, "n")
        press(page, "p")
        page.keyboard.press("e")
        page.keyboard.type("nobody's kdn")
        page.keyboard.press("Enter")
        page.wait_for_selector("#message .frtune-error")
        told = page.inner_text("#message")
        assert told.startswith(WORDS["bad_label"][1].partition(":")[0].strip())
        assert all(label in told for label in labels)
        page.keyboard.press("Escape")
        page.keyboard.press("s")
        page.wait_for_selector("#message [role=status]")
        assert "changées\u00a0: 1, supprimées\u00a0: 1" in page.inner_text("#message")
        assert seen.dialogs == []
        assert seen.hosts <= {"127.0.0.1", ""}
    first, second, third = (review.rows[i].place for i in range(3))
    suggested = next(label for label in labels if label != review.rows[0].label)
    assert dict(review.decisions().items()) == {
        first: Decision("change", suggested), second: Decision("keep"), third: Decision("drop"),
    }  # fmt: skip
    place = review.directory / "corrected"
    after = read_rows(SequenceClassification(), RunSettings(data=str(place), max_test_rows=0))
    found = dict(zip(after.rows["text"], after.rows["label"], strict=True))
    assert len(found) == 23 and found[review.rows[0].texts[0]] == suggested

    with visit(address, locale="ko-KR") as seen:
        page = seen.page
        page.wait_for_selector("#text .frtune-text")
        assert WORDS["progress"][2].format(place=4, rows=24, doubted=1, decided=3) in (
            page.inner_text("#progress")
        )


@pytest.mark.browser
def test_keys_in_quick_succession_decide_the_row_that_is_seen(served):
    review, address = served
    suggested = review.rows[0].suggestion
    with visit(address) as seen:
        page = seen.page
        page.wait_for_selector("#text .frtune-text")
        page.wait_for_timeout(1_000)
        page.evaluate(
            """["k", "c"].forEach(key => document.body.dispatchEvent(
                new KeyboardEvent("keydown", {key, bubbles: true})))"""
        )
        page.get_by_text("2 of 24").wait_for()
        page.wait_for_timeout(1_000)
    assert dict(review.decisions().items()) == {review.rows[0].place: Decision("change", suggested)}


@pytest.mark.browser
def test_ctrl_enter_keeps_the_label_that_is_typed(served):
    review, address = served
    other = next(x for x in review.found.task.known_labels if x != review.rows[0].suggestion)
    with visit(address, viewport={"width": 390, "height": 800}, color_scheme="dark") as seen:
        page = seen.page
        page.wait_for_selector("#text .frtune-text")
        page.wait_for_timeout(1_000)
        assert seen.wide() == []
        assert page.evaluate(LINES) == [1, 1], "each name on one line"
        page.keyboard.press("e")
        page.keyboard.type(other)
        page.keyboard.press("Control+Enter")
        page.get_by_text("2 of 24").wait_for()
    assert dict(review.decisions().items()) == {review.rows[0].place: Decision("change", other)}


@pytest.mark.browser
def test_every_string_is_in_the_reviewers_language(served):
    review, address = served
    found = {}
    for locale in ("en-US", "fr-FR", "ko-KR"):
        with visit(address, locale=locale) as seen:
            page = seen.page
            page.wait_for_selector("#text .frtune-text")
            page.wait_for_timeout(1_000)
            strings = seen.strings()
            page.keyboard.press("e")
            page.keyboard.type("nobody's kdn")
            page.keyboard.press("Enter")
            page.wait_for_selector("#message .frtune-error")
            strings |= seen.strings()
            page.focus("#save")
            page.keyboard.press("Enter")
            page.wait_for_selector("#message [role=status]")
            strings |= seen.strings()
            assert page.locator("h1").count() == 1
            assert not [s for s in strings if "[object" in s or "__i18n__" in s]
            found[locale] = {s for s in strings if len(s) > 2 and not s.startswith("<script")}
            found[locale] -= {"logo", "nobody's kdn", *review.rows[0].texts}
    for one, other in combinations(found, 2):
        assert found[one] & found[other] == set(), (one, other)


def test_every_reason_has_its_words(served):
    review, _ = served
    row = replace(review.rows[0], reasons=())
    assert row.why == "" and review.rows[0].why.startswith("the models say")
