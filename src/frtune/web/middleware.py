"""What stands between a browser and a page: its language, who may ask, and how often one guesses.

Each is a middleware of ASGI (https://asgi.readthedocs.io), which Starlette and FastAPI take.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from pathlib import Path
from typing import Any

from frtune.web.translations import ENGLISH_ALONE, ENGLISH_PATTERNS, LANGUAGES, NAMED, PageLanguage

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_SCRIPT = Path(__file__).with_name("page.js")


def header(scope: Scope, name: bytes) -> str | None:
    """A header of a request; ``None`` without it.

    Example:
        >>> header({"headers": [(b"host", b"localhost")]}, b"host")
        'localhost'
    """
    return next((v.decode("latin-1") for key, v in scope["headers"] if key == name), None)


class LanguageMiddleware:
    """Give the page one language, that of our words: its ``lang``, and Gradio's own words.

    Gradio takes its words from ``navigator.language``, so that a visitor whose language we do not
    have, or another than ``--language``, would read two at once.

    Args:
        app: The page.
        language: The page's words.
    """

    def __init__(self, app: App, *, language: PageLanguage):
        self.app, self.language = app, language
        self.script = _SCRIPT.read_text(encoding="utf-8")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the page in its language."""
        if scope["type"] != "http" or scope["method"] != "GET":
            return await self.app(scope, receive, send)
        language = self.language.of_browser(header(scope, b"accept-language"))
        start: MutableMapping[str, Any] | None = None
        body = b""

        async def sent(message: MutableMapping[str, Any]) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                kind = dict(message["headers"]).get(b"content-type", b"")
                if not kind.startswith(b"text/html"):
                    return await send(message)
                start = message
                return None
            if start is None:
                return await send(message)
            body += message.get("body", b"")
            if not message.get("more_body"):
                page = self.told(body, language)
                kept = [(k, v) for k, v in start["headers"] if k != b"content-length"]
                length = (b"content-length", str(len(page)).encode())
                vary = (b"vary", b"Accept-Language")
                await send({**start, "headers": [*kept, length, vary]})
                await send({"type": "http.response.body", "body": page})
            return None

        await self.app(scope, receive, sent)
        return None

    def told(self, page: bytes, language: str) -> bytes:
        """The page with its language, and our script before any other."""
        place = LANGUAGES.index(language)
        words = {key: texts[place] for key, texts in NAMED.items()}
        patterns: list[tuple[str, str]] = []
        if place:
            words |= {key: texts[place - 1] for key, texts in ENGLISH_ALONE.items()}
            patterns = [(pattern, texts[place - 1]) for pattern, texts in ENGLISH_PATTERNS]
        given = {"Language": language, "Words": words, "Patterns": patterns}
        known = "".join(f"window.frtune{n} = {json.dumps(value)};\n" for n, value in given.items())
        script = f"<script>{known}{self.script}</script>"
        page = page.replace(b'lang="en"', f'lang="{language}"'.encode(), 1)
        return page.replace(b"<head>", b"<head>" + script.encode(), 1)


class HostMiddleware:
    """Refuse requests whose ``Host`` is not a name of this page (DNS rebinding).

    A page of another site could otherwise have its own name point to this machine, and its scripts
    would then read from here what the visitor may read. An address is no such name.

    Args:
        app: The page.
        hosts: Names that are let in beside addresses; ``*.NAME`` stands for all below a name.
    """

    def __init__(self, app: App, *, hosts: Sequence[str]):
        self.app = app
        self.hosts = [host.lower() for host in hosts]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse the name."""
        if scope["type"] == "http" and not self.knows(header(scope, b"host") or ""):
            text = b"This page has another name. Open the address that the command printed."
            kind = (b"content-type", b"text/plain; charset=utf-8")
            await send({"type": "http.response.start", "status": 400, "headers": [kind]})
            return await send({"type": "http.response.body", "body": text})
        return await self.app(scope, receive, send)

    def knows(self, host: str) -> bool:
        """Whether a ``Host`` header, port or not, is let in."""
        name = host_name(host)
        try:
            ipaddress.ip_address(name)
        except ValueError:
            below = (known[1:] for known in self.hosts if known.startswith("*."))
            return name in self.hosts or any(name.endswith(end) for end in below)
        return True


def host_name(host: str) -> str:
    """The name or address of a ``Host`` header, without its port.

    Example:
        >>> host_name("LOCALHOST:7860"), host_name("[::1]:7860"), host_name("127.0.0.1")
        ('localhost', '::1', '127.0.0.1')
    """
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower().rstrip(".")


class SignInMiddleware:
    """Let each wrong password cost its sender time: twice as much as the one before, 30 s at most.

    A sender's attempts take their turn, so that many at once are no faster. After ten minutes
    without one, or a right password, it begins anew.

    Args:
        app: The page.
        first_seconds: What follows the third wrong password.
        most_seconds: The longest wait.
        sleep: What waits.
    """

    forgotten_seconds = 600.0
    free = 3  # wrong ones before the first wait: people mistype
    most_senders = 10_000  # of whom something is remembered

    def __init__(
        self,
        app: App,
        *,
        first_seconds: float = 1.0,
        most_seconds: float = 30.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ):
        self.app, self.first_seconds, self.most_seconds = app, first_seconds, most_seconds
        self.sleep = sleep
        self.wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self.turns: dict[str, tuple[asyncio.Lock, int]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, after a wait where one is due."""
        path = str(scope.get("path", "")).rstrip("/")
        if scope["type"] != "http" or scope["method"] != "POST" or not path.endswith("/login"):
            return await self.app(scope, receive, send)
        sender = (scope.get("client") or ("?",))[0]
        lock, waiting = self.turns.get(sender, (asyncio.Lock(), 0))
        self.turns[sender] = lock, waiting + 1
        try:
            async with lock:
                await self._attempt(sender, scope, receive, send)
        finally:
            lock, waiting = self.turns[sender]
            if waiting > 1:
                self.turns[sender] = lock, waiting - 1
            else:
                del self.turns[sender]
        return None

    async def _attempt(self, sender: str, scope: Scope, receive: Receive, send: Send) -> None:
        count, last = self.wrong.get(sender, (0, 0.0))
        if time.monotonic() - last > self.forgotten_seconds:
            count = 0
        if count >= self.free:
            wait = self.first_seconds * 2 ** min(count - self.free, 30)
            await self.sleep(min(wait, self.most_seconds))

        async def sent(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                self.wrong.pop(sender, None)
                if message["status"] >= 400:
                    self.wrong[sender] = count + 1, time.monotonic()
                    if len(self.wrong) > self.most_senders:
                        self.wrong.popitem(last=False)
            await send(message)

        await self.app(scope, receive, sent)
