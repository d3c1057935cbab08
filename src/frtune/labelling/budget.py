"""What requests cost, and a limit that is never passed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

from frtune.errors import InputError

_PER_REQUEST = 64  # a chat template's own words: roles, markers, a date


class Tokens(NamedTuple):
    """Tokens read and tokens written by the model."""

    input: int = 0
    output: int = 0

    def plus(self, other: Tokens) -> Tokens:
        """Add up."""
        return Tokens(self.input + other.input, self.output + other.output)

    def minus(self, other: Tokens) -> Tokens:
        """Take away."""
        return Tokens(self.input - other.input, self.output - other.output)


@dataclass(frozen=True)
class Budget:
    """Prices of tokens, and limits of tokens and cost.

    Attributes:
        tokens: Most tokens, read and written together (default: no limit).
        cost: Most money, in the currency of the prices; needs both prices.
        price_input: Price of a million tokens read (default: not known).
        price_output: Price of a million tokens written.

    Example:
        >>> Budget(price_input=0.5, price_output=2.0).cost_of(Tokens(1_000_000, 100_000))
        0.7
    """

    tokens: int | None = None
    cost: float | None = None
    price_input: float | None = None
    price_output: float | None = None

    def __post_init__(self):
        for name in ("tokens", "cost"):
            if (limit := getattr(self, name)) is not None and not limit > 0:
                raise InputError(f"budget of {name}={limit}: above 0. Leave it out for no limit.")
        for name in ("price_input", "price_output"):
            if (price := getattr(self, name)) is not None and not 0 <= price < float("inf"):
                raise InputError(f"{name}={price}: 0 or more, for a million tokens.")
        if (self.price_input is None) != (self.price_output is None):
            raise InputError("prices: one is missing. Pass --price-input and --price-output.")
        if self.cost is not None and self.price_input is None:
            raise InputError(
                f"budget of cost={self.cost}: needs prices. Pass --price-input and --price-output, "
                "for a million tokens."
            )

    def cost_of(self, tokens: Tokens) -> float | None:
        """Money for ``tokens``; ``None`` where no prices are known."""
        if self.price_input is None or self.price_output is None:
            return None
        return (tokens.input * self.price_input + tokens.output * self.price_output) / 1e6

    def holds(self, tokens: Tokens) -> bool:
        """Tell whether ``tokens`` are within the limits."""
        if self.tokens is not None and sum(tokens) > self.tokens:
            return False
        return self.cost is None or (self.cost_of(tokens) or 0.0) <= self.cost

    def show(self, tokens: Tokens) -> str:
        """What ``tokens`` cost, for people."""
        cost = self.cost_of(tokens)
        return f"{sum(tokens):,} tokens" if cost is None else f"cost {cost:.4f}"


class BudgetSpentError(Exception):
    """The next request could pass a limit."""


class Ledger:
    """What was spent, with requests under way counted at the most they can cost.

    A request is reserved before it is sent and settled when its tokens are known. One that is
    never settled (a time-out, a cut connection, a killed run) may have been charged for by the
    provider, so that its reservation stays.
    """

    def __init__(self, budget: Budget, spent: Tokens):
        self.budget = budget
        self.total = spent
        self._under_way: list[Tokens] = []
        self._changed = asyncio.Condition()

    @property
    def spent(self) -> Tokens:
        """What was spent, requests under way left out."""
        return reduce(Tokens.minus, self._under_way, self.total)

    async def reserve(self, most: Tokens) -> None:
        """Set ``most`` aside; wait for requests under way when it doesn't fit beside them.

        Raises:
            BudgetSpentError: If it doesn't fit, and no request is under way.
        """
        async with self._changed:
            while not self.budget.holds(self.total.plus(most)):
                if not self._under_way:
                    raise BudgetSpentError
                await self._changed.wait()
            self.total = self.total.plus(most)
            self._under_way.append(most)

    async def settle(self, most: Tokens, actual: Tokens | None) -> None:
        """Replace a reservation by what it came to; ``None`` is not known and leaves it."""
        async with self._changed:
            if actual is not None:
                self.total = self.total.minus(most).plus(actual)
            self._under_way.remove(most)
            self._changed.notify_all()


def most_tokens(messages: Sequence[Mapping[str, str]], max_output_tokens: int) -> Tokens:
    """The most that a request can come to.

    A tokenizer that covers all text with bytes never writes more tokens than bytes.

    Example:
        >>> most_tokens([{"role": "user", "content": "école"}], 16)
        Tokens(input=70, output=16)
    """
    return Tokens(_PER_REQUEST + _bytes(messages), max_output_tokens)


def likely_tokens(messages: Sequence[Mapping[str, str]]) -> int:
    """Tokens of a prompt at four bytes of UTF-8 a token, for an estimate without a tokenizer.

    Example:
        >>> likely_tokens([{"role": "user", "content": "a text of 20 letters"}])
        5
    """
    return -(-_bytes(messages) // 4)


def _bytes(messages: Sequence[Mapping[str, str]]) -> int:
    return sum(len(message["content"].encode("utf-8", "replace")) for message in messages)
