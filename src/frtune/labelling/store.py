"""The answers' file: what was asked and answered, safe against a kill at any moment."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock, Timeout

from frtune.errors import InputError
from frtune.labelling.budget import Tokens

logger = logging.getLogger(__name__)

_HALF_A_PAIR = re.compile("[\ud800-\udfff]")


class Answer(NamedTuple):
    """What a model answered; ``finish`` is the endpoint's ``finish_reason``."""

    text: str
    finish: str | None = None


def content_key(
    *, model: str, parameters: dict[str, Any], messages: list[dict[str, str]], number: int
) -> str:
    """Hash of all that an answer depends on; ``number`` is the pass.

    Example:
        >>> message = [{"role": "user", "content": "a text"}]
        >>> one, two = (content_key(model="m", parameters={}, messages=message, number=n)
        ...             for n in (1, 2))
        >>> len(one), one == two
        (32, False)
    """
    content = json.dumps([model, parameters, messages, number], sort_keys=True)
    return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()


class Journal:
    """Answers by content key, in a file of JSON lines that is only ever appended to.

    ``{"sent": 7, "most": [90, 256]}`` is written before a request leaves, and ``{"done": 7,
    "tokens": [31, 12], "key": ..., "answer": ..., "finish": ...}`` when its answer is there,
    flushed to the disk before anything else happens. A ``sent`` without ``done`` may have been
    charged for.

    Attributes:
        answers: Answer by key.
    """

    def __init__(self, path: Path):
        self.path = path
        self.answers: dict[str, Answer] = {}
        self._open_requests: dict[int, Tokens] = {}
        self._settled = Tokens()
        self._next = 0
        self._file: int | None = None
        self._lock: Any = None

    @property
    def spent(self) -> Tokens:
        """Tokens of all requests in the file; those never settled at their most."""
        return reduce(Tokens.plus, self._open_requests.values(), self._settled)

    @property
    def unsettled(self) -> int:
        """How many requests were never settled."""
        return len(self._open_requests)

    def read(self) -> int:
        """Read the file, if there is one, and return the size of its whole lines in bytes.

        Raises:
            InputError: With the line, for one that is damaged; the last one may be torn.
        """
        if not self.path.exists():
            return 0
        whole = 0
        with open(self.path, "rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    self._take(json.loads(line))
                except (ValueError, KeyError, TypeError):
                    if not line.endswith(b"\n"):  # no beginning of an object is JSON
                        logger.warning("%s, line %d: torn by a kill, dropped", self.path, number)
                        break
                    raise InputError(
                        f"{self.path}, line {number}: is damaged. Remove the line; its text is "
                        "then asked about again."
                    ) from None
                whole += len(line)
        return whole

    def _take(self, entry: dict[str, Any]) -> None:
        if "sent" in entry:
            number = int(entry["sent"])
            self._open_requests[number] = Tokens(*map(int, entry["most"]))
            self._next = max(self._next, number + 1)
            return
        self._open_requests.pop(entry["done"], None)
        self._settled = self._settled.plus(Tokens(*map(int, entry["tokens"])))
        if "key" in entry:
            # a server may cut a pair of UTF-16 in two, and no file takes half of one
            text = _HALF_A_PAIR.sub("\ufffd", str(entry["answer"]))
            self.answers[entry["key"]] = Answer(text, entry["finish"])

    def __enter__(self) -> Journal:
        """Lock the file against a second run, read it, cut off a torn last line."""
        self.path.absolute().parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(f"{self.path}.lock", timeout=0)
        try:
            self._lock.acquire()
        except Timeout:
            raise InputError(
                f"{self.path}: another run is writing to it. Wait for it, or name another output."
            ) from None
        try:
            whole = self.read()
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            os.ftruncate(self._file, whole)
            if whole and os.pread(self._file, 1, whole - 1) != b"\n":
                os.write(self._file, b"\n")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
        self._lock.release()

    def sent(self, most: Tokens) -> int:
        """Write that a request leaves, and return its number."""
        number = self._next
        self._append({"sent": number, "most": most})
        return number

    def done(
        self, number: int, tokens: Tokens, *, key: str | None = None, answer: Answer | None = None
    ) -> None:
        """Write what a request came to, with its answer if it has one, and wait for the disk."""
        entry: dict[str, Any] = {"done": number, "tokens": tokens}
        if answer is not None:
            entry |= {"key": key, "answer": answer.text, "finish": answer.finish}
        self._append(entry)
        if self._file is not None and answer is not None:
            os.fsync(self._file)

    def _append(self, entry: dict[str, Any]) -> None:
        if self._file is None:
            raise RuntimeError(f"{self.path}: is not open.")
        line = (json.dumps(entry) + "\n").encode()
        while line:  # a full disk can take part of a line
            line = line[os.write(self._file, line) :]
        self._take(entry)
