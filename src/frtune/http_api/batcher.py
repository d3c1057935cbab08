"""Requests that come together are answered together: a queue and a thread for each model."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

from frtune.http_api.settings import BatchSettings
from frtune.inference import Predictor
from frtune.training.autocast import kept_casts
from frtune.training.encoded_rows import EncodedRows

Row = Mapping[str, Any]
_LONGEST_WAIT = 60  # seconds that a client is told to wait, at most


class Busy(RuntimeError):
    """The queue is full; ``seconds`` is when it may have room."""

    def __init__(self, waiting: int, seconds: int):
        super().__init__(f"{waiting} texts are waiting. Ask again in {seconds} s.")
        self.seconds = seconds


@dataclass
class _Request:
    """Rows of one request, and what has been answered of them."""

    rows: Sequence[Row]
    future: Future[list[dict[str, Any]]] = field(default_factory=Future)
    answers: dict[int, dict[str, Any]] = field(default_factory=dict)

    def give(self, number: int, answer: dict[str, Any]) -> None:
        """Take the answer to a row; with the last of them the request is answered, in order."""
        self.answers[number] = answer
        if len(self.answers) == len(self.rows):
            self.future.set_result([self.answers[i] for i in range(len(self.rows))])

    def fail(self, error: Exception) -> None:
        """End the request with an error."""
        if not self.future.done():
            self.future.set_exception(error)


_Item = tuple[_Request, int]  # a request, and the number of one of its rows


class Batcher:
    """Answers the rows of many requests, those that wait together in batches of like length.

    Args:
        predictor: The model.
        settings: How requests are put together.
        turn: Held while a model computes: models of one process share it.
        seen: Is told the number of texts of each batch.
    """

    def __init__(
        self,
        predictor: Predictor,
        settings: BatchSettings,
        *,
        turn: threading.Lock | None = None,
        seen: Callable[[int], Any] = lambda texts: None,
    ):
        self.predictor, self.settings = predictor, settings
        self._turn, self._seen = turn or threading.Lock(), seen
        self._changed = threading.Condition()
        self._waiting: deque[_Item] = deque()
        self._together = 1  # requests that were there when the last rows were answered
        self._seconds_a_row = 0.01
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="frtune-batches", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Texts that wait."""
        return len(self._waiting)

    @property
    def works(self) -> bool:
        """Whether requests are taken and answered."""
        return self._thread.is_alive() and not self._closing

    def ask(self, rows: Sequence[Row]) -> Future[list[dict[str, Any]]]:
        """Queue rows of ``Predictor.checked_rows``; the future has their answers, in order.

        Raises:
            Busy: If too many texts are waiting.
        """
        request = _Request(rows)
        request.future.set_running_or_notify_cancel()  # who leaves does not stop the others
        with self._changed:
            found = len(self._waiting)
            if found + len(rows) > self.settings.max_waiting or not self.works:
                seconds = math.ceil(found * self._seconds_a_row)
                raise Busy(found, min(max(1, seconds), _LONGEST_WAIT))
            self._waiting.extend((request, i) for i in range(len(rows)))
            self._changed.notify()
        return request.future

    def close(self) -> None:
        """End once the batch at hand is answered; what still waits fails, and so do new requests.

        A server that stops has waited for its requests before.
        """
        with self._changed:
            self._closing = True
            left = {id(request): request for request, _ in self._waiting}
            self._waiting.clear()
            self._changed.notify()
        for request in left.values():
            request.fail(Busy(0, 1))
        self._thread.join()

    # --- the thread ------------------------------------------------------------------------------

    def _work(self) -> None:
        with kept_casts(self.predictor.model.device.type):
            while items := self._take():
                start = time.perf_counter()
                with self._turn:
                    self._answer(items)
                each = (time.perf_counter() - start) / len(items)
                self._seconds_a_row = 0.8 * self._seconds_a_row + 0.2 * each
                answered = len({id(request) for request, _ in items})
                with self._changed:
                    self._together = answered + self._requests()

    def _take(self) -> list[_Item]:
        """The rows to answer next, those that came first; none when it is time to end."""
        # no batch has more rows than that, and rows of some batches can be sorted by length
        most = max(1, self.settings.batch_tokens // 32)
        with self._changed:
            while not self._waiting and not self._closing:
                self._changed.wait()
            # clients that were answered together ask again together, a moment after each other
            end = time.monotonic() + self.settings.batch_wait_ms / 1000
            while self._requests() < self._together and len(self._waiting) < most:
                if self._closing or not self._changed.wait(end - time.monotonic()):
                    break
            return [self._waiting.popleft() for _ in range(min(len(self._waiting), most))]

    def _requests(self) -> int:
        return len({id(request) for request, _ in self._waiting})

    def _answer(self, items: Sequence[_Item]) -> None:
        rows = [request.rows[i] for request, i in items]
        try:
            encoded = self.predictor.encode_few(rows)
            batches = batches_of(encoded, self.settings.batch_tokens)
        except Exception as error:
            self._alone(items, error)
            return
        for batch, size in batches:
            chosen = [items[i] for i in batch]
            if self._closing:
                for request, _ in chosen:
                    request.fail(Busy(0, 1))
                continue
            self._seen(len(batch))
            try:
                predictor = replace(self.predictor, batch_size=size)
                answers = predictor.answer([rows[i] for i in batch], encoded.of_owners(batch))
            except Exception as error:
                self._alone(chosen, error)
                continue
            for (request, i), answer in zip(chosen, answers, strict=True):
                request.give(i, answer)

    def _alone(self, items: Sequence[_Item], error: Exception) -> None:
        """Answer each row by itself, so that one that cannot be answered fails no other request."""
        if len(items) == 1:
            ((request, _),) = items
            request.fail(error)
            return
        for item in items:
            self._answer([item])


def batches_of(encoded: EncodedRows, budget: int) -> list[tuple[list[int], int]]:
    """Cut raw rows, shortest first, into batches of at most ``budget`` tokens with padding.

    Returns:
        For each batch its raw rows, and how many encoded rows may be computed at once: a row alone
        may have more windows than that.

    Example:
        >>> rows = EncodedRows({"length": [9, 2, 3, 9, 8], "row": [0, 1, 2, 3, 3]})
        >>> batches_of(rows, 10)
        [([1, 2], 3), ([0], 1), ([3], 1)]
    """
    lengths: dict[int, list[int]] = {}
    for owner, length in zip(encoded["row"], encoded["length"], strict=True):
        lengths.setdefault(owner, []).append(length)
    batches: list[tuple[list[int], int]] = []
    batch: list[int] = []
    count = longest = 0
    for owner in sorted(lengths, key=lambda owner: (max(lengths[owner]), owner)):
        parts, length = len(lengths[owner]), max(lengths[owner])
        if batch and (count + parts) * length > budget:
            batches.append((batch, max(1, budget // longest)))
            batch, count = [], 0
        batch.append(owner)
        count, longest = count + parts, length
    if batch:
        batches.append((batch, max(1, budget // longest)))
    return batches
