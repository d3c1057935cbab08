"""What a saved model's configs say of how it is used, wherever its directory is opened."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any


def serve(model: Any, settings: Mapping[str, Any]) -> None:
    """Let ``generate`` write as the task does, without being told.

    Args:
        model: Its ``generation_config``, and the ``prefix`` of its config, are changed in place.
        settings: Of the task: ``eos_token_id``, a list, goes before the model's own;
            ``max_new_tokens``; ``prefix`` is what ``pipeline`` puts before each text, and ``""``
            takes away that of an earlier task. None leaves the model as it is.
    """
    if not settings:
        return
    own = model.generation_config.eos_token_id
    own = own if isinstance(own, list) else [own]
    found = dict.fromkeys([*settings["eos_token_id"], *own])
    model.generation_config.eos_token_id = [int(i) for i in found if i is not None]
    model.generation_config.max_new_tokens = settings["max_new_tokens"]
    model.generation_config.do_sample = False
    # of all places that Transformers has had for it the only one that its pipelines still read
    if prefix := settings.get("prefix"):
        model.config.prefix = prefix
    elif prefix == "" and hasattr(model.config, "prefix"):
        del model.config.prefix


def use_cache_of(model: Any) -> bool | None:
    """What a model's config says of ``use_cache``; ``None``: nothing."""
    return getattr(getattr(model, "config", None), "use_cache", None)


@contextlib.contextmanager
def use_cache_as(model: Any, value: bool | None) -> Iterator[None]:
    """Have ``value`` in the model's config meanwhile, which ``Trainer`` changes for its own work.

    A program that goes by the config would else compute each earlier token again for each that it
    writes; ``generate`` of Transformers 5 keeps its cache either way.
    """
    config: Any = model.config
    trained = use_cache_of(model)
    if value is None:
        if hasattr(config, "use_cache"):
            del config.use_cache
    else:
        config.use_cache = value
    try:
        yield
    finally:
        if trained is not None:
            config.use_cache = trained
