"""Training at full sizes on a CUDA GPU: frtune beside plain ``Trainer`` with its best flags.

    python benchmarks/gpu.py                        # under eight minutes
    python benchmarks/gpu.py --quick --device cpu   # tiny shapes: proves only that it runs

The shapes are published ones with random weights, the tokenizers small ones of the family's kind.
Rows are of unlike length. Both ways get the same rows, encoded, and the same batch size; each runs
in a process of its own for ``--seconds`` of training, after steps to warm up. Tokens are counted
without padding, and so are the FLOPs that the utilisation sets against the fastest large bf16
product of this GPU. Where LoRA keeps the base frozen, the gradients of its weights are no part of
them. A way that fails, or takes longer than its row may, is named in the result.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from typing import Any

from _compare import RESULTS, hardware, run_apart, warm_up

WARM = 3  # steps
# checkpoint, family, tokens of a row at most, rows a batch, method, limit of the row in seconds
ROWS = (
    ("almanach/camembert-base", "camembert", 256, 64, "full", 60),
    ("paust/pko-t5-base", "t5", 512, 16, "full", 70),
    ("EleutherAI/polyglot-ko-1.3b", "polyglot", 768, 8, "lora", 110),
    ("EleutherAI/polyglot-ko-5.8b", "polyglot", 768, 4, "int8", 190),
)
WAYS = ("frtune", "frtune, bf16 base", "Trainer, best flags")
TINY = {
    "camembert": {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
                  "intermediate_size": 128, "vocab_size": 4000},
    "t5": {"d_model": 64, "d_kv": 32, "d_ff": 128, "num_layers": 2, "num_decoder_layers": 2,
           "num_heads": 2, "vocab_size": 4000},
    "polyglot": {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
                 "intermediate_size": 128, "vocab_size": 4100},  # with the task's markers
}  # fmt: skip
TARGET = 64  # tokens of a written line at most
AUTO = {"camembert": "AutoModelForSequenceClassification", "t5": "AutoModelForSeq2SeqLM",
        "polyglot": "AutoModelForCausalLM"}  # fmt: skip


def make_config(asked: dict[str, Any], **more: Any) -> Any:
    """The published config, or a tiny one of its kind."""
    from transformers import AutoConfig

    from frtune.models.families import published_settings

    settings = {
        **published_settings(asked["checkpoint"]),
        **(TINY[asked["family"]] if asked["quick"] else {}),
    }
    return AutoConfig.for_model(settings.pop("model_type"), **settings, **more)


def make_task(asked: dict[str, Any]) -> Any:
    """The task that the family is known for."""
    from frtune import KeyphraseGeneration, SequenceClassification

    if asked["family"] == "camembert":
        return SequenceClassification(max_source_tokens=asked["length"], labels=["0", "1"])
    return KeyphraseGeneration(max_source_tokens=asked["length"], max_target_tokens=TARGET)


def make_rows(asked: dict[str, Any]) -> Any:
    """Texts of a quarter of the length to the whole, evenly spread."""
    from _flops import texts
    from datasets import Dataset

    count, longest = 64 * asked["batch"], asked["length"]
    written = texts(count, longest)
    cut = [
        " ".join(text.split()[: longest // 4 + i * 3 * longest // (4 * count)])
        for i, text in enumerate(written)
    ]
    phrases = [text.split()[:40] for text in texts(count, 40)]
    labels = [str(i % 2) for i in range(count)]
    return Dataset.from_dict({"text": cut, "keyphrases": phrases, "label": labels})


def save_checkpoint(asked: dict[str, Any]) -> dict[str, Any]:
    """Write the shape with random weights in bf16, and a tokenizer."""
    import torch
    import transformers
    from _flops import texts

    from frtune import tiny_checkpoint

    folder = tiny_checkpoint(asked["family"], texts(200, 100), asked["folder"])
    with torch.device(asked["device"]):
        model = getattr(transformers, AUTO[asked["family"]]).from_config(
            make_config(asked), dtype=torch.bfloat16
        )
    # in one file, or the tiny weights would stay beside several
    model.save_pretrained(folder, max_shard_size="100GB")
    return {"parameters": sum(parameter.numel() for parameter in model.parameters())}


def measure_peak(asked: dict[str, Any]) -> dict[str, Any]:
    """The fastest large product, in bf16; in fp32 on a CPU."""
    import torch
    from _flops import product_rates, square

    device = torch.device(asked["device"])
    cuda = device.type == "cuda"
    rates = product_rates(
        square(256 if asked["quick"] else 8192), seconds=0.2 if asked["quick"] else 3,
        device=device, dtype=torch.bfloat16 if cuda else torch.float32,
    )  # fmt: skip
    name = torch.cuda.get_device_name(device) if cuda else "CPU"
    return {"device": name, "flops": max(rate["seconds"] for rate in rates.values())}


def train(asked: dict[str, Any]) -> dict[str, Any]:
    """Train in one of the ways; tokens a second, memory and FLOPs a second."""
    import torch
    from _flops import clock
    from transformers import TrainerCallback

    device = torch.device(asked["device"])
    with tempfile.TemporaryDirectory() as run:
        trainer = make_trainer(asked, run)
        masks: list[Any] = []
        labels: list[Any] = []
        step = trainer.training_step

        def noting(model: Any, inputs: Any, *rest: Any) -> Any:
            cuts = inputs if isinstance(inputs, list) else [inputs]
            # read once it is over
            masks.append(torch.cat([cut["attention_mask"].sum(1) for cut in cuts]))
            labels.append(torch.stack([(cut["labels"] != -100).sum() for cut in cuts]).sum())
            return step(model, inputs, *rest)

        class Watch(TrainerCallback):
            """Starts the clock after the steps to warm up, and stops when the time is over."""

            def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
                if state.global_step == WARM:
                    self.started = clock(device)
                elif state.global_step > WARM and clock(device) - self.started > asked["seconds"]:
                    control.should_training_stop = True

        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)  # loading is no part of it
        watch = Watch()
        trainer.training_step = noting
        trainer.add_callback(watch)
        result = trainer.train()
        seconds = clock(device) - watch.started
    lengths = [length for mask in masks[WARM:] for length in mask.tolist()]
    written = sum(int(count) for count in labels[WARM:]) if asked["family"] == "t5" else 0
    return {
        "steps": len(masks) - WARM,
        "seconds": round(seconds, 2),
        "tokens_per_second": round((sum(lengths) + written) / seconds, 1),
        "flops_per_second": flops(asked, lengths, written) / seconds,
        **memory(device),
        "loss": round(result.training_loss, 3),
    }


def memory(device: Any) -> dict[str, float]:
    """Peak of the GPU's memory in GiB: of tensors, and of what was taken for them."""
    import torch
    from _compare import peak_mib

    if device.type != "cuda":
        return {"peak_process_gib": round(peak_mib() / 1024, 2)}
    return {
        "peak_gib": round(torch.cuda.max_memory_allocated(device) / 2**30, 2),
        "peak_reserved_gib": round(torch.cuda.max_memory_reserved(device) / 2**30, 2),
    }


