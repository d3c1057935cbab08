"""``frtune serve`` under load: 16 clients at once and one alone, with batching and without.

    python benchmarks/serve.py

Two servers of one model run side by side, one with batching and one that computes every text by
itself (``--batch-tokens 1``). In turns, 16 clients send a text each, and the next when the answer
has come, for ``--seconds``; then one client does so alone. The clients run on the same machine, and
take their share of its cores. The models are the classifier of ``prediction.py``, of MiniLM's
shape, and a small T5 with random weights that writes 24 tokens; texts are reviews of rotten
tomatoes, of 27 tokens on average.

The goals: three times the requests a second at 16 clients, and a median of the lone client's
latency of less than 1.3 times that without batching, with the answers of ``frtune predict``.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from _compare import apart, parser, run_apart, write_result
from prediction import SHORT, make_model, write_texts

CLIENTS = 16
TEXTS = 400
GOALS = {"throughput": 3.0, "lone latency": 1.3}
WAYS = {"batched": [], "one at a time": ["--batch-tokens", "1"]}
# random weights have near ties, which the rounding of bf16 would decide
PRECISION = {"keyphrases, small T5": ["--no-bf16"]}


def write_classifier(folder: Path) -> None:
    """Save the classifier of ``prediction.py``."""
    make_model(folder)


def write_t5(folder: Path) -> None:
    """Save a T5 of 4 and 4 blocks, 512 wide, with random weights."""
    import torch
    from transformers import AutoConfig, AutoModelForSeq2SeqLM

    from frtune import KeyphraseGeneration, build_model, tiny_checkpoint
    from frtune.tasks.config_file import save_task

    texts = (folder.parent / "texts.txt").read_text(encoding="utf-8").splitlines()
    tiny_checkpoint("t5", texts, folder)
    config = AutoConfig.from_pretrained(folder)
    config.update({"d_model": 512, "d_kv": 64, "d_ff": 1024, "num_heads": 8, "num_layers": 4,
                   "num_decoder_layers": 4})  # fmt: skip
    torch.manual_seed(0)
    AutoModelForSeq2SeqLM.from_config(config).save_pretrained(folder)
    task = KeyphraseGeneration(max_source_tokens=256, max_target_tokens=24)
    model, tokenizer = build_model(task, checkpoint=str(folder), proof=False)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    save_task(task, folder)


MODELS: dict[str, Callable[[Path], None]] = {
    "classification, MiniLM": write_classifier,
    "keyphrases, small T5": write_t5,
}


@contextlib.contextmanager
def server(model: Path, options: list[str], threads: int) -> Iterator[int]:
    """Serve the model on a free port until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "frtune", "serve", str(model), "--port", str(port), *options]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 120
        while not is_ready(port):
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit("the server did not start")
            time.sleep(0.2)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def is_ready(port: int) -> bool:
    """Whether the server answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def load(port: int, texts: list[str], clients: int, seconds: float) -> dict[str, Any]:
    """Send texts one after the other from so many clients; requests a second, and latencies."""
    times: list[float] = []
    answers: dict[str, Any] = {}
    end = time.perf_counter() + seconds

    def client(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        turn = number
        while time.perf_counter() < end:
            text = texts[turn % len(texts)]
            turn += clients
            start = time.perf_counter()
            body = json.dumps({"text": text}).encode()
            connection.request(
                "POST", "/v1/model/predict", body, {"Content-Type": "application/json"}
            )
            response = connection.getresponse()
            content = response.read()
            times.append(time.perf_counter() - start)
            if response.status != 200:
                raise SystemExit(f"{response.status}: {content[:200]!r}")
            answers[text] = json.loads(content)
        connection.close()

    start = time.perf_counter()
    threads = [threading.Thread(target=client, args=(i,)) for i in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - start
    ordered = sorted(times)
    return {
        "requests": len(times),
        "requests_a_second": round(len(times) / took, 2),
        "median_ms": round(1000 * statistics.median(times), 2),
        "p95_ms": round(1000 * ordered[int(0.95 * (len(ordered) - 1))], 2),
        "answers": answers,
    }


def same_answers(model: Path, answers: dict[str, Any], *, exact: bool) -> float:
    """Share of the texts whose label or keyphrases are those of ``frtune predict``."""

    def way(timer: Any) -> dict[str, Any]:
        import frtune

        found = frtune.load(model, bf16=False if exact else None).predict([*answers])
        names = ("label", "keyphrases")
        pairs = [
            [[each.get(name) for name in names] for each in (row, answers[row["text"]])]
            for row in found
        ]
        return {"same": sum(a == b for a, b in pairs) / len(pairs)}

    return run_apart(way, 2)["same"]


def measured(what: str, args: argparse.Namespace) -> dict[str, Any]:
    """The row of one model."""
    runs: dict[str, dict[str, list[dict[str, Any]]]] = {way: {"16": [], "1": []} for way in WAYS}
    answers: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as servers:
        folder = Path(name)
        write_texts(folder / "texts.txt", SHORT, TEXTS)
        apart(MODELS[what], folder / "model")
        texts = (folder / "texts.txt").read_text(encoding="utf-8").splitlines()
        ports = {
            way: servers.enter_context(
                server(folder / "model", [*options, *PRECISION.get(what, [])], args.threads)
            )
            for way, options in WAYS.items()
        }
        for port in ports.values():
            load(port, texts, CLIENTS, args.seconds / 3)
        for turn in range(args.rounds):
            for way in list(WAYS)[:: -1 if turn % 2 else 1]:
                for clients in (CLIENTS, 1):
                    found = load(ports[way], texts, clients, args.seconds)
                    given = found.pop("answers")
                    answers |= given if way == "batched" else {}
                    runs[way][str(clients)].append(found)
                    print(f"{what} | {way} | {clients} | {found}", file=sys.stderr, flush=True)
        same = same_answers(folder / "model", answers, exact=what in PRECISION)
    return {"what": what, "same answers": same, "runs": runs, **ratios(runs)}


def ratios(runs: dict[str, dict[str, list[dict[str, Any]]]]) -> dict[str, float]:
    """Medians over the rounds: how much batching gains with 16 clients, and costs one."""

    def of(clients: int, name: str) -> list[tuple[float, float]]:
        pairs = zip(*(runs[way][str(clients)] for way in WAYS), strict=True)
        return [(one[name], other[name]) for one, other in pairs]

    return {
        "throughput": round(
            statistics.median(a / b for a, b in of(CLIENTS, "requests_a_second")), 3
        ),
        "lone latency": round(statistics.median(a / b for a, b in of(1, "median_ms")), 3),
    }


def main() -> None:
    """Measure, print, and write the results unless they are of a quick run."""
    made = parser(__doc__, rounds=5)
    made.add_argument("--seconds", type=float, default=4.0, help="of each load")
    args = made.parse_args()
    if args.quick:
        args.rounds, args.seconds = 1, 1.0
    table = [measured(what, args) for what in MODELS]
    for row in table:
        print({name: row[name] for name in ("what", "throughput", "lone latency", "same answers")})
    if not args.quick:
        write_result(__file__, args, clients=CLIENTS, goals=GOALS, table=table)


if __name__ == "__main__":
    main()
