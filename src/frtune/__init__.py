"""Fine-tune language models for keyphrases, keywords, similarity and classification.

Public names load on first use, so that ``import frtune`` pulls in neither torch nor transformers.
"""

from __future__ import annotations

import importlib

from frtune.version import __version__ as __version__

TYPE_CHECKING = False  # importing typing would be half of the import
if TYPE_CHECKING:  # for editors and type checkers; at run time names load on first use
    from frtune.cli.train_arguments import parse_train_arguments as parse_train_arguments
    from frtune.comparison.compare import compare as compare
    from frtune.data.loading import load_splits as load_splits
    from frtune.data.prepare import prepare as prepare
    from frtune.errors import InputError as InputError
    from frtune.evaluation import evaluate as evaluate
    from frtune.inference import load as load
    from frtune.labelling.budget import Budget as Budget
    from frtune.labelling.endpoint import Endpoint as Endpoint
    from frtune.labelling.prompts import LabelJob as LabelJob
    from frtune.labelling.run import label as label
    from frtune.model_quantization import quantize as quantize
    from frtune.models.bart import build_bart as build_bart
    from frtune.models.bert import build_bert as build_bert
    from frtune.models.bitsandbytes import quantization_config as quantization_config
    from frtune.models.build import build_model as build_model
    from frtune.models.camembert import build_camembert as build_camembert
    from frtune.models.flaubert import build_flaubert as build_flaubert
    from frtune.models.gptj import build_gptj as build_gptj
    from frtune.models.llama import build_llama as build_llama
    from frtune.models.lora import lora_config as lora_config
    from frtune.models.lora import merge as merge
    from frtune.models.phi import build_phi as build_phi
    from frtune.models.polyglot import build_polyglot as build_polyglot
    from frtune.models.t5 import build_t5 as build_t5
    from frtune.models.tiny import tiny_checkpoint as tiny_checkpoint
    from frtune.tasks.classification import SequenceClassification as SequenceClassification
    from frtune.tasks.keyphrases import KeyphraseGeneration as KeyphraseGeneration
    from frtune.tasks.keywords import KeywordExtraction as KeywordExtraction
    from frtune.tasks.similarity import SentenceSimilarity as SentenceSimilarity
    from frtune.training.arguments import (
        scale_learning_rate as scale_learning_rate,
    )
    from frtune.training.arguments import (
        training_arguments as training_arguments,
    )
    from frtune.training.distributed import leave as leave
    from frtune.training.mixup.mixup import Mixup as Mixup
    from frtune.training.saving import save as save


_HOME = {
    "InputError": "frtune.errors",
    "KeyphraseGeneration": "frtune.tasks.keyphrases",
    "SequenceClassification": "frtune.tasks.classification",
    "SentenceSimilarity": "frtune.tasks.similarity",
    "KeywordExtraction": "frtune.tasks.keywords",
    "build_model": "frtune.models.build",
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
    "Mixup": "frtune.training.mixup.mixup",
    "lora_config": "frtune.models.lora",
    "merge": "frtune.models.lora",
    "quantization_config": "frtune.models.bitsandbytes",
    "load_splits": "frtune.data.loading",
    "prepare": "frtune.data.prepare",
    "parse_train_arguments": "frtune.cli.train_arguments",
    "make_trainer": "frtune.training.make_trainer",
    "training_arguments": "frtune.training.arguments",
    "scale_learning_rate": "frtune.training.arguments",
    "save": "frtune.training.saving",
    "leave": "frtune.training.distributed",
    "quantize": "frtune.model_quantization",
    "compare": "frtune.comparison.compare",
    "load": "frtune.inference",
    "evaluate": "frtune.evaluation",
    "label": "frtune.labelling.run",
    "LabelJob": "frtune.labelling.prompts",
    "Endpoint": "frtune.labelling.endpoint",
    "Budget": "frtune.labelling.budget",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'frtune' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
