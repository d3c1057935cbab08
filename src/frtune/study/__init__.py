"""What fine-tuning does to a model's hidden states, layer by layer.

``study`` compares checkpoints; ``layer_statistics``, ``compare_layers``, ``probe_layers`` and
``convergence`` do one part each on models that are loaded already. Public names load on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from frtune.study.answers import convergence as convergence
    from frtune.study.functions import compare_layers as compare_layers
    from frtune.study.functions import layer_statistics as layer_statistics
    from frtune.study.functions import probe_layers as probe_layers
    from frtune.study.layer_study import study as study
    from frtune.study.result import Study as Study

_HOME = {
    "study": "frtune.study.layer_study",
    "Study": "frtune.study.result",
    "layer_statistics": "frtune.study.functions",
    "compare_layers": "frtune.study.functions",
    "probe_layers": "frtune.study.functions",
    "convergence": "frtune.study.answers",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'frtune.study' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
