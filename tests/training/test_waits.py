"""How often a training step makes the CPU wait for the GPU: on tensors that pretend to be there."""

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
from frtune.tasks.loss import StepLoss
from frtune.training.step_cuts import cuts_of
from pretended_device import DEVICE, counted

MOST = 1  # a step, whatever it accumulates
TASKS = {
    "classification": SequenceClassification(max_source_tokens=64),
    "weighted classification": SequenceClassification(
        max_source_tokens=64, class_weights="balanced"
    ),
    "pairs": SentenceSimilarity(max_source_tokens=64),
    "pairs in both orders": SentenceSimilarity(max_source_tokens=64, symmetric=True),
    "scores": SentenceSimilarity(max_source_tokens=64, head="regression"),
    "keyphrases": KeyphraseGeneration(max_source_tokens=64),
    "keyphrases, loss on all": KeyphraseGeneration(max_source_tokens=64, train_on_prompt=True),
    "keywords": KeywordExtraction(max_source_tokens=64),
}
CASES = {
    "camembert": ("classification", {}),
    "camembert lora": ("classification", {"lora": True}),
    "camembert eager": ("classification", {"attention": "eager"}),
    "camembert checkpointed": ("classification", {"activation_checkpointing": True}),
    "camembert weighted": ("weighted classification", {}),
    "flaubert": ("classification", {}),
    "llama": ("classification", {}),
    "bert pairs": ("pairs", {}),
    "bert both orders": ("pairs in both orders", {}),
    "camembert scores": ("scores", {}),
    "t5": ("keyphrases", {}),
    "t5 lora": ("keyphrases", {"lora": True}),
    "bart": ("keyphrases", {}),
    "polyglot": ("keyphrases", {}),
    "llama lora": ("keyphrases", {"lora": True}),
    "gptj lora": ("keyphrases", {"lora": True}),  # its output layer has a bias
    "polyglot all": ("keyphrases, loss on all", {}),
    "polyglot packed": ("keyphrases", {"packing": True}),
    "camembert keywords": ("keywords", {}),
    "camembert keywords mixed": ("keywords", {"mixup": Mixup(level="embeddings")}),
    "camembert mixed in blocks": ("classification", {"mixup": Mixup(level="hidden")}),
    "camembert stored": ("classification", {"mixup": Mixup(level="sentence", rows=3)}),
    "bert scores mixed": ("scores", {"mixup": Mixup(level="sentence")}),
}


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


@pytest.fixture
def trained(tiny, rows, arguments):
    """``trained(task, family, ...)`` trains six steps; what waited in four, and most cuts."""

    def train(
        task, family, *, accumulation=1, lora=False, attention=None,
        activation_checkpointing=False, **settings,
    ):  # fmt: skip
        task = task.fit(rows)
        adapter = lora_config() if lora else None
        model, tokenizer = build_model(
            task, checkpoint=str(tiny(family)), lora=adapter, proof=False
        )
        if attention:
            model.set_attn_implementation(attention)
        args = arguments(
            task, max_steps=6, logging_steps=100, per_device_train_batch_size=4,
            gradient_accumulation_steps=accumulation,
            gradient_checkpointing=activation_checkpointing,
        )  # fmt: skip
        args.dataloader_pin_memory = True  # as it is where a GPU is
        cuts = []
        with counted() as waits:
            steps = Steps(waits)
            trainer = task.trainer(
                model, tokenizer, args, train_dataset=rows, callbacks=[steps], proof=False,
                max_tokens_per_batch=48, **settings,
            )  # fmt: skip
            step = trainer.training_step

            def watched(model, inputs, *args):
                cuts.append(len(cuts_of(inputs)))
                return step(model, inputs, *args)

            trainer.training_step = watched
            trainer.train()
            assert all(weight.device == DEVICE for weight in model.parameters())
        assert all(weight.isfinite().all() for weight in model.parameters())
        return steps.each(), max(cuts)

    return train


@pytest.mark.filterwarnings("ignore:'pin_memory' argument is set as true")
@pytest.mark.parametrize("accumulation", [1, 2])
@pytest.mark.parametrize("case", CASES)
def test_a_step_waits_for_the_device_once(case, accumulation, trained):
    name, settings = CASES[case]
    found, cuts = trained(TASKS[name], case.split()[0], accumulation=accumulation, **settings)
    assert cuts > 1 and len(found) == 4
    assert max(map(len, found)) <= MOST, "\n".join(max(found, key=len))


@pytest.fixture
def plant(monkeypatch):
    """``plant(change)``: the loss of a step has its logits changed before."""
    plain = StepLoss._cross_entropy

    def planted(change):
        monkeypatch.setattr(
            StepLoss,
            "_cross_entropy",
            lambda loss, logits, *rest: plain(loss, change(logits), *rest),
        )

    return planted


@pytest.mark.filterwarnings("ignore:'pin_memory' argument is set as true")
def test_a_planted_wait_is_counted_in_each_cut(trained, plant):
    plant(lambda logits: logits if logits.isfinite().all() else 0 * logits)
    found, cuts = trained(TASKS["classification"], "camembert", accumulation=2)
    assert cuts >= MOST
    assert max(map(len, found)) > MOST
    assert all("test_waits.py" in each for each in found[-1][:-1])


@pytest.mark.filterwarnings("ignore:'pin_memory' argument is set as true")
def test_a_planted_index_on_the_cpu_is_refused(trained, plant):
    plant(lambda logits: logits.index_select(0, torch.arange(len(logits))))
    with pytest.raises(RuntimeError, match=r"index_select.* on the same device"):
        trained(TASKS["classification"], "camembert")


@pytest.mark.filterwarnings("ignore:'pin_memory' argument is set as true")
def test_a_plain_model_whose_batches_have_tensors_of_rows_waits_as_often(plain, tmp_path):
    with counted() as waits:
        steps = Steps(waits)
        settings = {"save_strategy": "no", "logging_steps": 100}
        trainer = plain(
            tmp_path, callbacks=[steps], gradient_accumulation_steps=2, max_steps=6, **settings
        )
        trainer.accelerator.dataloader_config.non_blocking = True
        trainer.train()
    assert [len(each) for each in steps.each()] == [1] * 4
