"""What can be wrong with a request: a type for programs, a message for people, an HTTP status."""

from __future__ import annotations

from typing import Any, Literal

ProblemType = Literal[
    "bad_json", "invalid", "text_too_long", "too_many_texts", "body_too_large", "body_too_slow",
    "no_key", "bad_host", "unknown_model", "not_found", "bad_method", "busy", "stopping", "failed",
]  # fmt: skip

STATUS: dict[ProblemType, int] = {
    "bad_json": 400,
    "no_key": 401,
    "not_found": 404,
    "unknown_model": 404,
    "bad_method": 405,
    "body_too_slow": 408,
    "body_too_large": 413,
    "bad_host": 421,
    "invalid": 422,
    "text_too_long": 422,
    "too_many_texts": 422,
    "busy": 429,
    "failed": 500,
    "stopping": 503,
}


class Problem(Exception):
    """A request that cannot be answered.

    Args:
        kind: What is wrong, for programs.
        message: What is wrong and what to do, for people.
        headers: Of the response.

    Example:
        >>> Problem("busy", "9 texts are waiting.").status
        429
    """

    def __init__(self, kind: ProblemType, message: str, headers: dict[str, str] | None = None):
        super().__init__(message)
        self.kind: ProblemType = kind
        self.message, self.headers = message, headers or {}

    @property
    def status(self) -> int:
        """The HTTP status."""
        return STATUS[self.kind]

    def content(self) -> dict[str, Any]:
        """The body of the response."""
        return {"error": {"type": self.kind, "message": self.message}}
