"""The families of each kind, for tests that go over the table.

Those that tests train in every combination; ``tests/models/test_family_walk.py`` goes over all.
"""

from __future__ import annotations

from frtune.models.families import FAMILIES, families_for

IN_DEPTH = tuple(name for name, row in FAMILIES.items() if row.sharding_tested)
OTHERS = tuple(name for name in FAMILIES if name not in IN_DEPTH)


def _in_depth(kind: str) -> tuple[str, ...]:
    return tuple(name for name in families_for({kind}) if name in IN_DEPTH)


ENCODERS = _in_depth("encoder")
SEQ2SEQ = _in_depth("encoder-decoder")
DECODERS = _in_depth("decoder")
CLASSIFYING = (*ENCODERS, *DECODERS)
GENERATING = (*SEQ2SEQ, *DECODERS)
CHECKPOINTING = tuple(name for name in IN_DEPTH if FAMILIES[name].gradient_checkpointing)
