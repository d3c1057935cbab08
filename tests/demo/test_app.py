"""The page over HTTP, as its API and its browser ask."""

from __future__ import annotations

import dataclasses
import json
import urllib.error
import urllib.request

import pytest

from chromium import visit
from frtune.demo.app import build_page
from frtune.demo.models import PageModel
from frtune.demo.session import DemoSession
from frtune.demo.text_tab import previews
from frtune.demo.translations import WORDS
from frtune.tasks.highlight import CSS
from frtune.web.launch import Server, private_folder, start
from frtune.web.translations import PageLanguage

TEXT = "L'opération de la cantine a réussi cet été."
EVIL = "<script>alert(1)</script> <img src=x onerror=alert(2)> ${alert(3)} {{value}}"

# the text that is shown, without the scores
SHOWN = """() => {
    const shown = document.querySelector("#answer .frtune-text").cloneNode(true);
    shown.querySelectorAll("small").forEach(score => score.remove());
    return shown.textContent;
}"""


class Breaking:
    """A predictor that fails on one text, as a model may."""

    def __init__(self, predictor):
        self.predictor, self.task = predictor, predictor.task

    def predict(self, rows):
        if any("break" in row["text"] for row in rows):
            raise RuntimeError(f"secret path, {rows}")
        return self.predictor.predict(rows)

    def read_tokens(self, rows):
        return self.predictor.read_tokens(rows)


@pytest.fixture(scope="module")
def shown(models):
    breaking = PageModel("breaking", Breaking(models["classes"].predictor), 500, [{"text": EVIL}])
    return {**models, "breaking": breaking}


@pytest.fixture(scope="module")
def address(shown):
    language = PageLanguage(WORDS)
    with private_folder():
        page = build_page(shown, language)
        server = Server(max_file_bytes=2_000)
        local, public = start(page, server, language, css=CSS, footer=["api"])
        assert public is None
        yield local
        page.close()


def test_a_failing_model_is_told_without_its_secrets(shown):
    session = DemoSession(shown, PageLanguage(WORDS, "fr"))
    html = session.html("breaking", ("please break", "", ""), None)
    assert WORDS["failed"][1] in html and "secret" not in html
    assert "énergie" in session.html("breaking", ("go on", "", ""), None)


def test_blank_and_long_texts_are_told(shown):
    session = DemoSession(shown, PageLanguage(WORDS, "en"))
    assert WORDS["no_text"][0] in session.html("keywords", (" ", "", ""), None)
    assert WORDS["no_texts"][0] in session.html("pairs", ("a", "", ""), None)
    assert "600 characters; 500 are allowed" in session.html("keywords", ("x" * 600, "", ""), None)
    assert WORDS["no_text"][0] in session.html("keywords", ("\u00ad", "", ""), None)


def test_models_that_read_as_many_texts_can_be_compared(shown):
    session = DemoSession(shown, PageLanguage(WORDS, "en"))
    assert session.partners("keywords") == ["phrases", "classes", "breaking"]
    assert session.partners("pairs") == []


def test_examples_are_shown_by_their_beginning(models):
    long = dataclasses.replace(models["keywords"], examples=[{"text": "x" * 200}])
    ((cell,),) = previews(long)
    assert len(cell) == 80 and cell.endswith("x…")
    pair = dataclasses.replace(models["pairs"], examples=[{"sentence1": "a", "sentence2": "b"}])
    assert previews(pair) == [["a ↔ b"]]


def test_the_api_answers_as_the_predictor_does(address, shown, tmp_path):
    from gradio_client import Client, handle_file
    from gradio_client.exceptions import AppError

    client = Client(address, verbose=False, download_files=str(tmp_path))
    named = client.view_api(return_format="dict")["named_endpoints"]
    assert set(named) == {"/predict", "/models", "/predict_file"}
    assert [model["name"] for model in client.predict(api_name="/models")] == list(shown)
    answer = client.predict("keywords", TEXT, api_name="/predict")
    (expected,) = shown["keywords"].predict([{"text": TEXT}])
    assert answer["text"] == TEXT
    assert [k["start"] for k in answer["keywords"]] == [k["start"] for k in expected["keywords"]]
    pair = client.predict("pairs", "Il pleut.", "La pluie.", api_name="/predict")
    assert pair["text_pair"] == "La pluie."
    for name, text, message in [("none", "a", "one of keywords"), ("keywords", " ", "blank"),
                                ("breaking", "break", "failed"),
                                ("keywords", "x" * 501, "500 are allowed")]:  # fmt: skip
        with pytest.raises(AppError, match=message):
            client.predict(name, text, api_name="/predict")
    assert client.predict("breaking", "go on", api_name="/predict")["label"]
    rows = tmp_path / "rows.csv"
    rows.write_text(f"id,text\n1,{TEXT}\n2,\n", encoding="utf-8")
    output, message = client.predict("keywords", handle_file(rows), api_name="/predict_file")
    assert WORDS["done"][0].format(rows=2, left=1) in message
    with open(output, encoding="utf-8-sig") as file:
        assert file.readline() == "id,text,predicted_keywords,predicted_spans\n"
    rows.write_text("texte\n<img src=x>\n")
    output, message = client.predict("keywords", handle_file(rows), api_name="/predict_file")
    assert output is None and "has no column text" in message


