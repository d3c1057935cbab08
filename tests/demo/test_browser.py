"""The demo in a browser: its languages, keys, models, files and widths."""

from __future__ import annotations

import csv
import re
import threading
from itertools import combinations

import pytest

from chromium import visit
from frtune import SequenceClassification
from frtune.demo.app import build_page
from frtune.demo.models import Facts, PageModel, open_models
from frtune.demo.translations import WORDS
from frtune.tasks.highlight import CSS
from frtune.web.launch import Server, private_folder, start
from frtune.web.translations import ENGLISH_ALONE, ENGLISH_PATTERNS, LANGUAGES, PageLanguage

pytestmark = pytest.mark.browser

TEXT = "L'opération de la cantine a réussi cet été."
LOCALES = ("en-US", "fr-FR", "ko-KR")
# names, and what is the same in every language
SAME = {"API", "logo"}


class Slow:
    """A predictor that waits for ``go`` before each batch."""

    def __init__(self, predictor):
        self.predictor, self.task, self.go = predictor, predictor.task, threading.Semaphore(0)

    def predict(self, rows):
        assert self.go.acquire(timeout=60)
        return self.predictor.predict(rows)

    def read_tokens(self, rows):
        return [None] * len(rows)


@pytest.fixture(scope="module")
def shown(models, saved):
    task = SequenceClassification(labels=["loyer", "énergie"], max_source_tokens=16)
    (short,) = open_models([saved("short", task, "camembert")], max_characters=30_000).values()
    facts = Facts("tiny (camembert)", "f1_macro", 0.25)
    classes = PageModel(
        "classes", models["classes"].predictor, 500, [{"text": TEXT}], ["énergie"], facts
    )
    slow = PageModel("slow", Slow(models["classes"].predictor))
    return {"keywords": models["keywords"], "classes": classes, "short": short, "slow": slow}


@pytest.fixture(scope="module")
def address(shown):
    yield from _served(shown, None)


def _served(shown, language, server=None):
    language = PageLanguage(WORDS, language)
    with private_folder():
        page = build_page(shown, language)
        yield start(page, server or Server(), language, css=CSS, footer=["api"])[0]
        page.close()


def _run(seen, text, shown="#answer h2"):
    seen.page.fill("#text textarea", text)
    seen.page.click("#run")
    seen.page.wait_for_selector(shown)


def _walk(seen, tmp_path):
    """Every string of a visit to both tabs, with answers and errors."""
    page = seen.page
    page.wait_for_selector("#about p")
    found = seen.strings()
    seen.choose("#model", "classes")
    page.get_by_text("tiny (camembert)").wait_for()
    page.locator("#examples button").first.click()
    page.wait_for_selector("#truth p")
    page.click("#run")
    page.wait_for_selector("#answer .frtune-bar")
    found |= seen.strings()
    page.locator("[role=tab]").nth(1).click()
    page.wait_for_selector("#upload")
    found |= seen.strings()
    page.click("#run_file")
    page.wait_for_selector("#message .frtune-error")
    page.click("#stop")
    page.wait_for_selector("#message .frtune-note")
    page.click("#encoding input")
    page.wait_for_selector("#encoding [role=option]")
    found |= seen.strings()
    page.keyboard.press("Escape")
    rows = tmp_path / "rows.csv"
    rows.write_text(f"text\n{TEXT}\n", encoding="utf-8")
    seen.upload(rows)
    page.click("#run_file")
    page.wait_for_selector("#result a[download]")
    return found | seen.strings()


def _words(strings, shown):
    """Those with a word in them that is not the same in every language."""
    answers = {TEXT, "loyer", "énergie", "<b>loyer</b>", *shown}
    theirs = re.compile(r"…|→|^rows|^\.csv|^\d")  # examples and files
    return {s for s in strings - SAME - answers if re.search(r"\w{3}", s) and not theirs.search(s)}


