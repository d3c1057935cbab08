"""The smallest tasks that a builder can be given."""

from dataclasses import dataclass
from typing import Any, ClassVar

from frtune.models.families import FAMILIES

MARKERS = ("[generate keyphrases]", "[keyphrases generated]", "[end of generation]")


class Small:
    """What builders ask of every task, beside its head and its tokens."""

    own_padding = True
    head_bias = None

    def settled(self, tokenizer: Any, kind: str) -> Any:
        return self

    def fit_tokenizer(self, tokenizer: Any, kind: str) -> None:
        return None

    def served_settings(self, tokenizer: Any, kind: str) -> dict[str, Any]:
        return {}


@dataclass(frozen=True)
class Generate(Small):
    name: ClassVar[str] = "keyphrases"
    auto_classes: ClassVar[dict[str, str]] = {
        "encoder-decoder": "AutoModelForSeq2SeqLM",
        "decoder": "AutoModelForCausalLM",
    }

    def new_tokens(self, kind: str) -> tuple[str, ...]:
        return MARKERS if kind == "decoder" else ()

    def config_overrides(self) -> dict[str, Any]:
        return {}


@dataclass(frozen=True)
class Classify(Small):
    name: ClassVar[str] = "classification"
    auto_classes: ClassVar[dict[str, str]] = {
        "encoder": "AutoModelForSequenceClassification",
        "decoder": "AutoModelForSequenceClassification",
    }

    def new_tokens(self, kind: str) -> tuple[str, ...]:
        return ()

    def config_overrides(self) -> dict[str, Any]:
        labels = {0: "bad", 1: "fair", 2: "good"}
        return {
            "num_labels": 3,
            "id2label": labels,
            "label2id": {name: i for i, name in labels.items()},
            "problem_type": "single_label_classification",
        }


@dataclass(frozen=True)
class Tag(Small):
    name: ClassVar[str] = "keywords"
    auto_classes: ClassVar[dict[str, str]] = {"encoder": "AutoModelForTokenClassification"}

    def new_tokens(self, kind: str) -> tuple[str, ...]:
        return ()

    def config_overrides(self) -> dict[str, Any]:
        return {"num_labels": 3}


def task_for(family: str) -> Generate | Classify:
    return Classify() if FAMILIES[family].kind == "encoder" else Generate()


def batch_for(model: Any, tokenizer: Any, texts: list[str]) -> dict[str, Any]:
    """Inputs and labels of ``texts`` for any model that a builder makes."""
    import torch

    encoded = dict(tokenizer(texts, return_tensors="pt", padding=True))
    encoded.pop("token_type_ids", None)
    ids, mask = encoded["input_ids"], encoded["attention_mask"]
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    if inner.get_output_embeddings() is not None:
        encoded["labels"] = torch.where(mask == 1, ids, -100)
    elif "TokenClassification" in type(inner).__name__:
        encoded["labels"] = torch.where(mask == 1, ids % 3, -100)
    else:
        encoded["labels"] = torch.arange(len(texts)) % 3
    return encoded
