"""What ``gpu.py`` measures: each function does a row and returns its result.

The shapes are published ones with random weights, the tokenizers small ones of the family's kind.
Rows are of a quarter of the length to the whole. All ways of a model get the same rows and the same
batch size. Tokens are counted without padding, and so are the FLOPs that the share of the peak is
of. Where LoRA keeps the base frozen, the gradients of its weights are no part of them.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from _compare import peak_mib
from _flops import clock, counted_flops, product_rates, square, texts
from datasets import Dataset
from transformers import AutoConfig, PreTrainedModel, Trainer, TrainerCallback, TrainingArguments

from frtune import (
    KeyphraseGeneration,
    SentenceSimilarity,
    SequenceClassification,
    build_model,
    lora_config,
    tiny_checkpoint,
    training_arguments,
)
from frtune.models.checkpoint_files import read_config
from frtune.models.families import family_named, kind_of, published_settings
from frtune.models.tokenizer import add_tokens, load_tokenizer
from frtune.training.encoding import encode_dataset

WARM = 3  # steps
PROFILED = 4  # steps after the timed ones, whose kernels are looked at
TARGET = 64  # tokens of a written line at most
PAIRS = ("frtune, pairs", "CrossEncoderTrainer")
TINY = {
    "camembert": {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
                  "intermediate_size": 128, "vocab_size": 4000},
    "t5": {"d_model": 64, "d_kv": 32, "d_ff": 128, "num_layers": 2, "num_decoder_layers": 2,
           "num_heads": 2, "vocab_size": 4000},
    "polyglot": {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
                 "intermediate_size": 128, "vocab_size": 4100},  # with the task's markers
}  # fmt: skip
AUTO = {"camembert": "AutoModelForSequenceClassification", "t5": "AutoModelForSeq2SeqLM",
        "polyglot": "AutoModelForCausalLM"}  # fmt: skip


# --- models, tasks, rows -------------------------------------------------------------------------


def folder_of(asked: dict[str, Any]) -> str:
    """Where the model of a row is."""
    return str(Path(asked["scratch"]) / asked["name"])


def make_config(asked: dict[str, Any], **more: Any) -> Any:
    """The published config, or a tiny one of its kind."""
    settings = {
        **published_settings(asked["checkpoint"]),
        **(TINY[asked["family"]] if asked["quick"] else {}),
    }
    return AutoConfig.for_model(settings.pop("model_type"), **settings, **more)


def make_task(asked: dict[str, Any]) -> Any:
    """The task that the family is known for, or pairs of sentences."""
    if asked.get("way") in PAIRS:
        return SentenceSimilarity(max_source_tokens=asked["length"], labels=["0", "1"])
    if asked["family"] == "camembert":
        return SequenceClassification(max_source_tokens=asked["length"], labels=["0", "1"])
    return KeyphraseGeneration(max_source_tokens=asked["length"], max_target_tokens=TARGET)


def make_rows(asked: dict[str, Any]) -> Dataset:
    """Texts of a quarter of the length to the whole, evenly spread; pairs are their halves."""
    tokenizer = load_tokenizer(
        folder_of(asked), family_named(asked["family"]), read_config(folder_of(asked))
    )
    (sample,) = texts(1, 200)
    count, words = 64 * asked["batch"], 200 / len(tokenizer(sample)["input_ids"])  # a token
    longest = int(asked["length"] * words)
    written = [text.split() for text in texts(count, longest)]
    cut = [row[: longest // 4 + i * 3 * longest // (4 * count)] for i, row in enumerate(written)]
    phrases = [text.split()[:40] for text in texts(count, 40)]
    columns: dict[str, Any] = {"label": [str(i % 2) for i in range(count)]}
    if asked.get("way") in PAIRS:
        columns["sentence1"] = [" ".join(row[: len(row) // 2]) for row in cut]
        columns["sentence2"] = [" ".join(row[len(row) // 2 :]) for row in cut]
    else:
        columns |= {"text": [" ".join(row) for row in cut], "keyphrases": phrases}
    return Dataset.from_dict(columns)


def make(asked: dict[str, Any]) -> dict[str, Any]:
    """Write the shape with random weights in bf16, and a tokenizer."""
    folder, config = folder_of(asked), make_config(asked)
    fill_vocabulary(tiny_checkpoint(asked["family"], texts(200, 100), folder), config.vocab_size)
    with torch.device(asked["device"]):
        model = getattr(transformers, AUTO[asked["family"]]).from_config(
            config, dtype=torch.bfloat16
        )
    # in one file, or the tiny weights would stay beside several
    model.save_pretrained(folder, max_shard_size="100GB")
    return {"parameters": sum(parameter.numel() for parameter in model.parameters())}


def fill_vocabulary(folder: Path, rows: int) -> None:
    """Give the tokenizer pieces that no text has: far fewer than the embedding's are refused."""
    path = folder / "tokenizer.json"
    whole = json.loads(path.read_text(encoding="utf-8"))
    pieces, most = whole["model"]["vocab"], rows * 9 // 10  # the task adds some
    if isinstance(pieces, dict):
        pieces |= {token["content"]: token["id"] for token in whole["added_tokens"]}
        pieces |= {f"\ue000{i}": i for i in range(len(pieces), most)}
    else:
        pieces += [[f"\ue000{i}", -1000.0] for i in range(len(pieces), most)]
    path.write_text(json.dumps(whole, ensure_ascii=False), encoding="utf-8")


