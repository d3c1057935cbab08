"""Random settings of a run, within and beyond their ranges, for the four tasks."""

from __future__ import annotations

import json
import random
from collections.abc import Set
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from transformers import Seq2SeqTrainingArguments

from frtune.ranges import RANGES

TASKS = ("classification", "similarity", "keywords", "keyphrases")
WORDS = ["le budget de la cantine", "une école de la ville", "la forêt brûlée", "le maire élu"]
KNOWN = {item.name for item in fields(Seq2SeqTrainingArguments)}

# values that a run of one step can live with, beside those of the table of ranges
WITHIN: dict[str, list[Any]] = {
    "per_device_train_batch_size": [1, 3, 64],
    "per_device_eval_batch_size": [1, 5],
    "num_train_epochs": [0.01, 1],
    "max_steps": [1, 2],
    "learning_rate": [0.0, 1e-5, 1e-3],
    "warmup_steps": [0, 0.5, 1, 100],
    "weight_decay": [0.0, 0.1],
    "adam_beta1": [0.0, 0.8],
    "adam_beta2": [0.0, 0.95],
    "adam_epsilon": [1e-6],
    "gradient_accumulation_steps": [1, 2],
    "max_grad_norm": [0.0, 0.5],
    "label_smoothing_factor": [0.0, 0.1],
    "neftune_noise_alpha": [5.0],
    "torch_empty_cache_steps": [1],
    "logging_steps": [1, 0.5],
    "eval_steps": [1, 0.5],
    "save_steps": [1, 0.5],
    "eval_delay": [0, 1, 0.5],
    "eval_accumulation_steps": [1],
    "save_total_limit": [1, 3],
    "seed": [0, 2**32 - 1],
    "data_seed": [0, 2**32 - 1],
    "dataloader_num_workers": [0, 1],
    "dataloader_prefetch_factor": [2],
    "ddp_bucket_cap_mb": [1],
    "ddp_timeout": [60],
    "generation_max_length": [20],
    "generation_num_beams": [1, 2],
    "lr_scheduler_type": ["linear", "cosine", "reduce_lr_on_plateau", "constant", "polynomial",
                          "inverse_sqrt", "cosine_with_min_lr", "warmup_stable_decay", "greedy"],
    "lr_scheduler_kwargs": ['{"num_cycles": 2}', '{"mode": "min"}', '{"factor": 0.5}'],
    "optim": ["adamw_torch", "sgd", "adafactor", "adagrad", "rmsprop", "galore_adamw", "lomo"],
    "eval_strategy": ["no", "epoch", "steps"],
    "save_strategy": ["no", "epoch", "steps", "best"],
    "logging_strategy": ["no", "epoch", "steps"],
    "metric_for_best_model": ["loss", "eval_loss", "accuracy", "spearman", "f1_at_10", "lost"],
    "train_sampling_strategy": ["random", "sequential", "group_by_length", "batch_rebalance"],
    "include_num_input_tokens_seen": ["no", "all", "non_padding"],
    "log_level": ["passive", "error", "info"],
    "report_to": ["none", "wandb", "tensorboard"],
    "accelerator_config": ['{"split_batches": true}', '{"even_batches": false}',
                           '{"dispatch_batches": true}', '{"use_seedable_sampler": false}'],
    "dataloader_multiprocessing_context": ["fork", "forkserver"],
    "optim_args": ["momentum=0.5", "weight_decay=1"],
    "debug": ["underflow_overflow"],
    "run_name": ["mine"],
    "length_column_name": ["length", "other"],
    "hub_model_id": ["me/mine"],
    "early_stopping_patience": [0, 1],
    "max_train_rows": [3],
    "max_eval_rows": [1],
    "max_test_rows": [0, 1],
    "lora_r": [1],
    "lora_alpha": [4],
    "lora_dropout": [0.0, 0.5],
    "max_tokens_per_batch": [1, 50],
    "mixup_alpha": [0.5],
    "mixup_layer": [1],
    "mixup_rows": [2],
    "mixup_level": ["embeddings", "hidden", "sentence"],
    "generate_every_epochs": [1, 2],
    "generate_max_rows": [1],
    "max_source_tokens": [8, 32],
    "max_target_tokens": [4, 8],
    "max_keyphrases": [1],
    "k": [1, 5],
    "keyword_weight": [2.0],
    "focal_gamma": [2.0],
    "overlap_tokens": [0, 2],
}  # fmt: skip
SWITCHES = [
    "lora", "merge", "merge_first", "packing", "mixup", "bf16", "activation_checkpointing",
    "dataloader_drop_last", "prediction_loss_only", "batch_eval_metrics", "predict_with_generate",
    "eval_do_concat_batches", "eval_on_start", "eval_use_gather_object", "load_best_model_at_end",
    "greater_is_better", "save_only_model", "save_on_each_node", "remove_unused_columns",
    "dataloader_persistent_workers", "dataloader_in_order", "dataloader_pin_memory",
    "ignore_data_skip", "skip_memory_metrics", "logging_nan_inf_filter", "logging_first_step",
    "auto_find_batch_size", "do_train", "do_eval", "do_predict", "full_determinism", "use_cache",
    "bf16_full_eval", "average_tokens_across_devices", "disable_tqdm", "sortish_sampler",
    "use_liger_kernel", "enable_jit_checkpoint", "restore_callback_states_from_checkpoint",
    "push_to_hub", "symmetric", "resume",
]  # fmt: skip
# beyond: words where one of few is meant, and other kinds
WRONG: dict[str, list[Any]] = {
    "lr_scheduler_type": ["plateau"],
    "lr_scheduler_kwargs": ["nonsense", '{"power": "x"}', "[1]"],
    "optim": ["adamm", "stable_adamw"],
    "eval_strategy": ["sometimes"],
    "save_strategy": ["sometimes"],
    "metric_for_best_model": ["accuracyy"],
    "train_sampling_strategy": ["by_length"],
    "include_num_input_tokens_seen": ["some"],
    "log_level": ["loud"],
    "accelerator_config": ["{", '{"unknown": 1}', "none.json", '{"dispatch_batches": true}'],
    "dataloader_multiprocessing_context": ["thread"],
    "optim_args": ["momentum", "a=b,"],
    "debug": ["everything", "tpu_metrics_debug"],
    "deepspeed": ["none.json"],
    "fsdp": ["shards"],
    "include_for_metrics": ["inputs"],
    "label_names": ["labels"],
    "torch_compile_backend": ["fast"],
    "torch_compile_mode": ["fast"],
    "hub_strategy": ["never"],
    "ddp_backend": ["nothing"],
    "activation_checkpointing_kwargs": ["nonsense"],
    "data": ["", "nowhere.csv"],
    "checkpoint": ["", "nowhere/at/all"],
    "output_dir": [""],
    "family": ["", "camel"],
    "encoding": ["", "utf-99"],
}
OWN = {
    "classification": set(), "similarity": {"symmetric"},
    "keywords": {"keyword_weight", "focal_gamma", "overlap_tokens"},
    "keyphrases": {"max_target_tokens", "max_keyphrases", "k"},
}  # fmt: skip


