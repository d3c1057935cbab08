"""The progress bars of Transformers around frtune's own calls."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from transformers.utils.logging import set_tqdm_hook

PATIENCE_SECONDS = 5


@contextlib.contextmanager
def brief_bars() -> Iterator[None]:
    """Show a bar of Transformers (loading weights, writing files) only if the work takes long.

    Whoever has turned the bars off sees none, and a hook that is set already is left in charge.
    """
    late = {"delay": PATIENCE_SECONDS, "leave": False}  # and gone when it is done
    hook = set_tqdm_hook(lambda make, words, options: make(*words, **{**late, **options}))
    if hook is not None:
        set_tqdm_hook(hook)
    try:
        yield
    finally:
        set_tqdm_hook(hook)
