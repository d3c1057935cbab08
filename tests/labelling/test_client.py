"""Requests to a server that misbehaves."""

import asyncio
import threading
from email.utils import formatdate

import pytest

from frtune.errors import InputError
from frtune.labelling.failures import retry_after

GOOD = "budget; school"


def test_several_requests_are_under_way_at_once(server, ask, texts, answer):
    together = threading.Barrier(4, timeout=20)

    def script(prompt, nth):
        if prompt == "T:first":  # it finds out alone what the server takes
            assert len(server.asked) == 1
            return answer(GOOD)
        together.wait()  # breaks, and the request fails, unless four come
        return answer(GOOD)

    server.script = script
    report = ask(texts("first", *"abcdefgh"), concurrency=4)
    assert report["rows"]["labelled"] == 9 and not report["requests"]["failed_tries"]


def test_retry_after_is_kept_by_all_requests(server, ask, texts, answer):
    server.script = lambda prompt, nth: (
        answer(GOOD) if nth or prompt != "T:a" else (429, {"error": {}}, {"Retry-After": "0.4"})
    )
    report = ask(texts(*"abcdef"), concurrency=2)
    assert report["rows"]["labelled"] == 6
    assert report["requests"]["failed_tries"] == {"rate_limit": 1}
    refused, again = (time for prompt, time in server.asked if prompt == "T:a")
    assert again - refused >= 0.4
    # the second worker's request was under way; what it sends next waits as well
    between = [prompt for prompt, time in server.asked if refused < time < refused + 0.39]
    assert len(between) <= 2


@pytest.mark.parametrize(
    ("name", "action", "kind", "charged"),
    [
        ("server error", (500, {"error": {"message": "boom"}}), "server_error", False),
        ("no capacity", (503, b"busy", {"Retry-After": "0.01"}), "server_error", False),
        ("rate limit", (429, {"error": {"message": "slow"}}), "rate_limit", False),
        ("stalled", "stall", "timeout", True),
        ("cut connection", "cut", "connection", True),
        ("half a body", (200, b'{"choices": [', {"Content-Length": "500"}), "timeout", True),
        ("no JSON", (200, b'{"choices": ['), "malformed", True),
        ("a page", (200, b"<html>", {"Content-Type": "text/html"}), "malformed", True),
        ("another object", (200, {"choices": []}), "malformed", True),
        ("another type", (200, [1]), "malformed", True),
    ],
)
def test_a_failed_try_is_tried_again(server, ask, texts, answer, name, action, kind, charged):
    server.script = lambda prompt, nth: answer(GOOD) if nth else action
    report = ask(texts("a"), timeout_seconds=1.0)
    assert report["complete"] and report["rows"]["labelled"] == 1, name
    assert report["requests"]["failed_tries"] == {kind: 1}
    # what may have been charged for counts at its most: 64 and three bytes read, 256 written
    spent = report["spent"]
    assert spent["unsettled_requests"] == charged
    assert spent["input_tokens"] == 10 + 67 * charged
    assert spent["output_tokens"] == 5 + 256 * charged


def test_an_endpoint_that_stays_down_stops_the_run_which_then_goes_on(
    server, ask, texts, out, answer
):
    path = texts(*"abcdefgh")
    server.script = lambda prompt, nth: (
        answer(GOOD) if prompt in ("T:a", "T:b") else (500, {"error": {"message": "boom"}})
    )
    report = ask(path, retries=1)
    assert (report["complete"], report["stopped"], report["detail"]) == (
        False,
        "endpoint",
        "500: boom",
    )
    assert server.prompts == ["T:a", "T:b", *(f"T:{x}" for x in "ccddee")]
    assert not out.exists()

    server.script = lambda prompt, nth: answer(GOOD)
    server.asked.clear()
    report = ask(path)
    assert report["complete"] and report["rows"]["labelled"] == 8
    assert sorted(server.prompts) == [f"T:{x}" for x in "cdefgh"]


def test_nobody_there_stops_the_run(ask, texts, server):
    server.server_close()
    report = ask(texts(*"abcdef"), retries=1)
    assert report["stopped"] == "endpoint" and "cannot be reached" in report["detail"]
    assert report["spent"]["input_tokens"] == 0


def test_a_wait_that_is_too_long_ends_the_run(server, ask, texts):
    server.script = lambda prompt, nth: (429, {"error": {}}, {"Retry-After": "86400"})
    assert ask(texts("a"))["stopped"] == "endpoint"
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("status", "error", "message"),
    [
        (401, {"message": "bad key"}, "refuses the key (401: bad key)"),
        (403, {"message": "not yours"}, "refuses the key (403: not yours)"),
        (404, {"message": "no model m"}, "(404: no model m)"),
        (
            429,
            {"message": "pay", "code": "insufficient_quota"},
            "the account is used up (429: pay)",
        ),
    ],
)
def test_what_no_retry_mends_ends_the_run_at_once(
    server, ask, texts, monkeypatch, status, error, message
):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-mine")
    server.script = lambda prompt, nth: (status, {"error": error})
    with pytest.raises(InputError) as found:
        ask(texts(*"abcdef"))
    assert message in str(found.value)
    assert len(server.asked) == 1


def test_a_server_that_wants_a_key_says_so(server, ask, texts):
    server.script = lambda prompt, nth: (401, {"error": {"message": "no key"}})
    with pytest.raises(InputError, match=r"wants a key .401: no key.*--key-env"):
        ask(texts("a"))


def test_a_text_that_the_endpoint_refuses_is_set_aside(server, ask, texts, out, answer, read):
    server.script = lambda prompt, nth: (
        (400, {"error": {"message": "context too long"}}) if prompt == "T:b" else answer(GOOD)
    )
    report = ask(texts(*"abc"))
    assert report["complete"] and report["rejected"] == {"refused_by_endpoint": 1}
    (row,) = read(out.with_name("out.rejected.jsonl"))
    assert (row["detail"], row["row"]) == ("400: context too long", 2)
    assert row["original"] == {"id": 1, "text": "b"}


def test_an_endpoint_that_refuses_all_is_not_asked_for_every_row(server, ask, texts):
    server.script = lambda prompt, nth: (400, {"error": {"message": "unknown parameter"}})
    with pytest.raises(InputError, match="refuses every request"):
        ask(texts(*"abcdefgh"))
    assert server.prompts == [f"T:{x}" for x in "aabbc"]  # two without a schema as well


def test_the_request_holds_what_was_asked_for(server, ask, texts):
    ask(texts("a"), parameters={"top_p": 0.5}, max_output_tokens=7, response_format="text",
        output_limit_name="max_completion_tokens", system="Be brief.")  # fmt: skip
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "T:a"},
    ]
    assert server.bodies == [
        {"model": "m", "messages": messages, "top_p": 0.5, "max_completion_tokens": 7,
         "stream": False}
    ]  # fmt: skip


def test_it_runs_where_an_event_loop_runs_already(ask, texts):
    async def notebook():
        return ask(texts("a"))

    assert asyncio.run(notebook())["rows"]["labelled"] == 1


def test_retry_after_may_be_a_date():
    import time

    assert 50 < retry_after({"retry-after": formatdate(time.time() + 60, usegmt=True)}) <= 60
    assert retry_after({"retry-after": "soon"}) is None
    assert retry_after({"retry-after": "nan"}) is None
    assert retry_after({"retry-after": "-3"}) == 0.0
