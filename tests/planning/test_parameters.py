"""Counts on the meta device are those of models that are loaded."""

from __future__ import annotations

import pytest

from conftest import FAMILY_NAMES
from frtune import InputError, KeyphraseGeneration, build_model, lora_config
from frtune.models.families import FAMILIES
from frtune.planning.parameters import architecture, count
from tasks import Generate, task_for

PUBLISHED = {  # of the model cards
    "EleutherAI/polyglot-ko-1.3b": 1_331_810_304,
    "EleutherAI/polyglot-ko-5.8b": 5_885_059_072,
    "huggyllama/llama-7b": 6_738_415_616,
    "microsoft/phi-2": 2_779_683_840,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes_give_the_published_number(name):
    found = architecture(name, KeyphraseGeneration())
    assert found.published
    assert count(found, lora_config()).total == PUBLISHED[name]


def test_each_default_checkpoint_has_its_sizes():
    assert all(row.default_checkpoint in row.published for row in FAMILIES.values())


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_counts_are_those_of_the_models_that_the_builder_makes(family, tiny):
    task = task_for(family)
    found = count(architecture(tiny(family), task, family=family), lora_config())
    full, _ = build_model(task, checkpoint=tiny(family), proof=False)
    # rows that the builder adds for new tokens are not counted
    rows = len(task.new_tokens(FAMILIES[family].kind)) + 1
    spare = 2 * rows * (full.config.hidden_size + 1)
    assert 0 <= sum(p.numel() for p in full.parameters()) - found.total <= spare
    lora, _ = build_model(task, checkpoint=tiny(family), lora=lora_config(), proof=False)
    trained = sum(p.numel() for p in lora.parameters() if p.requires_grad)
    assert abs(trained - found.trained_adapter) <= spare


@pytest.mark.parametrize("quantization", ["int8", "nf4"])
@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_quantised_bytes_are_those_that_bitsandbytes_holds(family, quantization, tiny):
    import bitsandbytes as bnb

    found = count(architecture(tiny(family), task_for(family)), lora_config())
    model, _ = build_model(
        task_for(family), checkpoint=tiny(family), lora=lora_config(), quantization=quantization,
        proof=False,
    )  # fmt: skip
    held = 0
    for module in model.modules():
        if isinstance(module, bnb.nn.Linear8bitLt):
            held += module.weight.nbytes + module.weight.SCB.nbytes
        elif isinstance(module, bnb.nn.Linear4bit):
            state = module.weight.quant_state
            held += module.weight.nbytes + state.absmax.nbytes + state.state2.absmax.nbytes
    expected = found.int8_bytes if quantization == "int8" else found.nf4_bytes
    assert held == pytest.approx(expected, rel=0.01)


def test_t5_with_an_output_layer_of_its_own_counts_it(tiny):
    found = architecture(tiny("t5"), Generate())
    assert found.tied is False


def test_a_task_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match="not for bert"):
        architecture("google-bert/bert-base-cased", KeyphraseGeneration())
