"""Take the pictures of the demo, of the rating page and of a run's report, in headless Chromium.

Usage: python docs/images/take_pictures.py --keywords DIR --keyphrases DIR DIR --runs RUN RUN
    --report DIR --board FOLDER

Needs ``pip install "frtune[demo,browser]"`` and a Chromium of the system. The first test row of
each model is the text that is shown, or that of --row.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "tests"))  # for chromium.visit


def served(page, language, footer):
    """Serve a page in the background; its address."""
    from frtune.tasks.highlight import CSS
    from frtune.web.launch import Server, start

    return start(page, Server(), language, css=CSS, footer=footer)[0]


def demo(directories: list[str], row: int, name: str, *, both: bool) -> None:
    """Let the demo answer for a test row of the first model; ``both`` compares two models."""
    from chromium import visit
    from frtune.demo.app import build_page
    from frtune.demo.models import open_models
    from frtune.demo.translations import WORDS
    from frtune.web.launch import private_folder
    from frtune.web.translations import PageLanguage

    lines = (Path(directories[0]) / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    language = PageLanguage(WORDS, "en")
    with private_folder():
        models = open_models(directories)
        page = build_page(models, language)
        with visit(served(page, language, ["api"]), viewport={"width": 900, "height": 860}) as seen:
            seen.page.wait_for_selector("#about p")
            if both:
                seen.choose("#second", list(models)[1])
            seen.page.fill("#text textarea", json.loads(lines[row])["input"])
            seen.page.click("#run")
            seen.page.wait_for_selector("#answer .frtune-text")
            seen.page.wait_for_timeout(1000)
            seen.page.screenshot(path=HERE / name, full_page=True)
        page.close()


def rate(directories: list[str]) -> None:
    """Judge the first item of two runs half."""
    from chromium import visit
    from frtune.rating.app import build_page
    from frtune.rating.sources import make_study
    from frtune.rating.store import RatingStore
    from frtune.rating.translations import WORDS
    from frtune.web.launch import private_folder
    from frtune.web.translations import PageLanguage

    language = PageLanguage(WORDS, "en")
    folder = tempfile.mkdtemp()
    with private_folder():
        store = RatingStore.create(Path(folder) / "ratings", make_study(directories, max_rows=40))
        page = build_page(store, language)
        with visit(served(page, language, []), viewport={"width": 900, "height": 760}) as seen:
            seen.page.fill("#name textarea, #name input", "ada")
            seen.page.click("#start")
            seen.page.wait_for_selector("#text .frtune-text")
            seen.page.click("#grade0 label:nth-of-type(4)")
            seen.page.locator("#wrong1 input[type=checkbox]").first.check()
            seen.page.wait_for_timeout(1000)
            seen.page.screenshot(path=HERE / "rate.png", full_page=True)
        page.close()
    shutil.rmtree(folder)


def report(directory: str) -> None:
    """The upper part of a run's page."""
    from chromium import visit

    page = (Path(directory) / "report.html").resolve().as_uri()
    with visit(page, viewport={"width": 1000, "height": 1690}) as seen:
        seen.page.screenshot(path=HERE / "report.png")


def board(folder: str) -> None:
    """Prepare invoices, train two runs on them and compare them, with nothing but the page.

    ``folder`` has ``factures.csv``, the bundled invoices for a French spreadsheet, and
    ``models/`` with a checkpoint.
    """
    from chromium import visit
    from frtune.board.app import build_page
    from frtune.board.parts import CSS
    from frtune.board.translations import WORDS
    from frtune.cli.board import check_config, offered
    from frtune.web.launch import Server, private_folder, start
    from frtune.web.translations import PageLanguage

    language = PageLanguage(WORDS, "en")
    with private_folder():
        page = build_page(folder, language, gate=check_config, commands=offered())
        address = start(page, Server(), language, css=CSS)[0]
        with visit(address, viewport={"width": 1100, "height": 800}) as seen:
            _board_data(seen)
            for place, rate in enumerate(("0.00002", "0.0005")):
                _board_run(seen, place, rate)
            _board_result(seen)
        page.close()


def _shot(seen, name: str, height: int | None = None) -> None:
    seen.page.wait_for_timeout(1500)
    clip = {"x": 0, "y": 0, "width": 1100, "height": height} if height else None
    seen.page.screenshot(path=HERE / f"board_{name}.png", full_page=True, clip=clip)


def _board_data(seen) -> None:
    page = seen.page
    page.wait_for_selector("#folder p")
    seen.choose("#data_file", "factures.csv")
    page.wait_for_selector("#audit table")
    _shot(seen, "data")
    page.click("#write")
    page.wait_for_selector("#data_message .frtune-ok")


def _board_run(seen, place: int, rate: str) -> None:
    page = seen.page
    page.locator("[role=tab]").nth(1).click()
    page.wait_for_selector("#facts .frtune-note")
    if place:
        seen.choose("#prepared", "prepared/factures")
        page.wait_for_timeout(2000)
    page.click("#checkpoint input")
    page.locator("#checkpoint").get_by_role("option").first.click()
    page.wait_for_selector("#fit table")
    settings = {"learning_rate": rate, "num_train_epochs": "8", "early_stopping_patience": "0"}
    for name, value in settings.items():
        page.fill(f"#set_{name} textarea, #set_{name} input", value)
    page.wait_for_timeout(2000)
    _shot(seen, "model")
    page.click("#start")
    page.wait_for_selector("#model_message .frtune-ok")
    page.locator("[role=tab]").nth(2).click()
    state = "word => document.querySelector('#run_state').innerText.includes(word)"
    if place:
        page.wait_for_function(state, arg="left", timeout=300_000)
        page.wait_for_timeout(30_000)
        _shot(seen, "train")
    page.wait_for_function(state, arg="finished", timeout=300_000)


def _board_result(seen) -> None:
    page = seen.page
    page.locator("[role=tab]").nth(3).click()
    page.wait_for_selector("#result_scores table")
    page.click("#results input")
    page.locator("#results").get_by_role("option", name="runs/factures", exact=True).click()
    page.wait_for_selector("#do_compare")
    page.fill("#text textarea", "Plaquette commerciale 12p 800 ex 410,00 EUR")
    page.click("#run")
    page.wait_for_selector("#answer h2")
    page.evaluate("window.scrollTo(0, 0)")
    place = page.locator("#label_part").bounding_box()
    _shot(seen, "result", int(place["y"]))


def main() -> None:
    """Take those pictures whose models are given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keywords", metavar="DIR")
    parser.add_argument("--keyphrases", nargs=2, metavar="DIR")
    parser.add_argument("--runs", nargs=2, metavar="RUN", help="what frtune rate takes")
    parser.add_argument("--report", metavar="DIR")
    parser.add_argument("--board", metavar="FOLDER", help="factures.csv, models/")
    parser.add_argument("--row", type=int, default=0, help="test row to show, from 0")
    chosen = parser.parse_args()
    if chosen.keywords:
        demo([chosen.keywords], chosen.row, "demo_keywords.png", both=False)
    if chosen.keyphrases:
        demo(chosen.keyphrases, chosen.row, "demo_keyphrases.png", both=True)
    if chosen.runs:
        rate(chosen.runs)
    if chosen.report:
        report(chosen.report)
    if chosen.board:
        board(chosen.board)


if __name__ == "__main__":
    main()
