"""What the commands that serve a page share: their options, and serving it."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from frtune.cli.arguments import Parser, made, options_of
from frtune.tasks.highlight import CSS
from frtune.web.launch import Server, private_folder, start
from frtune.web.sign_in import read_auth
from frtune.web.translations import LANGUAGES, PageLanguage


@dataclass(frozen=True)
class PageOptions:
    """How a page speaks, and who may open it.

    Attributes:
        language: Of the page (default: as the browser asks).
        auth: Ask for this user, and the password in the environment variable FRTUNE_PASSWORD;
            USER:PASSWORD shows in the process list.
        auth_file: Ask for one of the users in this file, a line USER:PASSWORD for each.
    """

    language: str | None = field(default=None, metadata={"choices": LANGUAGES})
    auth: str | None = field(default=None, metadata={"metavar": "USER"})
    auth_file: str | None = field(default=None, metadata={"metavar": "FILE"})


def add_page_options(parser: Parser, *, without: Sequence[str] = ()) -> None:
    """Add the options of a page to a command's parser, but for some that it has of its own."""
    shown = ["language", "host", "port", "share", "auth", "auth_file", "allowed_hosts"]
    options = options_of(Server) | options_of(PageOptions)
    parser.add_options("page", options, [name for name in shown if name not in without])


def server_of(chosen: argparse.Namespace, *, max_file_bytes: int = Server.max_file_bytes) -> Server:
    """The server that the options ask for."""
    auth = read_auth(chosen.auth, chosen.auth_file)
    return made(Server, chosen, auth=auth, max_file_bytes=max_file_bytes)


def serve_page(
    build: Callable[[], Any],
    server: Server,
    language: PageLanguage,
    *,
    may: str,
    name: str = "",
    footer: Sequence[str] = (),
    css: str = CSS,
) -> None:
    """Serve a page until Ctrl-C or SIGTERM, and print where it is."""
    if server.is_open:
        warning = f"everyone who reaches this page can {may}; --auth asks for a password"
        sys.stderr.write(f"frtune: {warning}\n")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the folder goes then too
    with private_folder(), contextlib.closing(build()) as page:
        for address in filter(None, start(page, server, language, css=css, footer=footer)):
            print(f"{name}{address} (Ctrl-C ends it)", flush=True)
        page.block_thread()
