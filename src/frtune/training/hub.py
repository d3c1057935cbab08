"""Pushing to the hub as ``Trainer`` does it, without pickles and without the rows of the user."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import Trainer
from transformers.trainer import hf_api
from transformers.trainer_utils import HubStrategy
from transformers.utils import PushInProgress

# pickles, checkpoints, what frtune needs here alone, and the files that hold rows of the data
LEFT_OUT = (
    "*.bin", "*.pt", "*.pth", "*.pkl", "*.pickle", "_*", ".*", "checkpoint-*", "*/.*",
    "tiny/*", "predictions.jsonl", "report.html", "status.json",
    "optimizer*", "scheduler*", "scaler*",
)  # fmt: skip


def push(
    trainer: Trainer,
    commit_message: str | None = "End of training",
    blocking: bool = True,
    token: str | None = None,
    revision: str | None = None,
    private: bool | None = None,
    **card: Any,
) -> Any:
    """Upload ``args.output_dir`` to ``args.hub_model_id``; ``Trainer.push_to_hub`` in kind.

    A ``README.md`` that is there, as ``frtune train`` leaves it, is kept; else ``Trainer`` writes
    one. With several processes, all of them must call this.

    ``token``, ``revision`` and ``private`` stand in place of those in ``trainer.args``; ``card``
    has arguments of ``Trainer.create_model_card``.

    Returns:
        What ``HfApi.upload_folder`` returns; ``None`` on other processes than the first.
    """
    args = trainer.args
    trainer.callback_handler.on_push_begin(args, trainer.state, trainer.control)
    if trainer.hub_model_id is None:
        trainer.init_hf_repo(token=token, private=private)
    if not trainer.is_world_process_zero():
        return None
    if not (Path(str(args.output_dir)) / "README.md").is_file():
        name = (args.hub_model_id or Path(str(args.output_dir)).name).split("/")[-1]
        trainer.create_model_card(**{"model_name": name, **card})
    trainer._finish_current_push()
    return hf_api().upload_folder(
        repo_id=str(trainer.hub_model_id),
        folder_path=str(args.output_dir),
        commit_message=commit_message or "End of training",
        token=token or args.hub_token,
        run_as_future=not blocking,
        ignore_patterns=list(LEFT_OUT),
        revision=revision or args.hub_revision,
    )


def push_checkpoint(trainer: Trainer, folder: str) -> None:
    """Upload the model of a checkpoint that was just saved, in the background, where it is asked.

    A push that is still under way is not waited for, unless ``args.hub_always_push``.
    """
    args = trainer.args
    if not trainer.is_world_process_zero() or args.hub_strategy == HubStrategy.END:
        return
    under_way = trainer.push_in_progress is not None and not trainer.push_in_progress.is_done()
    if under_way and not args.hub_always_push:
        return
    trainer.callback_handler.on_push_begin(args, trainer.state, trainer.control)
    job = hf_api().upload_folder(
        repo_id=str(trainer.hub_model_id),
        folder_path=folder,
        commit_message=f"Training in progress, step {trainer.state.global_step}",
        token=args.hub_token,
        run_as_future=True,
        ignore_patterns=list(LEFT_OUT),
        revision=args.hub_revision,
    )
    if under_way and trainer.push_in_progress is not None:
        trainer.push_in_progress.jobs.append(job)  # type: ignore[attr-defined]
    else:
        trainer.push_in_progress = PushInProgress([job])
