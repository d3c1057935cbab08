"""Fine-tune language models for keyphrases, keywords, similarity and classification.

Public names load on first use, so that ``import frtune`` pulls in neither torch nor transformers.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "InputError": "frtune.errors",
    "KeyphraseGeneration": "frtune.tasks.keyphrases",
    "SequenceClassification": "frtune.tasks.classification",
    "SentenceSimilarity": "frtune.tasks.similarity",
    "KeywordExtraction": "frtune.tasks.keywords",
    "build_model": "frtune.models._build",
    "build_camembert": "frtune.models.camembert",
    "build_flaubert": "frtune.models.flaubert",
    "build_bert": "frtune.models.bert",
    "build_t5": "frtune.models.t5",
    "build_bart": "frtune.models.bart",
    "build_polyglot": "frtune.models.polyglot",
    "build_gptj": "frtune.models.gptj",
    "build_llama": "frtune.models.llama",
    "build_phi": "frtune.models.phi",
    "tiny_checkpoint": "frtune.models.tiny",
    "lora_config": "frtune.adapters",
    "merge": "frtune.adapters",
    "quantization_config": "frtune.quantization",
    "load_splits": "frtune.data.loading",
    "prepare": "frtune.data.prepare",
    "training_arguments": "frtune.training.arguments",
    "scale_learning_rate": "frtune.training.arguments",
    "save": "frtune.saving",
    "load": "frtune.inference",
    "evaluate": "frtune.evaluation",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'frtune' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
