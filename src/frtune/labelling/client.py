"""Requests to the endpoint: retried with back-off, counted against the budget, kept at once.

The openai client's own retries are off: each try must be reserved in the budget before it leaves,
and a ``Retry-After`` holds for all requests, not for the one that was refused.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import random
from collections import Counter
from collections.abc import Mapping
from typing import Any

from frtune.errors import InputError
from frtune.labelling.budget import Ledger, Tokens, most_tokens
from frtune.labelling.dialect import Dialect
from frtune.labelling.endpoint import Endpoint
from frtune.labelling.failures import LONGEST_WAIT, Failure, failure_of
from frtune.labelling.replies import read_reply
from frtune.labelling.steps import Request
from frtune.labelling.store import Answer, Journal

logger = logging.getLogger(__name__)

_LONGEST_BACKOFF = 60.0
_RETRIES_MALFORMED = 2  # of a reply that is no answer


class RefusedError(Exception):
    """The endpoint does not take this text: too long for it, say, or filtered."""


class UnavailableError(Exception):
    """The endpoint did not answer, however often it was asked."""


class Client:
    """Asks the endpoint; to be used within one event loop.

    Attributes:
        failures: How many tries failed, by kind.
        answered: How many requests were answered.
        dialect: What the server takes.
        without_usage: Answers whose tokens the server did not tell; counted at their most.
    """

    def __init__(self, endpoint: Endpoint, *, dialect: Dialect, ledger: Ledger, journal: Journal):
        try:
            import json_repair  # noqa: F401  # missing, it is to be missed before money is spent
            import openai
        except ImportError as error:
            raise ImportError(
                f"frtune label needs the package {error.name}: pip install 'frtune[label]'."
            ) from None
        self._endpoint, self.dialect = endpoint, dialect
        self._key = endpoint.read_key()
        if self._key and endpoint.base_url.startswith("http:") and not endpoint.is_loopback:
            logger.warning("the key goes to %s unencrypted", endpoint.base_url)
        self._ledger, self._journal = ledger, journal
        settings: dict[str, Any] = {
            "api_key": self._key or "none",
            "base_url": endpoint.base_url,
            "max_retries": 0,
            "timeout": endpoint.timeout_seconds,
            # a proxy of the environment does not stand between this machine and itself; a redirect
            # would turn the request into one without a body, or take texts and key elsewhere
            "http_client": openai.DefaultAsyncHttpxClient(
                trust_env=not endpoint.is_loopback, follow_redirects=False
            ),
        }
        none = openai.Omit()
        self._headers = {} if self._key else {"Authorization": none, "api-key": none}
        if self._key and endpoint.api_version:  # the client may find a token in the environment
            self._headers = {"Authorization": none, "api-key": self._key}
        self._client = (
            openai.AsyncAzureOpenAI(**settings, api_version=endpoint.api_version)
            if endpoint.api_version
            else openai.AsyncOpenAI(**settings)
        )
        self._not_before = 0.0
        self._is_first, self._probed = True, asyncio.Event()
        self._surplus = Tokens()  # what answers came to beyond the most that was thought
        self.failures: Counter[str] = Counter()
        self.answered = self.without_usage = 0

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def ask(self, request: Request) -> None:
        """Send ``request`` and write the answer to the journal under its key.

        Raises:
            BudgetSpentError: If the request could pass the budget.
            RefusedError: If the endpoint refuses this text.
            UnavailableError: If all tries failed.
            InputError: If the endpoint refuses the key, does not know the model, or is no API.
        """
        await self._wait_for_probe()
        bound = most_tokens(request.messages, request.max_output_tokens)
        for retry in range(self._endpoint.retries + 1):
            clock = asyncio.get_running_loop().time
            while (delay := self._not_before - clock()) > 0:
                await asyncio.sleep(delay)
            try:
                failure = await self._try(request, bound.plus(self._surplus))
            finally:
                self._probed.set()
            if failure is None:
                return
            self.failures[failure.kind] += 1
            if failure.kind == "fatal":
                raise InputError(failure.detail)
            if failure.kind == "refused":
                raise RefusedError(failure.detail)
            malformed = failure.kind == "malformed"
            retries = min(self._endpoint.retries, _RETRIES_MALFORMED if malformed else math.inf)
            if retry >= retries or (failure.wait or 0.0) > LONGEST_WAIT:
                break
            await self._pause(failure, retry)
        if malformed and not self.answered:
            raise InputError(failure.detail)
        raise UnavailableError(failure.detail)

    async def _wait_for_probe(self) -> None:
        """Let the first request find out what the server takes, alone."""
        if self._is_first or self.dialect.takes_schema is not None:
            self._is_first = False
        else:
            await self._probed.wait()

    async def _pause(self, failure: Failure, retry: int) -> None:
        backoff = min(self._endpoint.backoff_seconds * 2.0**retry, _LONGEST_BACKOFF)
        if failure.wait is None:
            wait = backoff * random.uniform(0.75, 1.0)
        else:
            wait = failure.wait
            self._not_before = max(self._not_before, asyncio.get_running_loop().time() + wait)
        logger.info("%s; asking again in %.1f s", failure.detail, wait)
        await asyncio.sleep(wait)

    async def _try(self, request: Request, most: Tokens) -> Failure | None:
        """One request; ``None`` when its answer is in the journal."""
        await self._ledger.reserve(most)
        actual: Tokens | None = None
        try:
            number = self._journal.sent(most)
            failure, answer, actual = await self._send(request)
            if answer is not None:
                if actual is None:
                    self.without_usage += 1
                else:  # the server may make prompts longer
                    beyond = actual.minus(most).plus(self._surplus)
                    self._surplus = Tokens(*map(max, self._surplus, beyond))
                self._journal.done(number, actual or most, key=request.key, answer=answer)
                self.answered += 1
            elif actual is not None:
                self._journal.done(number, actual)
        finally:
            await self._ledger.settle(most, actual)
        return failure

    async def _send(self, request: Request) -> tuple[Failure | None, Answer | None, Tokens | None]:
        """Send; a failure or an answer, and what it cost where that is known."""
        while True:
            body = self.dialect.body(request)
            try:
                # the client's time-out is between bytes; this one is for the whole
                text = await asyncio.wait_for(self._post(body), self._endpoint.timeout_seconds)
                limit = request.max_output_tokens
                answer, tokens = read_reply(text, self._endpoint, limit=limit, hide=self._redact)
            except Exception as error:
                failure = failure_of(error, self._endpoint, self._redact)
                if self.dialect.learn(failure, request, body):
                    continue
                return failure, None, None if failure.charged else Tokens()
            self.dialect.settle(body)
            return None, answer._replace(text=self._redact(answer.text)), tokens

    async def _post(self, body: Mapping[str, Any]) -> str:
        """The reply as it came: what is no completion is quoted to the user."""
        create: Any = self._client.chat.completions.with_raw_response.create
        rest = {name: value for name, value in body.items() if name != "messages"}
        response = await create(
            model=self._endpoint.model,
            messages=body["messages"],
            stream=False,
            extra_body=rest,
            extra_headers=self._headers,
        )
        content = response.content
        try:  # JSON is Unicode, whatever the header calls it
            return content.decode(json.detect_encoding(content))
        except UnicodeDecodeError:
            return response.text

    def _redact(self, text: str) -> str:
        """Take out the key, which some servers repeat in their messages."""
        return text.replace(self._key, "(key)") if self._key else text
