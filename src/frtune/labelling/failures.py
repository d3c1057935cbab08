"""What a failed request means: asked again, refused for one text, or the end of the run."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

from frtune.labelling.endpoint import Endpoint
from frtune.labelling.replies import PAGE_OR_XML, ReplyError, address_advice, shortened

LONGEST_WAIT = 900.0  # seconds that a server may ask for
_NEVER_SENT = ("ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol")


class Failure(NamedTuple):
    """A try that brought no answer.

    Args:
        kind: ``rate_limit``, ``server_error``, ``timeout``, ``connection``, ``malformed``,
            ``refused`` or ``fatal``.
        detail: For people; without the key.
        charged: Whether the provider may have charged for it.
        wait: Seconds that the server asks to wait, or ``None``.
        status: The HTTP status, or ``None``.
        said: All that the server said, in lower case.
    """

    kind: str
    detail: str
    charged: bool = False
    wait: float | None = None
    status: int | None = None
    said: str = ""


def failure_of(error: Exception, endpoint: Endpoint, hide: Callable[[str], str]) -> Failure:
    """Say what an error of the client means; an error that is none of its own is raised.

    Args:
        error: What was raised.
        endpoint: Who was asked.
        hide: Takes the key out of a text.
    """
    import openai

    if isinstance(error, openai.APIStatusError):
        said = error.body or error.response.text or error.message
        headers = error.response.headers
        return _of_status(error.status_code, said, endpoint, hide, headers)
    if isinstance(error, ReplyError):
        if error.status is not None:
            return _of_status(error.status, error.error, endpoint, hide, {})
        return Failure("malformed", error.detail, charged=True, said=error.detail.lower())
    never_sent = type(error.__cause__).__name__ in _NEVER_SENT
    if isinstance(error, (asyncio.TimeoutError, openai.APITimeoutError)):
        detail = f"no answer within {endpoint.timeout_seconds:g} s (--timeout-seconds)"
        return Failure("timeout", detail, charged=not never_sent)
    if isinstance(error, openai.APIConnectionError):
        what = "cannot be reached" if never_sent else "cut the connection"
        # a certificate, a name, an encoding
        why = shortened(str(error.__cause__ or ""), hide).rstrip(".")
        detail = f"{endpoint.base_url} {what}" + (f" ({why})" if why else "")
        return Failure("connection", detail, charged=not never_sent)
    raise error


def _of_status(
    status: int,
    said: Any,
    endpoint: Endpoint,
    hide: Callable[[str], str],
    headers: Mapping[str, str],
) -> Failure:
    inner = said if isinstance(said, dict) else {}
    message = str(inner.get("message") or inner.get("detail") or said)
    message = f"{status}: {shortened(message, hide)}"
    if 300 <= status < 400:
        return Failure("fatal", _redirected(status, headers.get("location", ""), endpoint, hide))
    if status == 403 and PAGE_OR_XML.match(str(said)):
        return Failure(
            "fatal", f"{endpoint.base_url}: refuses ({message}). {address_advice(endpoint)}"
        )
    if status in (401, 403):
        if not endpoint.read_key():
            return Failure(
                "fatal",
                f"{endpoint.base_url}: wants a key ({message}). Export it, and name its variable "
                f"with --key-env (now {endpoint.key_env}).",
            )
        return Failure(
            "fatal",
            f"{endpoint.key_env}: {endpoint.base_url} refuses the key ({message}). "
            "Check the key and what it may do.",
        )
    if status in (404, 405):
        lacks = address_advice(endpoint)
        advice = lacks if "lack" in lacks else "Check --base-url and --model."
        return Failure(
            "fatal",
            f"{endpoint.base_url}: knows no such address or no model {endpoint.model} "
            f"({message}). {advice}",
        )
    if status == 402 or inner.get("code") == "insufficient_quota":
        return Failure("fatal", f"{endpoint.base_url}: the account is used up ({message}).")
    known = {"status": status, "said": str(said).lower()}
    if status in (408, 409, 429) or status >= 500:
        kind, wait = "rate_limit" if status == 429 else "server_error", retry_after(headers)
        if (wait or 0.0) > LONGEST_WAIT:
            message += f"; it asks to wait for {wait:,.0f} s"
        return Failure(kind, message, wait=wait, **known)
    return Failure("refused", message, **known)


def _redirected(status: int, location: str, endpoint: Endpoint, hide: Callable[[str], str]) -> str:
    """Where a redirection leads, and the base address that it means if it leads to the same API."""
    asked = f"{endpoint.base_url.rstrip('/')}/chat/completions"
    to = urlsplit(urljoin(asked, location))
    base, ours, rest = to.path.partition("/chat/completions")
    base = f"{to.scheme}://{to.netloc}{base}"
    is_api = ours and not rest.strip("/") and base != endpoint.base_url.rstrip("/")
    shown = shortened(f"{to.scheme}://{to.netloc}{to.path}", hide)  # a query may hold secrets
    advice = f"Pass --base-url {base}." if is_api else address_advice(endpoint)
    return f"{endpoint.base_url}: leads to {shown} (status {status}). {advice}"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that ``Retry-After`` (seconds or a date) or ``retry-after-ms`` asks to wait.

    Example:
        >>> retry_after({"retry-after": "1.5"}), retry_after({"retry-after-ms": "250"})
        (1.5, 0.25)
        >>> retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}), retry_after({})
        (0.0, None)
    """
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            seconds = float(value) * unit
        except ValueError:
            try:
                date = parsedate_to_datetime(value)
            except ValueError:
                continue
            if date.tzinfo is None:
                date = date.replace(tzinfo=timezone.utc)
            seconds = (date - datetime.now(timezone.utc)).total_seconds()
        if math.isfinite(seconds):
            return max(0.0, seconds)
    return None
