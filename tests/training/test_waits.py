"""How often a training step makes the CPU wait for the GPU."""

from __future__ import annotations

import pytest
import torch
from transformers import TrainerCallback

from frtune import (
    KeyphraseGeneration,
    KeywordExtraction,
    Mixup,
    SentenceSimilarity,
    SequenceClassification,
    build_model,
    lora_config,
)
from frtune.training.step_cuts import cuts_of
from pretended_device import DEVICE, counted

MOST = 5
TASKS = {
    "classification": SequenceClassification(max_source_tokens=64),
    "pairs": SentenceSimilarity(max_source_tokens=64),
    "pairs in both orders": SentenceSimilarity(max_source_tokens=64, symmetric=True),
    "scores": SentenceSimilarity(max_source_tokens=64, head="regression"),
    "keyphrases": KeyphraseGeneration(max_source_tokens=64),
    "keyphrases, loss on all": KeyphraseGeneration(max_source_tokens=64, train_on_prompt=True),
    "keywords": KeywordExtraction(max_source_tokens=64),
}
CASES = [
    ("classification", "camembert", {}),
    ("classification", "camembert", {"lora": True}),
    ("classification", "flaubert", {}),
    ("classification", "llama", {}),
    ("pairs", "bert", {}),
    ("pairs in both orders", "bert", {}),
    ("scores", "camembert", {}),
    ("keyphrases", "t5", {}),
    ("keyphrases", "t5", {"lora": True}),
    ("keyphrases", "bart", {}),
    ("keyphrases", "polyglot", {}),
    ("keyphrases", "llama", {"lora": True}),
    ("keyphrases, loss on all", "polyglot", {}),
    ("keyphrases", "polyglot", {"packing": True}),
    ("keywords", "camembert", {}),
    ("keywords", "camembert", {"mixup": Mixup(level="embeddings")}),
    ("classification", "camembert", {"mixup": Mixup(level="hidden")}),
    ("classification", "camembert", {"mixup": Mixup(level="sentence", rows=3)}),
    ("scores", "bert", {"mixup": Mixup(level="sentence")}),
]


class Steps(TrainerCallback):
    """Notes where the waits of each step begin."""

    def __init__(self, waits):
        self.waits, self.begins = waits, []

    def on_step_begin(self, args, state, control, **_):
        self.begins.append(len(self.waits.found))

    def each(self):
        """What waited in each step but the first, up to the begin of the next."""
        return [
            self.waits.found[start:end]
            for start, end in zip(self.begins[1:-1], self.begins[2:], strict=True)
        ]


@pytest.mark.parametrize("accumulation", [1, 2])
@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join(map(str, case)))
def test_a_step_waits_for_the_device_five_times_at_most(
    case, accumulation, tiny, rows, arguments
):
    name, family, settings = case
    settings = dict(settings)
    lora = lora_config() if settings.pop("lora", False) else None
    task = TASKS[name].fit(rows)
    model, tokenizer = build_model(task, checkpoint=str(tiny(family)), lora=lora, proof=False)
    args = arguments(
        task, max_steps=6, logging_steps=100, per_device_train_batch_size=4,
        gradient_accumulation_steps=accumulation,
    )  # fmt: skip
    args.dataloader_pin_memory = True  # as it is without use_cpu
    with counted() as waits:
        steps = Steps(waits)
        trainer = task.trainer(
            model, tokenizer, args, train_dataset=rows, callbacks=[steps], proof=False,
            max_tokens_per_batch=48, **settings,
        )  # fmt: skip
        cuts, plain = [], trainer.training_step

        def watched(model, inputs, *args):
            cuts.append(len(cuts_of(inputs)))
            return plain(model, inputs, *args)

        trainer.training_step = watched
        trainer.train()
        assert all(weight.device == DEVICE for weight in model.parameters())
    found = steps.each()
    assert max(cuts) > 1 and len(found) == 4
    print(name, family, settings, "cuts", max(cuts), [*map(len, found)])
    print("   ", "\n    ".join(sorted(set(found[-1]))))
    assert max(map(len, found)) <= MOST, "\n".join(max(found, key=len))
