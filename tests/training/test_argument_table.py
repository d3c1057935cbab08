"""Every field of ``TrainingArguments``: it works, it is refused, or it does nothing and is refused.

The table is held against the installed Transformers, so that a new field is looked at.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from transformers import Seq2SeqTrainingArguments

from frtune import InputError, SequenceClassification, training_arguments
from frtune.ranges import RANGES
from frtune.training.argument_checks import check_arguments
from frtune.training.argument_effects import check_effects

TESTS = Path(__file__).parents[1]
DRAWN = "test_random_settings_end_well_or_are_refused_in_one_line"
RUNS = "test_a_run_leaves_a_directory_that_evaluate_and_predict_open"
RESUMES = "test_resume_goes_on_where_the_run_stopped"
CELLS = "test_a_cell_trains_as_one_process_does_saves_and_resumes"

# name of the field, and the test in which it acts
WORKS = {
    "output_dir": RUNS,
    "per_device_train_batch_size": DRAWN,
    "num_train_epochs": RUNS,
    "max_steps": DRAWN,
    "learning_rate": DRAWN,
    "lr_scheduler_type": "test_a_schedule_that_follows_a_score_has_its_direction",
    "lr_scheduler_kwargs": "test_a_schedule_that_follows_a_score_has_its_direction",
    "warmup_steps": DRAWN,
    "optim": DRAWN,
    "optim_args": "test_arguments_without_effect_are_refused",
    "weight_decay": DRAWN,
    "adam_beta1": DRAWN,
    "adam_beta2": DRAWN,
    "adam_epsilon": DRAWN,
    "optim_target_modules": "test_arguments_without_effect_are_refused",
    "gradient_accumulation_steps": DRAWN,
    "average_tokens_across_devices": DRAWN,
    "max_grad_norm": DRAWN,
    "label_smoothing_factor": DRAWN,
    "bf16": DRAWN,
    "fp16": "test_fp16_is_refused_for_t5_with_the_way_out",
    "tf32": "test_what_transformers_refuses_is_one_line",
    "activation_checkpointing": DRAWN,
    "activation_checkpointing_kwargs": "test_arguments_without_effect_are_refused",
    "gradient_checkpointing": DRAWN,
    "gradient_checkpointing_kwargs": "test_arguments_without_effect_are_refused",
    "torch_compile": "test_words_that_are_one_of_a_few",
    "torch_compile_backend": "test_words_that_are_one_of_a_few",
    "torch_compile_mode": "test_words_that_are_one_of_a_few",
    "use_cache": DRAWN,
    "neftune_noise_alpha": DRAWN,
    "torch_empty_cache_steps": DRAWN,
    "auto_find_batch_size": DRAWN,
    "logging_strategy": DRAWN,
    "logging_steps": DRAWN,
    "logging_first_step": DRAWN,
    "log_on_each_node": DRAWN,
    "include_num_input_tokens_seen": DRAWN,
    "log_level": DRAWN,
    "log_level_replica": "test_words_that_are_one_of_a_few",
    "disable_tqdm": DRAWN,
    "report_to": DRAWN,
    "run_name": "test_arguments_without_effect_are_refused",
    "project": "test_arguments_without_effect_are_refused",
    "trackio_space_id": "test_arguments_without_effect_are_refused",
    "trackio_bucket_id": "test_arguments_without_effect_are_refused",
    "trackio_static_space_id": "test_arguments_without_effect_are_refused",
    "eval_strategy": DRAWN,
    "eval_steps": DRAWN,
    "eval_delay": DRAWN,
    "per_device_eval_batch_size": DRAWN,
    "eval_on_start": DRAWN,
    "eval_accumulation_steps": DRAWN,
    "include_for_metrics": "test_include_for_metrics_needs_metrics_of_ones_own",
    "save_only_model": DRAWN,
    "save_strategy": DRAWN,
    "save_steps": DRAWN,
    "save_on_each_node": DRAWN,
    "save_total_limit": DRAWN,
    "push_to_hub": "test_arguments_without_effect_are_refused",
    "hub_token": "test_arguments_without_effect_are_refused",
    "hub_private_repo": "test_arguments_without_effect_are_refused",
    "hub_model_id": "test_arguments_without_effect_are_refused",
    "hub_strategy": "test_arguments_without_effect_are_refused",
    "hub_always_push": "test_arguments_without_effect_are_refused",
    "hub_revision": "test_arguments_without_effect_are_refused",
    "load_best_model_at_end": DRAWN,
    "metric_for_best_model": "test_a_mistyped_metric_is_refused_wherever_it_would_be_read",
    "greater_is_better": "test_a_schedule_that_follows_a_score_has_its_direction",
    "ignore_data_skip": DRAWN,
    "restore_callback_states_from_checkpoint": DRAWN,
    "full_determinism": DRAWN,
    "seed": DRAWN,
    "data_seed": DRAWN,
    "use_cpu": DRAWN,
    "accelerator_config": DRAWN,
    "dataloader_drop_last": "test_short_batches_are_dropped_in_training_alone",
    "dataloader_num_workers": DRAWN,
    "dataloader_pin_memory": DRAWN,
    "dataloader_persistent_workers": DRAWN,
    "dataloader_prefetch_factor": DRAWN,
    "dataloader_multiprocessing_context": DRAWN,
    "dataloader_in_order": DRAWN,
    "train_sampling_strategy": DRAWN,
    "ddp_find_unused_parameters": CELLS,
    "ddp_bucket_cap_mb": DRAWN,
    "ddp_broadcast_buffers": CELLS,
    "ddp_static_graph": CELLS,
    "ddp_backend": CELLS,
    "ddp_timeout": DRAWN,
    "fsdp": "test_what_transformers_refuses_is_one_line",
    "fsdp_config": "test_what_transformers_refuses_is_one_line",
    "deepspeed": "test_what_transformers_refuses_is_one_line",
    "skip_memory_metrics": DRAWN,
    "do_eval": "test_arguments_without_effect_are_refused",
    "local_rank": "test_underscores_are_understood_when_they_are_typed",
    "predict_with_generate": DRAWN,
    "generation_max_length": DRAWN,
    "generation_num_beams": DRAWN,
    "generation_config": DRAWN,
}
# field: a value that is no default, and what the refusal says
REFUSED = {
    "prediction_loss_only": (True, "the scores need predictions"),
    "batch_eval_metrics": (True, "the scores are of all rows together"),
    "eval_do_concat_batches": (False, "the scores are of all rows together"),
    "label_names": (["labels"], "the task names its labels"),
    "length_column_name": ("long", "the lengths stand in the column length"),
    "remove_unused_columns": (False, "raw columns, which the scores read"),
    "bf16_full_eval": (True, "of other weights than the saved ones"),
    "fp16_full_eval": (True, "of other weights than the saved ones"),
    "debug": ("underflow_overflow", "names its rows without it"),
    "enable_jit_checkpoint": (True, "SIGTERM saves a checkpoint without it"),
    "use_liger_kernel": (True, "its loss returns no logits"),
    "parallelism_config": ("tp", "models are split with --deepspeed"),
    # without effect
    "eval_use_gather_object": (True, "what is gathered are tensors"),
    "logging_nan_inf_filter": (False, "a loss that is not finite ends the run"),
    "liger_kernel_config": ({"rope": True}, "use_liger_kernel is not for frtune"),
    "sortish_sampler": (True, "Trainer does not read it"),
}
# refused by frtune train and run(); a script of one's own may read them
OF_SCRIPTS = {
    "do_train": (True, "frtune train always trains"),
    "do_predict": (True, "the test rows are always scored"),
    "resume_from_checkpoint": ("runs/a/checkpoint-1", "pass --resume"),
}


def made(**settings):
    usual = {"use_cpu": True, "report_to": "none"}
    return Seq2SeqTrainingArguments("run", **{**usual, **settings})


def test_every_field_of_the_installed_transformers_is_in_the_table():
    fields = {item.name for item in dataclasses.fields(Seq2SeqTrainingArguments)}
    table = [*WORKS, *REFUSED, *OF_SCRIPTS]
    assert len(table) == len(set(table))
    assert fields - set(table) == set(), "new in Transformers: does it work, or is it refused?"
    # others are of some of the supported versions alone; most must be there
    assert len(set(table) - fields) <= 12, set(table) - fields


def test_every_test_that_the_table_names_exists():
    text = "\n".join(path.read_text("utf-8") for path in TESTS.rglob("test_*.py"))
    tests = set(re.findall(r"def (test_\w+)", text))
    assert set(WORKS.values()) <= tests, set(WORKS.values()) - tests


def test_every_number_has_a_range():
    defaults = {item.name: item for item in dataclasses.fields(Seq2SeqTrainingArguments)}
    numbers = {
        name for name, item in defaults.items()
        if re.search(r"\b(int|float)\b", str(item.type).replace("class", ""))
    }  # fmt: skip
    assert numbers - {"local_rank"} <= RANGES.keys(), numbers - RANGES.keys()
    for name in numbers & RANGES.keys():
        default = defaults[name].default
        assert default in (None, 0) or RANGES[name].holds(default), name


@pytest.mark.parametrize("name", [*REFUSED, *OF_SCRIPTS])
def test_a_refused_field_says_why(name):
    if name not in {item.name for item in dataclasses.fields(Seq2SeqTrainingArguments)}:
        pytest.skip(f"this Transformers has no {name}")
    value, message = {**REFUSED, **OF_SCRIPTS}[name]
    args = made()
    setattr(args, name, value)  # some do not let themselves be made here
    with pytest.raises(InputError, match=message) as caught:
        check_arguments(args, of_run=True)
    assert f"{name}=None" not in str(caught.value)  # the value that was given
    if name in OF_SCRIPTS:
        check_arguments(args)
    check_arguments(made(), of_run=True)


@pytest.mark.parametrize(
    ("settings", "needed"),
    [
        ({"eval_steps": 5, "eval_strategy": "epoch"}, "--eval-strategy steps"),
        ({"save_steps": 5, "save_strategy": "epoch"}, "--save-strategy steps"),
        ({"eval_delay": 5}, "--eval-strategy"),
        ({"do_eval": True}, "--eval-strategy"),
        ({"greater_is_better": True}, "--metric-for-best-model"),
        ({"dataloader_persistent_workers": True}, "--dataloader-num-workers"),
        ({"dataloader_multiprocessing_context": "fork"}, "--dataloader-num-workers"),
        ({"dataloader_in_order": False}, "--dataloader-num-workers"),
        ({"optim_target_modules": "all-linear"}, "GaLore"),
        ({"optim_args": "a=1"}, "optim=adamw_torch_fused does not read it"),
        ({"optim": "sgd", "adam_beta1": 0.5}, "optim=sgd does not read it"),
        ({"optim": "adamw_anyprecision"}, "its package is missing"),
        ({"gradient_checkpointing_kwargs": {"use_reentrant": False}}, "--activation-checkpointing"),
        ({"run_name": "mine"}, "--report-to"),
        ({"project": "mine"}, "--report-to trackio"),
        ({"hub_model_id": "me/mine"}, "--push-to-hub"),
        ({"hub_token": "secret"}, r"hub_token=\.\.\.: does nothing without --push-to-hub"),
        ({"hub_strategy": "end"}, "--push-to-hub"),
    ],
)
def test_arguments_without_effect_are_refused(settings, needed):
    if not settings.keys() <= {item.name for item in dataclasses.fields(Seq2SeqTrainingArguments)}:
        pytest.skip("this Transformers has no such argument")
    with pytest.raises(InputError, match=needed):
        check_arguments(made(**settings), of_run=True)
    if any(name.startswith("hub_") for name in settings):
        check_effects(made(**settings))  # a script may call trainer.push_to_hub()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("log_level", "loud"), ("log_level_replica", "loud"),
        ("train_sampling_strategy", "by_length"), ("include_num_input_tokens_seen", "some"),
        ("torch_compile_backend", "fast"), ("torch_compile_mode", "fast"),
    ],
)  # fmt: skip
def test_words_that_are_one_of_a_few(name, value):
    args = made()
    setattr(args, name, value)
    with pytest.raises(InputError, match=f"{name}='{value}': "):
        check_arguments(args)


def test_include_for_metrics_needs_metrics_of_ones_own():
    args = made(include_for_metrics=["inputs"])
    with pytest.raises(InputError, match="without compute_metrics of your own"):
        check_arguments(args)
    check_arguments(args, compute_metrics=len)
    with pytest.raises(InputError, match="inputs or loss"):
        check_arguments(made(include_for_metrics=["all"]), compute_metrics=len)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tf32": True}, "tf32"),
        ({"fsdp": "shards"}, "fsdp"),
        ({"fsdp_config": "none.json", "fsdp": "full_shard"}, "none.json"),
        ({"deepspeed": "none.json"}, "none.json"),
        ({"accelerator_config": "none.json"}, "none.json"),
        ({"accelerator_config": '{"unknown": 1}'}, "unknown"),
        ({"accelerator_config": "{"}, "double quotes"),
        ({"logging_steps": float("inf")}, "logging_steps=inf: above 0"),
    ],
)
def test_what_transformers_refuses_is_one_line(settings, message, tmp_path):
    with pytest.raises(InputError, match=message) as caught:
        training_arguments(SequenceClassification(), str(tmp_path), use_cpu=True, **settings)
    assert "\n" not in str(caught.value)


def test_batches_that_one_process_makes_for_all_are_refused():
    with pytest.raises(InputError, match=r"dispatch_batches=True: .* Leave it out"):
        check_arguments(made(accelerator_config={"dispatch_batches": True}))


@pytest.mark.parametrize("name", sorted(RANGES))
def test_numbers_beyond_their_range_are_refused(name):
    limits = RANGES[name]
    wrong = [limits.highest * 2 + 1, float("nan"), float("inf"), -float("inf"), "1", True]
    wrong += [limits.lowest] if limits.ends[0] == "(" else []
    wrong += [limits.lowest - 1] if limits.lowest - 1 != limits.off else [limits.lowest - 2]
    wrong += [limits.lowest + 0.5] if limits.kind == "whole" else []
    wrong += [limits.lowest + 2.5] if limits.kind == "steps" else []
    assert not any(limits.holds(value) for value in wrong), name
    if name not in {item.name for item in dataclasses.fields(Seq2SeqTrainingArguments)}:
        return
    for value in wrong:
        args = made()
        setattr(args, name, value)
        with pytest.raises(InputError, match=re.escape(f"{name}={value!r}: {limits}")):
            check_arguments(args)
