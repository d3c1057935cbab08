"""What must not be answered is refused with a type, and the server goes on."""

from __future__ import annotations

import http.client
import json
import socket

import pytest

from frtune.cli import main

GOOD = {"text": "budget"}


def kind(answer):
    return answer[0], answer[1]["error"]["type"]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"text": ', (400, "bad_json")),
        (b'{"text": "\xff\xfe"}', (400, "bad_json")),
        (b"[" * 100_000, (400, "bad_json")),
        (b"", (422, "invalid")),
        (b"null", (422, "invalid")),
        ([1], (422, "invalid")),
        ({}, (422, "invalid")),
        ({"text": 3}, (422, "invalid")),
        ({"text": ["a"]}, (422, "invalid")),
        ({"texts": "a"}, (422, "invalid")),
        ({"texts": ["a", None]}, (422, "invalid")),
        ({"text": "a", "texts": ["b"]}, (422, "invalid")),
        ({"text": "a", "txt": "b"}, (422, "invalid")),
        ({"text": "a", "text_pair": "b"}, (422, "invalid")),
        ({"text": "a", "title": "b"}, (422, "invalid")),
        ({"text": "a", "titles": ["b"]}, (422, "invalid")),
        ({"text": " \t"}, (422, "invalid")),
        ({"texts": ["a", ""]}, (422, "invalid")),
        (b'{"text": "\\ud800"}', (422, "invalid")),
        ({"text": "a" * 2001}, (422, "text_too_long")),
        ({"texts": ["a"] * 41}, (422, "too_many_texts")),
        ({"text": "a" * 600_000}, (413, "body_too_large")),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_bad_body_is_refused_with_a_type(server, body, found):
    assert kind(server.predict("classes", body)) == found
    assert server.predict("classes", GOOD)[0] == 200


@pytest.mark.parametrize(
    "body",
    [
        {"text": "a"},
        {"text": "a", "text_pairs": ["b"]},
        {"texts": ["a", "b"], "text_pairs": ["c"]},
        {"texts": ["a"], "text_pair": "b"},
        {"text": "a", "text_pair": ""},
    ],
    ids=str,
)
def test_half_a_pair_is_refused(server, body):
    assert kind(server.predict("pairs", body)) == (422, "invalid")


def test_the_message_says_what_to_do(server):
    _, answer = server.predict("classes", {"texts": ["a", "b" * 2001]})
    assert answer["error"]["message"] == (
        "text 2: has 2001 characters; 2000 are allowed. Shorten it."
    )
    _, answer = server.predict("class", GOOD)
    assert "Did you mean classes?" in answer["error"]["message"]


@pytest.mark.parametrize(
    ("path", "method", "found"),
    [
        ("/v1/class/predict", "POST", (404, "unknown_model")),
        ("/v1/..%2F..%2Fetc/predict", "POST", (404, "not_found")),
        ("/v1/classes/predict", "GET", (405, "bad_method")),
        ("/v1/classes", "POST", (404, "not_found")),
        ("/", "GET", (404, "not_found")),
    ],
)
def test_other_places_and_methods_are_refused(server, path, method, found):
    body = GOOD if method == "POST" else None
    status, _, answer = server.ask(path, body, method=method)
    assert (status, answer["error"]["type"]) == found


def test_text_that_is_not_called_json_is_refused(server):
    # a form on another page could send it without being asked
    found = server.predict("classes", GOOD, headers={"Content-Type": "text/plain"})
    assert kind(found) == (422, "invalid")


@pytest.mark.parametrize("key", [None, "", "wrong", "0123456789abcdef-firs", "é" * 20])
@pytest.mark.parametrize("path", ["/v1/classes/predict", "/v1/models", "/metrics", "/nowhere"])
def test_without_the_right_key_nothing_is_told(server, key, path):
    headers = {} if key is None else {"Authorization": f"Bearer {key}".encode()}
    body = GOOD if path.endswith("predict") else None
    status, told, answer = server.ask(path, body, key=None, headers=headers)
    assert (status, answer["error"]["type"]) == (401, "no_key")
    assert told["WWW-Authenticate"] == "Bearer"


def test_each_of_several_keys_opens(server):
    for key in ("0123456789abcdef-first", "0123456789abcdef-second"):
        assert server.predict("classes", GOOD, key=key)[0] == 200
    basic = {"Authorization": "Basic 0123456789abcdef-first"}
    assert server.predict("classes", GOOD, key=None, headers=basic)[0] == 401


