"""What a server takes in a request, learnt from what it refuses."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

from frtune.labelling.endpoint import Endpoint
from frtune.labelling.failures import Failure
from frtune.labelling.steps import Request

logger = logging.getLogger(__name__)

_FORMAT = re.compile(
    r"response_?format|json_?schema|json schema|structured.{0,3}output|grammar|guided"
)
_SYSTEM = re.compile(
    r"system.{0,40}(?:not support|unsupported|role)|roles? must alternate|role.{0,20}system"
)
_BAD_REQUEST = (400, 415, 422, 501)
_MOST_GUESSES = 2  # refusals that do not say why, tried without the schema


class Dialect:
    """The form of requests to one server.

    The first request probes whether it takes a JSON schema; what it refuses by name is left out,
    or named otherwise, from then on.

    Args:
        endpoint: Whom to ask.
        response_format: The JSON schema of an answer, as requests carry it.

    Attributes:
        takes_schema: Whether the server takes a JSON schema; ``None`` is not known yet.
        notes: What was left out, for people.
    """

    def __init__(self, endpoint: Endpoint, response_format: Mapping[str, Any]):
        modes = {"auto": None, "json_schema": True, "text": False}
        self.takes_schema: bool | None = modes[endpoint.response_format]
        if "response_format" in endpoint.parameters:
            self.takes_schema = False  # the user's own stands there
        self.notes: list[str] = []
        self._asks = endpoint.response_format == "auto"
        self._format = dict(response_format)
        self._parameters = dict(endpoint.parameters)
        self._limit_name = endpoint.output_limit_name
        self._limit_names = {self._limit_name}
        self._takes_system, self._is_guess, self._guesses = True, False, 0

    @property
    def is_greedy(self) -> bool:
        """Whether the same question gets the same, most likely answer: temperature 0."""
        return self._parameters.get("temperature") == 0

    def body(self, request: Request) -> dict[str, Any]:
        """What is sent for ``request``, but for the model."""
        messages = request.messages if self._takes_system else _one_message(request.messages)
        body = {"messages": messages, **self._parameters}
        body[self._limit_name] = request.max_output_tokens
        if request.in_schema and self.takes_schema is not False:
            body["response_format"] = self._format
        return body

    def learn(self, failure: Failure, request: Request, sent: Mapping[str, Any]) -> bool:
        """Learn from a refusal; tell whether the request is to be sent again in another form."""
        if failure.status in (*_BAD_REQUEST, 500) and self.body(request) == sent:
            self._learn(failure.status, failure.said, sent)
        changed = self.body(request) != sent
        if not changed and self._is_guess:  # without the schema neither: it was not the reason
            self.takes_schema, self._is_guess = None, False
        return changed

    def settle(self, sent: Mapping[str, Any]) -> None:
        """Take in that a request was answered."""
        if self.takes_schema is None and "response_format" in sent:
            self.takes_schema = True
        if self._is_guess:
            self._is_guess = False
            self._note("the server takes no JSON schema (response_format): asked without")

    def _learn(self, status: int, said: str, sent: Mapping[str, Any]) -> None:
        other = {"max_tokens", "max_completion_tokens"}.difference(self._limit_names)
        names_other = any(re.search(rf"use.{{0,20}}\b{name}\b", said) for name in other)
        if other and (names_other or _refuses(self._limit_name, said)):
            self._limit_name = other.pop()
            self._limit_names.add(self._limit_name)
        elif "temperature" in self._parameters and _refuses("temperature", said):
            value = self._parameters.pop("temperature")
            self._note(f"the server refuses temperature {value}: asked at its own temperature")
        elif (
            self._takes_system and sent["messages"][0]["role"] == "system" and _SYSTEM.search(said)
        ):
            self._takes_system = False
            self._note("the server refuses the system role: its text stands before the prompt")
        elif "response_format" in sent and self.takes_schema is None and self._asks:
            by_name = _FORMAT.search(said) is not None
            if by_name or (status in _BAD_REQUEST and self._guesses < _MOST_GUESSES):
                self._guesses += not by_name
                self.takes_schema, self._is_guess = False, True

    def _note(self, text: str) -> None:
        logger.info(text)
        self.notes.append(text)


def _refuses(name: str, said: str) -> bool:
    """Tell whether a message refuses a field by its name; it may also repeat a whole request.

    Example:
        >>> _refuses("temperature", "unsupported value: 'temperature' does not support 0")
        True
        >>> _refuses("temperature", "field required. input: {'temperature': 0, 'top_p': 1}")
        False
    """
    wrong = r"unsupported|unknown|unrecogni[sz]ed|unexpected|extra|invalid|deprecated|not permitted"
    return (
        re.search(
            rf"(?:{wrong}|not support\w*)[^{{}}]{{0,80}}\b{name}\b"
            rf"|\b{name}\b[^{{}}]{{0,40}}?(?:{wrong}|not |only|must)",
            said,
        )
        is not None
    )


def _one_message(messages: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """The system's text before the user's, in one message."""
    return [{"role": "user", "content": "\n\n".join(message["content"] for message in messages)}]
