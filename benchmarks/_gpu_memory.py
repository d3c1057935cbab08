"""The peak of memory on a GPU beside ``frtune plan``: a row of ``gpu.py``."""

from __future__ import annotations

import tempfile
from typing import Any

import torch
from _flops import texts
from _gpu_correct import task_of
from _gpu_fast import TARGET, folder_of
from datasets import Dataset
from transformers import TrainerCallback

from frtune import build_model, lora_config, training_arguments
from frtune.planning import plan as planning

PLAN = 0.15  # how far the peak may be from the plan


def memory(asked: dict[str, Any]) -> dict[str, Any]:
    """Peak of tensors in steps whose rows are all as long as may be, beside what is planned."""
    task = task_of(asked["family"], asked["length"], TARGET)
    cpu = asked["device"] == "cpu"
    found = planning.plan(
        folder_of(asked), task=task, gpu_memory="9TB", batch=asked["batch"],
        precision="fp32" if cpu else "bf16",
    )  # fmt: skip
    option = next(o for o in found.options if (o.method, o.sharding) == (asked["method"], "none"))
    planned = option.phases.step
    measured = _measured_peak(asked, task)
    result = {"planned_gib": round(planned / 2**30, 2)}
    if cpu:
        return {**result, "not measured": "only a GPU's allocator counts its peak"}
    ratio = round(measured / planned, 3)
    result |= {"peak_gib": round(measured / 2**30, 2), "of_planned": ratio}
    return result if abs(ratio - 1) <= PLAN else {**result, "wrong": f"{ratio:.0%} of the plan"}


def _measured_peak(asked: dict[str, Any], task: Any) -> int:
    class Watch(TrainerCallback):
        """Forgets the first step, which may try how much fits."""

        def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            if state.global_step == 1 and torch.cuda.is_available():
                torch.cuda.reset_peak_memory_stats()

    count, method = 3 * asked["batch"], asked["method"]
    long = texts(count, 2 * asked["length"])
    data = Dataset.from_dict({"text": long, "keyphrases": [text.split() for text in long],
                              "label": [str(i % 2) for i in range(count)]})  # fmt: skip
    model, tokenizer = build_model(
        task, checkpoint=folder_of(asked), proof=False,
        lora=None if method == "full" else lora_config(),
        quantization=method if method in ("int8", "nf4") else None,
    )  # fmt: skip
    cpu = asked["device"] == "cpu"
    with tempfile.TemporaryDirectory() as run:
        args = training_arguments(
            task, run, max_steps=3, per_device_train_batch_size=asked["batch"], use_cpu=cpu,
            eval_strategy="no", save_strategy="no", load_best_model_at_end=False,
            disable_tqdm=True, gradient_accumulation_steps=1,
        )  # fmt: skip
        trainer = task.trainer(
            model, tokenizer, args, train_dataset=data, proof=False, cut_steps=False,
            callbacks=[Watch()],
        )  # fmt: skip
        trainer.train()
    return 0 if cpu else torch.cuda.max_memory_allocated()


WORK = {"memory": memory}
