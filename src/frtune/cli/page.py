"""The options of a command that serves a page."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field

from frtune.cli.arguments import Parser, made, options_of
from frtune.errors import InputError
from frtune.web.launch import Server
from frtune.web.sign_in import read_auth
from frtune.web.translations import LANGUAGES


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


def add_page_options(parser: Parser) -> None:
    """Add the options of a page to a command's parser."""
    options = options_of(Server) | options_of(PageOptions)
    names = ["language", "host", "port", "share", "auth", "auth_file"]
    parser.add_options("page", options, names)


def server_of(chosen: argparse.Namespace, *, max_file_bytes: int = Server.max_file_bytes) -> Server:
    """The server that the options ask for."""
    if chosen.port is not None and not 0 < chosen.port < 65536:
        raise InputError(f"--port {chosen.port}: from 1 to 65535.")
    auth = read_auth(chosen.auth, chosen.auth_file)
    return made(Server, chosen, auth=auth, max_file_bytes=max_file_bytes)
