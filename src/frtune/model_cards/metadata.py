"""What the hub reads of a model card: its front matter, as ``huggingface_hub`` writes it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml
from huggingface_hub import EvalResult, ModelCardData, metadata_load
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from frtune.data.language import main_language
from frtune.models.adapter_base import ADAPTER_CONFIG, base_of
from frtune.models.checkpoint_files import local_file
from frtune.tasks.base import ModelKind, Task

Relation = Literal["adapter", "finetune", "quantized"]

# text2text-generation is a tag of the hub, and no pipeline any more
PIPELINES = {
    "AutoModelForSequenceClassification": "text-classification",
    "AutoModelForTokenClassification": "token-classification",
    "AutoModelForSeq2SeqLM": "text-generation",
    "AutoModelForCausalLM": "text-generation",
}
_TAGS = {"AutoModelForSeq2SeqLM": ["text2text-generation"]}
# where the hub knows a metric by another name
METRICS = {
    "mcc": "matthews_correlation", "pearson": "pearsonr", "spearman": "spearmanr",
    "rougeL": "rouge", "f1_macro": "f1", "f1_weighted": "f1",
}  # fmt: skip
LANGUAGE_ROWS = 200
_LICENSE = ("license", "license_name", "license_link")


class Origin(NamedTuple):
    """What a checkpoint is on the hub, as far as is known.

    Attributes:
        hub_id: Of the model; ``None`` where it is not from the hub.
        license: ``license``, ``license_name`` and ``license_link`` of its card.
    """

    hub_id: str | None
    license: Mapping[str, str]


def origin_of(checkpoint: str | os.PathLike[str] | None) -> Origin:
    """What a run's checkpoint is on the hub: a hub name, or what a directory's card says.

    An adapter is what its base is. Nothing is guessed, and nothing asked of a card but its front
    matter.
    """
    if checkpoint is None:
        return Origin(None, {})
    name = os.fspath(checkpoint)
    found = _front_matter(name)
    if not os.path.isdir(name):
        hub_id = name if _is_hub_id(name) else None
    else:
        own = published_as(name) or found.get("base_model")
        own = own[0] if isinstance(own, list) and len(own) == 1 else own
        if own is None and os.path.isfile(os.path.join(name, ADAPTER_CONFIG)):
            base = base_of(name)
            return origin_of(base) if base != name else Origin(None, {})
        hub_id = own if isinstance(own, str) and _is_hub_id(own) else None
    license_ = {key: found[key] for key in _LICENSE if isinstance(found.get(key), str)}
    return Origin(hub_id, license_ if "license" in license_ else {})


def published_as(directory: str | os.PathLike[str]) -> str | None:
    """The name on the hub that a run published its model under; ``None`` where it did not."""
    path = Path(directory) / "config.yaml"
    if not path.is_file():
        return None
    try:
        config = yaml.safe_load(path.read_text("utf-8"))
        hub_id = config["hub_model_id"] if config["push_to_hub"] else None
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError):
        return None
    return hub_id if isinstance(hub_id, str) and _is_hub_id(hub_id) else None


def card_fields(checkpoint: str | os.PathLike[str], names: Sequence[str]) -> dict[str, Any]:
    """Some fields of a checkpoint's front matter, those that are there."""
    found = _front_matter(os.fspath(checkpoint))
    return {name: found[name] for name in names if found.get(name)}


def _front_matter(checkpoint: str) -> dict[str, Any]:
    try:
        path = local_file(checkpoint, "README.md")
        return dict(metadata_load(path) or {}) if path else {}
    except Exception:  # a card of somebody else, with whatever is in it
        return {}


def _is_hub_id(name: str) -> bool:
    if os.path.exists(name) or name.startswith((".", "/", "~")):
        return False
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


def metadata(
    task: Task,
    kind: ModelKind,
    *,
    name: str,
    origin: Origin,
    relation: Relation,
    library: str,
    tags: Sequence[str] = (),
    data: str | None = None,
    languages: Sequence[str] = (),
    results: Sequence[EvalResult] = (),
    **fields: Any,
) -> ModelCardData:
    """Front matter of a card.

    Args:
        task: What the model was trained for.
        kind: Of the model.
        name: Of the model.
        origin: Of its base.
        relation: Between the two.
        library: That opens the model directory.
        tags: More of them.
        data: ``--data`` of the run.
        languages: Of the data.
        results: Scores of test rows.
        fields: Further fields, which the others go before.
    """
    auto_class = task.auto_classes[kind]
    known: dict[str, Any] = {**fields, **origin.license}
    if origin.hub_id is not None:
        known |= {"base_model": origin.hub_id, "base_model_relation": relation}
    if data is not None and _is_hub_id(data) and data != "sample":
        known["datasets"] = [data]
    if languages:
        known["language"] = [*languages]
    if results:
        known |= {"model_name": name, "eval_results": [*results]}
        known["metrics"] = [*dict.fromkeys(result.metric_type for result in results)]
    return ModelCardData(
        pipeline_tag=PIPELINES.get(auto_class),
        library_name=library,
        tags=["frtune", task.name, *_TAGS.get(auto_class, []), *tags],
        **known,
    )


def derived_metadata(
    task: Task, kind: ModelKind, source: str, *, name: str, library: str, tags: Sequence[str]
) -> ModelCardData:
    """Front matter for what was made from a finished model, the directory ``source``."""
    return metadata(
        task, kind,
        name=name,
        origin=origin_of(source),
        relation="quantized" if published_as(source) else "finetune",
        library=library,
        tags=tags,
        **card_fields(source, ("language", "datasets")),
    )  # fmt: skip


def front_matter(data: ModelCardData) -> str:
    """The lines at the top of ``README.md``."""
    return f"---\n{data.to_yaml()}\n---\n"


def results_of(
    task: Task, kind: ModelKind, metrics: Mapping[str, float], *, data: str
) -> list[EvalResult]:
    """The headline scores of test rows, with their 95 % intervals; none where none were scored."""
    pipeline = PIPELINES.get(task.auto_classes[kind])
    if pipeline is None:
        return []
    name = data if _is_hub_id(data) else Path(data).name or data
    found = []
    for score in task.headline:
        value = metrics.get(f"test_{score}")
        if value is None or value != value:
            continue
        low, high = (metrics.get(f"test_{score}_{end}") for end in ("low", "high"))
        interval = "" if low is None else f" (95 % interval {low:.4f} to {high:.4f})"
        found.append(
            EvalResult(
                task_type=pipeline,
                task_name=task.name,
                dataset_type=name,
                dataset_name=name,
                dataset_split="test",
                metric_type=METRICS.get(score, score),
                metric_name=f"{score}{interval}",
                metric_value=round(value, 4),
            )
        )
    return found


def languages_of(task: Task, rows: Iterable[Any]) -> list[str]:
    """The language of rows: the one that the task says, or that they are plainly in; or none."""
    if task.language is not None:
        return [task.language]
    texts = (row[column] for row in rows for column in task.text_columns)
    found = main_language([text for text in texts if isinstance(text, str)])
    return [found] if found else []
