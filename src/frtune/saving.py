"""A finished model on disk: whole, without pickle, and proven to be what was in memory."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frtune.errors import InputError
from frtune.tasks._store import save_task

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@contextlib.contextmanager
def staged(directory: str | Path) -> Iterator[Path]:
    """Give a draft folder inside ``directory``; on success its files move to their final names.

    An error or a kill leaves nothing under a final name.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=directory))
    try:
        yield draft
        for item in sorted(draft.iterdir()):
            target = directory / item.name
            if target.is_dir() and item.is_dir():
                shutil.rmtree(target)
            os.replace(item, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def check_output_dir(directory: str | Path, *, resume: bool = False) -> None:
    """Refuse a directory that holds something else, unless a run is to be resumed there.

    Raises:
        InputError: If the directory has files and ``resume`` is false, or is no directory, or
            cannot be written.
    """
    directory = Path(directory)
    if directory.exists() and not directory.is_dir():
        raise InputError(f"output_dir={directory}: is a file. Give a directory.")
    found = sorted(item.name for item in directory.iterdir()) if directory.exists() else []
    if found and not resume:
        what = "another run" if "config.yaml" in found else f"files ({', '.join(found[:3])}, ...)"
        raise InputError(
            f"output_dir={directory}: holds {what}. "
            "Give a new directory, or pass --resume to go on with the run there."
        )
    if found and "config.yaml" not in found:
        raise InputError(
            f"output_dir={directory}: holds no run to resume, but {', '.join(found[:3])}. "
            "Give a new directory."
        )
    parent = next(
        folder for folder in [directory, *directory.absolute().parents] if folder.exists()
    )
    if not os.access(parent, os.W_OK):
        raise InputError(f"output_dir={directory}: {parent} is not writable. Give another place.")


def save(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    task: Any,
    directory: str | Path,
    *,
    proof_batch: dict[str, Any] | None = None,
) -> Path:
    """Save a model so that ``frtune.load`` opens it: safetensors, tokenizer and task.

    Args:
        model: A full model, or one with an adapter (only the adapter and new-token rows are saved).
        tokenizer: Its tokenizer.
        task: Its task.
        directory: Where to; created if needed. Files appear whole or not at all.
        proof_batch: Model inputs; the saved model is reloaded and must give the same logits.

    Returns:
        The directory.

    Raises:
        RuntimeError: If the reloaded model differs from the one in memory.
    """
    from frtune.models.proofs import prove_saved

    directory = Path(directory)
    with staged(directory) as draft:
        model.save_pretrained(draft)
        tokenizer.save_pretrained(draft)
        save_task(task, draft)
        if proof_batch is not None:
            prove_saved(draft, model, tokenizer, task, proof_batch)
    return directory
