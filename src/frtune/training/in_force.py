"""What is in force in a run: what its arguments say, and what ``accelerate launch`` decided.

The launcher's YAML file and flags reach a process as variables of the environment. Accelerate and
Transformers act on them, and leave the fields of ``TrainingArguments`` as they were.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Iterator
from typing import Any

import torch.distributed as dist
from transformers.integrations.deepspeed import HfTrainerDeepSpeedConfig

from frtune.environment.extensions import check_no_abandoned_locks
from frtune.environment.precision import Precision, check_bf16, device_in_use
from frtune.errors import InputError
from frtune.models.deepspeed import zero3_suspended

_ZERO = ("ACCELERATE_DEEPSPEED_ZERO_STAGE", "ACCELERATE_DEEPSPEED_CONFIG_FILE")
_DECIDES = (
    "ACCELERATE_MIXED_PRECISION", "ACCELERATE_GRADIENT_ACCUMULATION_STEPS",
    "ACCELERATE_GRADIENT_CLIPPING", "ACCELERATE_USE_DEEPSPEED", "ACCELERATE_CONFIG_DS_FIELDS",
    "ACCELERATE_DYNAMO_BACKEND",
)  # fmt: skip
_NOT_OFFERED = {
    "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM",
    "ACCELERATE_USE_PARALLELISM_CONFIG": "a parallelism_config",
}


def launched() -> dict[str, Any]:
    """What ``accelerate launch`` decided, by the name of the training argument.

    Example:
        >>> launched()
        {}
    """
    found: dict[str, Any] = {}
    precision = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
    if precision in ("bf16", "fp16"):
        found |= {"bf16": precision == "bf16", "fp16": precision == "fp16"}
    steps = os.environ.get("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "auto")
    if steps.isdecimal():
        found["gradient_accumulation_steps"] = int(steps)
    clipping = os.environ.get("ACCELERATE_GRADIENT_CLIPPING", "auto")
    if clipping.replace(".", "", 1).isdecimal():
        found["max_grad_norm"] = float(clipping)
    backend = os.environ.get("ACCELERATE_DYNAMO_BACKEND", "no").lower()
    if backend != "no":
        found["torch_compile_backend"] = backend
    return found


@contextlib.contextmanager
def launcher_forgotten() -> Iterator[None]:
    """Make arguments of another run that says by itself what the launcher decided."""
    names = [*_DECIDES, *(name for name in os.environ if name.startswith("ACCELERATE_DEEPSPEED_"))]
    decided = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ |= decided


def check_agreed(given: dict[str, Any]) -> None:
    """Refuse (``InputError``) arguments that say other than the launcher."""
    for name, decided in launched().items():
        if name in given and given[name] != decided:
            raise InputError(
                f"{name}={given[name]}: accelerate launch decided {name}={decided}, in its YAML "
                "file or flags. Leave it out here, or say the same there."
            )


def deepspeed_config(args: Any) -> Any:
    """The ``HfDeepSpeedConfig`` that ``args`` or the launcher give; ``None`` without DeepSpeed."""
    own = getattr(args, "hf_deepspeed_config", None)
    plugin = getattr(args, "deepspeed_plugin", None)
    return own if own is not None or plugin is None else plugin.hf_ds_config


def precision(args: Any) -> Precision:
    """What a run computes in.

    Example:
        >>> from types import SimpleNamespace
        >>> precision(SimpleNamespace(mixed_precision="bf16"))
        'bf16'
    """
    config, mixed = deepspeed_config(args), getattr(args, "mixed_precision", "no")
    for name in ("bf16", "fp16"):
        if mixed == name or (config and config.is_true(f"{name}.enabled")):
            return name
    return "fp32"


def compiles(args: Any) -> bool:
    """Whether the model is compiled."""
    return args.torch_compile or "torch_compile_backend" in launched()


def zero(args: Any) -> dict[str, Any] | None:
    """ZeRO's stage and the optimizer that its configuration names; ``None`` without DeepSpeed."""
    config = deepspeed_config(args)
    if config is None:
        return None
    return {
        "stage": config.get_value("zero_optimization.stage", 0),
        "optimizer": config.get_value("optimizer.type"),
    }


def in_force(args: Any) -> dict[str, Any]:
    """What ``manifest.json`` says of it, as JSON values."""
    config = deepspeed_config(args)
    return {
        "precision": precision(args),
        "deepspeed": config and {**(zero(args) or {}), "offload": config.is_offload()},
        "gradient_accumulation_steps": args.gradient_accumulation_steps,
        "max_grad_norm": args.max_grad_norm,
        "processes": args.world_size,
        "decided_by_launcher": sorted(launched()) + ["deepspeed"] * _launcher_has_zero(args),
    }


