"""Proofs (stub)."""
from __future__ import annotations
from typing import Any


def prove_tokenizer(tokenizer: Any, **kwargs: Any) -> None:
    """Stub."""
