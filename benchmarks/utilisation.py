"""Model-FLOPs utilisation of an encoder's training step, and what the rest of it is spent on.

    python benchmarks/utilisation.py

CamemBERT-base's shape with random weights learns to classify batches of 4,096 tokens with frtune's
defaults; in bf16 where that is fast, else in fp32. The time of a step is that of the whole loop:
batch, loss, gradients, clipping, AdamW. It is set against the fastest large matrix product that
this run measured, with the same type and threads; by processor time too, where other programs use
the machine. The FLOPs are those of the formula: six a weight of a linear layer and token, and
twelve a layer, token, token that it sees and width.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from _compare import RESULTS, hardware, parser

GOAL = 0.5
TINY = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 256, "vocab_size": 4000}  # fmt: skip


def make_config(quick: bool, **more: Any) -> Any:
    """CamemBERT-base's config, or a tiny one of its kind."""
    from transformers import CamembertConfig

    from frtune.models.families import FAMILIES

    published = FAMILIES["camembert"].published["almanach/camembert-base"]
    return CamembertConfig(**{**published, **(TINY if quick else {}), **more}, num_labels=2)


def formula(config: Any, rows: int, length: int) -> int:
    """FLOPs of a training step, forward and backward."""
    width, inner, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    tokens = rows * length
    weights = layers * (4 * width * width + 2 * width * inner)
    head = width * width + width * config.num_labels
    return 6 * weights * tokens + 12 * layers * length * width * tokens + 6 * head * rows


def counted(quick: bool, rows: int, length: int) -> int:
    """The same as PyTorch counts it."""
    from _flops import counted_flops
    from transformers import CamembertForSequenceClassification

    config = make_config(quick, attn_implementation="eager")
    return counted_flops(
        lambda: CamembertForSequenceClassification(config),
        {"input_ids": (rows, length), "labels": (rows,)},
    )


def make_trainer(folder: Path, quick: bool, rows: int, length: int, steps: int) -> Any:
    """The trainer of frtune for the shape, on rows that all have ``length`` tokens."""
    import torch
    from _flops import texts
    from datasets import Dataset
    from transformers import AutoTokenizer, CamembertForSequenceClassification

    from frtune import SequenceClassification, tiny_checkpoint, training_arguments

    written = texts(rows * steps, length)
    tokenizer = AutoTokenizer.from_pretrained(
        tiny_checkpoint("camembert", written[:200], folder / "model")
    )
    torch.manual_seed(0)
    task = SequenceClassification(max_source_tokens=length, labels=["0", "1"])
    args = training_arguments(
        task, str(folder / "run"), per_device_train_batch_size=rows, max_steps=steps,
        eval_strategy="no", save_strategy="no", load_best_model_at_end=False, disable_tqdm=True,
    )  # fmt: skip
    data = Dataset.from_dict({"text": written, "label": [str(i % 2) for i in range(len(written))]})
    model = CamembertForSequenceClassification(make_config(quick))
    return task.trainer(model, tokenizer, args, train_dataset=data)


def measure(trainer: Any, shapes: dict[str, tuple[int, int, int]], seconds: float) -> dict:
    """Train: a step to warm up, timed ones with products between them, and a profiled one.

    Returns:
        ``steps``: seconds of each, by the clock and of the processor; ``rates``: FLOPs a second of
        each product, by turns; ``shares``.
    """
    import torch
    from _flops import clock, product_rates, shares
    from torch.profiler import ProfilerActivity, profile
    from transformers import TrainerCallback

    device = trainer.args.device
    dtype = torch.bfloat16 if trainer.args.bf16 else torch.float32
    on_device = device.type == "cuda"
    activities = [ProfilerActivity.CUDA] if on_device else [ProfilerActivity.CPU]
    found: dict[str, Any] = {"steps": [], "rates": [], "shares": {}}

    class Watch(TrainerCallback):
        """Times steps until the seconds are spent, then profiles one."""

        def __init__(self):
            self.profiler: Any = None
            self.ended = 0.0

        def _go_on(self):
            found["rates"].append(
                product_rates(shapes, device=device, dtype=dtype, seconds=seconds / 60)
            )
            self.last, self.cpu = clock(device), time.process_time()

        def on_train_begin(self, args, state, control, **more):
            self.ended = time.monotonic() + seconds

        def on_step_end(self, args, state, control, **more):
            took, cpu = clock(device) - self.last, time.process_time() - self.cpu
            if self.profiler is not None:
                self.profiler.__exit__(None, None, None)
                found["shares"] = shares(self.profiler, on_device=on_device)
                control.should_training_stop = True
                return
            if state.global_step > 1:
                found["steps"].append({"seconds": took, "cpu_seconds": cpu})
            self._go_on()
            if found["steps"] and time.monotonic() + took > self.ended:
                self.profiler = profile(activities=activities)
                self.profiler.__enter__()

    watch = Watch()
    watch.last, watch.cpu = clock(device), time.process_time()
    trainer.add_callback(watch)
    trainer.train()
    return found