def summary(args: Any) -> str:
    """The same in words, for a reader.

    Example:
        >>> from types import SimpleNamespace
        >>> summary(SimpleNamespace(mixed_precision="no"))
        'fp32'
    """
    stage, offloads = zero(args), deepspeed_config(args) and deepspeed_config(args).is_offload()
    return precision(args) + (
        f", ZeRO-{stage['stage']}{' with offload' if offloads else ''}" if stage else ""
    )


def _launcher_has_zero(args: Any) -> bool:
    return deepspeed_config(args) is not None and not args.deepspeed


def check_in_force(args: Any) -> None:
    """Refuse (``InputError``) what a launcher or DeepSpeed would ignore, or fail at later."""
    for variable, what in _NOT_OFFERED.items():
        if os.environ.get(variable, "").lower() in ("1", "true"):
            raise InputError(f"{variable}: frtune does not train with {what}. Leave it out.")
    if args.mixed_precision == "fp8":
        raise InputError("mixed_precision=fp8: not offered. Choose bf16, or no.")
    # those that plain TrainingArguments leave alone are in force as the launcher says
    chosen = {name: True for name in ("bf16", "fp16") if getattr(args, name)}
    numbers = ("gradient_accumulation_steps", "max_grad_norm")
    check_agreed(chosen | {name: getattr(args, name) for name in numbers})
    asked = args.fsdp or os.environ.get("ACCELERATE_USE_FSDP", "").lower() in ("1", "true")
    if args.device.type == "cpu" and asked:
        raise InputError(
            "fsdp: on CPUs Accelerate shards nothing. "
            "Pass --deepspeed deepspeed_configs/zero3.json, which splits the same."
        )
    if args.device.type == "cpu" and precision(args) == "fp16":
        raise InputError(
            "fp16=True: on CPUs nothing computes in it. Pass --bf16, or leave both out for fp32."
        )
    if precision(args) == "bf16":
        check_bf16(device_in_use(args.device))
    _check_zero(args)


def check_launcher(deepspeed: Any) -> None:
    """Refuse (``InputError``) DeepSpeed where nothing tells the processes who they are."""
    told = {"RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys()
    # it would ask MPI
    if deepspeed and not (told or dist.is_initialized() or importlib.util.find_spec("mpi4py")):
        raise InputError(
            f"deepspeed={deepspeed if isinstance(deepspeed, str) else '...'}: DeepSpeed needs a "
            "launcher, for one process too. Start with torchrun --nproc-per-node N -m frtune "
            "train ..., or torchrun --nproc-per-node N script.py ...: N processes for N GPUs."
        )


def _check_zero(args: Any) -> None:
    config = deepspeed_config(args)
    if config is None:
        return
    where = f"deepspeed={args.deepspeed}" if args.deepspeed else "accelerate launch, its DeepSpeed"
    if args.deepspeed and any(name in os.environ for name in _ZERO):
        raise InputError(f"{where}: accelerate launch has a DeepSpeed plugin too. Leave one out.")
    if found := _mismatches(args, config):
        raise InputError(
            f'{where}: {"; ".join(found)}. Write "auto" there, or pass the same value.'
        )
    stage = config.get_value("zero_optimization.stage", 0)
    gathered = "zero_optimization.stage3_gather_16bit_weights_on_model_save"
    if stage == 3 and not config.is_true(gathered):
        raise InputError(
            f"{where}: without {gathered} the run would end without a model. Set it to true "
            "(zero3_save_16bit_model in accelerate's YAML file)."
        )
    if args.save_only_model and args.load_best_model_at_end:
        raise InputError(
            "save_only_model=True: DeepSpeed cannot go back to the best checkpoint without its "
            "own files. Leave it out, or pass --load-best-model-at-end false."
        )
    if stage == 3 and args.auto_find_batch_size:
        raise InputError("auto_find_batch_size=True: not under ZeRO-3. Leave it out.")
    check_launcher(args.deepspeed)
    check_no_abandoned_locks()


def _mismatches(args: Any, config: Any) -> list[str]:
    """Values of the configuration that contradict the arguments."""
    if not isinstance(config, HfTrainerDeepSpeedConfig):  # the launcher's, compared by Trainer late
        with zero3_suspended():
            config = HfTrainerDeepSpeedConfig(config.config)
            config.trainer_config_process(args)
    return [line.strip(" -") for line in config.mismatches]
