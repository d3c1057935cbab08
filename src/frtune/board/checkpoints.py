"""Well-known checkpoints by language, and which ways of training them fit this machine."""

from __future__ import annotations

from dataclasses import dataclass

import psutil

from frtune.board.folder import BoardFolder
from frtune.environment.hardware import has_accelerator
from frtune.errors import InputError
from frtune.models.families import FAMILIES
from frtune.planning.plan import Plan, plan
from frtune.tasks.base import ModelKind, Task

LANGUAGES = ("fr", "ko", "en", "many")
# checkpoints whose sizes the table of families knows, and their parameters in millions
_MILLIONS = {
    "fr": {"almanach/camembert-base": 111, "flaubert/flaubert_base_cased": 138},
    "ko": {"klue/roberta-base": 111, "monologg/koelectra-base-v3-discriminator": 113,
           "ainize/kobart-news": 124, "paust/pko-t5-base": 276, "skt/kogpt2-base-v2": 125,
           "LGAI-EXAONE/EXAONE-4.0-1.2B": 1279, "EleutherAI/polyglot-ko-1.3b": 1332,
           "EleutherAI/polyglot-ko-5.8b": 5885},
    "en": {"google-bert/bert-base-cased": 108, "FacebookAI/roberta-base": 125,
           "answerdotai/ModernBERT-base": 150, "microsoft/deberta-v3-base": 184,
           "microsoft/phi-2": 2780},
    "many": {"distilbert/distilbert-base-multilingual-cased": 135,
             "FacebookAI/xlm-roberta-base": 278, "microsoft/mdeberta-v3-base": 279,
             "google/mt5-small": 300, "google/mt5-base": 582, "Qwen/Qwen3-0.6B": 596,
             "Qwen/Qwen3-1.7B": 1721, "Qwen/Qwen3-4B": 4022},
}  # fmt: skip


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint of the hub.

    Attributes:
        name: On the hub.
        language: One of ``LANGUAGES``.
        kind: encoder, encoder-decoder or decoder.
        millions: Parameters, in millions.
    """

    name: str
    language: str
    kind: ModelKind
    millions: int


CHECKPOINTS = tuple(
    Checkpoint(name, language, family.kind, millions)
    for language, rows in _MILLIONS.items()
    for name, millions in rows.items()
    for family in FAMILIES.values()
    if name in family.published
)


def checkpoints_for(task: type[Task], language: str) -> list[Checkpoint]:
    """The checkpoints of a language that a task can take, behind them those of several.

    Example:
        >>> from frtune import KeywordExtraction
        >>> [each.name for each in checkpoints_for(KeywordExtraction, "ko")][:2]
        ['klue/roberta-base', 'monologg/koelectra-base-v3-discriminator']
    """
    languages = (language, "many")
    found = [c for c in CHECKPOINTS if c.language in languages and c.kind in task.auto_classes]
    return sorted(found, key=lambda each: (each.language != language, each.millions))


def local_checkpoints(folder: BoardFolder) -> list[str]:
    """Directories of the folder with a ``config.json`` of a model, those of runs among them."""
    found = set()
    for pattern in ("*/config.json", "*/*/config.json", "*/*/tiny/config.json"):
        for path in folder.root.glob(pattern):
            if path.resolve().is_relative_to(folder.root) and "checkpoint-" not in str(path.parent):
                found.add(folder.name_of(path.parent))
    return sorted(found)


def fits(checkpoint: str, task: Task, batch: int) -> Plan:
    """Which ways of training fit: in the GPU's memory, or in the main memory where there is none.

    Raises:
        InputError: If the checkpoint cannot be opened, or the task does not go with it.
    """
    try:
        if has_accelerator():
            return plan(checkpoint, task=task, batch=batch)
        memory = psutil.virtual_memory().total
        return plan(checkpoint, task=task, batch=batch, gpu_memory=memory, precision="fp32")
    except InputError:
        raise
    except (OSError, ValueError) as error:  # of the hub, which may not be reached
        raise InputError(f"{checkpoint}: {' '.join(str(error).split())[:200]}") from error
