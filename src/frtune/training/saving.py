"""A finished model on disk: whole, without pickle, and proven to be what was in memory."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import Any

from frtune.environment.progress import brief_bars
from frtune.errors import InputError
from frtune.files import LOCK_FILE, staged
from frtune.models.continued_adapter import write_merged
from frtune.models.deepspeed import zero3_suspended
from frtune.models.families import kind_of
from frtune.models.loading import load_saved
from frtune.models.model_verification import prove_saved
from frtune.models.probe import probe_logits
from frtune.outputs import check_output_directory, contents
from frtune.training.trainer import TaskTrainer

logger = logging.getLogger(__name__)

PROOF_ROWS = 2
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
        RuntimeError: If the reloaded model differs from the one in memory.
    """
    main = trainer.args.process_index == 0
    with staged(directory) if main else contextlib.nullcontext(Path(directory)) as draft:
        _write_model(trainer, draft, proof=proof, merge=merge)
    trainer.accelerator.wait_for_everyone()
    return Path(directory)


def _write_model(trainer: TaskTrainer, draft: Path, *, proof: bool, merge: bool) -> None:
    """Write model, tokenizer and task into ``draft``, and prove them; all processes call this."""
    batch = _probe_batch(trainer) if proof else None
    if proof and batch is None:
        logger.warning("save-reload proof left out: the trainer has no rows to try")
    # ZeRO-3 splits the weights: all ranks compute the logits together
    expected = probe_logits(trainer.model_wrapped, batch) if batch else None
    trainer.write_model(draft)
    if trainer.args.process_index > 0:
        return
    model: Any = trainer.model
    if trainer.task.served_end_ids(trainer.processing_class, kind_of(model)):
        model.generation_config.save_pretrained(draft)  # an adapter is saved without it
    with zero3_suspended():
        if batch:
            difference = prove_saved(
                draft, trainer.model, trainer.processing_class, trainer.task, batch,
                expected=expected,
            )  # fmt: skip
            logger.info("save-reload proof: logits differ by %.2g at most", difference)
        if merge:
            _write_merged(trainer, draft, batch, expected)


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
    trainer: TaskTrainer, draft: Path, batch: dict[str, Any] | None, expected: Any
) -> None:
    """Merge the saved adapter into its full-precision base, and compare it with ``expected``."""
    model, tokenizer = load_saved(draft, trainer.task, merge=True)
    if batch:
        difference = (probe_logits(model, batch) - expected).abs().max().item()
        quantized = getattr(trainer.model.config, "quantization_config", None) is not None
        logger.log(
            logging.WARNING if quantized else logging.INFO,
            "merged: logits differ by %.2g at most from those of the adapter%s",
            difference,
            " on its quantised base" if quantized else "",
        )
    write_merged((model, tokenizer), trainer.task, source=draft, target=draft / "merged")
