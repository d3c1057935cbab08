"""Versions of frtune, Python and the libraries that a score depends on."""

from __future__ import annotations

import contextlib
import platform
from importlib.metadata import PackageNotFoundError, version

from frtune.version import __version__

VERSIONED = (
    "torch", "transformers", "datasets", "peft", "accelerate", "bitsandbytes", "deepspeed",
    "rouge-score", "kiwipiepy",
)  # fmt: skip


def versions(*packages: str) -> dict[str, str]:
    """Versions of frtune, Python and the packages (by default ``VERSIONED``) that are installed."""
    found = {"frtune": __version__, "python": platform.python_version()}
    for name in packages or VERSIONED:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
