"""Scores: pure functions on lists, without torch.

Public names, those of ``__init__.pyi``, load on first use: all at once they take ten times as
long as ``keyphrase_scores``, most of it scikit-learn and NLTK.

Example:
    >>> from frtune.metrics import keyphrase_scores
    >>> keyphrase_scores([["solar cell"]], [["Solar cell", "silicon"]])["f1_at_m"]
    0.6666666666666666
"""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
