"""What ``gpu.py`` compares before it measures: each function does a row and returns its result.

``wrong`` in a result names what is further from what it should be than it may.
"""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

import torch
import transformers
from _flops import texts
from datasets import Dataset
from transformers import TrainerCallback

import frtune
from frtune import (
    KeyphraseGeneration,
    Mixup,
    SequenceClassification,
    build_model,
    lora_config,
    save,
    tiny_checkpoint,
    training_arguments,
)
from frtune.training.generation import generation_settings

CONFIGS = Path(__file__).resolve().parents[1] / "deepspeed_configs"
ROWS, TARGET = 16, 8
# how far a result may be from what it should be, relative
FP32 = 1e-3  # other order of sums
BF16 = 2e-2  # 8 bits


def hardware(asked: dict[str, Any]) -> dict[str, Any]:
    """What the figures were taken on."""
    if asked["device"] == "cpu":
        return {"name": "CPU", **_versions()}
    if not torch.cuda.is_available():
        return {"not measured": "no CUDA device here. Run it where one is, or try its code with "
                                "--quick --device cpu."}  # fmt: skip
    about = torch.cuda.get_device_properties(0)
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        driver = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
        said = driver.stdout.split()[0] if driver.stdout.split() else "unknown"
    except (OSError, subprocess.SubprocessError):
        said = "unknown"
    return {
        "name": about.name,
        "gib": round(about.total_memory / 2**30, 1),
        "compute capability": f"{about.major}.{about.minor}",
        "driver": said,
        "cuda": torch.version.cuda,
        **_versions(),
    }


def _versions() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "frtune": frtune.__version__,
    }


# --- parts of a run ------------------------------------------------------------------------------


def task_of(family: str, length: int = 32, target: int = TARGET) -> Any:
    """Classification for encoders, keyphrases for the others."""
    if family == "camembert":
        return SequenceClassification(labels=["0", "1"], max_source_tokens=length)
    return KeyphraseGeneration(max_source_tokens=length, max_target_tokens=target)


def rows(count: int = ROWS) -> Dataset:
    """Texts of 4 to 20 words."""
    written = [text.split() for text in texts(count, 20)]
    return Dataset.from_dict({
        "text": [" ".join(words[: 4 + i]) for i, words in enumerate(written)],
        "keyphrases": [words[:2] for words in written],
        "label": [str(i % 2) for i in range(count)],
    })  # fmt: skip


def checkpoint(asked: dict[str, Any], family: str) -> str:
    """A tiny checkpoint of the family, made once a process."""
    folder = Path(asked["scratch"]) / f"tiny-{family}-{os.getpid()}"
    if not folder.exists():
        tiny_checkpoint(family, texts(200, 100), folder)
    return str(folder)


class Gradients(TrainerCallback):
    """Keeps the gradients of each step, clipped, in one fp32 vector on the CPU."""

    def __init__(self) -> None:
        self.steps: list[torch.Tensor] = []

    def on_pre_optimizer_step(
        self, args: Any, state: Any, control: Any, model: Any = None, **more: Any
    ) -> None:
        """Copy them."""
        found = [p.grad for _, p in sorted(model.named_parameters()) if p.grad is not None]
        self.steps.append(torch.cat([grad.detach().float().flatten().cpu() for grad in found]))


def make_trainer(
    asked: dict[str, Any], family: str, run: str, *, method: str = "full", dropout: bool = False,
    trained: dict[str, Any] | None = None, device: str | None = None, **settings: Any,
) -> Any:  # fmt: skip
    """A trainer of three steps on the tiny checkpoint, the same on each device."""
    task = task_of(family)
    torch.manual_seed(0)  # of a new head and the adapter
    model, tokenizer = build_model(
        task, checkpoint=checkpoint(asked, family), proof=False,
        lora=None if method == "full" else lora_config(),
        quantization=method if method in ("int8", "nf4") else None,
    )  # fmt: skip
    for module in model.modules() if not dropout else ():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    settings = {
        "max_steps": 3, "per_device_train_batch_size": 4, "learning_rate": 1e-3,
        "lr_scheduler_type": "constant", "logging_steps": 1, "eval_strategy": "no",
        "save_strategy": "no", "load_best_model_at_end": False, "disable_tqdm": True,
        "bf16": False, "use_cpu": (device or asked["device"]) == "cpu", **settings,
    }  # fmt: skip
    args = training_arguments(task, run, **settings)
    return task.trainer(
        model, tokenizer, args, train_dataset=rows(), proof=False, **(trained or {})
    )


def losses(trainer: Any) -> list[float]:
    """The loss of each step."""
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def train(trainer: Any) -> dict[str, Any]:
    """Train; the losses and gradients."""
    kept = Gradients()
    trainer.add_callback(kept)
    trainer.train()
    return {"losses": losses(trainer), "gradients": kept.steps}


def distance(one: torch.Tensor, other: torch.Tensor) -> float:
    """Norm of the difference, of the other's norm; infinite where a value is not finite."""
    found = float((one - other).norm() / other.norm().clamp_min(1e-12))
    return found if math.isfinite(found) else math.inf


