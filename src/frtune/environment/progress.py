"""Progress bars that stand only where work takes long."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from tqdm.auto import tqdm
from transformers.utils.logging import set_tqdm_hook

PATIENCE_SECONDS = 5
_LATE = {"delay": PATIENCE_SECONDS, "leave": False}  # and gone when it is done


def brief_bar(**options: Any) -> tqdm:
    """A bar, with tqdm's options, that is shown only if the work takes long."""
    return tqdm(dynamic_ncols=True, **_LATE, **options)


@contextlib.contextmanager
def brief_bars() -> Iterator[None]:
    """Show a bar of Transformers (loading weights, writing files) only if the work takes long.

    Whoever has turned the bars off sees none, and a hook that is set already is left in charge.
    """
    hook = set_tqdm_hook(lambda make, words, options: make(*words, **{**_LATE, **options}))
    if hook is not None:
        set_tqdm_hook(hook)
    try:
        yield
    finally:
        set_tqdm_hook(hook)
