"""Which rows of a keyphrase data set are kept, and why the others are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from frtune.data.language import language_check, other_language
from frtune.errors import InputError


@dataclass(frozen=True)
class Filters:
    """Limits that a row has to keep within; ``None`` sets no limit.

    Attributes:
        min_source_tokens: Fewest tokens of title and text, special tokens and prefix left out.
        max_source_tokens: Most tokens of them.
        max_target_tokens: Most tokens of the joined keyphrases and their end token.
        min_keyphrases: Fewest keyphrases after cleaning.
        max_keyphrases: Most of them.
        language: Language that the text has to be in; see ``language.LANGUAGES``.

    Example:
        >>> Filters(min_keyphrases=2).reason("A text.", ["budget"])
        ('too_few_keyphrases', '1, at least 2')
    """

    min_source_tokens: int | None = None
    max_source_tokens: int | None = None
    max_target_tokens: int | None = None
    min_keyphrases: int | None = None
    max_keyphrases: int | None = None
    language: str | None = None

    def __post_init__(self):
        for name in (field.name for field in fields(self) if field.name != "language"):
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

    @property
    def counting_tokens(self) -> list[str]:
        """Names of the limits that are set and need a tokenizer."""
        names = ("min_source_tokens", "max_source_tokens", "max_target_tokens")
        return [name for name in names if getattr(self, name) is not None]

    def reason(
        self,
        text: str,
        phrases: Sequence[str],
        *,
        source_tokens: int | None = None,
        target_tokens: int | None = None,
    ) -> tuple[str, str]:
        """Return why a row is rejected, as a code and in words; two empty strings keep it."""
        if not text:
            return "blank_text", "no text is left after cleaning"
        if not phrases:
            return "no_keyphrases", "no keyphrase is left after cleaning"
        if self.language and (other := other_language(text, self.language)):
            return "other_language", f"{other}, {self.language} is wanted"
        for code, count, least, most in (
            ("keyphrases", len(phrases), self.min_keyphrases, self.max_keyphrases),
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
