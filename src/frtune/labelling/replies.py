"""What a server replied: an answer and its tokens, or what is wrong and what to change."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from frtune.labelling.budget import Tokens
from frtune.labelling.chat_markup import PAGE
from frtune.labelling.chat_message import finish_of, refusal_of, text_of
from frtune.labelling.endpoint import Endpoint
from frtune.labelling.store import Answer

SHOWN = 200  # characters of a reply
_SECRET = re.compile(
    r"\b(?:sk|pk|gsk|hf|xai|api|key)[-_][\w-]{8,}|(?<=Bearer )[^\s\"']+", re.IGNORECASE
)
PAGE_OR_XML = re.compile(rf"{PAGE.pattern}|\s*<\?xml\b", re.IGNORECASE)
_STREAM = re.compile(r"\s*(?:data|event|id|retry|):")


class ReplyError(Exception):
    """A reply that is no answer.

    Attributes:
        detail: What it is, its beginning, and what to change.
        status: The HTTP status that its error names, if it does.
        error: The error of a reply that reports one.
    """

    def __init__(self, detail: str, *, status: int | None = None, error: Any = None):
        super().__init__(detail)
        self.detail, self.status, self.error = detail, status, error


def shortened(text: str, hide: Callable[[str], str]) -> str:
    r"""The beginning of what a server said on one line, keys hidden.

    Example:
        >>> shortened("no such\nkey: sk-123456789", str)
        'no such key: (key)'
    """
    whole = " ".join(text.encode(errors="replace").decode().split())  # halves of UTF-16 pairs
    return _SECRET.sub("(key)", hide(whole))[:SHOWN]


def address_advice(endpoint: Endpoint) -> str:
    """What to change in an address that leads to something else.

    Example:
        >>> address_advice(Endpoint("http://localhost:8000", "m"))
        'Does --base-url lack /v1? Try http://localhost:8000/v1.'
    """
    path = urlsplit(endpoint.base_url).path
    lacks = "/openai" if endpoint.api_version else "/v1"
    if (lacks in path) if endpoint.api_version else re.search(r"/v\d", path, re.IGNORECASE):
        return "Check --base-url: a login page or a proxy may stand before the server."
    return f"Does --base-url lack {lacks}? Try {endpoint.base_url.rstrip('/')}{lacks}."


def read_reply(
    text: str, endpoint: Endpoint, *, limit: int, hide: Callable[[str], str]
) -> tuple[Answer, Tokens | None]:
    """Answer and tokens of a reply with status 200.

    Args:
        text: The body.
        endpoint: Who replied.
        limit: The most tokens that were asked for.
        hide: Takes the key out.

    Raises:
        ReplyError: If it is no completion.
    """
    try:
        reply = json.loads(text)
    except (ValueError, RecursionError):
        raise ReplyError(_not_json(text, endpoint, hide)) from None
    error = reply.get("error") if isinstance(reply, dict) else None
    choices = reply.get("choices") if isinstance(reply, dict) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    choice = first if isinstance(first, dict) else {}
    message = choice.get("message")
    content = text_of(message) if isinstance(message, dict) else None
    finish = finish_of(choice.get("finish_reason"))
    # of a provider behind a gateway: what it wrote before is not whole
    broken_off = choice.get("error") or (finish == "error" and {"message": "finish_reason error"})
    if broken_off or (error and not content):
        raise _error(broken_off or error, text, endpoint, hide)
    if not isinstance(message, dict):
        raise ReplyError(
            f"{endpoint.base_url}: replies with JSON that is no chat completion: "
            f"'{shortened(text, hide)}'. Name an OpenAI-compatible API in --base-url."
        )
    if content is None:
        raise ReplyError(
            f"{endpoint.base_url}: the answer's content is no text: '{shortened(text, hide)}'. "
            "Ask for text alone in --parameters."
        )
    tokens = _tokens(reply.get("usage"))
    if not content and (refusal := refusal_of(message)):
        return Answer(refusal, "content_filter"), tokens
    # a model that reasons to the limit; some servers call that a stop
    if not content.strip() and finish in (None, "stop") and tokens and tokens.output >= limit:
        finish = "length"
    return Answer(content, finish), tokens


def _tokens(usage: Any) -> Tokens | None:
    if not isinstance(usage, Mapping):
        return None
    read, written = (usage.get(f"{name}_tokens") for name in ("prompt", "completion"))
    if isinstance(read, int) and isinstance(written, int) and min(read, written) >= 0:
        return Tokens(read, written)
    return None


def _not_json(text: str, endpoint: Endpoint, hide: Callable[[str], str]) -> str:
    where, shown = endpoint.base_url, f"'{shortened(text, hide)}'"
    if not text.strip():
        return f"{where}: replies with nothing. {address_advice(endpoint)}"
    if PAGE_OR_XML.match(text):
        return f"{where}: replies with a web page: {shown}. {address_advice(endpoint)}"
    if _STREAM.match(text):
        return (
            f"{where}: streams its answer, though it is asked not to: {shown}. "
            "Switch streaming off in the server, or in the gateway before it."
        )
    if text.lstrip()[:1] in ("{", "["):
        return (
            f"{where}: replies with JSON that is cut off or damaged: {shown}. The log of the "
            "server, or of the gateway before it, says more."
        )
    return f"{where}: the reply is no JSON: {shown}. {address_advice(endpoint)}"


def _error(error: Any, text: str, endpoint: Endpoint, hide: Callable[[str], str]) -> ReplyError:
    """An error in a reply with status 200; gateways put the status into it."""
    named = [error.get(name) for name in ("code", "status")] if isinstance(error, dict) else []
    numbers = [int(n) for n in named if re.fullmatch(r"[45]\d\d", str(n))]
    status = numbers[0] if numbers else None
    detail = (
        f"{endpoint.base_url}: reports an error with status 200: '{shortened(text, hide)}'. "
        "The server's log says more."
    )
    return ReplyError(detail, status=status, error=error)