def test_every_string_is_in_the_visitors_language(address, shown, tmp_path):
    found = {}
    for locale in LOCALES:
        with visit(address, locale=locale) as seen:
            found[locale] = _words(_walk(seen, tmp_path), shown)
            assert seen.page.get_attribute("html", "lang") == locale[:2]
            broken = seen.page.evaluate("getComputedStyle(document.querySelector('h1')).wordBreak")
            assert (broken == "keep-all") is (locale == "ko-KR")  # Korean words stay whole
    for strings in found.values():
        assert len(strings) > 15
        assert not [s for s in strings if "[object" in s or "__i18n__" in s or "undefined" in s]
    for one, other in combinations(LOCALES, 2):
        assert found[one] & found[other] == set(), (one, other)
    assert {WORDS["file"][1]} <= found["fr-FR"]


def test_a_language_that_we_do_not_have_gets_english_throughout(address, shown, tmp_path):
    passing = {"Loading"}  # seen or not, as fast as the machine is
    with visit(address, locale="de-DE") as seen:
        assert seen.page.get_attribute("html", "lang") == "en"
        german = _words(_walk(seen, tmp_path), shown) - passing
    with visit(address, locale="en-US") as seen:
        assert _words(_walk(seen, tmp_path), shown) - passing == german


@pytest.mark.parametrize("language", LANGUAGES)
def test_gradios_own_words_follow_the_option(shown, language):
    for address in _served(shown, language):
        with visit(address, locale="es-ES") as seen:
            assert seen.page.get_attribute("html", "lang") == language
            seen.page.locator("[role=tab]").nth(1).click()
            seen.page.wait_for_selector("#upload")
            drop = {
                "en": "Drop File Here",
                "fr": "Déposez le fichier ici\n- ou -\nCliquez pour choisir un fichier",
                "ko": "파일을 여기에 드롭",
            }
            assert drop[language] in seen.page.inner_text("#upload")
            # what a screen reader is told once the file, or its want, is answered
            seen.page.click("#run_file")
            told = {"en": "Complete", "fr": "Terminé", "ko": "완료"}[language]
            said = f".sr-only[role=status]:text-is('{told}')"
            seen.page.wait_for_selector(said, state="attached")


@pytest.mark.parametrize(("locale", "place"), [("fr-FR", 0), ("ko-KR", 1)])
def test_a_full_queue_is_told_in_the_visitors_language(shown, locale, place):
    busy = "This application is currently busy. Please try again."
    for address in _served({"slow": shown["slow"]}, None, Server(waiting=1)):
        with visit(address, locale=locale) as seen:
            page = seen.page
            page.wait_for_selector("#about p")
            ask = f"{address}gradio_api/call/predict"
            taken = 0
            while page.request.post(ask, data={"data": ["slow", TEXT, "", ""]}).ok:
                taken += 1
                page.wait_for_timeout(500)  # it goes from the queue to the model
            page.fill("#text textarea", TEXT)
            page.click("#run")
            toast = page.get_by_test_id("toast-body")
            toast.get_by_text(ENGLISH_ALONE[busy][place]).wait_for()
            assert toast.get_by_label(ENGLISH_ALONE["Close"][place]).is_visible()
            assert ENGLISH_ALONE["Error"][place] in toast.inner_text()
            assert not {"busy", "Error", "Close"} & set(re.findall(r"\w+", toast.inner_text()))
            for _ in range(taken):
                shown["slow"].predictor.go.release()
            page.wait_for_timeout(1_000)  # they are answered before the next test
    assert taken == 2


@pytest.mark.parametrize("locale", ["fr-FR", "ko-KR"])
def test_a_file_that_the_page_does_not_take_is_told_in_the_visitors_language(
    shown, locale, tmp_path
):
    place = LOCALES.index(locale) - 1
    files = {"big.csv": "2.0 Kb", "[x] $&.exe": ".csv, .tsv, .json, .jsonl, .txt"}
    for address in _served(shown, None, Server(max_file_bytes=2_000)):
        for (name, allowed), (_, texts) in zip(files.items(), ENGLISH_PATTERNS, strict=True):
            path = tmp_path / name
            path.write_text("text\n" + "loyer\n" * 1_000, encoding="utf-8")
            values = {"$1": allowed, "$2": name} if "big" in name else {"$1": name, "$2": allowed}
            told = re.sub(r"\$\d", lambda found: values[found[0]], texts[place])  # noqa: B023
            with visit(address, locale=locale) as seen:
                seen.page.locator("[role=tab]").nth(1).click()
                seen.page.set_input_files("#upload input[type=file]", path)
                seen.page.get_by_test_id("toast-body").get_by_text(told, exact=True).wait_for()


