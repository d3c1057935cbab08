"""A chat API on loopback, and the command line pointed at it."""

from __future__ import annotations

import json

import pytest

from chat_server import Server, completion


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
