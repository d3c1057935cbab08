"""A finished model on disk: whole, without pickle, and proven to be what was in memory."""

from __future__ import annotations

import contextlib
import logging
import shutil
from pathlib import Path
from typing import Any

from frtune.environment.progress import brief_bars
from frtune.errors import InputError, first_line
from frtune.files import LOCK_FILE, staged
from frtune.models.continued_adapter import write_proven
from frtune.models.deepspeed import zero3_suspended
from frtune.models.families import kind_of
from frtune.models.model_verification import MERGING, allowed_difference, prove_saved
from frtune.models.probe import probe_logits
from frtune.models.weight_verification import check_finite
from frtune.outputs import check_output_directory, contents
from frtune.training.resource_errors import is_disk_full, is_memory_full
from frtune.training.trainer import TaskTrainer

logger = logging.getLogger(__name__)

PROOF_ROWS = 2
MERGED = "merged"
TINY = "tiny"  # where a run puts the checkpoint that it makes to start from
MERGED_BASE = "base"  # where it puts the model that --merge-first makes to start from


def check_output_dir(directory: str | Path, *, resume: bool = False) -> None:
    """Refuse (``InputError``) a directory that holds something else, unless a run is resumed there.

    So is one that is a file, or cannot be written.
    """
    directory = check_output_directory(directory)
    found = [name for name in contents(directory) if name != LOCK_FILE]
    if found and not resume:
        if "config.yaml" in found or found in ([TINY], [MERGED_BASE]):
            what, way = "another run", ", or pass --resume to go on with it"
        else:
            what, way = f"files ({', '.join(found[:3])})", ""
        raise InputError(f"output_dir={directory}: holds {what}. Give a new directory{way}.")
    # killed while it prepared, a run leaves no more than that
    own = (TINY, MERGED_BASE)
    if "config.yaml" not in found and not all(name in own or name[0] == "." for name in found):
        raise InputError(
            f"output_dir={directory}: holds no run to resume, but {', '.join(found[:3])}. "
            "Give a new directory."
        )


def save(
    trainer: TaskTrainer, directory: str | Path, *, proof: bool = True, merge: bool = False
) -> Path:
    """Save a trained model so that ``frtune.load`` opens it: safetensors, tokenizer and task.

    With several processes, all of them must call this. An adapter is saved as an adapter, with the
    rows of new tokens; ``frtune.load`` opens its base in the bits that it was trained on.

    Args:
        trainer: As ``task.trainer`` made it.
        directory: Where to; created if needed. Files appear whole or not at all.
        proof: Reload what was saved and compare its logits with those in memory.
        merge: Also save the adapter merged into its base, in ``merged/``.

    Returns:
        The directory.

    Raises:
        RuntimeError: If the reloaded model differs from the one in memory; or if what Transformers
            opens of ``merged/`` does: the adapter is saved then, and there is no ``merged/``.
    """
    main = trainer.args.process_index == 0
    directory = Path(directory)
    with staged(directory) if main else contextlib.nullcontext(directory) as draft:
        batch, expected = _write_model(trainer, draft, proof=proof)
    if main:
        shutil.rmtree(directory / MERGED, ignore_errors=True)  # of an adapter that was here before
        if merge:
            with staged(directory) as draft, zero3_suspended():
                _write_merged(trainer, directory, draft, batch, expected)
    trainer.accelerator.wait_for_everyone()
    return directory


def _write_model(trainer: TaskTrainer, draft: Path, *, proof: bool) -> tuple[Any, Any]:
    """Write model, tokenizer and task into ``draft``, and prove them; all processes call this.

    Returns the rows of the proof, and their logits.
    """
    model: Any = trainer.model
    _check_finite(model)
    batch = _probe_batch(trainer) if proof else None
    if proof and batch is None:
        logger.warning("save-reload proof left out: the trainer has no rows to try")
    # ZeRO-3 splits the weights: all ranks compute the logits together
    expected = probe_logits(trainer.model_wrapped, batch) if batch else None
    trainer.write_model(draft)
    if trainer.args.process_index > 0:
        return batch, expected
    if trainer.task.served_end_ids(trainer.processing_class, kind_of(model)):
        model.generation_config.save_pretrained(draft)  # an adapter is saved without it
    if batch:
        with zero3_suspended():
            difference = prove_saved(
                draft, trainer.model, trainer.processing_class, trainer.task, batch,
                expected=expected,
            )  # fmt: skip
        logger.info("save-reload proof: logits differ by %.2g at most", difference)
    return batch, expected


def _check_finite(model: Any) -> None:
    try:
        check_finite("the trained model", model.named_parameters())
    except InputError as error:
        raise RuntimeError(f"nothing is saved: {error}") from error


def _probe_batch(trainer: TaskTrainer) -> dict[str, Any] | None:
    """The first rows of training or validation, as the model gets them."""
    rows = trainer.train_dataset if trainer.train_dataset is not None else trainer.eval_dataset
    if isinstance(rows, dict):
        rows = next(iter(rows.values()))
    if rows is None:
        return None
    batch = trainer.data_collator([rows[i] for i in range(min(PROOF_ROWS, len(rows)))])
    return {name: value for name, value in batch.items() if name not in ("row", "labels")}


@brief_bars()
def _write_merged(
    trainer: TaskTrainer, saved: Path, draft: Path, batch: dict[str, Any] | None, expected: Any
) -> None:
    """Merge the saved adapter into its full-precision base, and compare it with ``expected``."""
    model: Any = trainer.model
    quantized = getattr(model.config, "quantization_config", None) is not None
    allowed = None
    if batch and not quantized:
        allowed = MERGING * allowed_difference(model, expected)
    try:
        difference = write_proven(
            saved, trainer.task, draft / MERGED, batch=batch, expected=expected, allowed=allowed
        )
    except Exception as error:  # each method of PEFT fails in its own way
        if is_memory_full(error) or is_disk_full(error):
            raise
        raise RuntimeError(
            f"merge: failed ({first_line(error).rstrip('.')}). The adapter is saved in {saved}; "
            "use it as it is."
        ) from error
    if difference is not None:
        logger.log(
            logging.WARNING if quantized else logging.INFO,
            "merged: logits differ by %.2g at most from those of the adapter%s",
            difference,
            " on its quantised base" if quantized else "",
        )