def test_a_long_text_is_taken_whole_and_what_is_read_of_it_is_said(address):
    with visit(address, locale="fr-FR") as seen:
        seen.choose("#model", "short")
        seen.page.wait_for_timeout(500)
        long = "mot " * 6_000
        _run(seen, long)
        assert seen.page.input_value("#text textarea") == long, "24,000 characters"
        told = seen.page.inner_text("#answer .frtune-warning")
        assert "16 tokens sur " in told and "plus long que ce que le modèle lit" in told
        _run(seen, "x " * 20_000, "#answer .frtune-error")
        told = seen.page.inner_text("#answer")
        assert WORDS["too_long"][1].format(found=40_000, allowed=30_000) in told


def test_another_model_takes_the_old_answer_away(address):
    with visit(address) as seen:
        _run(seen, TEXT)
        assert "keywords" in seen.page.inner_text("#answer h2")
        seen.choose("#model", "classes")
        seen.page.wait_for_selector("#answer h2", state="detached")
        assert seen.page.input_value("#text textarea") == TEXT
        _run(seen, TEXT)
        seen.choose("#second", "keywords")
        seen.page.wait_for_selector("#answer h2", state="detached")


def test_the_page_says_what_the_models_are_and_what_is_true_of_an_example(address):
    with visit(address) as seen:
        seen.choose("#model", "classes")
        seen.page.get_by_text("tiny (camembert)").wait_for()
        seen.choose("#second", "keywords")
        seen.page.wait_for_selector("#about p:nth-of-type(2)")
        assert seen.page.inner_text("#about p:nth-of-type(1)") == (
            "classes · Task: Classification · trained from tiny (camembert) · "
            "f1_macro 0.250 on its test rows"
        )
        assert "→ énergie" in seen.page.inner_text("#examples button")
        seen.page.locator("#examples button").first.click()
        seen.page.get_by_text("True answer: énergie").wait_for()
        seen.page.type("#text textarea", "another text")
        seen.page.wait_for_selector("#truth p", state="hidden")


def test_run_comes_before_clear_and_keys_alone_are_enough(address):
    with visit(address, locale="ko-KR", viewport={"width": 390, "height": 800}) as seen:
        page = seen.page
        page.wait_for_selector("#about p")
        assert page.locator("h1").count() == 1
        assert page.get_attribute("#answer", "aria-live") == "polite"
        page.focus("#text textarea")
        page.keyboard.type(TEXT)
        page.keyboard.press("Control+Enter")
        page.wait_for_selector("#answer .frtune-text")
        order = []
        for _ in range(3):
            page.keyboard.press("Tab")
            order.append(page.evaluate("document.activeElement.id"))
        assert order.index("run") < order.index("clear")
        page.focus("#clear")
        page.keyboard.press("Enter")
        page.wait_for_selector("#answer h2", state="detached")
        page.locator("[role=tab]").first.focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_selector("#run_file")
        page.wait_for_timeout(1_000)  # the parts of the tab come one after the other
        for _ in range(12):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.closest('#upload') !== null"):
                break
        else:
            raise AssertionError("the upload is not reached")
        # the click that opens the dialog: Playwright may begin to wait for the dialog too late
        page.evaluate(
            "document.addEventListener('click', event => {"
            " if (event.target.matches('#upload input[type=file]'))"
            " window.chosen = navigator.userActivation.isActive }, true)"
        )
        page.wait_for_timeout(1_000)
        assert page.evaluate("document.activeElement.closest('#upload') !== null")
        page.keyboard.press("Enter")
        page.wait_for_function("() => window.chosen")


