"""Take the pictures of the demo, of the rating page and of a run's report, in headless Chromium.

Usage: python docs/images/take_pictures.py --keywords DIR --keyphrases DIR DIR --runs RUN RUN
    --report DIR

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


def main() -> None:
    """Take those pictures whose models are given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keywords", metavar="DIR")
    parser.add_argument("--keyphrases", nargs=2, metavar="DIR")
    parser.add_argument("--runs", nargs=2, metavar="RUN", help="what frtune rate takes")
    parser.add_argument("--report", metavar="DIR")
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


if __name__ == "__main__":
    main()
