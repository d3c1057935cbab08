"""Names of tokenizers; apart from them, for ``rouge_score`` takes long to import."""

from __future__ import annotations

from typing import Literal

TokenizerName = Literal["ko", "komoran", "fr", "words", "whitespace", "rouge"]
NAMES: tuple[TokenizerName, ...] = ("ko", "komoran", "fr", "words", "whitespace", "rouge")
