import dataclasses

import pytest
import transformers

from frtune import InputError, SequenceClassification, build_model, lora_config
from frtune.models.families import FAMILIES
from frtune.models.lora import target_modules


def test_alpha_is_twice_the_rank_by_default():
    config = lora_config()
    assert config.lora_alpha == 2 * config.r
    assert config.bias == "none" and not config.use_dora and not config.use_rslora


def test_targets_stay_open_for_the_builder():
    assert lora_config().target_modules is None
    assert lora_config(target_modules=("q", "v")).target_modules == {"q", "v"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"r": 0}, "r=0: a whole number of at least 1"),
        ({"r": 4.0}, "r=4.0: a whole number"),
        ({"alpha": -1}, "alpha=-1: a whole number"),
        ({"dropout": 1.0}, "dropout=1.0: from 0 to below 1"),
    ],
)
def test_a_number_out_of_its_range_is_named(arguments, message):
    with pytest.raises(InputError, match=message):
        lora_config(**arguments)


def test_our_table_has_the_rows_that_pefts_lacks():
    from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as pefts

    own = [row.name for row in FAMILIES.values() if row.lora_targets]
    for row in FAMILIES.values():
        assert row.lora_targets or pefts.get(row.model_types[0]), row.name
    for name in own:  # or the column could go
        assert FAMILIES[name].lora_targets != tuple(pefts.get(FAMILIES[name].model_types[0], ()))


def test_a_family_without_known_layers_gets_all_linear_layers_but_the_heads(tiny):
    row = dataclasses.replace(FAMILIES["camembert"], lora_targets=None)
    task = SequenceClassification(labels=["a", "b"])
    model, _ = build_model(task, checkpoint=str(tiny("camembert")), proof=False)
    found = target_modules(row, model)
    layers = {name.rpartition("layer.")[2] for name in found}
    assert len(found) == 12 and "1.attention.self.query" in layers and "0.output.dense" in layers
    assert not any(name.startswith("classifier") for name in found)


def test_a_model_without_linear_layers_is_refused():
    row = dataclasses.replace(FAMILIES["camembert"], lora_targets=None, name="new")
    config = transformers.IBertConfig(num_hidden_layers=1)
    model = transformers.IBertModel(config)
    with pytest.raises(InputError, match=r"lora: new has no linear layers\. .*target_modules="):
        target_modules(row, model)


def test_nf4_weights_are_not_packed_for_a_product_without_gradient(tiny):
    """On CPUs with AVX512-BF16 an evaluation would pack them, and training could not go on."""
    from bitsandbytes.nn import Linear4bit

    task = SequenceClassification(labels=["a", "b"])
    model, _ = build_model(
        task, checkpoint=str(tiny("phi")), proof=False, lora=lora_config(r=2), quantization="nf4"
    )
    layers = [module for module in model.modules() if isinstance(module, Linear4bit)]
    assert layers and not any(layer.support_avx512bf16_for_cpu for layer in layers)
