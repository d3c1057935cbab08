"""Several requests at once, until every text is settled or something says stop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from datasets import Dataset
from tqdm import tqdm

from frtune.errors import InputError
from frtune.labelling.budget import Budget, BudgetSpentError, Ledger
from frtune.labelling.client import Client, RefusedError, UnavailableError
from frtune.labelling.dialect import Dialect
from frtune.labelling.endpoint import Endpoint
from frtune.labelling.rows import texts_of
from frtune.labelling.steps import Outcome, Request, Steps
from frtune.labelling.store import Journal

_GIVE_UP_AFTER = 3  # failures in a row, or as many as there are requests at once


def distinct_texts(rows: Dataset, steps: Steps) -> Iterator[tuple[str, int]]:
    """Yield each different text with each pass; texts that come again are left out."""
    seen = set()
    for text, reason in texts_of(rows, steps.job):
        if reason:
            continue
        for number in range(1, steps.job.passes + 1):
            key = steps.request(text, number).key
            if key not in seen:
                seen.add(key)
                yield text, number


class RequestLoop:
    """One run of requests.

    Attributes:
        stopped: ``"budget"``, ``"endpoint"`` or ``"limit"`` (of the answer) when the run ended
            before all texts were settled.
        detail: What the endpoint said, if that is why.
        refused: What the endpoint said of each request that it does not take, by key.
        client: Its counts, from the run on.
        raised: Texts whose answer fitted the higher limit alone.
        failed: Texts that the endpoint gave no answer for, however often it was asked.
        reused: Texts whose answers were there already.
    """

    client: Client

    def __init__(self, steps: Steps, *, endpoint: Endpoint, budget: Budget, journal: Journal):
        self._steps, self._endpoint = steps, endpoint
        self._budget, self._journal = budget, journal
        self._patience = max(_GIVE_UP_AFTER, endpoint.concurrency)
        self._failed_in_a_row = self._cut_in_a_row = 0
        self.failed = self.reused = self.raised = 0
        self._error: InputError | None = None
        self.stopped: str | None = None
        self.detail = ""
        self.refused: dict[str, str] = {}

    def run(self, rows: Dataset) -> None:
        """Ask about all rows.

        Raises:
            InputError: If the endpoint refuses the key, the model, or every request.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            asyncio.run(self._run(rows))
            return
        with ThreadPoolExecutor(1) as pool:  # a notebook has a loop of its own
            pool.submit(asyncio.run, self._run(rows)).result()

    async def _run(self, rows: Dataset) -> None:
        ledger = Ledger(self._budget, self._journal.spent)
        dialect = Dialect(self._endpoint, self._steps.job.response_format())
        self.client = Client(self._endpoint, dialect=dialect, ledger=ledger, journal=self._journal)
        total = sum(1 for _ in distinct_texts(rows, self._steps))
        items = distinct_texts(rows, self._steps)
        try:
            with tqdm(total=total, desc="labelling", unit=" texts") as bar:

                async def work() -> None:
                    for text, number in items:
                        settled = await self._settle(text, number)
                        bar.set_postfix_str(self._budget.show(ledger.spent), refresh=False)
                        bar.update(settled)
                        if self.stopped or self._error:
                            return

                await asyncio.gather(*(work() for _ in range(self._endpoint.concurrency)))
        finally:
            await self.client.close()
        if self._error is not None:
            raise self._error

    async def _settle(self, text: str, number: int) -> bool:
        """Ask until it is known what becomes of a text; tell whether it is."""
        asked = False
        while isinstance(step := self._steps.next(text, number, self._journal.answers), Request):
            asked = True
            try:
                await self.client.ask(step)
            except BudgetSpentError:
                self.stopped = "budget"
                return False
            except RefusedError as error:
                return self._refuse(step.key, str(error))
            except UnavailableError as error:
                self.detail = str(error)
                self.failed += 1
                self._failed_in_a_row += 1
                if self._failed_in_a_row >= self._patience:
                    self.stopped = "endpoint"
                return False
            except InputError as error:
                self._error = error
                return False
            self._failed_in_a_row = 0
        self.reused += not asked
        if asked:
            self._count_cut(step)
        return True

    def _count_cut(self, outcome: Outcome) -> None:
        """Stop where answers end at the higher limit too: the next ones would cost as much."""
        cut = outcome.problems[:1] == ["cut"]
        self.raised += cut and outcome.value is not None
        is_lost = outcome.value is None and outcome.problems[-1] == "cut"
        self._cut_in_a_row = self._cut_in_a_row + 1 if is_lost else 0
        if self._cut_in_a_row >= _GIVE_UP_AFTER:
            self.stopped = "limit"

    def _refuse(self, key: str, detail: str) -> bool:
        """Leave a text out; when the endpoint took none so far, it is not the text's fault."""
        self.refused[key] = detail
        if not self.client.answered and len(self.refused) >= self._patience:
            self._error = InputError(
                f"{self._endpoint.base_url}: refuses every request ({detail}). Check --parameters, "
                "--response-format, --max-output-tokens and --model."
            )
        return True