@pytest.mark.parametrize("path", ["/health", "/ready", "/docs", "/openapi.json"])
def test_what_needs_no_key_gives_no_model_away(server, path):
    status, _, content = server.ask(path, key=None)
    assert status == 200
    shown = content.decode() if isinstance(content, bytes) else json.dumps(content)
    assert '"phrases"' not in shown and "marks" not in shown


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost", 200), ("localhost:80", 200), ("127.0.0.1:1", 200), ("[::1]:8000", 200),
     ("192.168.1.7", 200), ("evil.example", 421), ("127.0.0.1.evil.example", 421),
     ("localhost.evil.example:80", 421), ("", 421)],
)  # fmt: skip
def test_a_host_of_another_name_is_refused(server, host, status):
    assert server.ask("/health", headers={"Host": host})[0] == status


@pytest.mark.slow
def test_a_named_host_is_let_in(start, saved):
    found = start([saved["classes"]], "--allowed-hosts", "api.example", "other.example")
    assert found.predict("classes", GOOD, key=None, headers={"Host": "API.example:80"})[0] == 200


def test_a_body_without_end_is_cut_off(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        head = (
            "POST /v1/classes/predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
            "Authorization: Bearer 0123456789abcdef-first\r\nContent-Type: application/json\r\n\r\n"
        )
        connection.sendall(head.encode())
        sent = 0
        try:
            while sent < 20_000_000:
                connection.sendall(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
                sent += 0x4000
        except OSError:
            pass
    assert sent < 20_000_000
    assert server.predict("classes", GOOD)[0] == 200


@pytest.mark.parametrize(
    "raw", [b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/9.9\r\n\r\n", b"\r\n" * 9]
)
def test_what_is_no_http_does_no_harm(server, raw):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1000)
    assert server.predict("classes", GOOD)[0] == 200


def test_a_client_that_leaves_stops_nobody(server):
    for _ in range(8):
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        headers = {
            "Content-Type": "application/json",
            "Authorization": "Bearer 0123456789abcdef-first",
        }
        connection.request(
            "POST", "/v1/phrases/predict", json.dumps({"texts": ["a b"] * 40}), headers
        )
        connection.close()
    assert server.predict("phrases", GOOD)[0] == 200


def test_pages_load_nothing_from_elsewhere(server):
    status, headers, page = server.ask("/docs", key=None)
    assert status == 200 and "default-src 'none'" in headers["Content-Security-Policy"]
    text = page.decode()
    assert "<script" not in text and "src=" not in text and "@import" not in text
    assert "/v1/{model}/predict" in text and "too_many_texts" in text and "Retry-After" in text
    schema = server.ask("/openapi.json", key=None)[2]
    responses = schema["paths"]["/v1/{model}/predict"]["post"]["responses"]
    assert {"200", "401", "404", "413", "422", "429"} <= set(responses)
    assert responses["429"]["content"]["application/json"]["schema"]["$ref"].endswith("ErrorBody")


def test_keys_and_texts_are_not_logged(server, read_log):
    server.predict("classes", {"text": "a very private text"})
    server.predict("classes", {"text": "a very private text"}, key="0123456789abcdef-guess")
    log = read_log(server)
    assert "private" not in log and "0123456789abcdef" not in log and "Traceback" not in log


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "DIR"),
        (["none"], "none: no such directory"),
        (["{saved}", "{saved}"], "has the same name"),
        (["{saved}", "--port=99999"], "at most 65,535"),
        (["{saved}", "--host=203.0.113.9"], "cannot be listened on"),
        (["{saved}", "--max-texts=9", "--max-waiting=8"], "less than max_texts=9"),
        (["{saved}", "--batch-wait-ms=-1"], "at least 0"),
        (["{saved}", "--top-k=2"], "--top-k: "),
        (["{saved}", "--bacth-tokens=2"], "Did you mean --batch-tokens?"),
    ],
)
def test_bad_input_is_told_in_one_line(flags, message, saved, capsys, monkeypatch):
    monkeypatch.delenv("FRTUNE_API_KEYS", raising=False)
    assert main(["serve", *(flag.format(saved=saved["classes"]) for flag in flags)]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("keys", "message"), [(" ", "is empty"), ("good-good-good-good bad-key", "key 2")]
)
def test_a_bad_key_is_refused_and_not_shown(keys, message, saved, capsys, monkeypatch):
    monkeypatch.setenv("FRTUNE_API_KEYS", keys)
    assert main(["serve", str(saved["classes"])]) == 2
    error = capsys.readouterr().err
    assert message in error and "bad-key" not in error


def test_a_port_that_is_taken_is_told_before_a_model_is_opened(saved, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "none", "--port", str(port)]) == 2
    assert f"--port {port}: cannot be listened on" in capsys.readouterr().err
