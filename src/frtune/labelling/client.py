"""Requests to the endpoint: retried with back-off, counted against the budget, kept at once.

The openai client's own retries are off: each try must be reserved in the budget before it leaves,
and a ``Retry-After`` holds for all requests, not for the one that was refused.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from frtune.errors import InputError
from frtune.labelling.budget import Ledger, Tokens, most_tokens
from frtune.labelling.endpoint import Endpoint
from frtune.labelling.store import Answer, Journal

logger = logging.getLogger(__name__)

_LONGEST_BACKOFF, _LONGEST_WAIT = 60.0, 900.0
_SHOWN = 300  # characters of a server's message
_NEVER_SENT = ("ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol")


class RefusedError(Exception):
    """The endpoint does not take this text: too long for it, say, or filtered."""


class UnavailableError(Exception):
    """The endpoint did not answer, however often it was asked."""


class Failure(NamedTuple):
    """A try that brought no answer.

    Args:
        kind: ``rate_limit``, ``server_error``, ``timeout``, ``connection``, ``malformed``,
            ``refused`` or ``fatal``.
        detail: For people; without the key.
        charged: Whether the provider may have charged for it.
        wait: Seconds that the server asks to wait, or ``None``.
    """

    kind: str
    detail: str
    charged: bool = False
    wait: float | None = None


class Client:
    """Asks the endpoint; to be used within one event loop.

    Attributes:
        failures: How many tries failed, by kind.
        answered: How many requests were answered.
        without_usage: Answers whose tokens the server did not tell; counted at their most.
    """

    def __init__(self, endpoint: Endpoint, *, ledger: Ledger, journal: Journal):
        try:
            import openai
        except ImportError:
            raise ImportError(
                "frtune label needs the package openai: pip install 'frtune[label]'."
            ) from None
        self._endpoint = endpoint
        self._key = endpoint.read_key()
        if self._key and endpoint.base_url.startswith("http:") and not endpoint.is_loopback:
            logger.warning("the key goes to %s unencrypted", endpoint.base_url)
        self._ledger, self._journal = ledger, journal
        self._client = openai.AsyncOpenAI(
            api_key=self._key or "none",
            base_url=endpoint.base_url,
            max_retries=0,
            timeout=endpoint.timeout_seconds,
            # a proxy of the environment does not stand between this machine and itself
            http_client=openai.DefaultAsyncHttpxClient(trust_env=not endpoint.is_loopback),
        )
        self._not_before = 0.0
        self._surplus = Tokens()  # what answers came to beyond the most that was thought
        self.failures: Counter[str] = Counter()
        self.answered = self.without_usage = 0

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def ask(self, key: str, messages: list[dict[str, str]]) -> None:
        """Send ``messages`` and write the answer to the journal under ``key``.

        Raises:
            BudgetSpentError: If the request could pass the budget.
            RefusedError: If the endpoint refuses this text.
            UnavailableError: If all tries failed.
            InputError: If the endpoint refuses the key or does not know the model.
        """
        bound = most_tokens(messages, self._endpoint.max_output_tokens)
        for retry in range(self._endpoint.retries + 1):
            clock = asyncio.get_running_loop().time
            while (delay := self._not_before - clock()) > 0:
                await asyncio.sleep(delay)
            most = bound.plus(self._surplus)
            failure = await self._try(key, messages, most)
            if failure is None:
                return
            self.failures[failure.kind] += 1
            if failure.kind == "fatal":
                raise InputError(failure.detail)
            if failure.kind == "refused":
                raise RefusedError(failure.detail)
            if retry == self._endpoint.retries or (failure.wait or 0.0) > _LONGEST_WAIT:
                break
            await self._pause(failure, retry)
        raise UnavailableError(failure.detail)

    async def _pause(self, failure: Failure, retry: int) -> None:
        backoff = min(self._endpoint.backoff_seconds * 2.0**retry, _LONGEST_BACKOFF)
        if failure.wait is None:
            wait = backoff * random.uniform(0.75, 1.0)
        else:
            wait = failure.wait
            self._not_before = max(self._not_before, asyncio.get_running_loop().time() + wait)
        logger.info("%s; asking again in %.1f s", failure.detail, wait)
        await asyncio.sleep(wait)

    async def _try(self, key: str, messages: list[dict[str, str]], most: Tokens) -> Failure | None:
        """One request; ``None`` when its answer is in the journal."""
        await self._ledger.reserve(most)
        actual: Tokens | None = None
        try:
            number = self._journal.sent(most)
            failure, answer, actual = await self._send(messages)
            if answer is not None:
                if actual is None:
                    self.without_usage += 1
                else:  # the server may make prompts longer
                    beyond = actual.minus(most).plus(self._surplus)
                    self._surplus = Tokens(*map(max, self._surplus, beyond))
                self._journal.done(number, actual or most, key=key, answer=answer)
                self.answered += 1
            elif actual is not None:
                self._journal.done(number, actual)
        finally:
            await self._ledger.settle(most, actual)
        return failure

    async def _send(
        self, messages: list[dict[str, str]]
    ) -> tuple[Failure | None, Answer | None, Tokens | None]:
        """Send; a failure or an answer, and what it cost where that is known."""
        endpoint = self._endpoint
        create: Any = self._client.chat.completions.create
        limit = {endpoint.output_limit_name: endpoint.max_output_tokens}
        body = {**endpoint.parameters, **limit}
        request = create(model=endpoint.model, messages=messages, extra_body=body)
        try:
            # the client's time-out is between bytes; this one is for the whole
            completion = await asyncio.wait_for(request, endpoint.timeout_seconds)
            answer, tokens = _read(completion)
        except Exception as error:
            failure = failure_of(error, endpoint)
            cost = None if failure.charged else Tokens()
            return failure._replace(detail=self._redact(failure.detail)), None, cost
        return None, answer._replace(text=self._redact(answer.text)), tokens

    def _redact(self, text: str) -> str:
        """Take out the key, which some servers repeat in their messages."""
        return text.replace(self._key, "[key]") if self._key else text


def _read(completion: Any) -> tuple[Answer, Tokens | None]:
    """Answer and tokens of a completion; ``ValueError`` when it is none."""
    choices = getattr(completion, "choices", None)
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = getattr(choice, "message", None)
    if choice is None or message is None:
        raise ValueError("the answer holds no message")
    refusal = getattr(message, "refusal", None)
    text = refusal if message.content is None else message.content
    if text is not None and not isinstance(text, str):
        raise ValueError("the answer's content is no text")
    finish = "content_filter" if message.content is None and refusal else choice.finish_reason
    usage = getattr(completion, "usage", None)
    read, written = (getattr(usage, f"{name}_tokens", None) for name in ("prompt", "completion"))
    tokens = None
    if isinstance(read, int) and isinstance(written, int) and min(read, written) >= 0:
        tokens = Tokens(read, written)
    return Answer(text or "", finish), tokens


def failure_of(error: Exception, endpoint: Endpoint) -> Failure:
    """Say what an error of the client means; an error that is none of its own is raised."""
    import openai

    if isinstance(error, openai.APIStatusError):
        return _status_failure(error, endpoint)
    never_sent = type(error.__cause__).__name__ in _NEVER_SENT
    if isinstance(error, (asyncio.TimeoutError, openai.APITimeoutError)):
        detail = f"no answer within {endpoint.timeout_seconds:g} s"
        return Failure("timeout", detail, charged=not never_sent)
    if isinstance(error, openai.APIConnectionError):
        what = "cannot be reached" if never_sent else "cut the connection"
        return Failure("connection", f"{endpoint.base_url} {what}", charged=not never_sent)
    if isinstance(error, (ValueError, openai.APIError)):
        return Failure("malformed", "the answer is not of the protocol", charged=True)
    raise error


def _status_failure(error: Any, endpoint: Endpoint) -> Failure:
    status, body = error.status_code, error.body if isinstance(error.body, dict) else {}
    message = str(body.get("message") or body.get("detail") or error.message)
    message = f"{status}: {' '.join(message.split())[:_SHOWN]}"
    if status in (401, 403):
        return Failure(
            "fatal",
            f"{endpoint.key_env}: {endpoint.base_url} refuses the key ({message}). "
            "Check the key and what it may do.",
        )
    if status == 404:
        return Failure(
            "fatal",
            f"{endpoint.base_url}: knows no such address or no model {endpoint.model} "
            f"({message}). Check --base-url and --model.",
        )
    if error.code == "insufficient_quota":
        return Failure("fatal", f"{endpoint.base_url}: the account is used up ({message}).")
    if status in (408, 409, 429) or status >= 500:
        kind = "rate_limit" if status == 429 else "server_error"
        return Failure(kind, message, wait=retry_after(error.response.headers))
    return Failure("refused", message)


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
        if seconds == seconds:
            return max(0.0, seconds)
    return None
