"""The settings of a run besides its task and its training arguments."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from frtune.errors import InputError
from frtune.ranges import check_fields
from frtune.tasks.base import Task
from frtune.training.argument_checks import check_arguments
from frtune.training.batching import check_batches
from frtune.training.device_checks import check_devices
from frtune.training.mixup.mixup import Level, Mixup
from frtune.training.saving import TINY
from frtune.training.trainer import GenerationSchedule
from frtune.training.training_checks import check_task


@dataclass(frozen=True)
class RunSettings:
    """What a run needs to know besides its task and its ``TrainingArguments``.

    Attributes:
        data: File, folder, hub name, or 'sample' for bundled rows.
        checkpoint: Hub name, directory, adapter, or 'tiny' (with 'sample').
        family: Model family, if the checkpoint does not say it.
        encoding: Encoding of the data files (default: UTF-8).
        text_columns: Columns whose cells stay text, in CSV, TSV and Excel files.
        decimal_comma: Read cells such as 3,8 as numbers.
        max_train_rows: Number of training rows, drawn with a seed.
        max_eval_rows: Number of validation rows.
        max_test_rows: Number of test rows; 0 for no test split.
        curve_rows: Draw --max-train-rows as --learning-curve does; no test rows.
        lora: Train an adapter (default: for decoders that classify).
        lora_r: Rank of the adapter (default: 8).
        lora_alpha: Scale of the adapter (default: 16).
        lora_dropout: Dropout before the adapter (default: 0.05).
        int8: Load the base in int8 (with --lora).
        nf4: Load the base in 4-bit nf4 (with --lora).
        merge_first: Merge the adapter of --checkpoint first, then train.
        merge: Also save the adapter merged into its base, in merged/.
        max_tokens_per_batch: Most tokens of a micro-batch, with padding.
        packing: Join rows in one sequence (decoders that generate).
        mixup: Train on mixtures of two rows and of their labels.
        mixup_level: embeddings, hidden (of a block) or sentence.
        mixup_alpha: Shares are drawn from Beta(alpha, alpha).
        mixup_layer: Block to mix at, from 1 (default: drawn for each batch).
        mixup_rows: Number of mixed rows to make first and add.
        resume: Continue from the newest checkpoint in --output-dir.
        early_stopping_patience: Evaluations without gain until it stops (0: never).
        generate_every_epochs: Generate and score at every Nth epoch.
        generate_max_rows: Number of rows to generate for at an epoch.
        proof: Check tokenizer and saved model (--no-proof: off).
    """

    data: str = "sample"
    checkpoint: str | None = None
    family: str | None = None
    encoding: str | None = None
    text_columns: list[str] | None = None
    decimal_comma: bool = False
    max_train_rows: int | None = None
    max_eval_rows: int | None = None
    max_test_rows: int | None = None
    curve_rows: bool | None = field(default=None, metadata={"nargs": "?", "const": True})
    lora: bool | None = field(default=None, metadata={"nargs": "?", "const": True})
    lora_r: int | None = None
    lora_alpha: int | None = None
    lora_dropout: float | None = None
    int8: bool = False
    nf4: bool = False
    merge_first: bool = False
    merge: bool = False
    max_tokens_per_batch: int | None = None
    packing: bool = False
    mixup: bool = False
    mixup_level: Level = field(default="embeddings", metadata={"metavar": "LEVEL"})
    mixup_alpha: float = 0.2
    mixup_layer: int | None = None
    mixup_rows: int | None = None
    resume: bool = False
    early_stopping_patience: int = 3
    generate_every_epochs: int | None = None
    generate_max_rows: int | None = None
    proof: bool = True

    def __post_init__(self):
        check_fields(self)
        for name in ("data", "checkpoint", "family", "encoding"):
            if (value := getattr(self, name)) is not None and not str(value).strip():
                raise InputError(f"--{name}: is empty. Give a value, or leave it out.")
        if self.int8 and self.nf4:
            raise InputError("--int8 and --nf4: one of the two. Leave one out.")
        for name in ("level", "alpha", "layer", "rows"):
            if not self.mixup and getattr(self, f"mixup_{name}") != getattr(Mixup, name):
                raise InputError(f"--mixup-{name}: needs --mixup. Pass it too.")
        self.mixing()  # refuses bad values

    def mixing(self) -> Mixup | None:
        """What ``task.trainer`` is told about MixUp."""
        if not self.mixup:
            return None
        return Mixup(self.mixup_level, self.mixup_alpha, self.mixup_layer, self.mixup_rows)

    @property
    def trainer_options(self) -> dict[str, Any]:
        """What ``task.trainer`` and ``check_training`` take of these settings."""
        return {
            "schedule": GenerationSchedule(self.generate_every_epochs, self.generate_max_rows),
            "mixup": self.mixing(),
            "max_tokens_per_batch": self.max_tokens_per_batch,
            "packing": self.packing,
        }

    @property
    def quantization(self) -> str | None:
        """``"int8"``, ``"nf4"`` or ``None``."""
        return "int8" if self.int8 else "nf4" if self.nf4 else None


def check_alone(args: Any, command: str, what: str) -> None:
    """Refuse what work of many runs in one process has no use for.

    Args:
        args: ``TrainingArguments``.
        command: What messages call the program.
        what: The work, such as ``"a search"``.

    Raises:
        InputError: For several processes, DeepSpeed, and a model that is to be published.
    """
    if args.world_size > 1:
        raise InputError(
            f"{command}: one process, and there are {args.world_size}. Leave the launcher out."
        )
    if args.deepspeed:
        raise InputError(f"--deepspeed: {what} trains in one process. Leave it out.")
    if args.push_to_hub:
        raise InputError(f"--push-to-hub: {what} publishes no model. Leave it out.")


def check_settings(
    settings: RunSettings, args: Any, task: Task | None = None, *, here: bool = True
) -> None:
    """Refuse settings and arguments that would fail later or be ignored, before anything is read.

    With ``task``, those too that do not fit it. Without ``here``, the run is another process's,
    and the GPUs that this one sees do not matter.

    Raises:
        InputError: Names the argument and the way out.
    """
    if here:
        check_devices(args)
    check_arguments(args, of_run=True)
    check_batches(args, settings.max_tokens_per_batch)
    patience = settings.early_stopping_patience
    usual = RunSettings.early_stopping_patience
    if patience not in (0, usual) and not stops_early(settings, args):
        raise InputError(
            f"early_stopping_patience={patience}: does nothing without --load-best-model-at-end "
            "true and an --eval-strategy. Leave it out."
        )
    if task is not None:
        options = settings.trainer_options
        del options["packing"]  # needs the model's kind
        check_task(task, args, **options)


def stops_early(settings: RunSettings, args: Any) -> bool:
    """Whether the run ends once its score no longer improves."""
    patience = settings.early_stopping_patience
    return patience > 0 and args.load_best_model_at_end and args.eval_strategy != "no"


def is_tiny(settings: RunSettings | Any) -> bool:
    """Whether the run starts from a tiny checkpoint: asked for, or the default of the sample."""
    return settings.checkpoint == TINY or (
        settings.checkpoint is None and settings.data == "sample"
    )
