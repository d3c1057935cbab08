"""What real servers and gateways reply: no half answer is kept, no right one is lost."""

import gzip
import json
import ssl

import pytest

from frtune import Endpoint
from frtune.errors import InputError

GOOD = '{"keyphrases": ["café", "école"]}'
PHRASES = ["café", "école"]


def encoded(body, codec, **headers):
    return 200, json.dumps(body, ensure_ascii=False).encode(codec), headers


@pytest.mark.parametrize(
    ("codec", "headers"),
    [
        ("utf-8", {"Content-Type": "application/json; charset=iso-8859-1"}),
        ("utf-8", {"Content-Type": "text/html"}),
        ("utf-8-sig", {}),
        ("utf-16", {}),
        ("latin-1", {"Content-Type": "application/json; charset=iso-8859-1"}),
    ],
)
def test_a_reply_in_any_encoding_is_read(server, ask, texts, out, read, answer, codec, headers):
    server.script = lambda prompt, nth: encoded(answer(GOOD), codec, **headers)
    ask(texts("a"))
    assert read(out)[0]["keyphrases"] == PHRASES


def test_a_packed_reply_is_read(server, ask, texts, out, read, answer):
    packed = gzip.compress(json.dumps(answer(GOOD)).encode())
    server.script = lambda prompt, nth: (200, packed, {"Content-Encoding": "gzip"})
    ask(texts("a"))
    assert read(out)[0]["keyphrases"] == PHRASES


def test_half_a_pair_of_utf_16_costs_a_phrase_and_no_run(server, ask, texts, out, read, answer):
    said = json.dumps({"keyphrases": ["budget", "sch\ud83dool"]})
    server.script = lambda prompt, nth: answer(
        "budget \ud83d" if prompt.startswith("T:b") else said
    )
    ask(texts("a", "b"))
    assert read(out)[0]["keyphrases"] == ["budget"]
    assert read(out.with_name("out.rejected.jsonl"))[0]["reason"] == "broken"


def test_half_a_pair_in_an_error_is_shown(server, ask, texts):
    server.script = lambda prompt, nth: (401, {"error": {"message": "no \ud83d"}})
    with pytest.raises(InputError, match=r"no \?"):
        ask(texts("a"))


# --- answers that are not whole -------------------------------------------------------------------

DIED = {"code": 502, "message": "the provider died"}


@pytest.mark.parametrize("reason", ["error", "abort", "network_error"])
def test_what_was_written_before_an_error_is_no_answer(
    server, ask, texts, out, read, answer, reason
):
    server.script = lambda prompt, nth: answer(GOOD if nth else "budget; sch", finish=reason
                                               if not nth else "stop")  # fmt: skip
    report = ask(texts("a"))
    assert report["requests"]["failed_tries"] == {"malformed": 1}
    assert read(out)[0]["keyphrases"] == PHRASES


def test_an_error_beside_half_an_answer_is_its_status(server, ask, texts, out, read, answer):
    broken = answer("budget; sch")
    broken["choices"][0]["error"] = DIED
    server.script = lambda prompt, nth: answer(GOOD) if nth else broken
    report = ask(texts("a"))
    assert report["requests"]["failed_tries"] == {"server_error": 1}
    assert read(out)[0]["keyphrases"] == PHRASES


@pytest.mark.parametrize("reason", ["content_filter", "SAFETY", "sensitive"])
@pytest.mark.parametrize("labels", [None, ["budget", "school"]])
def test_what_was_filtered_is_a_refusal(server, ask, texts, answer, reason, labels):
    server.script = lambda prompt, nth: answer("budget", finish=reason)
    task = "classification" if labels else "keyphrases"
    assert ask(texts("a"), task=task, labels=labels)["rejected"] == {"refusal": 1}


@pytest.mark.parametrize("refusal", [{"refusal": "Not this."}, {"content": [
    {"type": "refusal", "refusal": "Not this."}]}])  # fmt: skip
def test_a_refusal_of_its_own_is_one(server, ask, texts, answer, refusal, out, read):
    server.script = lambda prompt, nth: answer(**{"content": None, **refusal})
    assert ask(texts("a"))["rejected"] == {"refusal": 1}
    assert read(out.with_name("out.rejected.jsonl"))[0]["detail"] == "Not this."