def main() -> None:
    """Measure, print the table, and write the result."""
    import torch

    made = parser(__doc__)
    made.add_argument("--tokens", type=int, default=4096, help="of a batch")
    made.add_argument("--length", type=int, default=128, help="tokens of a row")
    made.add_argument("--seconds", type=float, default=90, help="of timed steps, about")
    args = made.parse_args()
    size = 2048
    if args.quick:
        args.tokens, args.length, args.seconds, size = 256, 32, 1.0, 256
    torch.set_num_threads(args.threads)
    from _flops import square

    if torch.cuda.is_available():
        size *= 4
    rows = args.tokens // args.length
    config = make_config(args.quick)
    width, inner = config.hidden_size, config.intermediate_size
    own = {f"{args.tokens} x {k} x {m}": (args.tokens, k, m)
           for k, m in ((width, width), (width, inner), (inner, width))}  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        trainer = make_trainer(Path(name), args.quick, rows, args.length, steps=200)
        found = measure(trainer, {**square(size), **own}, args.seconds)
    flops = formula(config, rows, args.length)
    result = {
        "command": "python benchmarks/" + " ".join(["utilisation.py", *sys.argv[1:]]),
        "hardware": {**hardware(), "threads": args.threads, "device": str(trainer.args.device)},
        "dtype": "bf16" if trainer.args.bf16 else "fp32",
        "batch": [rows, args.length],
        "optimizer": str(trainer.args.optim.value),
        "attention": config._attn_implementation or trainer.model.config._attn_implementation,
        **summary(found, flops, counted(args.quick, rows, args.length)),
    }
    show(result)
    if not args.quick:
        RESULTS.mkdir(exist_ok=True)
        text = json.dumps(result, indent=1, ensure_ascii=False)
        (RESULTS / "utilisation.json").write_text(text + "\n", encoding="utf-8")


def summary(found: dict[str, Any], flops: int, check: int) -> dict[str, Any]:
    """The numbers of the result; the peak is the median of the large square product's turns."""
    clocks = ("seconds", "cpu_seconds")
    rates = {
        name: {by: statistics.median(turn[name][by] for turn in found["rates"]) for by in clocks}
        for name in found["rates"][0]
    }
    peak = rates[next(iter(rates))]
    step = {by: flops / statistics.median(one[by] for one in found["steps"]) for by in clocks}
    return {
        "steps": [{name: round(value, 3) for name, value in step.items()}
                  for step in found["steps"]],
        "flops of a step": flops,
        "flops as counted by torch": check,
        "GFLOP/s of products": {name: _giga(rate) for name, rate in rates.items()},
        "GFLOP/s of a step": _giga(step),
        "utilisation": {by: round(step[by] / peak[by], 4) for by in clocks},
        "goal": GOAL,
        "shares": found["shares"],
    }  # fmt: skip


def _giga(rate: dict[str, float]) -> dict[str, float]:
    return {by: round(value / 1e9, 1) for by, value in rate.items()}


def show(result: dict[str, Any]) -> None:
    """Print the table."""

    def line(what: str, of: dict[str, float], form: str) -> None:
        print(f"| {what} | {of['seconds']:{form}} | {of['cpu_seconds']:{form}} |")

    rows, length = result["batch"]
    exact = result["flops of a step"] / result["flops as counted by torch"]
    print(f"{rows} x {length} tokens, {result['dtype']}; formula / torch's count: {exact:.4f}\n")
    print("| GFLOP/s | by the clock | by processor time |\n| --- | --- | --- |")
    line("a step", result["GFLOP/s of a step"], ".1f")
    for name, rate in result["GFLOP/s of products"].items():
        line(f"product {name}", rate, ".1f")
    line(f"utilisation (goal {result['goal']:.0%})", result["utilisation"], ".1%")
    print("\n| a step's time goes to | share |\n| --- | --- |")
    for name, share in result["shares"].items():
        print(f"| {name} | {share:.1%} |")


if __name__ == "__main__":
    main()
