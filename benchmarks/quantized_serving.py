"""Ways to serve an encoder in 8 bits on a CPU, side by side: time, nearness, size.

    python benchmarks/quantized_serving.py --model DIR

DIR is a classifier of ``frtune train``. The candidates take turns, so that a busy machine slows all
alike, and processor time is counted beside the clock's. torchao and ONNX Runtime join in where they
are installed (``pip install torchao``; ``pip install onnx onnxscript onnxruntime``).
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import torch

from frtune.comparison.compare import _machine
from frtune.files import write_json
from frtune.models.int8 import pack_layers, quantize_layers
from frtune.models.loading import load_saved
from frtune.models.weights import head_names
from frtune.tasks.config_file import load_task

RESULTS = Path(__file__).parent / "results" / "quantized_serving.json"


def frtune_int8(model: Any, activations: Any) -> Any:
    """Quantise a copy by frtune's own layers."""
    model = copy.deepcopy(model)
    quantize_layers(model, activations=activations, skip=head_names(model))
    pack_layers(model)
    return model


def torchao_int8(model: Any) -> Any:
    """Quantise a copy by torchao: 8-bit weights and, token by token, activations."""
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_

    model = copy.deepcopy(model)
    heads = tuple(head_names(model))
    quantize_(
        model,
        Int8DynamicActivationInt8WeightConfig(),
        filter_fn=lambda module, name: (
            isinstance(module, torch.nn.Linear) and not name.startswith(heads)
        ),
    )
    return model


def onnx_int8(model: Any) -> Any:
    """Export by PyTorch, and quantise by ONNX Runtime: weights and, a batch, activations."""
    import onnx
    from onnxruntime import InferenceSession, SessionOptions
    from onnxruntime.quantization import QuantType, quantize_dynamic

    class Logits(torch.nn.Module):
        def forward(self, input_ids, attention_mask):
            return model(input_ids=input_ids, attention_mask=attention_mask).logits

    example = torch.ones(2, 16, dtype=torch.int64)
    sizes = {0: torch.export.Dim("rows"), 1: torch.export.Dim("tokens", max=512)}
    with TemporaryDirectory() as folder:
        whole, small = f"{folder}/whole.onnx", f"{folder}/int8.onnx"
        exported = torch.onnx.export(
            Logits(), (example, example), input_names=["input_ids", "attention_mask"],
            output_names=["logits"], dynamic_shapes=(sizes, sizes), dynamo=True, verbose=False,
        )  # fmt: skip
        graph = exported.model_proto
        del graph.graph.value_info[:]  # the quantiser infers shapes anew
        onnx.save(graph, whole)
        quantize_dynamic(
            whole, small, weight_type=QuantType.QInt8, per_channel=True, reduce_range=True,
            op_types_to_quantize=["MatMul", "Gemm"],
        )  # fmt: skip
        options = SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = InferenceSession(small, options)

    def answer(**batch: torch.Tensor) -> SimpleNamespace:
        inputs = {name: batch[name].numpy() for name in ("input_ids", "attention_mask")}
        return SimpleNamespace(logits=torch.from_numpy(session.run(None, inputs)[0]))

    return answer


CANDIDATES: dict[str, Callable[[Any], Any]] = {
    "fp32": lambda model: model,
    "int8": lambda model: frtune_int8(model, "int8"),
    "int8-weights": lambda model: frtune_int8(model, "float"),
    "torchao dynamic int8": torchao_int8,
    "ONNX Runtime dynamic int8": onnx_int8,
}


def batch_of(tokenizer: Any, texts: list[str]) -> dict[str, torch.Tensor]:
    """Texts as the model reads them, padded to the longest."""
    return dict(tokenizer(texts, padding=True, return_tensors="pt"))


def timed(models: dict[str, Any], batches: list[dict], rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds a text (processor's and clock's medians), and the largest logit difference."""
    cpu: dict[str, list[float]] = {name: [] for name in models}
    clock: dict[str, list[float]] = {name: [] for name in models}
    apart = dict.fromkeys(models, 0.0)
    with torch.inference_mode():
        for i in range(rounds + 1):  # the first round warms up
            batch = batches[i % len(batches)]
            logits = {}
            for name, model in models.items():
                began, started = time.process_time(), time.perf_counter()
                logits[name] = model(**batch).logits
                if i:
                    rows = len(batch["input_ids"])
                    cpu[name].append(1000 * (time.process_time() - began) / rows)
                    clock[name].append(1000 * (time.perf_counter() - started) / rows)
                gap = (logits[name] - logits["fp32"]).abs().max().item()
                apart[name] = max(apart[name], gap)
    return {
        name: {
            "processor_ms": statistics.median(cpu[name]),
            "clock_ms": statistics.median(clock[name]),
            "max_logit_difference": apart[name],
        }
        for name in models
    }


def main() -> None:
    """Time the candidates, print a table, write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="a classifier of frtune train")
    parser.add_argument("--rounds", type=int, default=9, help="timed rounds a batch size")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 32])
    chosen = parser.parse_args()
    model, tokenizer = load_saved(chosen.model, load_task(chosen.model))
    with (Path(chosen.model) / "predictions.jsonl").open(encoding="utf-8") as file:
        texts = [json.loads(line)["input"] for line in file]
    models = {}
    for name, make in CANDIDATES.items():
        try:
            models[name] = make(model)
        except ImportError:
            print(f"{name}: not installed, left out")
    found: dict[str, Any] = {"machine": _machine(), "torch": torch.__version__, "batches": {}}
    print("| batch | way | processor, ms a text | clock, ms a text | logits apart |")
    print("| ---: | --- | ---: | ---: | ---: |")
    for size in chosen.batch_sizes:
        count = min(chosen.rounds + 1, max(1, len(texts) // size))
        batches = [batch_of(tokenizer, texts[i * size : (i + 1) * size]) for i in range(count)]
        found["batches"][str(size)] = rows = timed(models, batches, chosen.rounds)
        for name, row in rows.items():
            print(
                f"| {size} | {name} | {row['processor_ms']:.1f} | {row['clock_ms']:.1f} "
                f"| {row['max_logit_difference']:.3f} |",
                flush=True,
            )
    RESULTS.parent.mkdir(exist_ok=True)
    write_json(RESULTS, found)


if __name__ == "__main__":
    main()