def beside(one: dict[str, Any], other: dict[str, Any]) -> dict[str, float]:
    """How far two runs are from each other: all losses, and the first step's gradients."""
    pair = [torch.tensor(run["losses"], dtype=torch.float64) for run in (one, other)]
    return {
        "loss": distance(*pair),
        "gradients": distance(one["gradients"][0], other["gradients"][0]),
    }


def verdict(differences: dict[str, float], most: float) -> dict[str, Any]:
    """The result of a comparison.

    Example:
        >>> verdict({"loss": 0.0, "gradients": 0.5}, 0.001)["wrong"]
        'gradients 0.5, may be 0.001'
    """
    found: dict[str, Any] = {name: float(f"{value:.3g}") for name, value in differences.items()}
    far = [f"{name} {value:.3g}" for name, value in differences.items() if not value <= most]
    return {**found, "wrong": f"{', '.join(far)}, may be {most:g}"} if far else found


# --- rows ----------------------------------------------------------------------------------------


def same_as_cpu(asked: dict[str, Any]) -> dict[str, Any]:
    """Losses, gradients and predictions of the device beside the CPU's, all in fp32."""
    family, method = asked["family"], asked["method"]
    with tempfile.TemporaryDirectory() as run:
        trainer = make_trainer(asked, family, f"{run}/cpu", method=method, device="cpu")
        ours = train(trainer)
        save(trainer, f"{run}/saved")
        other = make_trainer(asked, family, f"{run}/device", method=method)
        found = beside(train(other), ours)
        found |= _answers_beside(f"{run}/saved", asked["device"])
    return verdict(found, FP32)


def _answers_beside(directory: str, device: str) -> dict[str, float]:
    """How far the device's answers are from the CPU's; of texts, the share that differs."""
    answers = []
    for where in ("cpu", device):
        predictor = frtune.load(directory, device=where, bf16=False)
        found = predictor.outputs(predictor.encode(rows()))
        answers.append([getattr(row, "ids", row) for row in found])
    if isinstance(answers[0][0], list):
        return {"predictions": sum(a != b for a, b in zip(*answers, strict=True)) / ROWS}
    one, other = (torch.stack([torch.as_tensor(row) for row in part]) for part in answers)
    return {"predictions": distance(other, one)}


def mixup(asked: dict[str, Any]) -> dict[str, Any]:
    """The same rows are mixed, and learnt alike."""
    with tempfile.TemporaryDirectory() as run:
        found = [
            train(make_trainer(asked, "camembert", f"{run}/{device}", device=device,
                               trained={"mixup": Mixup()}))
            for device in ("cpu", asked["device"])
        ]  # fmt: skip
    return verdict(beside(found[1], found[0]), FP32)


def precision(asked: dict[str, Any]) -> dict[str, Any]:
    """Losses in 16 bits beside those in fp32; fp16 has a scaler."""
    name = asked["precision"]
    if name == "fp16" and asked["device"] == "cpu":
        return {"not measured": "fp16 with a scaler is for GPUs"}
    with tempfile.TemporaryDirectory() as run:
        plain = train(make_trainer(asked, "camembert", f"{run}/fp32"))
        trainer = make_trainer(asked, "camembert", f"{run}/{name}", **{name: True})
        if name == "fp16" and trainer.accelerator.scaler is None:
            return {"wrong": "there is no scaler"}
        trainer.train()
        pair = [torch.tensor(found) for found in (losses(trainer), plain["losses"])]
    return verdict({"loss": distance(*pair)}, BF16)


def resumed(asked: dict[str, Any]) -> dict[str, Any]:
    """A run that is resumed at its middle ends with the same weights, bit for bit."""
    settings = {"max_steps": 4, "save_strategy": "steps", "save_steps": 2, "dropout": True,
                "full_determinism": True, "gradient_accumulation_steps": 2}  # fmt: skip
    try:
        with tempfile.TemporaryDirectory() as run:
            whole = make_trainer(asked, "camembert", run, **settings)
            whole.train()
            again = make_trainer(asked, "camembert", run, **settings)
            again.train(resume_from_checkpoint=f"{run}/checkpoint-2")
    finally:
        torch.use_deterministic_algorithms(False)
    pairs = zip(whole.model.parameters(), again.model.parameters(), strict=True)
    unlike = sum(not torch.equal(one, other) for one, other in pairs)
    steps = again.state.global_step
    result = {"tensors": len(list(whole.model.parameters())), "unlike": unlike, "steps": steps}
    return {**result, "wrong": f"{unlike} tensors differ"} if unlike or steps != 4 else result


def packing(asked: dict[str, Any]) -> dict[str, Any]:
    """Rows end to end in one sequence, beside each row in a batch of its own."""
    alone = {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 4}
    with tempfile.TemporaryDirectory() as run:
        packed = train(make_trainer(asked, "polyglot", f"{run}/1", trained={"packing": True}))
        single = train(make_trainer(asked, "polyglot", f"{run}/2", trained={"cut_steps": False},
                                    **alone))  # fmt: skip
    return verdict(beside(packed, single), FP32)


