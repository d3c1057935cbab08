"""A small HTTP server with a chat API on loopback that misbehaves as it is told."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


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
