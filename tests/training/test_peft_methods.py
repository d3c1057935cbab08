"""Every method that the installed PEFT lists works from training to answers, or is refused."""

from __future__ import annotations

import copy
import warnings

import peft
import pytest
import torch
from datasets import Dataset
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

import frtune
from frtune import (
    InputError,
    KeyphraseGeneration,
    SequenceClassification,
    build_model,
    training_arguments,
)
from frtune.models.probe import made_up_batch, probe_logits

WORKS = None
LAYERS = {"target_modules": ["query", "value"]}
PROMPTS = {"num_virtual_tokens": 4}
OPENED, TRAINED = "cannot be opened again with equal logits", "cannot be trained"

# method: (settings, what becomes of it); on a CamemBERT, or where it says "decoder", on a Llama
METHODS = {
    "ADALORA": ({**LAYERS, "total_step": 10}, WORKS),
    "ADAMSS": (LAYERS, WORKS),
    "ADAPTION_PROMPT": ({"adapter_len": 4, "adapter_layers": 1, "decoder": True}, WORKS),
    "BEFT": (LAYERS, WORKS),
    "BOFT": (LAYERS, WORKS),
    "C3A": ({**LAYERS, "block_size": 32}, WORKS),
    "CARTRIDGE": ({**PROMPTS, "decoder": True}, OPENED),
    "CPT": ({"cpt_token_ids": [5, 6], "cpt_tokens_type_mask": [1, 1], "decoder": True}, OPENED),
    "DEFT": (LAYERS, WORKS),
    "DELORA": (LAYERS, WORKS),
    "FOURIERFT": ({**LAYERS, "n_frequency": 20}, WORKS),
    "FROD": (LAYERS, WORKS),
    "GLORA": (LAYERS, WORKS),
    "GRALORA": (LAYERS, WORKS),
    "HIRA": (LAYERS, WORKS),
    "HRA": (LAYERS, WORKS),
    "IA3": ({**LAYERS, "feedforward_modules": []}, WORKS),
    "LILY": (LAYERS, WORKS),
    "LN_TUNING": ({"target_modules": ["LayerNorm"]}, WORKS),
    "LOHA": (LAYERS, WORKS),
    "LOKR": (LAYERS, WORKS),
    "LORA": (LAYERS, WORKS),
    "MISS": (LAYERS, WORKS),
    "MULTITASK_PROMPT_TUNING": ({**PROMPTS, "num_tasks": 2}, TRAINED),
    "OFT": ({**LAYERS, "r": 0, "oft_block_size": 4}, WORKS),
    "OSF": (LAYERS, WORKS),
    "PEANUT": (LAYERS, WORKS),
    "POLY": (LAYERS, TRAINED),
    "PREFIX_TUNING": (PROMPTS, OPENED),
    "PROMPT_TUNING": (PROMPTS, OPENED),
    "PSOFT": (LAYERS, WORKS),
    "PVERA": (LAYERS, WORKS),
    "P_TUNING": (PROMPTS, OPENED),
    "RANDLORA": (LAYERS, WORKS),
    "ROAD": (LAYERS, WORKS),
    "SHADOW": (LAYERS, TRAINED),
    "SHIRA": (LAYERS, WORKS),
    "SUPERTUNING": (LAYERS, WORKS),
    "TINYLORA": (LAYERS, WORKS),
    # the head of the task has no place in it
    "TRAINABLE_TOKENS": ({"token_indices": [5, 6, 7]}, OPENED),
    "UNILORA": (LAYERS, WORKS),
    "VBLORA": ({**LAYERS, "vector_length": 32}, WORKS),
    "VERA": (LAYERS, WORKS),
    "WAVEFT": (LAYERS, WORKS),
    "XLORA": ({"adapters": "saved", "decoder": True}, "one adapter is trained"),
}


def test_the_table_is_what_peft_lists():
    assert set(METHODS) == {method.value for method in PEFT_TYPE_TO_CONFIG_MAPPING}


@pytest.fixture(scope="module")
def built(tiny):
    """Task, model and tokenizer, of a classifier and of a decoder."""
    classify = SequenceClassification(labels=[0, 1])
    write = KeyphraseGeneration(max_source_tokens=16, max_target_tokens=4)
    pairs = ((False, classify, "camembert"), (True, write, "llama"))
    return {
        decoder: (task, *build_model(task, checkpoint=str(tiny(family)), proof=False))
        for decoder, task, family in pairs
    }


@pytest.fixture
def trainer_of(built, corpus, tmp_path):
    """``trainer_of(config_class, **settings)``: a trainer of a model with that adapter."""
    texts = corpus[:4]
    columns = {"text": texts, "label": [0, 1, 0, 1], "keyphrases": [t.split()[:2] for t in texts]}
    rows = Dataset.from_dict(columns)

    def make(config_class, *, decoder=False, **settings):
        task, base, tokenizer = built[decoder]
        if settings.get("adapters") == "saved":
            settings["adapters"] = {"a": str(save_lora(built, tmp_path / "lora"))}
            settings["hidden_size"] = base.config.hidden_size
        task_type = "CAUSAL_LM" if decoder else "SEQ_CLS"
        torch.manual_seed(0)
        base = copy.deepcopy(base)
        base.config.use_cache = False
        model = peft.get_peft_model(base, config_class(task_type=task_type, **settings))
        args = training_arguments(
            task, str(tmp_path / "run"), max_steps=2, learning_rate=5e-2, bf16=False,
            eval_strategy="no", save_strategy="no", load_best_model_at_end=False,
            disable_tqdm=True, per_device_train_batch_size=2,
        )  # fmt: skip
        return task.trainer(model, tokenizer, args, train_dataset=rows)

    return make


def save_lora(built, directory):
    model = copy.deepcopy(built[True][1])
    config = peft.LoraConfig(target_modules=["q_proj"], task_type="CAUSAL_LM")
    peft.get_peft_model(model, config).save_pretrained(str(directory), save_embedding_layers=False)
    return directory


@pytest.mark.slow
def test_each_method_works_to_the_end_or_is_refused_before_the_first_step(trainer_of, tmp_path):
    wrong = []
    for name, (settings, outcome) in METHODS.items():
        config_class = next(c for m, c in PEFT_TYPE_TO_CONFIG_MAPPING.items() if m.value == name)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = live_through(trainer_of, config_class, settings, tmp_path / name)
        except InputError as error:
            assert f"adapter={name}" in str(error) and "\n" not in str(error)
            found = str(error)
        except Exception as error:
            found = f"{type(error).__name__}: {error}"
        if found is not outcome and (outcome is WORKS or outcome not in found):
            wrong.append((name, outcome, found))
    assert not wrong, "\n".join(map(str, wrong))


def live_through(trainer_of, config_class, settings, directory):
    """Train, save and open; the logits of what is opened must be those in memory."""
    trainer = trainer_of(config_class, **settings)
    before = [w.detach().clone() for w in trainer.model.parameters() if w.requires_grad]
    trainer.train()
    after = [w.detach() for w in trainer.model.parameters() if w.requires_grad]
    trainer.conditions()  # what a checkpoint writes down
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
    frtune.save(trainer, directory, proof=False)
    opened = frtune.load(directory, bf16=False).model
    batch = made_up_batch(trainer.model)
    expected, found = probe_logits(trainer.model, batch), probe_logits(opened, batch)
    return WORKS if torch.allclose(expected, found, atol=1e-5) else "other logits after training"
