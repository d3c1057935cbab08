"""Where a search looks: what the user fixed stays, and the recipe is a point of the space."""

from __future__ import annotations

import optuna
import pytest

from frtune import InputError, parse_train_arguments
from frtune.tuning.space import search_space

RECIPE = ["--checkpoint", "tiny", "--learning-rate", "2e-5", "--num-train-epochs", "3"]
TASKS = ("classification", "similarity", "keywords", "keyphrases")


def space_of(task, *flags, fixed=(), rows=1000):
    made = parse_train_arguments(task, [*RECIPE, *flags])
    return search_space(*made, fixed=fixed, rows=rows)


@pytest.mark.parametrize("task", TASKS)
def test_the_recipe_is_a_point_of_the_space_and_its_own_flags(task):
    space = space_of(task)
    assert list(space.recipe) == [
        "learning_rate", "num_train_epochs", "rows_per_step", "weight_decay",
    ]  # fmt: skip
    study = optuna.create_study()
    study.enqueue_trial(space.recipe)
    trial = study.ask()
    assert space.suggest(trial) == space.recipe
    _, _, args = parse_train_arguments(task, RECIPE)
    for name, value in space.options(space.recipe).items():
        assert getattr(args, name) == value, name


@pytest.mark.parametrize("task", TASKS)
def test_points_lie_where_the_task_says(task):
    space, study = space_of(task), optuna.create_study(sampler=optuna.samplers.RandomSampler(3))
    ranges = parse_train_arguments(task, [])[0].search_ranges
    for _ in range(30):
        point = space.suggest(study.ask())
        assert ranges.learning_rate[0] <= point["learning_rate"] <= ranges.learning_rate[1]
        assert ranges.num_train_epochs[0] <= point["num_train_epochs"] <= ranges.num_train_epochs[1]
        options = space.options(point)
        rows = options["per_device_train_batch_size"] * options["gradient_accumulation_steps"]
        assert rows == point["rows_per_step"]
        assert options["per_device_train_batch_size"] <= space.batch, "memory is known for these"


@pytest.mark.parametrize(
    ("fixed", "names"),
    [
        (("learning_rate",), ["num_train_epochs", "rows_per_step", "weight_decay"]),
        (("max_steps", "weight_decay"), ["learning_rate", "rows_per_step"]),
        (("num_train_epochs", "learning_rate"), ["rows_per_step", "weight_decay"]),
        (
            ("per_device_train_batch_size", "gradient_accumulation_steps", "weight_decay"),
            ["learning_rate", "num_train_epochs"],
        ),
    ],
)
def test_what_the_user_fixed_is_not_searched(fixed, names):
    assert [each.name for each in space_of("classification", fixed=fixed).settings] == names


def test_a_batch_that_the_user_fixed_stays_and_its_multiples_are_searched():
    flags = ["--per-device-train-batch-size", "12"]
    space = space_of("classification", *flags, fixed=("per_device_train_batch_size",))
    (rows,) = [each for each in space.settings if each.name == "rows_per_step"]
    assert rows.choices == (12,), "of 8, 16, 32 and 64 none is a multiple"
    flags = ["--gradient-accumulation-steps", "4"]
    space = space_of("classification", *flags, fixed=("gradient_accumulation_steps",))
    found = space.options({"rows_per_step": 32})
    assert found == {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 4}


def test_a_step_has_no_more_rows_than_there_are():
    (rows,) = [x for x in space_of("classification", rows=20).settings if x.name == "rows_per_step"]
    assert rows.choices == (8, 16)


def test_an_adapter_has_its_rank_searched_at_higher_rates_and_its_scale_follows():
    space = space_of("classification", "--lora")
    by_name = {each.name: each for each in space.settings}
    assert by_name["lora_r"].choices == (4, 8, 16, 32) and by_name["lora_r"].recipe == 8
    assert by_name["learning_rate"].ends == (1e-5, 1e-3)
    assert space.options({"lora_r": 32}) == {"lora_r": 32, "lora_alpha": 64}
    space = space_of("classification", "--lora", fixed=("lora_alpha",))
    assert space.options({"lora_r": 32}) == {"lora_r": 32}
    assert space.options({"learning_rate": 0.000123456}) == {"learning_rate": 0.000123}


def test_a_recipe_of_another_kind_of_model_lies_in_the_middle_of_its_range():
    task, settings, args = parse_train_arguments("classification", ["--checkpoint", "tiny"])
    space = search_space(task, settings, args, fixed=(), rows=100)
    assert space.settings[0].ends == pytest.approx((2e-4, 5e-3)), "random weights: 1e-3"


def test_nothing_left_to_search_is_refused():
    fixed = ("learning_rate", "max_steps", "weight_decay", "per_device_train_batch_size",
             "gradient_accumulation_steps")  # fmt: skip
    with pytest.raises(InputError, match="nothing is left to search"):
        space_of("classification", fixed=fixed)
