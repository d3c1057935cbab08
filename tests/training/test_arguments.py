"""Recipes by task, and what they are for a tiny checkpoint."""

import pytest

import frtune
from frtune.cli.train import parse
from frtune.tasks.config_file import task_class

EXPECTED = {  # learning rate, rows a batch, batches a step, weight decay
    "classification": (2e-5, 16, 1, 0.01),
    "similarity": (3e-5, 4, 8, 0.0),
    "keywords": (2e-5, 4, 8, 0.0),
    "keyphrases": (5e-5, 8, 1, 0.0),
}


def chosen(args):
    return (
        args.learning_rate, args.per_device_train_batch_size, args.gradient_accumulation_steps,
        args.weight_decay,
    )  # fmt: skip


@pytest.mark.parametrize("name", EXPECTED)
def test_each_task_has_its_recipe_in_python_and_on_the_command_line(name, tmp_path):
    task = task_class(name)()
    args = frtune.training_arguments(task, str(tmp_path))
    assert chosen(args) == EXPECTED[name] and args.num_train_epochs == 3
    assert (args.adam_beta1, args.adam_beta2, args.adam_epsilon) == (0.9, 0.999, 1e-8)
    _, _, args = parse(name, ["--data", "rows.csv", "--checkpoint", "x"])
    assert chosen(args) == EXPECTED[name] and args.num_train_epochs == 3


@pytest.mark.parametrize("name", EXPECTED)
def test_a_tiny_checkpoint_keeps_rates_of_its_own(name, tmp_path):
    expected = (1e-3, 16, 1, EXPECTED[name][3])
    args = frtune.training_arguments(task_class(name)(), str(tmp_path), tiny=True)
    assert chosen(args) == expected
    assert chosen(parse(name, [])[2]) == expected
    _, _, args = parse(name, ["--learning-rate", "0.1", "--gradient-accumulation-steps", "2"])
    assert chosen(args)[::2] == (0.1, 2)


@pytest.mark.parametrize(
    ("task", "family", "flags", "lora"),
    [
        ("classification", "phi", [], True),
        ("classification", "phi", ["--no-lora"], False),
        ("similarity", "llama", [], True),
        ("classification", "camembert", [], False),
        ("classification", "camembert", ["--lora"], True),
        ("keyphrases", "polyglot", [], False),
    ],
)
def test_a_decoder_with_a_classification_head_has_lora_by_default(task, family, flags, lora, tiny):
    from frtune.run.run import with_lora

    parsed, settings, _ = parse(task, flags)
    assert with_lora(settings, parsed, str(tiny(family))).lora is lora


def test_an_adapter_is_merged_only_where_there_is_one(tiny):
    from frtune.run.run import with_lora

    task, settings, _ = parse("classification", ["--merge"])
    assert with_lora(settings, task, str(tiny("phi"))).merge
    with pytest.raises(frtune.InputError, match="--merge: needs an adapter"):
        with_lora(settings, task, str(tiny("bert")))