# --- FLOPs and the peak --------------------------------------------------------------------------


def count_flops(asked: dict[str, Any]) -> dict[str, Any]:
    """FLOPs of training on a row, as a square function of its tokens: the coefficients."""
    longest = asked["length"]
    known = [longest // 4, longest // 2, longest]
    counted = [float(_flops_of_row(asked, length)) for length in known]
    return {"curve": np.polyfit(known, counted, 2).tolist()}


def _flops_of_row(asked: dict[str, Any], length: int) -> int:
    def model() -> Any:
        config = make_config(asked, attn_implementation="eager")
        made = getattr(transformers, AUTO[asked["family"]]).from_config(config)
        return made if asked["method"] == "full" else with_lora(made)

    if asked["family"] == "camembert":
        return counted_flops(model, {"input_ids": (1, length), "labels": (1,)})
    if asked["family"] == "t5":
        return counted_flops(model, {"input_ids": (1, length), "labels": (1, TARGET)})
    # a whole mask, or the model looks for packed rows in numbers that are not there
    shapes = {"input_ids": (1, length), "labels": (1, length)}
    shapes["attention_mask"] = (1, 1, length, length)
    return counted_flops(model, shapes, use_cache=False)


def peak(asked: dict[str, Any]) -> dict[str, Any]:
    """FLOPs a second of the fastest large product, in bf16; in fp32 on a CPU."""
    device = torch.device(asked["device"])
    rates = product_rates(
        square(256 if asked["quick"] else 8192), seconds=0.1 if asked["quick"] else 2,
        device=device, dtype=torch.bfloat16 if device.type == "cuda" else torch.float32,
    )  # fmt: skip
    return {"flops_per_second": max(rate["seconds"] for rate in rates.values())}


# --- ways of training ----------------------------------------------------------------------------


def with_lora(model: Any) -> Any:
    """LoRA as frtune has it by default, put on by PEFT alone."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=8, lora_alpha=16, lora_dropout=0.05, target_modules=["query_key_value"], bias="none",
        task_type="CAUSAL_LM",
    )  # fmt: skip
    return get_peft_model(model, config)


def plain_model(asked: dict[str, Any]) -> Any:
    """The model as a user of Transformers and PEFT loads it; a frozen base is in bf16."""
    loader = getattr(transformers, AUTO[asked["family"]])
    if asked["method"] == "full":
        return loader.from_pretrained(folder_of(asked), dtype=torch.float32)
    dtype = torch.float32 if asked["device"] == "cpu" else torch.bfloat16
    if asked["method"] == "lora":
        return with_lora(loader.from_pretrained(folder_of(asked), dtype=dtype))
    from peft import prepare_model_for_kbit_training

    packed = transformers.BitsAndBytesConfig(load_in_8bit=True)
    model = loader.from_pretrained(
        folder_of(asked), dtype=dtype, quantization_config=packed, device_map=asked["device"]
    )
    # checkpointing is left out, as frtune's way has none
    return with_lora(prepare_model_for_kbit_training(model, use_gradient_checkpointing=False))


def make_trainer(asked: dict[str, Any], run: str) -> Any:
    """The trainer of one way, on the same rows."""
    cpu = asked["device"] == "cpu"
    settings = {"per_device_train_batch_size": asked["batch"], "num_train_epochs": 500,
                "eval_strategy": "no", "save_strategy": "no", "disable_tqdm": True,
                "load_best_model_at_end": False, "use_cpu": cpu,
                "logging_steps": 10_000}  # fmt: skip
    if asked["way"].startswith("frtune"):
        task, method = make_task(asked), asked["method"]
        base = {"dtype": "bfloat16"} if asked["way"] == "frtune, bf16 base" else {}
        model, tokenizer = build_model(
            task, checkpoint=folder_of(asked), proof=False, **base,
            lora=None if method == "full" else lora_config(),
            quantization=method if method in ("int8", "nf4") else None,
        )  # fmt: skip
        args = training_arguments(task, run, gradient_accumulation_steps=1, **settings)
        return task.trainer(model, tokenizer, args, train_dataset=make_rows(asked), proof=False)
    best = {**settings, "bf16": not cpu, "train_sampling_strategy": "group_by_length"}
    return PEERS[asked["way"]](asked, run, best)


def plain_trainer(asked: dict[str, Any], run: str, best: dict[str, Any]) -> Any:
    """``Trainer`` on the rows as frtune encodes them."""
    model, tokenizer, rows = _encoded(asked)
    return Trainer(
        model, TrainingArguments(run, **best), train_dataset=rows,
        data_collator=make_task(asked).collator(model, tokenizer),
    )  # fmt: skip


def sft_trainer(asked: dict[str, Any], run: str, best: dict[str, Any]) -> Any:
    """TRL's trainer on the same tokens; the loss is of the target alone."""
    from trl import SFTConfig, SFTTrainer

    model, tokenizer, rows = _encoded(asked)
    data = Dataset.from_dict({
        "input_ids": rows["input_ids"][:],
        "completion_mask": [[int(i != -100) for i in row] for row in rows["labels"]],
    })  # fmt: skip
    args = SFTConfig(run, **best, max_length=2048, gradient_checkpointing=False,
                     completion_only_loss=True)  # fmt: skip
    return SFTTrainer(model, args, train_dataset=data, processing_class=tokenizer)


def cross_encoder_trainer(asked: dict[str, Any], run: str, best: dict[str, Any]) -> Any:
    """The trainer of sentence-transformers for pairs."""
    from sentence_transformers import CrossEncoder
    from sentence_transformers.cross_encoder import (
        CrossEncoderTrainer,
        CrossEncoderTrainingArguments,
    )
    from sentence_transformers.cross_encoder.losses import CrossEntropyLoss

    model = CrossEncoder(folder_of(asked), num_labels=2, max_length=asked["length"],
                         device=asked["device"])  # fmt: skip
    rows = make_rows(asked)
    pairs = Dataset.from_dict({"sentence1": rows["sentence1"][:], "sentence2": rows["sentence2"][:],
                               "label": [int(label) for label in rows["label"]]})  # fmt: skip
    args = CrossEncoderTrainingArguments(run, **best)
    return CrossEncoderTrainer(
        model=model, args=args, train_dataset=pairs, loss=CrossEntropyLoss(model)
    )


PEERS = {"Trainer": plain_trainer, "SFTTrainer": sft_trainer,
         "CrossEncoderTrainer": cross_encoder_trainer}  # fmt: skip


def _encoded(asked: dict[str, Any]) -> tuple[Any, Any, Dataset]:
    """A peer's model and tokenizer, and the rows as frtune encodes them."""
    task, family = make_task(asked), family_named(asked["family"])
    tokenizer = load_tokenizer(folder_of(asked), family, read_config(folder_of(asked)))
    add_tokens(tokenizer, family, task.new_tokens(family.kind))
    model = plain_model(asked)
    return model, tokenizer, encode_dataset(make_rows(asked), task, tokenizer, kind=kind_of(model))


# --- one way -------------------------------------------------------------------------------------


class Watch(TrainerCallback):
    """Takes the time of the steps after those to warm up, then looks at a few steps' kernels.

    The device is waited for at the beginning and at the end of the timed steps, not in between.
    """

    def __init__(self, device: torch.device, seconds: float, lengths: list[torch.Tensor]):
        self.device, self.wanted, self.lengths = device, seconds, lengths
        self.seconds = self.started = 0.0
        self.steps = self.first = self.last = 0
        self.profile: Any = None

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Begin or end a part."""
        step = state.global_step
        if step == WARM:
            if self.device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(self.device)  # loading is no part of it
            self.started, self.first = clock(self.device), len(self.lengths)
        elif step > WARM and not self.steps and time.perf_counter() - self.started > self.wanted:
            self.seconds = clock(self.device) - self.started
            self.steps, self.last = step - WARM, len(self.lengths)
            if self.device.type == "cuda":
                # the CPU is not looked at, which would slow it down
                activities = [torch.profiler.ProfilerActivity.CUDA]
                self.profile = torch.profiler.profile(activities=activities)
                self.profile.start()
        if self.steps and step >= WARM + self.steps + PROFILED:
            if self.profile is not None:
                torch.cuda.synchronize(self.device)
                self.profile.stop()
            control.should_training_stop = True


def count_tokens(model: torch.nn.Module) -> list[torch.Tensor]:
    """Tokens of each row that the model reads, one tensor a call; to be read once all is over.

    Only the inner model is always called as a module: sentence-transformers calls ``forward``.
    """
    lengths: list[torch.Tensor] = []

    def note(module: Any, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        mask, ids = named.get("attention_mask"), named.get("input_ids", inputs and inputs[0])
        if mask is None or mask.dim() != 2:
            mask = torch.ones_like(ids)
        lengths.append(mask.sum(1))

    whole = next(part for part in model.modules() if isinstance(part, PreTrainedModel))
    inner = whole.get_encoder() if whole.config.is_encoder_decoder else whole.base_model
    inner.register_forward_pre_hook(note, with_kwargs=True)
    return lengths


def idle_share(events: list[tuple[int, int]]) -> float | None:
    """Share of the time from the first kernel to the last in which none ran.

    Args:
        events: Beginning and end of each kernel.

    Example:
        >>> idle_share([(0, 4), (2, 5), (9, 10)])
        0.4
    """
    if not events:
        return None
    busy, until = 0, min(begin for begin, _ in events)
    first = until
    for begin, end in sorted(events):
        busy += max(0, end - max(begin, until))
        until = max(until, end)
    return round(1 - busy / max(1, until - first), 4)


def _kernels(profile: Any) -> list[tuple[int, int]]:
    cuda = torch.autograd.DeviceType.CUDA
    return [
        (event.start_ns(), event.start_ns() + event.duration_ns())
        for event in profile.profiler.kineto_results.events()
        if event.device_type() == cuda
    ]


def train(asked: dict[str, Any]) -> dict[str, Any]:
    """Train in one of the ways; tokens a second, memory, idle share, and what FLOPs hang on."""
    device = torch.device(asked["device"])
    with tempfile.TemporaryDirectory() as run:
        trainer = make_trainer(asked, run)
        lengths = count_tokens(trainer.model)
        watch = Watch(device, asked["train_seconds"], lengths)
        trainer.add_callback(watch)
        trainer.train()
    counted = torch.cat(lengths[watch.first : watch.last]).double().cpu()
    written = TARGET * len(counted) if asked["family"] == "t5" else 0
    idle = idle_share(_kernels(watch.profile)) if watch.profile is not None else None
    return {
        "steps": watch.steps,
        "seconds": round(watch.seconds, 2),
        "tokens_per_second": round((float(counted.sum()) + written) / watch.seconds, 1),
        "sums": [float((counted**power).sum()) for power in (2, 1, 0)],
        "idle": idle,
        **_memory(device),
    }


def _memory(device: torch.device) -> dict[str, float]:
    """Peak in GiB: of tensors on the GPU, and of what was taken for them."""
    if device.type != "cuda":
        return {"peak_process_gib": round(peak_mib() / 1024, 2)}
    return {
        "peak_gib": round(torch.cuda.max_memory_allocated(device) / 2**30, 2),
        "peak_reserved_gib": round(torch.cuda.max_memory_reserved(device) / 2**30, 2),
    }


WORK = {"make": make, "count_flops": count_flops, "peak": peak, "train": train}
