"""Starting a page: on this machine alone unless told otherwise, and with nothing from outside."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any

from frtune.errors import InputError
from frtune.files import draft_folder
from frtune.web.middleware import HostMiddleware, LanguageMiddleware, SignInMiddleware
from frtune.web.translations import PageLanguage

if TYPE_CHECKING:
    from gradio import Blocks

LOOPBACK = ("127.0.0.1", "localhost", "::1")
# what opens a window, keeps something or tells more; environment variables cannot turn it on
_OFF = dict.fromkeys(
    ("inbrowser", "inline", "ssr_mode", "mcp_server", "pwa", "run_history", "enable_monitoring"),
    False,
)


# Gradio keeps a table of requests, and works all of it out again after each, for a page of its own
_SETTINGS = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "GRADIO_ANALYTICS_MAX_EVENTS": "10",
    "GRADIO_ANALYTICS_CACHE_FREQUENCY": "1000000000",
}
_VISITORS = 500  # whose page is remembered, 80 kB each; those seen longest ago are forgotten first


@dataclass(frozen=True)
class Server:
    """Where a page is served, and to whom.

    Attributes:
        host: Address to listen on: of this machine alone; 0.0.0.0 lets the network in.
        port: Where it listens (default: the first free one from 7860 on).
        share: Also open a public address through Gradio's servers: texts and answers pass through
            them.
        auth: Pairs of user and password; ``None`` lets everyone in.
        max_file_bytes: Largest upload.
        allowed_hosts: Names, besides its address, under which others open the page, as behind a
            proxy; *.NAME stands for all below one.
        waiting: How many requests may wait; further ones are refused.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    share: bool = False
    auth: list[tuple[str, str]] | None = None
    max_file_bytes: int = 10 * 2**20
    allowed_hosts: list[str] = field(default_factory=list, metadata={"metavar": "NAME"})
    waiting: int = 1_000

    @property
    def is_open(self) -> bool:
        """Whether others than the users of this machine reach it, without a password."""
        return self.auth is None and (self.share or self.host not in LOOPBACK)

    @property
    def names(self) -> list[str]:
        """The names under which the page may be opened, besides addresses."""
        found = ["localhost", self.host, *self.allowed_hosts]
        found += [] if self.host in LOOPBACK else [socket.gethostname(), socket.getfqdn()]
        return found + (["*.gradio.live"] if self.share else [])


def load_gradio() -> ModuleType:
    """Import Gradio, with its telemetry off.

    Raises:
        ImportError: If it is missing; names the extra.
    """
    os.environ.update(_SETTINGS)
    try:
        import gradio
    except ImportError as error:
        raise ImportError("The page needs Gradio: pip install 'frtune[demo]'.") from error
    return gradio


@contextlib.contextmanager
def private_folder() -> Iterator[None]:
    """Keep what visitors upload and download in a folder that goes when the page does.

    Pages must be built and served inside.
    """
    before = os.environ.get("GRADIO_TEMP_DIR")
    with draft_folder() as folder:
        os.environ["GRADIO_TEMP_DIR"] = str(folder)
        try:
            yield
        finally:
            del os.environ["GRADIO_TEMP_DIR"]
            if before is not None:
                os.environ["GRADIO_TEMP_DIR"] = before


def start(
    page: Blocks, server: Server, language: PageLanguage, *, css: str = "", footer: Any = ()
) -> tuple[str, str | None]:
    """Serve ``page`` in the background; ``page.close()`` ends it.

    What environment variables could turn on (sharing, tools, history, other folders) is off.

    Returns:
        Its local address, and its public one if it is shared.

    Raises:
        InputError: If the port is taken, or the address is none of this machine.
    """
    gradio = load_gradio()
    from starlette.middleware import Middleware  # Gradio stands on it

    page.queue(max_size=server.waiting, default_concurrency_limit=1)
    try:
        _, local, public = page.launch(
            server_name=server.host,
            server_port=server.port,
            share=server.share,
            auth=list(server.auth) if server.auth else None,
            max_file_size=server.max_file_bytes,
            i18n=language.i18n,
            theme=gradio.themes.Base(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
            css=css,
            footer_links=list(footer),
            prevent_thread_lock=True,
            quiet=True,
            allowed_paths=[],
            state_session_capacity=_VISITORS,
            app_kwargs={
                "middleware": [
                    Middleware(HostMiddleware, hosts=server.names),
                    Middleware(SignInMiddleware),
                    Middleware(LanguageMiddleware, language=language),
                ]
            },
            **_OFF,
        )
    except (OSError, ValueError) as error:
        where = f"--host {server.host}" + (f" --port {server.port}" if server.port else "")
        raise InputError(f"{where}: cannot be listened on ({error}). Name another.") from None
    return local, public
