"""The message of a chat completion: its text, a refusal beside it, and why it ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# finish_reason of what is not whole, of OpenAI, Mistral, Gemini, DeepSeek, Zhipu, vLLM, gateways
_FINISHES = {
    "length": "length max_tokens max_length max_output_tokens model_length token_limit",
    "content_filter": "content_filter content_filtered safety recitation blocklist spii sensitive "
    "prohibited_content guardrail_intervened refusal",
    "error": "error abort aborted cancelled network_error insufficient_system_resource",
}
_TEXT_PARTS = ("text", "output_text")


def finish_of(reason: Any) -> str | None:
    """Why an answer ended, in one word for all servers where it is not whole.

    Example:
        >>> finish_of("MAX_TOKENS"), finish_of("stop"), finish_of("abort"), finish_of(3)
        ('length', 'stop', 'error', None)
    """
    if not isinstance(reason, str):
        return None
    known = (name for name, names in _FINISHES.items() if reason.lower() in names.split())
    return next(known, reason)


def text_of(message: Mapping[str, Any]) -> str | None:
    """A message's text, its parts joined; reasoning is read past. ``None`` for what is no text.

    Without a text, what the model gives to the one function that it calls unasked.

    Example:
        >>> parts = [{"type": "thinking", "text": "Hm."}, {"type": "text", "text": "sun"}]
        >>> text_of({"content": parts})
        'sun'
    """
    content = message.get("content")
    if content is None or isinstance(content, str):
        return content or _given_to_function(message)
    if not isinstance(content, list):
        return None
    texts = [part.get("text") for part in _parts(content) if part.get("type") in _TEXT_PARTS]
    known = [text for text in texts if isinstance(text, str)]
    return "".join(known) if len(known) == len(texts) else None


def refusal_of(message: Mapping[str, Any]) -> str:
    """What a model says that is no answer, in a field or a part of its own; else ``""``."""
    content = message.get("content")
    parts = _parts(content) if isinstance(content, list) else []
    said = [message.get("refusal"), *(part.get("refusal") for part in parts)]
    return next((text for text in said if isinstance(text, str) and text), "")


def _parts(content: list[Any]) -> list[dict[str, Any]]:
    return [part if isinstance(part, dict) else {"type": "text", "text": part} for part in content]


def _given_to_function(message: Mapping[str, Any]) -> str:
    calls = message.get("tool_calls")
    called = [call.get("function") for call in _parts(calls)] if isinstance(calls, list) else []
    called = called or [message.get("function_call")]
    given = [each.get("arguments") for each in called if isinstance(each, dict)]
    return given[0] if len(given) == 1 and isinstance(given[0], str) else ""
