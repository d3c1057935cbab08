"""Servers that refuse a schema, a temperature or a role, reply with pages, or need no key."""

import json

import pytest

from frtune import Endpoint
from frtune.cli import main
from frtune.errors import InputError
from frtune.labelling.replies import shortened

GOOD = "budget; school"
KEY = "sk-tell-nobody-5f1c"


def refusing(server, answer, name, message, *, status=400):
    """A server that refuses requests with a field, and answers others."""

    def script(prompt, nth):
        body = server.bodies[-1]
        found = name in body if isinstance(name, str) else name(body)
        return (status, {"error": {"message": message}}) if found else answer(GOOD)

    server.script = script


# --- JSON of a schema ---------------------------------------------------------------------------


def test_json_of_a_schema_is_asked_for(server, ask, texts, answer, out, read):
    server.script = lambda prompt, nth: answer('{"keyphrases": ["budget", "school"]}')
    report = ask(texts(*"abc"))
    for body in server.bodies:
        assert body["response_format"]["json_schema"]["schema"]["required"] == ["keyphrases"]
    assert len(server.asked) == 3 and report["notes"] == []
    assert read(out)[0]["keyphrases"] == ["budget", "school"]


def test_the_schema_of_a_label_names_the_labels(server, ask, texts, answer):
    server.script = lambda prompt, nth: answer('{"label": "b"}')
    ask(texts("x"), task="classification", labels=["a", "b"])
    (body,) = server.bodies
    properties = body["response_format"]["json_schema"]["schema"]["properties"]
    assert properties == {"label": {"type": "string", "enum": ["a", "b"]}}


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "'response_format.type' must be 'text'"),
        (422, "Unsupported fields in the request: {'response_format'}"),
        (500, "json_schema is not implemented"),
        (501, "not implemented"),
        (400, "bad request"),
    ],
)
@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_server_without_schemas_is_probed_once(
    server, ask, texts, answer, status, message, concurrency
):
    refusing(server, answer, "response_format", message, status=status)
    report = ask(texts(*"abcdef"), concurrency=concurrency)
    assert report["rows"]["labelled"] == 6 and not report["requests"]["failed_tries"]
    assert ["response_format" in body for body in server.bodies] == [True, *[False] * 6]
    assert "takes no JSON schema" in report["notes"][0] and len(report["notes"]) == 1


def test_a_first_text_that_is_refused_either_way_does_not_cost_the_schema(
    server, ask, texts, answer
):
    server.script = lambda prompt, nth: (
        (400, {"error": {"message": "the context is too long"}})
        if prompt == "T:a"
        else answer(GOOD)
    )
    report = ask(texts(*"abc"))
    assert report["rejected"] == {"refused_by_endpoint": 1} and report["notes"] == []
    assert ["response_format" in body for body in server.bodies] == [True, False, True, True]


def test_a_schema_can_be_insisted_on_or_left_out(server, ask, texts, answer, out):
    refusing(server, answer, "response_format", "no response_format")
    with pytest.raises(InputError, match=r"no response_format.*--response-format"):
        ask(texts(*"abc"), response_format="json_schema")
    assert len(server.asked) == 3
    ask(texts(*"abc"), response_format="text")
    assert len(server.asked) == 6 and out.exists()


def test_a_format_of_the_users_own_stays(server, ask, texts):
    ask(texts("a"), parameters={"response_format": {"type": "json_object"}})
    assert server.bodies[0]["response_format"] == {"type": "json_object"}


def test_what_a_grammar_may_have_spoiled_is_asked_again_without(server, ask, texts, answer):
    server.script = lambda prompt, nth: answer(
        '{"keyphrases": ["bud' if "response_format" in server.bodies[-1] else GOOD
    )
    assert ask(texts("a"))["rows"]["labelled"] == 1
    assert ["response_format" in body for body in server.bodies] == [True, False]


# --- what a server refuses by name ----------------------------------------------------------------


def test_the_limit_is_named_as_the_server_wants_it(server, ask, texts, answer):
    refusing(server, answer, "max_tokens", "Unsupported parameter: 'max_tokens' is not supported "
             "with this model. Use 'max_completion_tokens' instead.")  # fmt: skip
    report = ask(texts(*"abc"))
    assert report["rows"]["labelled"] == 3 and len(server.asked) == 4
    assert server.bodies[-1]["max_completion_tokens"] == 256

    refusing(server, answer, "max_completion_tokens", "extra fields not permitted: "
             "max_completion_tokens")  # fmt: skip
    report = ask(texts("d", name="d.jsonl"), output_limit_name="max_completion_tokens", new=True)
    assert report["rows"]["labelled"] == 1 and server.bodies[-1]["max_tokens"] == 256


