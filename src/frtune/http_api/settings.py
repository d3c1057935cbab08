"""The settings of a server."""

from __future__ import annotations

from dataclasses import dataclass, field

from frtune.ranges import check_fields


@dataclass(frozen=True)
class ServerSettings:
    """Where the API is served.

    Attributes:
        host: Address to listen on: of this machine alone; 0.0.0.0 lets the network in.
        port: Where it listens.
        allowed_hosts: Names that it may be called by, besides localhost and numbers.
        stop_seconds: At SIGTERM or Ctrl-C, requests have so long to be answered.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    allowed_hosts: list[str] = field(default_factory=list, metadata={"metavar": "NAME"})
    stop_seconds: int = 25

    def __post_init__(self):
        check_fields(self)


@dataclass(frozen=True)
class Limits:
    """What a request may hold.

    Attributes:
        max_characters: Longest text, title and pair counted together.
        max_texts: Texts of one request.
        max_body_mb: Largest request in MB.
    """

    max_characters: int = 20_000
    max_texts: int = 64
    max_body_mb: float = 4.0

    def __post_init__(self):
        check_fields(self)


@dataclass(frozen=True)
class BatchSettings:
    """How requests are put together.

    Attributes:
        batch_tokens: Tokens computed at once, padding included; 1 computes each text alone.
        batch_wait_ms: How long a batch waits for the requests that came together last time. One
            that comes alone does not wait.
        max_waiting: Texts that may wait for a model; further requests are refused (429).
    """

    batch_tokens: int = 8192
    batch_wait_ms: float = 4.0
    max_waiting: int = 1024

    def __post_init__(self):
        check_fields(self)
