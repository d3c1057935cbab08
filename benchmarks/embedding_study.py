"""Statistics of hidden states: frtune's one pass beside the straightforward way.

    python benchmarks/embedding_study.py --data TEXTS.csv --checkpoint DIRECTORY

The straightforward way keeps all hidden states, padded to one length so that ``np.concatenate`` can
join each batch to the ones before, and then takes norms, means, the spectrum, and cosines by
scikit-learn's ``cosine_similarity``: all pairs within a text, [CLS] and the mean vector to the
tokens, each token to the next layer, and for the anisotropy all pairs of 5,000 tokens at random,
since those of all tokens do not fit. frtune computes the same and more, the anisotropy of all.

Each run is a process of its own, the two ways in turn. Times are those after loading the model
(the model's own work included), by the clock and of the processor; memory is the peak above the
loaded model. The result is a JSON file with every run and the medians, and a table of the medians
on stdout, whose ratio is of processor time: a busy machine does not change it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

WAYS = ("frtune", "straightforward")
SAMPLED_TOKENS = 5000


def main() -> None:
    """Measure both ways at all sizes, or one of them once."""
    args = parse()
    if args.way:
        print(json.dumps(measure(args.way, args)))
        return
    runs = []
    for size in args.sizes:
        for _ in range(args.repeats):
            for way in WAYS:
                runs.append(run_apart(way, size, args))
                print(json.dumps(runs[-1]), file=sys.stderr, flush=True)
    medians = [median(runs, way, size) for size in args.sizes for way in WAYS]
    result = {
        "what": "statistics of hidden states, frtune beside the straightforward way",
        "checkpoint": args.checkpoint.name,
        "data": args.data.name,
        "threads": args.threads,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "medians": medians,
        "runs": runs,
    }
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(table(medians, args.sizes))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--checkpoint", type=Path, required=True, help="directory of an encoder")
    parser.add_argument("--data", type=Path, required=True, help="CSV file with a column text")
    parser.add_argument("--sizes", type=int, nargs="+", default=[250, 500, 1000, 2000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=16, help="of the straightforward way")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).parent / "results/embedding_study.json"
    )
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def run_apart(way: str, size: int, args: argparse.Namespace) -> dict:
    """Measure one way in a process of its own."""
    command = [sys.executable, __file__, "--way", way, "--size", str(size)]
    for name in ("checkpoint", "data", "batch_size", "threads"):
        command += [f"--{name.replace('_', '-')}", str(getattr(args, name))]
    environment = {**os.environ, "OMP_NUM_THREADS": str(args.threads), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{way} of {size} texts failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(way: str, args: argparse.Namespace) -> dict:
    """Time and memory of one way, and its numbers of the last layer, which must agree."""
    import pandas as pd

    from frtune.study.checkpoints import load_base, read_checkpoint

    texts = pd.read_csv(args.data)["text"].sample(args.size, random_state=0).tolist()
    checkpoint = read_checkpoint("model", args.checkpoint)
    model = load_base(checkpoint).model
    work = {"frtune": one_pass, "straightforward": keep_everything}[way]
    work(model, checkpoint.tokenizer, texts[:4], args.batch_size)  # imports and first calls
    loaded, started, cpu = peak_mib(), time.perf_counter(), time.process_time()
    found = work(model, checkpoint.tokenizer, texts, args.batch_size)
    return {
        "way": way,
        "texts": args.size,
        "seconds": round(time.perf_counter() - started, 3),
        "cpu_seconds": round(time.process_time() - cpu, 3),
        "mib_above_model": round(peak_mib() - loaded, 1),
        "last_layer": {name: round(float(value), 6) for name, value in found.items()},
    }


def peak_mib() -> float:
    """Highest memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def one_pass(model, tokenizer, texts, batch_size):
    """The way of frtune."""
    from frtune.study import layer_statistics

    frame = layer_statistics(model, tokenizer, texts)
    last = frame[frame["layer"] == frame["layer"].max()].set_index("statistic")["value"]
    names = ("norm_mean", "cosine_within", "cosine_first", "cosine_mean", "cosine_between")
    return {name: last[name] for name in (*names, "effective_rank")}


def keep_everything(model, tokenizer, texts, batch_size):
    """The straightforward way."""
    import numpy as np
    import torch
    from sklearn.metrics.pairwise import cosine_similarity

    encoded = tokenizer(texts, padding=True, truncation=True, max_length=512, return_tensors="pt")
    states = None
    for start in range(0, len(texts), batch_size):
        batch = {name: value[start : start + batch_size] for name, value in encoded.items()}
        with torch.no_grad():
            out = model(**batch, output_hidden_states=True)
        hidden = torch.stack(out.hidden_states, 1).numpy()  # (batch, layers, length, width)
        states = hidden if states is None else np.concatenate([states, hidden])
    lengths = encoded["attention_mask"].sum(1).tolist()
    for layer in range(states.shape[1]):
        texts_ = [states[i, layer, 1 : n - 1] for i, n in enumerate(lengths)]
        within, first, mean, following = [], [], [], []
        for i, words in enumerate(texts_):
            if len(words) > 1:
                cosines = cosine_similarity(words)
                within.append(cosines[~np.eye(len(words), dtype=bool)].mean())
            first.append(cosine_similarity(states[i, layer, :1], words).mean())
            mean.append(cosine_similarity(words.mean(0, keepdims=True), words).mean())
            if layer + 1 < states.shape[1]:
                after = states[i, layer + 1, 1 : lengths[i] - 1]
                following.append(np.diag(cosine_similarity(words, after)).mean())
        tokens = np.concatenate(texts_)
        norms = np.linalg.norm(tokens, axis=1)
        norms.std(), np.quantile(norms, [0.05, 0.5, 0.95])
        values = np.linalg.eigvalsh(np.cov(tokens.T))
        shares = values[values > 0] / values[values > 0].sum()
        picked = np.random.default_rng(0).choice(
            len(tokens), min(SAMPLED_TOKENS, len(tokens)), replace=False
        )
        between = cosine_similarity(tokens[picked])
        between = between[~np.eye(len(between), dtype=bool)].mean()
    return {
        "norm_mean": norms.mean(),
        "cosine_within": np.mean(within),
        "cosine_first": np.mean(first),
        "cosine_mean": np.mean(mean),
        "cosine_between": between,
        "effective_rank": np.exp(-(shares * np.log(shares)).sum()),
    }


def median(runs: list[dict], way: str, size: int) -> dict:
    """Medians of one way at one size."""
    chosen = [run for run in runs if run["way"] == way and run["texts"] == size]
    names = ("seconds", "cpu_seconds", "mib_above_model")
    middle = {name: statistics.median(run[name] for run in chosen) for name in names}
    return {"way": way, "texts": size, **middle}


def table(medians: list[dict], sizes: list[int]) -> str:
    """The medians as a Markdown table."""
    lines = [
        "| texts | frtune | straightforward | times faster | share of memory |",
        "| --- " * 5 + "|",
    ]
    for size in sizes:
        own, other = ({m["way"]: m for m in medians if m["texts"] == size}[way] for way in WAYS)
        shown = [f"{m['cpu_seconds']:.1f} s, {m['mib_above_model']:.0f} MiB" for m in (own, other)]
        faster = other["cpu_seconds"] / own["cpu_seconds"]
        share = own["mib_above_model"] / other["mib_above_model"]
        lines.append(f"| {size} | {shown[0]} | {shown[1]} | {faster:.1f} | {share:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