@dataclass(frozen=True)
class Draw:
    """What one run is told."""

    task: str
    settings: dict[str, Any]

    @property
    def flags(self) -> list[str]:
        """As the command line has them."""
        return [
            f"--{name.replace('_', '-')}={str(value).lower() if isinstance(value, bool) else value}"
            for name, value in self.settings.items()
        ]


def beyond(name: str, chance: random.Random) -> Any:
    """A number that is not in the range of ``name``, or a word that is not one of its words."""
    if name in WRONG:
        return chance.choice(WRONG[name])
    limits = RANGES[name]
    values = [
        limits.lowest - 1,
        limits.highest * 10,
        float("nan"),
        float("inf"),
        -float("inf"),
        "x",
    ]
    if limits.kind == "whole":
        values += [limits.lowest + 0.5]
    if limits.ends[0] == "(":
        values += [0]
    return chance.choice([value for value in values if value != limits.off])


def draw(seed: int, *, only: Set[str] | None = None) -> Draw:
    """Draw a task and one to five settings; in about every second draw, some beyond their range.

    ``only`` are the names to draw from.
    """
    chance = random.Random(seed)
    task = chance.choice(TASKS)
    names = {*WITHIN, *SWITCHES, *WRONG} - (set().union(*OWN.values()) - OWN[task])
    wild = chance.random() < 0.45
    settings: dict[str, Any] = {}
    for name in chance.sample(sorted(names & (only or names)), chance.randint(1, 5)):
        if name in SWITCHES:
            settings[name] = chance.random() < 0.6
        elif name not in WITHIN:
            settings |= {name: chance.choice(WRONG[name])} if wild else {}
        elif wild and chance.random() < 0.4 and (name in WRONG or name in RANGES):
            settings[name] = beyond(name, chance)
        else:
            settings[name] = chance.choice(WITHIN[name])
    return Draw(task, settings)


def rows(task: str, count: int = 12) -> list[dict[str, Any]]:
    """Rows of a task."""
    found: list[dict[str, Any]] = []
    for i in range(count):
        text = f"{WORDS[i % 4]} et {WORDS[(i + 1) % 4]} {i}"
        found.append({
            "classification": {"text": text, "label": "ab"[i % 2]},
            "similarity": {"sentence1": text, "sentence2": WORDS[i % 3], "label": str(i % 2)},
            "keywords": {"text": text, "keywords": [WORDS[i % 4]]},
            "keyphrases": {"text": text, "keyphrases": [WORDS[i % 4]]},
        }[task])  # fmt: skip
    return found


def write_rows(task: str, folder: Path) -> Path:
    """Three files of rows, named after their splits."""
    folder.mkdir(parents=True)
    for name in ("train", "validation", "test"):
        lines = [
            json.dumps(each, ensure_ascii=False)
            for each in rows(task, 12 if name == "train" else 4)
        ]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