def test_a_menu_is_closed_once_the_focus_has_left_it(address):
    with visit(address, locale="fr-FR", viewport={"width": 390, "height": 800}) as seen:
        page, menus = seen.page, "ul[role=listbox]"
        page.wait_for_selector("#about p")
        page.focus("#model input")
        page.wait_for_selector(menus)
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")  # the second model
        page.wait_for_function("document.querySelector('#about').innerText.includes('classes')")
        page.focus("#model input")
        page.wait_for_selector(menus)
        for _ in range(2):
            page.keyboard.press("Tab")
        page.wait_for_selector(menus, state="detached")
        assert page.input_value("#model input") == "classes"


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_window(address, width):
    settings = {"viewport": {"width": width, "height": 800}, "color_scheme": "dark"}
    with visit(address, locale="fr-FR", **settings) as seen:
        page = seen.page
        seen.choose("#second", "classes")
        _run(seen, TEXT * 3, "#answer2 .frtune-bar")
        assert seen.wide() == []
        first, other = (page.locator(f"{place} h2").bounding_box() for place in
                        ("#answer", "#answer2"))  # fmt: skip
        assert (first["y"] < other["y"]) == (width == 390), "one below the other on a telephone"
        share = page.locator("#answer2 td.number").first
        assert share.bounding_box()["height"] < 45, "a share stands on one line"
        assert page.locator("#answer2 td").first.bounding_box()["width"] > 130, "room for a name"
        border = "e => getComputedStyle(e.closest('table')).borderTopWidth"
        assert share.evaluate(border) == "0px"


def test_a_stopped_file_has_the_rows_that_were_done(address, shown, tmp_path):
    rows = tmp_path / "rows.csv"
    rows.write_text("id,text\n" + f"1,{TEXT}\n" * 100, encoding="utf-8")
    with visit(address) as seen:
        page = seen.page
        seen.choose("#model", "slow")
        page.locator("[role=tab]").nth(1).click()
        seen.upload(rows)
        page.click("#run_file")
        shown["slow"].predictor.go.release()
        page.get_by_text("32 / 100").wait_for()
        page.click("#stop")
        page.get_by_text(WORDS["stopping"][0]).wait_for()
        shown["slow"].predictor.go.release()
        page.get_by_text("Stopped after 64 of 100 rows").wait_for()
        with page.expect_download() as download:
            page.click("#result a[download]")
        with download.value.path().open(encoding="utf-8-sig", newline="") as file:
            found = list(csv.DictReader(file))
        assert len(found) == 64 and all(row["predicted_label"] for row in found)


def test_two_models_answer_a_file_in_an_encoding_of_the_menu(address, tmp_path):
    rows = tmp_path / "rows.csv"
    rows.write_bytes("text,predicted_label_classes\n예산안을 밝혔다,mine\n".encode("cp949"))
    with visit(address, locale="ko-KR") as seen:
        page = seen.page
        seen.choose("#model", "classes")
        page.get_by_text("tiny (camembert)").wait_for()
        seen.choose("#second", "short")
        page.locator("[role=tab]").nth(1).click()
        seen.upload(rows)
        page.click("#run_file")
        page.wait_for_selector("#message .frtune-error")
        assert WORDS["bad_encoding"][2] in page.inner_text("#message")
        assert "--encoding" not in page.inner_text("#message")
        seen.choose("#encoding", WORDS["korean"][2])
        page.click("#run_file")
        page.wait_for_selector("#result a[download]")
        with page.expect_download() as download:
            page.click("#result a[download]")
        with download.value.path().open(encoding="utf-8-sig", newline="") as file:
            (row,) = csv.DictReader(file)
        assert row["text"] == "예산안을 밝혔다" and row["predicted_label_classes"] == "mine"
        assert row["predicted_label_classes_2"] and row["predicted_label_short"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_focus_is_seen_wherever_it_is(address, scheme):
    settings = {"viewport": {"width": 390, "height": 800}, "color_scheme": scheme}
    with visit(address, locale="fr-FR", **settings) as seen:
        page = seen.page
        seen.choose("#model", "classes")
        page.get_by_text("tiny (camembert)").wait_for()
        page.evaluate("document.activeElement.blur()")
        rings = seen.rings()
        assert len(rings) >= 7 and not any(rings)
        page.locator("[role=tab]").first.focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_selector("#run_file")
        page.wait_for_timeout(1_000)
        rings = seen.rings()
        assert len(rings) >= 4 and not any(rings)
