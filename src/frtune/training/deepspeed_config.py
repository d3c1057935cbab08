"""A DeepSpeed configuration, read and checked before anything else is."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

from frtune.errors import InputError, first_line

_SECTIONS = ("zero_optimization", "bf16", "fp16", "optimizer", "scheduler")
# what a typing error in one of these would leave out, with no word of DeepSpeed's
_KNOWN = (
    *_SECTIONS, "gradient_accumulation_steps", "gradient_clipping", "train_batch_size",
    "train_micro_batch_size_per_gpu", "steps_per_print", "wall_clock_breakdown", "amp",
    "activation_checkpointing", "communication_data_type", "zero_allow_untested_optimizer",
    "zero_force_ds_cpu_optimizer", "prescale_gradients", "gradient_predivide_factor",
)  # fmt: skip


def check_deepspeed(given: Any, *, name: str = "deepspeed") -> None:
    """Refuse a DeepSpeed configuration that is none, or that its engine would refuse later.

    Args:
        given: A file's path, or the configuration itself.
        name: What gives it, for the message.

    Raises:
        InputError: Names the file and the key.
    """
    if isinstance(given, dict):
        where, config = name, given
    else:
        where = f"{name}={given}"
        config = _read(str(given), where)
    if not isinstance(config, dict):
        raise InputError(f"{where}: holds no JSON object of settings. Give a DeepSpeed config.")
    for key in _SECTIONS:
        if not isinstance(config.get(key, {}), dict):
            raise InputError(f'{where}: {key} is {config[key]!r}. Write {{"...": ...}} there.')
    if "zero_optimization" not in config:
        raise InputError(
            f'{where}: has no "zero_optimization". Start from deepspeed_configs/zero2.json.'
        )
    for key in config:
        near = difflib.get_close_matches(key, _KNOWN, 1, cutoff=0.85)
        if key not in _KNOWN and near:
            raise InputError(f'{where}: "{key}" is no setting. Did you mean "{near[0]}"?')
    _check_sections(config, where)


def _read(given: str, where: str) -> Any:
    """The content of a file, or of JSON that stands there itself."""
    path, written = Path(given), given.lstrip().startswith("{")
    try:
        if not written and path.exists() and not path.is_file():
            raise InputError(f"{where}: is no file. Give a JSON file.")
        return json.loads(given if written else path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{where}: there is no such file. Give a DeepSpeed config.") from error
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{where}: cannot be read ({first_line(error)}).") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: is no JSON ({first_line(error)}). Correct the file.") from error


def _check_sections(config: dict[str, Any], where: str) -> None:
    """Make DeepSpeed's own objects of the sections; "auto" is filled in by Transformers later."""
    try:
        from deepspeed.runtime.precision_config import DeepSpeedBF16Config, DeepSpeedFP16Config
        from deepspeed.runtime.zero.config import DeepSpeedZeroConfig
    except ImportError as error:
        raise InputError(f"{where}: needs DeepSpeed. pip install 'frtune[deepspeed]'.") from error
    for section, make in (
        ("zero_optimization", DeepSpeedZeroConfig),
        ("bf16", DeepSpeedBF16Config),
        ("fp16", DeepSpeedFP16Config),
    ):
        values = {key: value for key, value in config.get(section, {}).items() if value != "auto"}
        try:
            make(**values)
        except ValueError as error:
            problems = getattr(error, "errors", list)()
            told = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in problems]
            reason = (told or [first_line(error)])[0]
            raise InputError(f"{where}: {section}.{reason}. Correct the file.") from error
        except TypeError as error:
            raise InputError(
                f"{where}: {section}: {first_line(error)}. Correct the file."
            ) from error