def generation(asked: dict[str, Any]) -> dict[str, Any]:
    """Texts of frtune's batches beside those of ``generate``, row by row."""
    family = asked["family"]
    with tempfile.TemporaryDirectory() as run:
        trainer = make_trainer(asked, family, run)
        trainer.train()
        save(trainer, f"{run}/saved")
        predictor = frtune.load(f"{run}/saved", device=asked["device"], bf16=False)
    model, tokenizer, encoded = predictor.model, predictor.tokenizer, predictor.encode(rows())
    end = predictor.task.end_id(tokenizer, "decoder" if family == "polyglot" else "encoder-decoder")
    settings = generation_settings(tokenizer, end_id=end, max_new_tokens=TARGET)
    unlike = 0
    for row, ours in zip(encoded, predictor.outputs(encoded), strict=True):
        prompt = torch.tensor([row["input_ids"]], device=model.device)
        with torch.no_grad():
            written = model.generate(
                input_ids=prompt, attention_mask=torch.ones_like(prompt), **settings
            )[0]
        start = prompt.shape[1] if family == "polyglot" else 1
        unlike += written[start:].tolist() != ours.ids
    result = {"texts": len(encoded), "unlike": unlike}
    return {**result, "wrong": f"{unlike} of {len(encoded)} texts differ"} if unlike else result


def quantized(asked: dict[str, Any]) -> dict[str, Any]:
    """LoRA on a packed base: it learns, and what is saved opens and answers."""
    with tempfile.TemporaryDirectory() as run:
        trainer = make_trainer(asked, "polyglot", f"{run}/run", method=asked["method"])
        before = _trained(trainer.model)
        trainer.train()
        moved = not torch.equal(before, _trained(trainer.model))
        save(trainer, f"{run}/saved")  # reloads it, and compares the logits
        answers = frtune.load(f"{run}/saved", device=asked["device"]).predict(rows(4)["text"][:])
    found = losses(trainer)
    good = moved and len(answers) == 4 and all(map(math.isfinite, found))
    result = {"losses": found, "answers": len(answers)}
    return result if good else {**result, "wrong": f"moved: {moved}"}


def _trained(model: Any) -> torch.Tensor:
    kept = [p.detach().float().flatten().cpu() for p in model.parameters() if p.requires_grad]
    return torch.cat(kept)


def sharded(asked: dict[str, Any]) -> dict[str, Any]:
    """DeepSpeed with one process beside training without it; saved, and opened again."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    cpu = asked["device"] == "cpu"
    with tempfile.TemporaryDirectory() as run:
        plain = make_trainer(asked, "t5", f"{run}/plain")
        plain.train()
        os.environ.update(RANK="0", WORLD_SIZE="1", LOCAL_RANK="0", LOCAL_WORLD_SIZE="1",
                          MASTER_ADDR="127.0.0.1", MASTER_PORT=port)  # fmt: skip
        _forget_state()
        if cpu:
            import deepspeed

            deepspeed.init_distributed("gloo", auto_mpi_discovery=False)
        config = str(CONFIGS / f"{asked['sharding']}.json")
        trainer = make_trainer(asked, "t5", f"{run}/zero", deepspeed=config)
        trainer.train()
        save(trainer, f"{run}/saved")
        pair = [torch.tensor(losses(one)) for one in (trainer, plain)]
        found = {"loss": distance(*pair)}
        answers = frtune.load(f"{run}/saved", device=asked["device"]).predict(rows(4)["text"][:])
    return {**verdict(found, FP32), "answers": len(answers)}


def _forget_state() -> None:
    """What accelerate keeps of the run without DeepSpeed."""
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)


def page(asked: dict[str, Any]) -> dict[str, Any]:
    """The page of a model on the device is served and answers."""
    from frtune.demo.app import DemoSession, build_page
    from frtune.demo.models import PageModel
    from frtune.demo.translations import WORDS
    from frtune.web.launch import Server, private_folder, start
    from frtune.web.translations import PageLanguage

    with tempfile.TemporaryDirectory() as run:
        trainer = make_trainer(asked, "camembert", run)
        save(trainer, f"{run}/saved")
        predictor = frtune.load(f"{run}/saved", device=asked["device"])
    models, language = {"model": PageModel("model", predictor)}, PageLanguage(WORDS)
    with private_folder():
        shown = build_page(models, language)
        address, _ = start(shown, Server(), language, footer=["api"])
        with urllib.request.urlopen(address, timeout=30) as response:
            status = response.status
        answer = DemoSession(models, language).predict("model", "la ville ouvre une école")
        shown.close()
    device = predictor.model.device.type
    good = status == 200 and "label" in json.dumps(answer) and device == asked["device"]
    result = {"status": status, "device": device}
    return result if good else {**result, "wrong": f"answer {answer}"}


WORK = {
    "hardware": hardware, "same_as_cpu": same_as_cpu, "mixup": mixup, "precision": precision,
    "resumed": resumed, "packing": packing, "generation": generation, "quantized": quantized,
    "sharded": sharded, "page": page, 
}  # fmt: skip
