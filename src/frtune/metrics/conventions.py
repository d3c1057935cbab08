"""The conventions under which keyphrases are scored, in one place."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

from frtune.errors import InputError, nearest
from frtune.metrics.phrase_matching import Match
from frtune.metrics.phrases import STEMMERS, Normalize, Presence, presence_for, stemmer_for
from frtune.version import __version__

Cut = Literal["pred", "k"]
EmptyReference = Literal["zero", "skip"]
Macro = Literal["f1", "pr"]

_CHOICES = {
    "match": get_args(Match),
    "normalize": (None, *get_args(Normalize)),
    "cut": get_args(Cut),
    "empty_reference": get_args(EmptyReference),
    "macro": get_args(Macro),
    "presence": (None, *get_args(Presence)),
    "dedup": (None, False, True),
}


@dataclass(frozen=True)
class Conventions:
    """Every choice that changes a keyphrase score. ``None`` means "what goes with ``match``".

    Args:
        k: Predictions that count at K.
        match: ``"exact"``: equal strings. ``"stem"``: equal stems (Meng et al. 2017 and all who
            follow). ``"partial"``: either string contains the other. ``"fuzzy"``: similarity of at
            least ``threshold``.
        language: Two-letter code of the phrases' language. ``"stem"`` needs it; presence uses it.
        normalize: ``"none"``, ``"nfc"`` or ``"casefold"`` (NFC and case folding). By default
            ``"nfc"`` for ``"partial"``, ``"casefold"`` for the rest.
        dedup: Whether repeats within a document are dropped, in predictions and in references,
            before anything is counted (Chan et al. 2019; Ye et al. 2021). By default no for
            ``"partial"``, yes for the rest.
        cut: ``"pred"``: precision at K divides by the predictions there are, K at most (Meng et al.
            2017; Yuan et al. 2020). ``"k"``: it divides by K, as if short lists were filled up with
            wrong phrases (Ye et al. 2021).
        empty_reference: ``"zero"``: a document, or a part of it, without references scores 0 (Chan
            et al. 2019). ``"skip"``: it is left out.
        macro: ``"f1"``: the macro F1 is the mean of the documents' F1 (Yuan et al. 2020). ``"pr"``:
            it is the F1 of the mean precision and the mean recall (the code of Chan et al. 2019 and
            of Ye et al. 2021).
        threshold: Similarity from 0 to 1 for ``"fuzzy"``, 0.9 by default.
        presence: How a phrase is found in its text: ``"stem"`` or ``"words"``. By default
            ``"stem"`` where the language has a stemmer.

    Example:
        >>> Conventions(match="partial").resolved().normalize
        'nfc'
        >>> Conventions(k=0).resolved()
        Traceback (most recent call last):
        ...
        frtune.errors.InputError: k=0: a whole number from 1. Pass k=10, for example.
    """

    k: int = 10
    match: Match = "exact"
    language: str | None = None
    normalize: Normalize | None = None
    dedup: bool | None = None
    cut: Cut = "pred"
    empty_reference: EmptyReference = "zero"
    macro: Macro = "f1"
    threshold: float | None = None
    presence: Presence | None = None

    def resolved(self) -> Conventions:
        """Return the same with every ``None`` decided, or raise ``InputError``."""
        for name, allowed in _CHOICES.items():
            value = getattr(self, name)
            if value not in allowed:
                listed = ", ".join(repr(choice) for choice in allowed if choice is not None)
                raise InputError(f"{name}={value!r}: one of {listed}. Pass one of them.")
        if isinstance(self.k, bool) or not isinstance(self.k, int) or self.k < 1:
            raise InputError(f"k={self.k!r}: a whole number from 1. Pass k=10, for example.")
        if self.threshold is not None and self.match != "fuzzy":
            raise InputError(
                f"threshold={self.threshold}: only with match='fuzzy'. "
                "Leave it out, or pass match='fuzzy'."
            )
        threshold = 0.9 if self.threshold is None else self.threshold
        if not 0 < threshold <= 1:
            raise InputError(
                f"threshold={threshold}: above 0 and up to 1. Pass threshold=0.9, for example."
            )
        if self.match == "stem" or self.presence == "stem":
            stemmer_for(self.language)
        partial = self.match == "partial"
        return replace(
            self,
            normalize=self.normalize or ("nfc" if partial else "casefold"),
            dedup=(not partial) if self.dedup is None else bool(self.dedup),
            threshold=threshold if self.match == "fuzzy" else None,
            presence=self.presence or presence_for(self.language),
        )

    @property
    def needs_stemmer(self) -> bool:
        """Whether stems are used at all."""
        return self.language in STEMMERS and "stem" in (self.match, self.presence)


def conventions(**options: Any) -> Conventions:
    """Build resolved ``Conventions``; an unknown name is an ``InputError`` that offers the nearest.

    Example:
        >>> conventions(deduplicate=True)
        Traceback (most recent call last):
        ...
        frtune.errors.InputError: deduplicate=True: not an option. Did you mean dedup?
    """
    known = [field.name for field in fields(Conventions)]
    for name, value in options.items():
        if name not in known:
            hint = nearest(name, known) or f" Use one of {', '.join(known)}."
            raise InputError(f"{name}={value!r}: not an option.{hint}")
    return Conventions(**options).resolved()


def signature(*fields: str) -> str:
    """A score's name and conventions in one line, with the version of frtune at its end."""
    release = ".".join(__version__.split(".")[:2])
    return "|".join([*fields, f"v:{release}"])
