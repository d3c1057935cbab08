"""A server process: its socket, its signals, and a stop that answers what it has taken."""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uvicorn

from frtune.errors import InputError
from frtune.http_api.app import build_app
from frtune.http_api.gate import Gate, keys_from_environment
from frtune.http_api.measures import Measures
from frtune.http_api.models import open_models
from frtune.http_api.settings import BatchSettings, Limits, ServerSettings
from frtune.web.launch import LOOPBACK

logger = logging.getLogger(__name__)


def serve(
    directories: Sequence[str | Path],
    settings: ServerSettings,
    *,
    limits: Limits,
    batching: BatchSettings,
    **options: Any,
) -> None:
    """Open the models and answer requests until SIGTERM or Ctrl-C.

    Args:
        directories: What ``frtune train`` left.
        settings: Where.
        limits: What a request may hold.
        batching: How requests are put together.
        options: Of ``frtune.load``.

    Raises:
        InputError: If the address cannot be listened on, a directory holds no model, or a key is
            too short.
    """
    keys = keys_from_environment()
    with _bound(settings) as listener:
        measures = Measures()
        models = open_models(
            directories, limits=limits, batching=batching, seen=measures.batch, **options
        )
        if not keys and settings.host not in LOOPBACK:
            logger.warning(
                "everyone who reaches this server can use it; FRTUNE_API_KEYS asks for a key"
            )
        gate = Gate(
            build_app(models, measures), keys=keys,
            hosts=[*settings.allowed_hosts, settings.host, socket.gethostname()],
            max_body_bytes=int(limits.max_body_mb * 1e6),
        )  # fmt: skip
        config = uvicorn.Config(
            gate, log_config=None, log_level="warning", access_log=False, server_header=False,
            proxy_headers=False, ws="none", timeout_graceful_shutdown=settings.stop_seconds,
        )  # fmt: skip
        for signum in (signal.SIGTERM, signal.SIGINT):
            # uvicorn sends the signal again once it has stopped; it has been obeyed by then
            signal.signal(signum, lambda *_: None)
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        where = f"http://{host}:{listener.getsockname()[1]}/"
        print(f"{', '.join(models)}: {where} (Ctrl-C ends it)", flush=True)  # noqa: T201
        uvicorn.Server(config).run(sockets=[listener])


def _bound(settings: ServerSettings) -> socket.socket:
    """A socket that has the address, before the models are opened; it does not listen yet."""
    try:
        family, *_, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        found = socket.socket(family, socket.SOCK_STREAM)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
    except OSError as error:
        where = f"--host {settings.host} --port {settings.port}"
        raise InputError(f"{where}: cannot be listened on ({error}). Name another.") from None
    return found