def flops(asked: dict[str, Any], lengths: list[int], written: int) -> float:
    """FLOPs of training on rows of these lengths, without padding.

    A row's FLOPs are a square function of its length; three lengths say which.
    """
    import numpy as np

    target = max(1, round(written / len(lengths)))
    longest = asked["length"]
    known = [longest // 4, longest // 2, longest]
    curve = np.polyfit(known, [float(_flops_of_row(asked, n, target)) for n in known], 2)
    return float(np.polyval(curve, np.array(lengths)).sum())


def _flops_of_row(asked: dict[str, Any], length: int, target: int) -> int:
    import transformers
    from _flops import counted_flops

    def make() -> Any:
        config = make_config(asked, attn_implementation="eager")
        model = getattr(transformers, AUTO[asked["family"]]).from_config(config)
        return model if asked["method"] == "full" else with_lora(model)

    if asked["family"] == "camembert":
        return counted_flops(make, {"input_ids": (1, length), "labels": (1,)})
    if asked["family"] == "t5":
        return counted_flops(make, {"input_ids": (1, length), "labels": (1, target)})
    # a whole mask, or the model looks for packed rows in numbers that are not there
    shapes = {"input_ids": (1, length), "labels": (1, length)}
    shapes["attention_mask"] = (1, 1, length, length)
    return counted_flops(make, shapes, use_cache=False)


def with_lora(model: Any) -> Any:
    """LoRA as frtune has it by default, put on by PEFT alone."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=8, lora_alpha=16, lora_dropout=0.05, target_modules=["query_key_value"], bias="none",
        task_type="CAUSAL_LM",
    )  # fmt: skip
    return get_peft_model(model, config)


def make_trainer(asked: dict[str, Any], run: str) -> Any:
    """The trainer of one way, on the same encoded rows."""
    from transformers import Trainer, TrainingArguments

    from frtune import build_model, lora_config, training_arguments
    from frtune.models.families import kind_of
    from frtune.training.encoding import encode_dataset

    task, cpu = make_task(asked), asked["device"] == "cpu"
    base = {"dtype": "bfloat16"} if asked["way"] == "frtune, bf16 base" else {}
    settings = {"per_device_train_batch_size": asked["batch"], "num_train_epochs": 50,
                "eval_strategy": "no", "save_strategy": "no", "disable_tqdm": True,
                "load_best_model_at_end": False, "use_cpu": cpu,
                "logging_steps": 10_000}  # fmt: skip
    if asked["way"] != WAYS[-1]:
        method = asked["method"]
        model, tokenizer = build_model(
            task, checkpoint=asked["folder"], proof=False, **base,
            lora=None if method == "full" else lora_config(),
            quantization="int8" if method == "int8" else None,
        )  # fmt: skip
        args = training_arguments(task, run, **settings)
        return task.trainer(model, tokenizer, args, train_dataset=make_rows(asked))
    from frtune.models.checkpoint_files import read_config
    from frtune.models.families import family_named
    from frtune.models.tokenizer import add_tokens, load_tokenizer

    family = family_named(asked["family"])
    tokenizer = load_tokenizer(asked["folder"], family, read_config(asked["folder"]))
    add_tokens(tokenizer, family, task.new_tokens(family.kind))
    model = plain_model(asked)
    rows = encode_dataset(make_rows(asked), task, tokenizer, kind=kind_of(model))
    best = {"bf16": not cpu, "train_sampling_strategy": "group_by_length"}
    return Trainer(
        model, TrainingArguments(run, **settings, **best), train_dataset=rows,
        data_collator=task.collator(model, tokenizer),
    )  # fmt: skip


def plain_model(asked: dict[str, Any]) -> Any:
    """The model as a user of Transformers and PEFT loads it; a frozen base is in bf16."""
    import torch
    import transformers

    loader = getattr(transformers, AUTO[asked["family"]])
    if asked["method"] == "full":
        return loader.from_pretrained(asked["folder"], dtype=torch.float32)
    dtype = torch.float32 if asked["device"] == "cpu" else torch.bfloat16
    if asked["method"] == "lora":
        return with_lora(loader.from_pretrained(asked["folder"], dtype=dtype))
    from peft import prepare_model_for_kbit_training

    packed = transformers.BitsAndBytesConfig(load_in_8bit=True)
    model = loader.from_pretrained(
        asked["folder"], dtype=dtype, quantization_config=packed, device_map=asked["device"]
    )
    # checkpointing is left out, as frtune's way has none
    return with_lora(prepare_model_for_kbit_training(model, use_gradient_checkpointing=False))


def apart(what: str, asked: dict[str, Any], limit: float) -> dict[str, Any]:
    """Do ``what`` in a process of its own; ``{"error": ...}`` if it fails or takes too long."""
    if asked["device"] == "cpu" and what != "measure_peak":
        return _forked(what, asked)
    command = [sys.executable, __file__, "--apart", what, json.dumps(asked)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    # one GPU: Trainer would split a batch among several
    environment["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False,
            timeout=max(1.0, limit),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"error": f"took longer than {limit:.0f} s"}
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["it died"])[-1][:300]}
    return json.loads(done.stdout.splitlines()[-1])


def _forked(what: str, asked: dict[str, Any]) -> dict[str, Any]:
    """The same in a fork, which starts at once; a process with CUDA must not be forked."""
    try:
        return run_apart(lambda timer: WORK[what](asked), threads=1)
    except SystemExit as error:
        return {"error": str(error).strip().splitlines()[-1]}


WORK = {"save_checkpoint": save_checkpoint, "measure_peak": measure_peak, "train": train}


def measure_row(asked: dict[str, Any], peak: float, limit: float) -> dict[str, Any]:
    """All ways of a row, within ``limit`` seconds."""
    ended = time.monotonic() + limit
    frozen = asked["method"] != "full"
    names = [way for way in WAYS if frozen or way != "frtune, bf16 base"]
    row: dict[str, Any] = {**asked, "ways": {}}
    with tempfile.TemporaryDirectory() as name:
        asked = {**asked, "folder": f"{name}/model"}
        row["made"] = apart("save_checkpoint", asked, limit)
        for i, way in enumerate(names) if "error" not in row["made"] else ():
            share = (ended - time.monotonic()) / (len(names) - i)
            found = apart("train", {**asked, "way": way}, share)
            if "error" not in found:
                found["utilisation"] = round(found["flops_per_second"] / peak, 4)
            row["ways"][way] = found
            print(f"{asked['checkpoint']} | {way} | {json.dumps(found)}", file=sys.stderr)
        shutil.rmtree(asked["folder"], ignore_errors=True)
    return row


def show(row: dict[str, Any]) -> None:
    """Print a row's lines of the table."""
    for way, found in row["ways"].items():
        what = f"| {row['checkpoint']}, {row['method']} | {way}"
        if "error" in found:
            print(f"{what} | failed: {found['error']} | | |")
            continue
        gib = found.get("peak_gib", found.get("peak_process_gib"))
        print(f"{what} | {found['tokens_per_second']:,.0f} | {gib} | {found['utilisation']:.1%} |")
    if "error" in row["made"]:
        print(f"| {row['checkpoint']} | not made: {row['made']['error']} | | | |")


def main() -> int:
    """Measure, print the table, and write the result."""
    made = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    made.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    made.add_argument("--seconds", type=float, default=12, help="of training, each way")
    made.add_argument("--quick", action="store_true", help="tiny shapes: proves only that it runs")
    args = made.parse_args()
    import torch

    if args.device == "cuda" and not torch.cuda.is_available():
        print("benchmarks/gpu.py: no CUDA device here. Run it where one is, or try its code with "
              "--quick --device cpu.", file=sys.stderr)  # fmt: skip
        return 2
    if args.device == "cpu":
        warm_up()
    seconds = 0.5 if args.quick else args.seconds
    base = {"device": args.device, "quick": args.quick, "seconds": seconds}
    peak = apart("measure_peak", base, 600 if args.quick else 30)
    if "error" in peak:
        print(f"benchmarks/gpu.py: {peak['error']}", file=sys.stderr)
        return 1
    print("| model, method | way | tokens a second | peak memory, GiB | utilisation |\n"
          "| --- | --- | --- | --- | --- |")  # fmt: skip
    table = []
    for checkpoint, family, length, batch, method, limit in ROWS:
        asked = {**base, "checkpoint": checkpoint, "family": family, "method": method,
                 "length": 32 if args.quick else length,
                 "batch": 2 if args.quick else batch}  # fmt: skip
        # a CPU of CI may be slow, and nothing is measured there
        table.append(measure_row(asked, peak["flops"], limit * (10 if args.quick else 1)))
        show(table[-1])
    if not args.quick:
        result = {"command": "python benchmarks/gpu.py", "gpu": peak["device"],
                  "bf16 GFLOP/s of a large product": round(peak["flops"] / 1e9),
                  "hardware": hardware(), "table": table}  # fmt: skip
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "gpu.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    failed = [
        way for row in table for way in [row["made"], *row["ways"].values()] if "error" in way
    ]
    return 1 if failed else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--apart"]:
        print(json.dumps(WORK[sys.argv[2]](json.loads(sys.argv[3]))))
    else:
        sys.exit(main())
