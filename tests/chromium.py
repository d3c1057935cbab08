"""Headless Chromium of the system, for the tests marked ``browser``."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlparse

import pytest


@dataclass
class Visit:
    """A page, and what it did: hosts it asked, dialogs it opened."""

    page: Any
    hosts: set[str] = field(default_factory=set)
    dialogs: list[str] = field(default_factory=list)

    def choose(self, field: str, option: str) -> None:
        """Choose an option of a drop-down."""
        self.page.click(f"{field} input")
        self.page.get_by_role("option", name=option, exact=True).click()


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
        page.set_default_timeout(90_000)
        seen = Visit(page)
        # data: and blob: addresses have no host
        page.on("request", lambda request: seen.hosts.add(urlparse(request.url).hostname or ""))
        page.on("dialog", lambda dialog: (seen.dialogs.append(dialog.message), dialog.dismiss()))
        page.goto(address)
        yield seen
        browser.close()
