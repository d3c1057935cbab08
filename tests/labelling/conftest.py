"""A small HTTP server that misbehaves as it is told, and the command line pointed at it."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


def completion(content, *, tokens=(10, 5), finish="stop", **message):
    """The body of an answer; ``tokens`` ``None`` leaves the usage out."""
    body = {
        "id": "1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": finish,
                     "message": {"role": "assistant", "content": content, **message}}],
    }  # fmt: skip
    if tokens:
        body["usage"] = {
            "prompt_tokens": tokens[0],
            "completion_tokens": tokens[1],
            "total_tokens": sum(tokens),
        }
    return body


class Server(ThreadingHTTPServer):
    """Answers on loopback.

    ``script(prompt, nth)`` says what happens to the nth request (from 0) about a prompt: a
    dictionary is sent as JSON, ``(status, body)`` or ``(status, body, headers)`` as it is,
    ``"stall"`` never answers and ``"cut"`` closes the connection.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.script = lambda prompt, nth: completion("budget; school")
        self.asked = []  # (prompt, time) of every request
        self.bodies, self.headers, self.paths = [], [], []
        self.answered = []  # prompts whose answer went out whole
        self.lock = threading.Lock()
        self.closing = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"

    @property
    def prompts(self):
        return [prompt for prompt, _ in self.asked]

    def handle_error(self, request, client_address):
        pass  # a killed client is no error here


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = body["messages"][-1]["content"]
        with self.server.lock:
            nth = self.server.prompts.count(prompt)
            self.server.asked.append((prompt, time.monotonic()))
            self.server.bodies.append(body)
            self.server.paths.append(self.path)
            self.server.headers.append({name.lower(): self.headers[name] for name in self.headers})
        action = self.server.script(prompt, nth)
        if action == "stall":
            self.server.closing.wait(60)
            action = "cut"
        if action == "cut":
            self.close_connection = True
            return
        status, payload, headers = (
            (200, action, {}) if isinstance(action, dict) else (*action, {})[:3]
        )
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", headers.get("Content-Length", str(len(data))))
        self.end_headers()
        self.wfile.write(data)
        with self.server.lock:
            self.server.answered.append(prompt)


@pytest.fixture
def server():
    server = Server()
    yield server
    server.closing.set()
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def no_key(monkeypatch, tmp_path_factory):
    """No key, and a proxy that loopback requests must pass by."""
    from datasets import config

    monkeypatch.setattr(config, "HF_DATASETS_CACHE", str(tmp_path_factory.mktemp("arrow")))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)


@pytest.fixture
def texts(tmp_path):
    """``texts("a", "b")``: a file of rows with an id."""

    def write(*found, name="texts.jsonl"):
        path = tmp_path / name
        rows = [{"id": i, "text": text} for i, text in enumerate(found)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    return write


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.jsonl"


@pytest.fixture
def ask(server, out):
    """``ask(path, job, endpoint options)``: ``label`` with short waits; the report and the rows."""
    from frtune import Budget, Endpoint, LabelJob, label

    def run(path, *, template="T:{text}", budget=None, partial=False, concurrency=1, new=False,
            **options):  # fmt: skip
        names = set(LabelJob.__dataclass_fields__)
        job = LabelJob(template=template, **{k: v for k, v in options.items() if k in names})
        rest = {k: v for k, v in options.items() if k not in names}
        endpoint = Endpoint(server.url, "m", concurrency=concurrency, backoff_seconds=0.01, **rest)
        output = out.with_name("new.jsonl") if new else out
        return label(
            path, output, job=job, endpoint=endpoint, budget=budget or Budget(), partial=partial
        )

    return run


@pytest.fixture
def read():
    return lambda path: [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture(scope="session")
def answer():
    return completion
