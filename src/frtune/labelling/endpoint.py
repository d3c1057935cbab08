"""Where the model is, and the key that is never written anywhere."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args
from urllib.parse import parse_qs, urlsplit

from frtune.errors import InputError

_OURS = ("model", "messages", "stream", "n", "max_tokens", "max_completion_tokens")

_PRIVATE = (".localhost", ".local", ".internal", ".lan", ".home.arpa")
_BEYOND = re.compile(r"(/chat|(?:/chat)?/completions|/models|/responses|/embeddings)/*\Z")
ResponseFormat = Literal["auto", "json_schema", "text"]


@dataclass(frozen=True)
class Endpoint:
    """An OpenAI-compatible endpoint (``POST BASE_URL/chat/completions``).

    The key is read from the environment when it is needed and is no part of this object.

    Attributes:
        base_url: Up to what stands before ``/chat/completions``: ``http://localhost:8000/v1``.
        model: The model's name there.
        key_env: Environment variable with the key, or none for a server without a key; it may be
            unset for addresses of a private network.
        concurrency: Requests under way at once.
        timeout_seconds: Longest wait for an answer.
        retries: Further tries after 408, 409, 429, 5xx, time-outs and cut connections; two of them
            after replies that are no answers.
        backoff_seconds: Wait before the first of them; doubled each time, 60 s at most. A
            ``Retry-After`` of the server's is kept instead.
        parameters: What else to send: temperature, top_p, seed, ...
        max_output_tokens: Longest answer; part of each request.
        output_limit_name: The limit's name in the request; max_completion_tokens is taken by itself
            where the server wants it.
        response_format: auto asks for JSON of a schema, where the server takes one; json_schema
            insists on it; text asks for none.
        api_version: Azure's api-version; the key then goes as Azure wants it.

    Example:
        >>> Endpoint("http://localhost:8000/v1", "tiny").is_loopback
        True
    """

    base_url: str
    model: str
    key_env: str = "OPENAI_API_KEY"
    concurrency: int = 8
    timeout_seconds: float = 60.0
    retries: int = 6
    backoff_seconds: float = 0.5
    parameters: Mapping[str, Any] = field(default_factory=lambda: {"temperature": 0})
    max_output_tokens: int = 256
    output_limit_name: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    response_format: ResponseFormat = "auto"
    api_version: str | None = None

    def __post_init__(self):
        self._check_url()
        if not self.model.strip():
            raise InputError("model='': the model's name at the endpoint.")
        for name in ("concurrency", "max_output_tokens"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}={getattr(self, name)}: at least 1.")
        for name in ("timeout_seconds", "backoff_seconds"):
            if not 0 < getattr(self, name) < float("inf"):
                raise InputError(f"{name}={getattr(self, name)}: above 0.")
        if self.retries < 0:
            raise InputError(f"retries={self.retries}: 0 or more.")
        if self.output_limit_name not in ("max_tokens", "max_completion_tokens"):
            raise InputError(
                f"output_limit_name={self.output_limit_name!r}: max_tokens or "
                "max_completion_tokens."
            )
        if self.response_format not in get_args(ResponseFormat):
            raise InputError(
                f"response_format={self.response_format!r}: {', '.join(get_args(ResponseFormat))}."
            )
        if self.api_version is not None and not re.fullmatch(r"[\w.-]+", self.api_version):
            raise InputError(f"api_version={self.api_version!r}: such as 2024-10-21.")
        if not isinstance(self.parameters, Mapping):
            raise InputError('parameters: an object, such as {"temperature": 0}.')
        if ours := [name for name in _OURS if name in self.parameters]:
            raise InputError(f"parameters: {ours[0]} is set by frtune. Leave it out.")

    def _check_url(self) -> None:
        """Refuse what is no address, or holds a secret; the address itself is not repeated."""
        try:
            parts = urlsplit(self.base_url)
            whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
            whole = whole and not re.search(r"\s", self.base_url)
        except ValueError:
            whole = False
        if not whole:
            raise InputError("base_url: is no address. Pass http://localhost:8000/v1, for example.")
        if beyond := _BEYOND.search(parts.path):
            raise InputError(f"base_url: leave {beyond[1]} out; requests add /chat/completions.")
        if list(parse_qs(parts.query)) == ["api-version"] and not parts.username:
            raise InputError("base_url: pass what stands behind ?api-version= as --api-version.")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise InputError(
                "base_url: holds a name, a password or a query. Put the key into the environment "
                f"variable {self.key_env}."
            )

    @property
    def is_loopback(self) -> bool:
        """Whether the endpoint is on this machine."""
        host = urlsplit(self.base_url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost" or host.endswith(".localhost")

    @property
    def is_private(self) -> bool:
        """Whether the endpoint is on this machine, or in a network of one's own.

        Example:
            >>> urls = "http://10.0.0.5:8000/v1", "http://vllm:8000/v1", "https://example.org/v1"
            >>> [Endpoint(url, "m").is_private for url in urls]
            [True, True, False]
        """
        host = urlsplit(self.base_url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_private
        except ValueError:
            return "." not in host or host.endswith(_PRIVATE)

    def read_key(self) -> str:
        """Read the key from the environment; ``""`` when there is none and none is needed.

        Raises:
            InputError: If it is missing, or holds what no header can; never with its value.
        """
        if self.key_env.casefold() == "none":
            return ""
        key = os.environ.get(self.key_env, "").strip()
        if not key and not self.is_private:
            raise InputError(
                f"{self.key_env}: is not set. Export the key under this name, name another "
                "variable with --key-env, or pass --key-env none for a server without a key."
            )
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise InputError(f"{self.key_env}: holds characters that no key has. Set it again.")
        return key
