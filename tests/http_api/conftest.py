"""Saved models with random weights, and a server process that answers with them."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

import pytest

from frtune import (
    KeyphraseGeneration,
    KeywordExtraction,
    SentenceSimilarity,
    SequenceClassification,
    build_model,
)
from frtune.tasks.config_file import save_task

KEY = "0123456789abcdef-first"
OTHER_KEY = "0123456789abcdef-second"
TASKS = {
    "marks": (KeywordExtraction(max_source_tokens=32), "camembert"),
    "phrases": (KeyphraseGeneration(title_column="title", max_target_tokens=12), "t5"),
    "classes": (SequenceClassification(labels=["loyer", "énergie"]), "camembert"),
    "pairs": (SentenceSimilarity(labels=["0", "1"]), "bert"),
}


@pytest.fixture(scope="session")
def saved(tiny, tmp_path_factory):
    """A directory of each task, by name."""
    root, found = tmp_path_factory.mktemp("served"), {}
    for name, (task, family) in TASKS.items():
        found[name] = root / name
        model, tokenizer = build_model(task, checkpoint=str(tiny(family)))
        model.save_pretrained(root / name)
        tokenizer.save_pretrained(root / name)
        save_task(task, root / name)
    return found


@dataclass
class Server:
    """A process of ``frtune serve``."""

    process: subprocess.Popen
    port: int

    def ask(self, path, body=None, *, method=None, key=KEY, headers=None) -> tuple[int, Any, Any]:
        """Status, headers and content of a response; JSON is read."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        sent = {"Content-Type": "application/json"} if body is not None else {}
        if key is not None:
            sent["Authorization"] = f"Bearer {key}"
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        try:
            method = method or ("GET" if body is None else "POST")
            connection.request(method, path, raw, {**sent, **(headers or {})})
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        if response.headers.get_content_type() == "application/json":
            content = json.loads(content)
        return response.status, response.headers, content

    def predict(self, model, body, **how):
        """Status and content of ``/v1/MODEL/predict``."""
        status, _, content = self.ask(f"/v1/{model}/predict", body, **how)
        return status, content


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="session")
def start(tmp_path_factory):
    """``start(directories, *flags, keys=...)``: a server that is ready; all end with the tests."""
    running = []

    def begin(directories, *flags, keys=None):
        port = free_port()
        command = [sys.executable, "-m", "frtune", "serve", *map(str, directories),
                   f"--port={port}", *flags]  # fmt: skip
        environment = {name: v for name, v in os.environ.items() if name != "FRTUNE_API_KEYS"}
        environment |= {"FRTUNE_API_KEYS": keys} if keys else {}
        log = (tmp_path_factory.mktemp("log") / "log").open("w+b")
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        process.log = log
        running.append(process)
        server, end = Server(process, port), time.monotonic() + 120
        while time.monotonic() < end:
            try:
                if server.ask("/ready", key=None)[0] == 200:
                    return server
            except OSError:
                pass
            if process.poll() is not None:
                break
            time.sleep(0.2)
        raise AssertionError(log_of(server))

    yield begin
    for process in running:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.log.close()


def log_of(server) -> str:
    server.process.log.seek(0)
    return server.process.log.read().decode()


@pytest.fixture(scope="session")
def server(start, saved):
    """A server of all four models that asks for a key."""
    # random weights have near ties, which the rounding of bf16 would decide
    flags = ["--no-bf16", "--max-texts=40", "--max-characters=2000", "--max-body-mb=0.5"]
    return start(saved.values(), *flags, keys=f"{KEY} {OTHER_KEY}")


@pytest.fixture(scope="session")
def read_log():
    return log_of
