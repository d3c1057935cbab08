"""Headless Chromium of the system, for the tests marked ``browser``."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlparse

import pytest

# every text that can be seen or is read out: texts, labels, placeholders, tool tips
STRINGS = """() => {
    const found = new Set(), add = text => text?.trim() && found.add(text.trim());
    const shown = part => part.checkVisibility({visibilityProperty: true});
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode())
        if (shown(walker.currentNode.parentElement)
            && !walker.currentNode.parentElement.closest("script, style"))
            add(walker.currentNode.data);
    for (const part of document.querySelectorAll("body *"))
        if (shown(part)) {
            for (const name of ["aria-label", "placeholder", "title", "alt"])
                add(part.getAttribute(name));
            if (part.matches("input:not([type=radio]):not([type=checkbox])")) add(part.value);
        }
    return [...found];
}"""


# what reaches beyond the window, and boxes whose content is wider than they are
WIDE = """within => {
    const found = [], told = part => `${part.tagName} ${part.className} ${part.id}`;
    for (const part of document.querySelector(within).querySelectorAll("*")) {
        const box = part.getBoundingClientRect();
        if (!part.checkVisibility() || !box.width || part.closest("svg, select")) continue;
        if (box.right > document.documentElement.clientWidth + 1) found.push(told(part));
        else if (["auto", "scroll"].includes(getComputedStyle(part).overflowX)
            && part.scrollWidth > part.clientWidth + 1) found.push(`${told(part)} scrolls`);
    }
    return found;
}"""

# what has the focus, if no ring is around it; "" where one is, and null beyond the page
RING = """() => {
    const part = document.activeElement, style = getComputedStyle(part);
    if (part === document.body) return null;
    const ring = style.outlineStyle === "solid" && parseFloat(style.outlineWidth) >= 2
        && style.outlineColor === style.color;
    return ring ? "" : `${part.tagName} ${part.className} ${style.outline}`;
}"""


@dataclass
class Visit:
    """A page, and what it did: hosts it asked, dialogs it opened."""

    page: Any
    hosts: set[str] = field(default_factory=set)
    dialogs: list[str] = field(default_factory=list)

    def strings(self) -> set[str]:
        """Every text that can be seen on the page, or is read out."""
        return set(self.page.evaluate(STRINGS))

    def wide(self, within: str = "body") -> list[str]:
        """The elements that are wider than the window, or than the box that they stand in."""
        return self.page.evaluate(WIDE, within)

    def rings(self, most: int = 60) -> list[str]:
        """Go through the page by Tab: an element each, named where no ring of 2 px is seen."""
        found = []
        for _ in range(most):
            self.page.keyboard.press("Tab")
            self.page.wait_for_timeout(50)
            told = self.page.evaluate(RING)
            if told is None:
                break
            found.append(told)
        else:
            raise AssertionError("the focus does not leave the page")
        return found

    def choose(self, field: str, option: str) -> None:
        """Choose an option of a drop-down."""
        self.page.click(f"{field} input")
        self.page.locator(field).get_by_role("option", name=option, exact=True).click()

    def upload(self, path: Any) -> None:
        """Upload a file, and wait until the page has it.

        Its name whole is shown for as long as it is on its way, and in two parts from then on.
        """
        self.page.set_input_files("#upload input[type=file]", path)
        self.page.wait_for_selector("#upload .file-preview")


@contextlib.contextmanager
def visit(address: str, locale: str = "en-US", **settings: Any) -> Iterator[Visit]:
    """Open ``address`` in a new browser of a user who speaks ``locale``."""
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install 'frtune[browser]'")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser",
                                                   "google-chrome"))), None)  # fmt: skip
    if program is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu"]
        )
        settings = {"viewport": {"width": 1000, "height": 800}, **settings}
        page = browser.new_context(locale=locale, **settings).new_page()
        page.set_default_timeout(60_000)
        seen = Visit(page)
        # data: and blob: addresses have no host
        page.on("request", lambda request: seen.hosts.add(urlparse(request.url).hostname or ""))
        page.on("dialog", lambda dialog: (seen.dialogs.append(dialog.message), dialog.dismiss()))
        page.goto(address)
        yield seen
        browser.close()