@pytest.mark.parametrize("reason", ["max_tokens", "MAX_TOKENS", "model_length"])
def test_the_limit_has_many_names(server, ask, texts, out, read, answer, reason):
    server.script = lambda prompt, nth: answer("budget; sch", finish=reason)
    report = ask(texts("a"))
    assert read(out)[0]["keyphrases"] == ["budget"] and report["answers"]["repairs"] == {"cut": 1}


FUNCTION = {"name": "f", "arguments": GOOD}


@pytest.mark.parametrize(
    "message",
    [{"tool_calls": [{"type": "function", "function": FUNCTION}]}, {"function_call": FUNCTION}],
)
def test_what_is_given_to_a_function_is_read(server, ask, texts, out, read, answer, message):
    server.script = lambda prompt, nth: answer(None, finish="tool_calls", **message)
    ask(texts("a"))
    assert read(out)[0]["keyphrases"] == PHRASES


@pytest.mark.parametrize("body", [b'{"a":' * 100_000, b'{"choices": [{"message": {"con'])
def test_json_that_is_damaged_is_called_that(server, ask, texts, body):
    server.script = lambda prompt, nth: (200, body)
    with pytest.raises(InputError, match="JSON that is cut off or damaged") as found:
        ask(texts("a"))
    assert "login page" not in str(found.value)


def test_the_first_200_characters_are_quoted(server, ask, texts):
    said = "It works! " * 50
    server.script = lambda prompt, nth: (200, said.encode())
    with pytest.raises(InputError) as found:
        ask(texts("a"))
    assert f"'{said[:200]}'" in str(found.value)


# --- what to change -------------------------------------------------------------------------------

API = "https://api.example.org/v2"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize(
    ("location", "advice"),
    [
        (f"{API}/chat/completions", f"Pass --base-url {API}."),
        ("/login?next=secret", "a login page or a proxy may stand before the server"),
        ("", "a login page or a proxy may stand before the server"),
    ],
)
def test_a_redirect_is_not_followed_but_told(
    server, ask, texts, monkeypatch, status, location, advice
):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-tell-nobody-5f1c")
    server.script = lambda prompt, nth: (status, b"", {"Location": location})
    with pytest.raises(InputError) as found:
        ask(texts(*"abc"))
    assert advice in str(found.value) and "secret" not in str(found.value)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("action", "advice"),
    [
        ((402, {"error": {"message": "no credit"}}), "the account is used up (402: no credit)"),
        ((403, b"<!DOCTYPE html><title>Blocked</title>"), "a proxy may stand before the server"),
    ],
)
def test_what_no_retry_mends_says_why(server, ask, texts, action, advice):
    server.script = lambda prompt, nth: action
    with pytest.raises(InputError) as found:
        ask(texts(*"abc"))
    assert advice in str(found.value) and len(server.asked) == 1


def test_how_long_a_server_wants_to_be_left_alone_is_said(server, ask, texts):
    server.script = lambda prompt, nth: (429, {"error": {}}, {"Retry-After": "86400"})
    assert "asks to wait for 86,400 s" in ask(texts("a"))["detail"]


def test_why_there_is_no_connection_is_said(server, ask, texts, monkeypatch):
    """A server whose certificate nobody has signed; a name that nobody has."""
    server.socket = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).wrap_socket(
        server.socket, server_side=True
    )
    monkeypatch.setattr(type(server), "url", f"https://127.0.0.1:{server.server_port}/v1")
    assert "SSL" in ask(texts("a"), retries=0)["detail"]


@pytest.mark.parametrize("end", ["chat", "completions", "chat/completions/", "models", "responses"])
def test_an_address_beyond_the_base_is_refused(end):
    with pytest.raises(InputError, match=f"leave .*{end.rstrip('/')} out"):
        Endpoint(f"http://localhost:8000/v1/{end}", "m")


def test_an_address_of_azure_that_lacks_its_part_says_so(server, ask, texts, monkeypatch):
    url = server.url.removesuffix("/v1")
    monkeypatch.setattr(type(server), "url", url)
    server.script = lambda prompt, nth: (404, {"error": {"message": "Resource not found"}})
    with pytest.raises(InputError, match=f"lack /openai\\? Try {url}/openai\\."):
        ask(texts("a"), api_version="2024-10-21")