def test_too_large_a_file_is_refused(address):
    body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n\r\n'
    body += b"a" * 3_000 + b"\r\n--x--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    request = urllib.request.Request(f"{address}gradio_api/upload", body, headers)
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(request)
    assert error.value.code == 413


def test_nothing_but_the_uploads_can_be_fetched(address, models):
    config = json.load(urllib.request.urlopen(f"{address}config"))
    assert config["analytics_enabled"] is False
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(f"{address}gradio_api/file=/etc/passwd")
    assert error.value.code in (403, 404)


@pytest.mark.browser
def test_in_a_browser_everything_works_and_nothing_comes_from_outside(address, shown, tmp_path):
    rows = tmp_path / "rows.csv"
    rows.write_text(f"id,text\n1,{TEXT}\n2,\n", encoding="utf-8")
    (answer,) = shown["keywords"].predict([{"text": TEXT}])
    with visit(address, locale="fr-FR") as seen:
        page = seen.page
        page.fill("#text textarea", TEXT)
        page.click("#run")
        page.wait_for_selector("#answer mark")
        marks = page.eval_on_selector_all("#answer mark", "all => all.map(m => m.firstChild.data)")
        assert marks == [keyword["text"] for keyword in answer["keywords"]]
        assert page.inner_text("#run") == WORDS["run"][1]

        seen.choose("#second", "classes")
        page.fill("#text textarea", EVIL)
        page.click("#run")
        page.wait_for_selector("#answer2 .frtune-bar")
        assert page.evaluate(SHOWN) == EVIL
        assert page.locator("#answer script, #answer img, #answer2 b b").count() == 0
        assert "<b>loyer</b>" in page.inner_text("#answer2")

        seen.choose("#model", "breaking")
        page.fill("#text textarea", "")
        page.locator("#examples").get_by_text("<script>alert(1)</script> <img").click()
        page.wait_for_function(
            "e => document.querySelector('#text textarea').value === e", arg=EVIL
        )
        page.fill("#text textarea", "break")
        page.click("#run")
        page.wait_for_selector("#answer .frtune-error")
        assert WORDS["failed"][1] in page.inner_text("#answer")

        seen.choose("#model", "pairs")
        page.wait_for_selector("#pair textarea")
        page.fill("#text textarea", "Il pleut.")
        page.fill("#pair textarea", "La pluie.")
        page.click("#run")
        page.wait_for_selector("#answer .frtune-bar")

        seen.choose("#model", "keywords")
        page.get_by_role("tab", name=WORDS["one_file"][1]).click()
        seen.upload(rows)
        page.click("#run_file")
        page.wait_for_selector("#result a[download]")
        with page.expect_download() as download:
            page.click("#result a[download]")
        lines = download.value.path().read_text(encoding="utf-8-sig").splitlines()
        assert lines[0] == "id,text,predicted_keywords,predicted_spans"
        assert WORDS["done"][1].format(rows=2, left=1) in page.inner_text("#message")

        page.get_by_role("button", name="API").click()  # its own page of documentation
        page.get_by_text("/predict_file").first.wait_for()
        assert seen.dialogs == []
        assert seen.hosts <= {"127.0.0.1", ""}


@pytest.mark.browser
@pytest.mark.parametrize(("locale", "place"), [("ko-KR", 2), ("de-DE", 0)])
def test_the_page_speaks_the_browsers_language(address, locale, place):
    with visit(address, locale=locale) as seen:
        seen.page.get_by_role("tab", name=WORDS["one_text"][place]).wait_for()
        seen.page.click("#run")
        seen.page.wait_for_selector("#answer .frtune-error")
        assert WORDS["no_text"][place] in seen.page.inner_text("#answer")
