"""Finished statistics on disk, so that an interrupted study goes on where it was."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from frtune.files import draft_file
from frtune.study.collect import Collected
from frtune.study.corpus import Corpus
from frtune.study.cosines import Value
from frtune.study.settings import Settings

FOLDER = "statistics"
VERSION = 2  # of what a file holds; raised when a statistic changes


def texts_hash(keys: np.ndarray) -> str:
    """Hash of the texts, whatever their order, from the uint64 ``(texts,)`` of ``text_keys``."""
    return hashlib.blake2b(np.sort(keys).tobytes(), digest_size=16).hexdigest()


class Store:
    """One file per checkpoint, named by the content of model, texts and settings.

    Args:
        directory: Folder of the study; ``None`` keeps nothing.
    """

    def __init__(self, directory: str | os.PathLike[str] | None) -> None:
        self._folder = None if directory is None else Path(directory) / FOLDER

    def path(self, weights_hash: str, corpus: Corpus, settings: Settings) -> Path | None:
        """Where a checkpoint's statistics are or will be; the batch size is no part of it."""
        if self._folder is None:
            return None
        fixed = dataclasses.asdict(settings)
        del fixed["token_budget"]
        content = [VERSION, weights_hash, corpus.signature, texts_hash(corpus.keys), fixed]
        name = hashlib.blake2b(json.dumps(content).encode(), digest_size=16).hexdigest()
        return self._folder / f"{name}.safetensors"

    def read(self, path: Path | None) -> Collected | None:
        """Read what is there, or return ``None``."""
        if path is None or not path.is_file():
            return None
        try:
            with safe_open(path, framework="numpy") as file:
                content = json.loads(file.metadata()["study"])
                arrays = {name: file.get_tensor(name) for name in file.keys()}
        except (SafetensorError, OSError, ValueError, KeyError):
            return None  # a damaged file is computed again
        statistics = [
            {name: Value(*value) for name, value in layer.items()}
            for layer in content["statistics"]
        ]
        notes = [(what, why) for what, why in content["notes"]]
        return Collected(statistics, arrays, content["broken"], content["probed"], notes)

    def write(self, path: Path | None, found: Collected) -> None:
        """Write a checkpoint's statistics; the file appears whole or not at all."""
        if path is None:
            return
        names = ("statistics", "broken", "probed", "notes")
        content = {name: getattr(found, name) for name in names}
        with draft_file(path) as draft:
            save_file(found.arrays, draft, metadata={"study": json.dumps(content)})