def test_a_temperature_that_is_refused_is_left_out_and_said(server, ask, texts, answer):
    refusing(server, answer, "temperature", "Unsupported value: 'temperature' does not support 0 "
             "with this model. Only the default (1) value is supported.")  # fmt: skip
    report = ask(texts(*"abc"))
    assert report["rows"]["labelled"] == 3 and len(server.asked) == 4
    assert report["notes"] == ["the server refuses temperature 0: asked at its own temperature"]


def test_a_refusal_that_repeats_the_request_changes_nothing(server, ask, texts, answer):
    """As FastAPI writes what a request lacks."""
    server.script = lambda prompt, nth: (
        (422, {"detail": [{"msg": "Field required", "loc": ["body", "user"],
                           "input": server.bodies[-1]}]})
    )  # fmt: skip
    with pytest.raises(InputError, match="refuses every request"):
        ask(texts(*"abc"))
    assert all({"temperature", "max_tokens"} <= body.keys() for body in server.bodies)


@pytest.mark.parametrize("status", [400, 500])
def test_a_system_role_that_is_refused_stands_before_the_prompt(server, ask, texts, answer, status):
    refusing(server, answer, lambda body: body["messages"][0]["role"] == "system",
             "System role not supported", status=status)  # fmt: skip
    report = ask(texts(*"ab"), system="Be brief.")
    assert report["rows"]["labelled"] == 2 and len(server.asked) == 3
    assert server.bodies[-1]["messages"] == [{"role": "user", "content": "Be brief.\n\nT:b"}]
    assert "refuses the system role" in report["notes"][0]


def test_all_at_once(server, ask, texts, answer):
    def script(prompt, nth):
        body = server.bodies[-1]
        for name in ("temperature", "response_format", "max_tokens"):
            if name in body:
                hint = "; use max_completion_tokens" if name == "max_tokens" else ""
                return 400, {"error": {"message": f"unknown parameter {name}{hint}"}}
        return answer(GOOD)

    server.script = script
    report = ask(texts(*"abcdefgh"), concurrency=4)
    assert report["rows"]["labelled"] == 8 and len(server.asked) == 3 + 8


# --- addresses and keys ---------------------------------------------------------------------------


def test_azure_gets_its_version_and_its_header(server, ask, texts, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("AZURE_OPENAI_AD_TOKEN", "of-something-else")
    assert ask(texts("a"), api_version="2024-10-21")["rows"]["labelled"] == 1
    assert server.paths == ["/v1/deployments/m/chat/completions?api-version=2024-10-21"]
    assert server.headers[0]["api-key"] == KEY and "authorization" not in server.headers[0]


def test_a_server_without_a_key_gets_no_header(server, ask, texts, monkeypatch):
    assert ask(texts("a"))["rows"]["labelled"] == 1
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert ask(texts("b", name="b.jsonl"), key_env="none", new=True)["rows"]["labelled"] == 1
    assert not any("authorization" in headers for headers in server.headers)
    assert not any("api-key" in headers for headers in server.headers)


@pytest.mark.parametrize(
    ("url", "needs"),
    [
        ("http://192.168.1.5:8000/v1", False),
        ("http://vllm:8000/v1", False),
        ("http://gpu.local/v1", False),
        ("http://[fd00::1]/v1", False),
        ("https://api.example.org/v1", True),
        ("http://8.8.8.8/v1", True),
    ],
)
def test_servers_of_a_network_of_ones_own_need_no_key(url, needs):
    endpoint = Endpoint(url, "m")
    if needs:
        with pytest.raises(InputError, match="--key-env none"):
            endpoint.read_key()
    else:
        assert endpoint.read_key() == ""


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("http://localhost:8000/v1/chat/completions", "leave /chat/completions out"),
        ("https://x.example.org/openai?api-version=2024-10-21", "--api-version"),
    ],
)
def test_an_address_that_holds_too_much_says_what_to_change(url, advice):
    with pytest.raises(InputError, match=advice):
        Endpoint(url, "m")


def test_a_folder_that_does_not_exist_is_made(server, texts, tmp_path, read):
    out = tmp_path / "new" / "deep" / "labelled.jsonl"
    assert main(["label", str(texts("a")), "--output", str(out), "--base-url", server.url,
                 "--model", "m", "--system", "Be brief."]) == 0  # fmt: skip
    assert read(out)[0]["keyphrases"] == ["budget", "school"]
    assert server.bodies[0]["messages"][0] == {"role": "system", "content": "Be brief."}


