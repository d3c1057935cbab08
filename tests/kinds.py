"""The families of each kind, for tests that go over the table."""

from __future__ import annotations

from frtune.models.families import FAMILIES, families_for

ENCODERS = tuple(families_for({"encoder"}))
SEQ2SEQ = tuple(families_for({"encoder-decoder"}))
DECODERS = tuple(families_for({"decoder"}))
CLASSIFYING = (*ENCODERS, *DECODERS)
GENERATING = (*SEQ2SEQ, *DECODERS)
CHECKPOINTING = tuple(name for name in FAMILIES if FAMILIES[name].gradient_checkpointing)
