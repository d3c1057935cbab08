"""What a request must pass before it is read: the host it names, its key, its size."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import os
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from frtune.errors import InputError
from frtune.files import json_text
from frtune.http_api.problems import Problem

KEYS_VARIABLE = "FRTUNE_API_KEYS"
SHORTEST_KEY = 16
OPEN_PATHS = ("/health", "/ready", "/docs", "/openapi.json")  # that need no key
BODY_SECONDS = 30.0  # in which a request must have come
# of a body that is too large so much is read, as multiples of the limit, and dropped: many clients
# read no response before they have sent all
_READ = 8
_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'"),
]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def keys_from_environment() -> list[bytes]:
    """The hashes of the keys in ``FRTUNE_API_KEYS``, which blanks or commas separate; maybe none.

    Raises:
        InputError: If one is so short that it could be guessed; it is not repeated.
    """
    words = re.split(r"[\s,]+", os.environ.get(KEYS_VARIABLE, "").strip())
    keys = [word for word in words if word]
    if KEYS_VARIABLE in os.environ and not keys:
        raise InputError(f"{KEYS_VARIABLE}: is empty. Put keys into it, or unset it.")
    for number, key in enumerate(keys, start=1):
        if len(key) < SHORTEST_KEY:
            raise InputError(
                f"{KEYS_VARIABLE}: key {number} has {len(key)} characters. Take at least "
                f"{SHORTEST_KEY}; openssl rand -hex 32 makes one."
            )
    return [_hashed(key.encode()) for key in keys]


def _hashed(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


class Gate:
    """An ASGI application in front of another.

    Args:
        app: What answers.
        keys: Hashes of the keys that may ask; none lets everyone in.
        hosts: Names that the server may be called by, besides ``localhost`` and any address in
            numbers. A page elsewhere can point a name of its own at this machine, but no number.
        max_body_bytes: Largest request.
    """

    def __init__(self, app: App, *, keys: list[bytes], hosts: Iterable[str], max_body_bytes: int):
        self.app, self.keys, self.max_body_bytes = app, keys, max_body_bytes
        self.hosts = {"localhost", *(host.lower() for host in hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on with its body."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
                return
            await self.app(scope, receive, send)
            return

        async def send_safely(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        try:
            headers = {name: value for name, value in scope["headers"]}
            self._check_host(headers.get(b"host", b""))
            if scope["path"] not in OPEN_PATHS:
                self._check_key(headers.get(b"authorization", b""))
            body = await self._body(headers.get(b"content-length"), receive)
        except Problem as problem:
            await _refuse(problem, send_safely)
            return
        given = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive_body() -> MutableMapping[str, Any]:
            return next(given, None) or await receive()

        await self.app(scope, receive_body, send_safely)

    def _check_host(self, host: bytes) -> None:
        name = re.sub(r":\d+$", "", host.decode("latin-1").strip().lower())
        if name in self.hosts:
            return
        try:
            ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
        except ValueError:
            raise Problem(
                "bad_host",
                "The Host header names none of this server's hosts. --allowed-hosts adds one.",
            ) from None

    def _check_key(self, authorization: bytes) -> None:
        if not self.keys:
            return
        scheme, _, key = authorization.partition(b" ")
        given = _hashed(key.strip())
        # all of them are compared, each in a time that does not hang on where they differ
        fits = [hmac.compare_digest(given, known) for known in self.keys]
        if scheme.lower() != b"bearer" or not any(fits):
            raise Problem(
                "no_key",
                "Send the header Authorization: Bearer KEY with one of the server's keys.",
                {"WWW-Authenticate": "Bearer"},
            )

    async def _body(self, length: bytes | None, receive: Receive) -> bytes:
        """The whole body; one that is too large is refused, and never in memory."""
        parts, size = [], 0
        large = length is not None and length.isdigit() and int(length) > self.max_body_bytes
        end = asyncio.get_running_loop().time() + BODY_SECONDS
        while True:
            left = end - asyncio.get_running_loop().time()
            try:
                message = await asyncio.wait_for(receive(), left)
            except (asyncio.TimeoutError, TimeoutError):
                raise (
                    self._too_large()
                    if large
                    else Problem(
                        "body_too_slow", f"The request took longer than {BODY_SECONDS:g} s to come."
                    )
                ) from None
            part = message.get("body", b"")
            size, large = size + len(part), large or size + len(part) > self.max_body_bytes
            if large:
                parts.clear()
            else:
                parts.append(part)
            if not message.get("more_body", False) or size > _READ * self.max_body_bytes:
                if large:
                    raise self._too_large()
                return b"".join(parts)

    def _too_large(self) -> Problem:
        most = self.max_body_bytes / 1e6
        return Problem(
            "body_too_large", f"The request has more than {most:g} MB. Send several requests.",
            {"Connection": "close"},
        )  # fmt: skip


async def _refuse(problem: Problem, send: Send) -> None:
    body = json_text(problem.content()).encode()
    headers = {"content-type": "application/json", "content-length": str(len(body))}
    headers |= problem.headers
    await send(
        {
            "type": "http.response.start",
            "status": problem.status,
            "headers": [(name.lower().encode(), text.encode()) for name, text in headers.items()],
        }
    )
    await send({"type": "http.response.body", "body": body})