# --- replies that are no answers ------------------------------------------------------------------

PAGE = b"<!DOCTYPE html>\n<html><title>Welcome</title>" + b"<p>Hello</p>" * 50
STREAM = b'data: {"choices": [{"delta": {"content": "bud"}}]}\n\ndata: [DONE]\n\n'
REPLIES = {
    "a page": (PAGE, "replies with a web page: '<!DOCTYPE html> <html><title>Welcome"),
    "a stream": (STREAM, "Switch streaming off"),
    "nothing": (b"", "replies with nothing"),
    "words": (b"It works!", "the reply is no JSON: 'It works!'"),
    "another API": ({"message": {"content": "a"}, "done": True}, "Name an OpenAI-compatible API"),
    "no choices": ({"choices": []}, "no chat completion: '{\"choices\": []}'"),
    "an error": ({"error": {"message": "out of memory"}}, 'an error with status 200: \'{"error"'),
    "an error in words": ({"error": "model crashed"}, "model crashed"),
    "no text": ({"choices": [{"message": {"content": {"a": 1}}}]}, "content is no text"),
}


@pytest.mark.parametrize("reply", REPLIES)
def test_a_reply_that_is_no_answer_is_quoted_with_what_to_change(server, ask, texts, reply):
    body, message = REPLIES[reply]
    server.script = lambda prompt, nth: (200, body)
    with pytest.raises(InputError) as found:
        ask(texts(*"abcdef"))
    shown = str(found.value)
    assert message in shown and "same command" not in shown and len(shown) < 500
    assert len(server.asked) == 3  # two more tries, then no further text


def test_a_page_where_v1_is_missing_says_so(server, texts, out, capsys):
    server.script = lambda prompt, nth: (200, PAGE, {"Content-Type": "text/html"})
    url = server.url.removesuffix("/v1")
    assert main(["label", str(texts("a")), "--output", str(out), "--base-url", url,
                 "--model", "m"]) == 2  # fmt: skip
    assert f"Does --base-url lack /v1? Try {url}/v1." in capsys.readouterr().err
    server.script = lambda prompt, nth: (404, b"Not Found")
    assert main(["label", str(texts("a")), "--output", str(out), "--base-url", url,
                 "--model", "m"]) == 2  # fmt: skip
    assert f"Does --base-url lack /v1? Try {url}/v1." in capsys.readouterr().err


def test_an_error_with_a_status_in_it_is_taken_as_that_status(server, ask, texts, answer):
    server.script = lambda prompt, nth: (
        answer(GOOD) if nth else {"error": {"code": 429, "message": "slow down"}}
    )
    report = ask(texts("a"))
    assert report["requests"]["failed_tries"] == {"rate_limit": 1}
    server.script = lambda prompt, nth: {"error": {"code": 401, "message": "no such key"}}
    with pytest.raises(InputError, match="wants a key"):
        ask(texts("b", name="b.jsonl"), new=True)


DIED = {"error": {"code": 502, "message": "the provider died"}, "message": {"content": ""}}


@pytest.mark.parametrize(
    ("body", "kind"),
    [({"error": {"code": "429"}}, "rate_limit"), ({"choices": [DIED]}, "server_error")],
)
def test_a_gateways_error_is_its_status(server, ask, texts, answer, body, kind):
    server.script = lambda prompt, nth: answer(GOOD) if nth else body
    report = ask(texts("a"))
    assert report["requests"]["failed_tries"] == {kind: 1}
    assert report["spent"]["input_tokens"] == 10  # the error is free


def test_a_server_that_wants_a_key_names_the_variable_that_was_read(server, ask, texts):
    server.script = lambda prompt, nth: (401, {"error": {"message": "who?"}})
    with pytest.raises(InputError, match=r"--key-env .now MY_KEY."):
        ask(texts("a"), key_env="MY_KEY")


def test_a_page_among_answers_stops_the_run_and_is_quoted(server, ask, texts, answer):
    server.script = lambda prompt, nth: answer(GOOD) if prompt == "T:a" else (200, PAGE)
    report = ask(texts(*"abcdefgh"))
    assert report["stopped"] == "endpoint" and "replies with a web page" in report["detail"]


