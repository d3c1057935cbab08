"""Import paths of 0.1.0: each still works for one release, and warns."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_TABLE = """
_allocator=environment.process _comparison_report=comparison.report
_measuring=comparison.measurement _row_scores=comparison.row_scores _threads=environment.threads
adapters=models.lora augment.hooks=training.mixup.hooks augment.mixup=training.mixup.mixup
augment.offline=training.mixup.stored_rows augment.seeds=run.seed_statistics
capabilities=models.compatibility data._arrow=data.arrow_cache data._examine=data.examination
data._fate=data.assignment data._lines=data.text_lines data._output=data.prepared_files
data._readers=data.readers data._shape=data.row_schema data._sources=data.sources
data.duplicates=data.near_duplicates demo.words=demo.translations drawing=plotting
labelling.asking=labelling.request_loop lineage=models.lineage
metrics.combined=metrics.keyphrase_report metrics.confidence=metrics.bootstrap
metrics.health=metrics.generation metrics.matching=metrics.phrase_matching
metrics.resampling=metrics.bootstrap model_card=run.model_card models._build=models.build
models._checkpoint=models.checkpoint_files models._tiny_tokenizers=models.tiny_tokenizers
models._tokenizer=models.tokenizer models._zero3=models.deepspeed pages=html
preflight.rehearsal=preflight.miniature_run preflight.resuming=preflight.resume_check
preflight.room=preflight.resources quantization=models.bitsandbytes rating.desk=rating.session
rating.reading=rating.sources rating.words=rating.translations report=run.report
run_report.curves=run.curves run_report.examples=run.examples run_report.lengths=run.lengths
run_report.page=run.page saving=training.saving serving=model_quantization
study._study=study.layer_study study.drawing=study.figures study.moments=study.covariance
study.naming=names study.reading=study.tables tasks._alignment=tasks.alignment
tasks._keyword_baselines=tasks.keyword_baselines tasks._keyword_rows=tasks.keyword_rows
tasks._labels=data.labels tasks._sequence=tasks.sequences tasks._spans=tasks.spans
tasks._store=tasks.config_file tasks._tagging=tasks.token_labels tasks._task=tasks.base
tasks._tokens=tasks.tokenization tasks._windows=tasks.windows tasks.rows=data.row_checks
training.batches=training.batching training.casting=training.autocast
training.checkpoints=training.atomic_checkpoints training.checks=training.argument_checks
training.collators=tasks.collators training.conditions=training.resume_checks
training.failures=training.resource_errors training.lock=files training.loss=tasks.loss
training.manifest=run.manifest training.order=training.batching training.run=run.run
training.seeds=run.seeds training.setup=training.make_trainer training.stopping=training.signals
training.survival=training.resumable_trainer web.language=web.translations
web.marked=tasks.highlight
"""
# old module: where it is now, both below frtune
MODULES = dict(pair.split("=") for pair in _TABLE.split())
# name that left a module, by the module's path of today: where it is now, both below frtune.
NAMES = {
    "metrics.classification.softmax": "metrics.chances",
    "metrics.spans.tagged_spans": "metrics.tags",
    "models.loading.ADAPTER_WEIGHTS": "models.saved_adapter",
    "models.loading.find_base": "models.adapter_base",
    "run.report.baseline_metrics": "score_files",
    "training.batching.by_length": "training.row_order",
    "training.encoding.kind_of": "models.families",
}


def _warn(old: str, new: str) -> None:
    message = f"frtune.{old} has moved to frtune.{new}; the old name goes with 0.3."
    warnings.warn(message, FutureWarning, stacklevel=3)


def find_spec(name: str) -> ModuleSpec | None:
    """Find a module under its old name; ``frtune`` asks after all finders of Python."""
    if name.removeprefix("frtune.") in MODULES:
        return ModuleSpec(name, _Loader())  # type: ignore[arg-type]
    if any(f"frtune.{other}".startswith(f"{name}.") for other in MODULES):
        return ModuleSpec(name, None, is_package=True)  # a package that is gone
    return None


class _Loader:
    @staticmethod
    def create_module(spec: ModuleSpec) -> None:
        return None

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        old = module.__name__.removeprefix("frtune.")
        _warn(old, MODULES[old])
        # the import machinery takes what stands here afterwards
        sys.modules[module.__name__] = importlib.import_module(f"frtune.{MODULES[old]}")


def moved_names(module: str) -> Callable[[str], Any]:
    """Return a module's ``__getattr__``, for names that left it.

    Args:
        module: Its name.
    """

    def __getattr__(name: str) -> Any:
        old = f"{module.removeprefix('frtune.')}.{name}"
        if old not in NAMES:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        _warn(old, f"{NAMES[old]}.{name}")
        return getattr(importlib.import_module(f"frtune.{NAMES[old]}"), name)

    return __getattr__
