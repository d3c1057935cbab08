"""A finished model on disk: whole, without pickle, and proven to be what was in memory."""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from frtune.environment.progress import brief_bars
from frtune.errors import InputError, first_line
from frtune.failures import SavedModelError
from frtune.files import LOCK_FILE, staged
from frtune.models import deepspeed
from frtune.models.continued_adapter import write_proven
from frtune.models.deepspeed import zero3_suspended
from frtune.models.families import kind_of
from frtune.models.model_verification import MERGING, allowed_difference, prove_saved
from frtune.models.probe import probe_logits
from frtune.models.proof_record import mark_proven, mark_unproven, unproven_text
from frtune.models.weight_verification import check_finite
from frtune.outputs import check_output_directory, contents
from frtune.training.distributed import fail_together
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
            what, way = "another run", ", or pass --resume to continue it"
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

    The files have their names before they are proven. While the proof runs, and where it fails,
    ``frtune_unproven.json`` stands beside them.

    Args:
        trainer: As ``task.trainer`` made it.
        directory: Where to; created if needed. Files appear whole or not at all.
        proof: Reload what was saved and compare its logits with those in memory. What is reloaded
            stays on the host; a GPU has one layer of it at a time.
        merge: Also save the adapter merged into its base, in ``merged/``.

    Returns:
        The directory.

    Raises:
        SavedModelError: The model is saved, but the proof could not be made, or found other logits
            than those in memory; or ``merged/`` could not be made, and there is none then.
        RuntimeError: If a weight is NaN or infinite; nothing is saved then.
    """
    main = trainer.args.process_index == 0
    directory = Path(directory)
    _check_finite(trainer.model)
    batch = _probe_batch(trainer) if proof else None
    if proof and batch is None:
        logger.warning("save-reload proof left out: the trainer has no rows to try")
    fail_together(trainer.args, _failure(lambda: _write(trainer, directory, to_prove=bool(batch))))

    def finish() -> None:
        expected = _prove(trainer, directory, batch) if batch else None
        if main and merge:
            _merge(trainer, directory, batch, expected)

    fail_together(trainer.args, _failure(finish))
    return directory


def _failure(function: Callable[[], None]) -> Exception | None:
    """Call ``function``; the error that ends it, for all processes to leave together."""
    try:
        function()
    except Exception as error:
        return error
    return None


def _reason(error: Exception, directory: Path) -> str:
    """What an error says, without the place, and without what to do."""
    if is_memory_full(error):
        return "memory ran out"
    if is_disk_full(error):
        return "the disk is full"
    text = str(error).replace(f"directory={str(directory)!r}: ", "").split(". ")[0]
    return first_line(RuntimeError(text or type(error).__name__)).rstrip(".")


def _write(trainer: TaskTrainer, directory: Path, *, to_prove: bool) -> None:
    """Write model, tokenizer and task, marked where they are yet to be proven."""
    main, model = trainer.args.process_index == 0, cast(Any, trainer.model)
    with staged(directory) if main else contextlib.nullcontext(directory) as draft:
        trainer.write_model(draft)
        if not main:
            return
        if trainer.task.served_settings(trainer.processing_class, kind_of(model)):
            model.generation_config.save_pretrained(draft)  # an adapter is saved without it
        if to_prove:  # before the weights have their names: a kill leaves none that seem proven
            mark_unproven(directory)
    if not to_prove:
        mark_proven(directory)
    shutil.rmtree(directory / MERGED, ignore_errors=True)  # of an adapter that was here before


def _prove(trainer: TaskTrainer, directory: Path, batch: dict[str, Any]) -> Any:
    """Prove what was saved on the main process; logits of the rows that it was proven on."""
    main, expected, reason = trainer.args.process_index == 0, None, None
    try:
        # ZeRO-3 and FSDP split the weights: all ranks compute the logits together
        if main or trainer.is_fsdp_enabled or deepspeed.zero3_enabled():
            expected = probe_logits(trainer.model_wrapped, batch)
        if main:
            with zero3_suspended():
                difference = prove_saved(
                    directory, trainer.model, trainer.processing_class, trainer.task, batch,
                    expected=expected,
                )  # fmt: skip
            logger.info("save-reload proof: logits differ by %.2g at most", difference)
            mark_proven(directory)
    except Exception as error:  # whatever it is, hours of training are on the disk
        logger.debug("save-reload proof", exc_info=True)
        reason = _reason(error, directory)
    if reason is not None:  # outside of what was caught, which the command line would tell instead
        if main:
            with contextlib.suppress(OSError):
                mark_unproven(directory, reason)
        raise SavedModelError(unproven_text(directory, reason))
    return expected


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
def _merge(
    trainer: TaskTrainer, directory: Path, batch: dict[str, Any] | None, expected: Any
) -> None:
    """Merge the saved adapter into its full-precision base, and compare it with ``expected``."""
    model: Any = trainer.model
    quantized = getattr(model.config, "quantization_config", None) is not None
    allowed = difference = reason = None
    if batch and not quantized:
        allowed = MERGING * allowed_difference(model, expected)
    try:
        with staged(directory) as draft, zero3_suspended():
            difference = write_proven(
                directory, trainer.task, draft / MERGED,
                batch=batch, expected=expected, allowed=allowed,
            )  # fmt: skip
    except Exception as error:  # each method of PEFT fails in its own way
        logger.debug("merge", exc_info=True)
        reason = _reason(error, directory)
    if reason is not None:
        raise SavedModelError(
            f"merge: failed ({reason}). The adapter is saved in {directory}; use it as it is."
        )
    if difference is not None:
        logger.log(
            logging.WARNING if quantized else logging.INFO,
            "merged: logits differ by %.2g at most from those of the adapter%s",
            difference,
            " on its quantised base" if quantized else "",
        )
