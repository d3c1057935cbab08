"""Which rows of a data set are kept, and why the others are not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from frtune.data.language import language_check, other_language
from frtune.errors import InputError, nearest

Duplicates = Literal["report", "reject"]
_TOKEN_LIMITS = ("min_source_tokens", "max_source_tokens", "max_target_tokens")


@dataclass(frozen=True)
class Filters:
    """Limits that a row has to keep within; ``None`` sets no limit.

    Attributes:
        min_source_tokens: Fewest tokens of the text, title or second sentence included, special
            tokens and prefix left out. Needs a tokenizer, as the next two do.
        max_source_tokens: Most tokens of the same.
        max_target_tokens: Most tokens of the joined keyphrases and their end token.
        min_keyphrases: Fewest keyphrases, or keywords, after cleaning.
        max_keyphrases: Most keyphrases, or keywords.
        language: Keep texts of this language: ko, fr, en, ja, zh, ...
        duplicates: ``"reject"`` keeps one row of each text (that of test or validation, or the
            first); ``"report"`` keeps all and counts them.
        near_duplicates: ``"report"`` counts near duplicates across splits, ``"reject"`` also
            drops the one in train (or, of validation and test, the one in validation).
        near_threshold: Jaccard index of character 5-grams that makes near duplicates.

    Example:
        >>> Filters(min_keyphrases=2).reason("A text.", phrases=1)
        ('too_few_keyphrases', '1, at least 2')
    """

    min_source_tokens: int | None = None
    max_source_tokens: int | None = None
    max_target_tokens: int | None = None
    min_keyphrases: int | None = None
    max_keyphrases: int | None = None
    language: str | None = None
    duplicates: Duplicates = "reject"
    near_duplicates: Duplicates = "report"
    near_threshold: float = 0.8

    def __post_init__(self):
        for name in (*_TOKEN_LIMITS, "min_keyphrases", "max_keyphrases"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < 1):
                raise InputError(
                    f"{name}={value!r}: a whole number of at least 1. Leave it out for no limit."
                )
        for what in ("source_tokens", "keyphrases"):
            least, most = getattr(self, f"min_{what}"), getattr(self, f"max_{what}")
            if least and most and least > most:
                raise InputError(f"min_{what}={least}: at most max_{what}={most}. Swap them.")
        if self.language is not None:
            language_check(self.language)
        choices = list(get_args(Duplicates))
        for name in ("duplicates", "near_duplicates"):
            value = getattr(self, name)
            if value not in choices:
                raise InputError(
                    f"{name}={value!r}: {' or '.join(choices)}.{nearest(str(value), choices)}"
                )
        threshold_check(self.near_threshold)

    @property
    def counting_tokens(self) -> list[str]:
        """Names of the limits that are set and need a tokenizer."""
        return [name for name in _TOKEN_LIMITS if getattr(self, name) is not None]

    def reason(
        self,
        text: str,
        *,
        phrases: int | None = None,
        source_tokens: int | None = None,
        target_tokens: int | None = None,
    ) -> tuple[str, str]:
        """Return why a row is rejected, as a code and in words; two empty strings keep it.

        Args:
            text: All of its text.
            phrases: How many keyphrases or keywords it has; ``None`` where rows have none.
            source_tokens: Tokens of ``text``; ``None`` where they were not counted.
            target_tokens: Tokens of the joined keyphrases.
        """
        if self.language and (other := other_language(text, self.language)):
            return "other_language", f"{other}, {self.language} is wanted"
        for code, count, least, most in (
            ("keyphrases", phrases, self.min_keyphrases, self.max_keyphrases),
            ("source", source_tokens, self.min_source_tokens, self.max_source_tokens),
            ("target", target_tokens, None, self.max_target_tokens),
        ):
            unit = "" if code == "keyphrases" else " tokens"
            if count is not None and least is not None and count < least:
                short = "too_few_keyphrases" if code == "keyphrases" else f"{code}_too_short"
                return short, f"{count}{unit}, at least {least}"
            if count is not None and most is not None and count > most:
                long = "too_many_keyphrases" if code == "keyphrases" else f"{code}_too_long"
                return long, f"{count}{unit}, at most {most}"
        return "", ""


def threshold_check(near_threshold: float) -> None:
    """Raise an ``InputError`` unless the threshold of near duplicates is a sensible one."""
    if not 0.5 <= near_threshold <= 1:
        raise InputError(
            f"near_threshold={near_threshold}: from 0.5 to 1. Below, unrelated texts are alike."
        )