def test_keys_are_hidden_before_a_reply_is_shortened(server, ask, texts, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    body = {"error": "x" * 175 + f" {KEY} and Bearer another-secret"}
    server.script = lambda prompt, nth: (200, body)
    with pytest.raises(InputError) as found:
        ask(texts("a"))
    assert KEY[:8] not in str(found.value) and "(key)" in str(found.value)
    assert shortened("Bearer abcdef, hf_abcdefghijk", str) == "Bearer (key) (key)"


def test_content_in_parts_is_joined_and_reasoning_is_read_past(
    server, ask, texts, answer, out, read
):
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "moon; sun"}]},
        {"type": "text", "text": "budget; "},
        {"type": "text", "text": "school"},
    ]
    server.script = lambda prompt, nth: answer(parts, reasoning_content="stars; sky")
    ask(texts("a"))
    assert read(out)[0]["keyphrases"] == ["budget", "school"]


# --- models that reason ---------------------------------------------------------------------------


def reasoning(server, answer, needs, *, finish="length", tag=False):
    """A model that needs so many tokens before it answers."""

    def script(prompt, nth):
        limit = server.bodies[-1]["max_tokens"]
        if limit >= needs:
            return answer(GOOD, reasoning_content="Hm; well.")
        content = "<think>Hm; well; bud" if tag else ""
        return answer(content, finish=finish, tokens=(10, limit), reasoning_content="Hm; we")

    server.script = script


@pytest.mark.parametrize(("finish", "tag"), [("length", False), ("stop", False), ("stop", True)])
def test_a_limit_spent_on_reasoning_is_raised_once(
    server, ask, texts, answer, out, read, finish, tag
):
    reasoning(server, answer, 500, finish=finish, tag=tag)
    report = ask(texts(*"ab"))
    assert [body["max_tokens"] for body in server.bodies] == [256, 2048] * 2
    assert report["answers"]["problems"] == {"cut": 2} and len(read(out)) == 2
    assert "ended at its limit: 2." in report["notes"][0]
    assert "--max-output-tokens 2048 asks once" in report["notes"][0]


def test_a_model_that_spends_the_higher_limit_too_stops_the_run(server, texts, out, answer, capsys):
    reasoning(server, answer, 100_000)
    command = ["label", str(texts(*"abcdefgh")), "--output", str(out), "--base-url", server.url,
               "--model", "m", "--concurrency", "1"]  # fmt: skip
    assert main(command) == 1
    assert len(server.asked) == 6  # three texts, twice each
    shown = capsys.readouterr().err
    assert "answers end at the limit of 2,048 tokens" in shown
    assert "--max-output-tokens 8192" in shown and "same command" not in shown
    assert not out.exists()


def test_a_text_without_an_answer_says_why(server, ask, texts, out, read, answer):
    reasoning(server, answer, 100_000)
    assert ask(texts("a"))["rejected"] == {"cut": 1}
    (row,) = read(out.with_name("out.rejected.jsonl"))
    assert "limit" in row["detail"]


def test_a_stop_without_words_is_empty(server, ask, texts, answer):
    server.script = lambda prompt, nth: answer("", reasoning_content="Hm; well.")
    assert ask(texts("a"))["rejected"] == {"empty": 1}


def test_what_0_1_0_was_answered_at_the_same_limit_serves(server, ask, texts, out, answer):
    """A journal whose second answer was asked for with the limit of the first."""
    from frtune import LabelJob
    from frtune.labelling.budget import Tokens
    from frtune.labelling.store import Answer, Journal, content_key

    job = LabelJob(template="T:{text}")
    parameters = {"temperature": 0, "max_output_tokens": 256}
    with Journal(out.with_name("out.answers.jsonl")) as journal:
        for again, said in ((False, Answer("", "length")), (True, Answer(GOOD, "stop"))):
            key = content_key(model="m", parameters=parameters,
                              messages=job.messages("a", again=again), number=1)  # fmt: skip
            journal.done(journal.sent(Tokens(9, 9)), Tokens(1, 1), key=key, answer=said)
    assert ask(texts("a"))["rows"]["labelled"] == 1 and not server.asked


def test_the_raised_limit_is_counted_against_the_budget(server, ask, texts, answer, out):
    from frtune import Budget

    reasoning(server, answer, 500)
    report = ask(texts("a"), budget=Budget(tokens=1_000))
    # the second request could come to 2,048 tokens
    assert report["stopped"] == "budget" and len(server.asked) == 1 and not out.exists()
    assert json.loads(out.with_name("out.answers.jsonl").read_text("utf-8").splitlines()[0])
