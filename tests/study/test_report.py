"""The page: whole, self-contained, escaped, and true to the numbers."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser

import pytest

import planted_study
from chromium import visit
from frtune.study.report import report_html, short_table, write_report

EVIL = '<script>alert("x")</script>'


class Page(HTMLParser):
    """Tags, sources and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.parts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href", "srcset")]

    def handle_data(self, data):
        self.parts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.parts).split())


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    study = planted_study.study(changes={("cosine_within", 4): 0.64})
    assert write_report(study, folder) == folder / "report.html"
    return folder


def test_the_page_needs_no_network(written):
    html = (written / "report.html").read_text("utf-8")
    page = Page(html)
    assert page.sources and all(source.startswith("data:image/svg+xml") for source in page.sources)
    assert not re.search(r"https?:|//|@import|url\(", re.sub(r"base64,[^\"]*", "", html))
    assert not {"script", "link", "iframe"} & set(page.tags)
    assert 'name="viewport"' in html and "prefers-color-scheme: dark" in html


def test_the_page_says_what_changed_and_shows_every_plot(written):
    page = Page((written / "report.html").read_text("utf-8"))
    assert "rises most in layer 4, from 0.30 to 0.64" in page.text
    assert "r = -0.83 (95% interval -0.95 to -0.40, 5 layers)" in page.text
    assert "classify worse" in page.text and "Nothing: every statistic was computed" in page.text
    plots = {path.stem for path in (written / "plots").glob("*.png")}
    assert (
        len(plots) == page.tags.count("img") == len(list((written / "plots").glob("*.svg"))) == 21
    )


def test_the_tables_have_the_numbers_of_each_layer(written):
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", (written / "report.html").read_text("utf-8"))
    assert "0.64" in cells and "0.75 (0.73 to 0.77)" in cells


def test_names_and_labels_are_escaped():
    study = planted_study.study((EVIL, "tuned"))
    study.data["labels"] = {EVIL: 3, "b": 2}
    study.skipped.append({"what": EVIL, "why": "none"})
    html = report_html(study, {})
    assert "<script" not in html and html.count("&lt;script&gt;") > 10
    assert EVIL in Page(html).text


def test_a_page_without_probes_says_why():
    gone = ("probe_mean_accuracy", "probe_first_accuracy", "fisher_mean", "fisher_first",
            "silhouette_mean", "silhouette_first")  # fmt: skip
    study = planted_study.study(without=gone)
    study.data["labels"] = None
    study.skipped.append({"what": "probes", "why": "no labels were given"})
    page = Page(report_html(study, {}))
    assert "probes : no labels were given" in page.text
    assert "How well each layer classifies" not in page.text


@pytest.mark.parametrize("names", [("raw",), ("raw", "tuned", "other")])
def test_the_page_is_right_for_one_and_for_three(names):
    page = Page(report_html(planted_study.study(names), {}))
    assert page.text.startswith(f"{' and '.join(names)}: hidden states")
    assert ("What moved" in page.text) == (len(names) > 1)


def test_the_short_table_has_a_row_a_layer():
    columns, rows = short_table(planted_study.study(changes={("cosine_within", 4): 0.64}))
    assert columns == ["layer", "1 - cosine\nraw to tuned", "within\nraw", "within\ntuned",
                       "between\nraw", "between\ntuned", "probe\nraw", "probe\ntuned"]  # fmt: skip
    assert rows[4] == ["4", "0.50", "0.30", "0.64", "0.15", "0.15", "0.75", "0.75"]


def test_a_study_of_layers_that_overflowed_still_has_a_page():
    study = planted_study.study(("raw",))
    study = dataclasses.replace(study, layers=study.layers.assign(value=float("nan")))
    assert "hidden states" in Page(report_html(study, {})).text


def test_the_page_opens_with_what_it_is_about(written):
    text = (written / "report.html").read_text("utf-8")
    assert "What changed inside the model from raw to tuned" in text.split("<ul>")[0]


def test_no_table_has_more_columns_than_a_page_has_room_for(written):
    text = (written / "report.html").read_text("utf-8")
    rows = re.findall(r"<tr>(.*?)</tr>", text)
    assert max(row.count("<td data-label=") for row in rows) <= 11
    assert 'data-label="layer"' in text


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
def test_no_table_is_wider_than_its_box(written, width):
    with visit(
        (written / "report.html").as_uri(), viewport={"width": width, "height": 800}
    ) as seen:
        seen.page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
        assert seen.page.locator("table").count() > 4
        assert seen.wide() == []
