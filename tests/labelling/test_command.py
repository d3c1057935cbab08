"""``frtune label`` as a user meets it: keys, kills, dry runs, bad input."""

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from inspect import signature
from pathlib import Path

import pytest

from frtune import Budget, Endpoint, LabelJob, label
from frtune.cli import main

KEY = "sk-tell-nobody-5f1c"


@pytest.fixture
def words(server, texts, out):
    """The command line for two texts."""
    return ["label", str(texts("a budget", "b")), "--output", str(out), "--base-url", server.url,
            "--model", "m", "--retries", "1", "--concurrency", "2"]  # fmt: skip


def files_of(folder):
    return {path.name: path.read_text("utf-8") for path in Path(folder).iterdir()}


def test_a_run_is_summed_up(words, out, capsys):
    assert main([*words, "--price-input", "1", "--price-output", "2"]) == 0
    shown = capsys.readouterr()
    assert "2 rows read: 2 labelled, 0 without" in shown.out
    assert "phrases that are not in the text: 75.0%" in shown.out
    assert "20 tokens read, 10 written, cost 0.0000" in shown.out
    assert "2/2" in shown.err and "cost 0.0000" in shown.err


# --- the key -------------------------------------------------------------------------------------


def test_the_key_goes_to_the_server_and_nowhere_else(
    words, server, tmp_path, capsys, caplog, monkeypatch, answer
):
    monkeypatch.setenv("MY_KEY", f" {KEY}\n")  # as $(cat file) may leave it
    monkeypatch.setenv("OPENAI_API_KEY", "sk-another")
    caplog.set_level("DEBUG")
    server.script = lambda prompt, nth: (
        answer(f"budget; Bearer {KEY}") if nth else (500, {"error": {"message": f"no {KEY}"}})
    )
    assert main([*words, "--key-env", "MY_KEY", "--debug"]) == 0
    assert {headers["authorization"] for headers in server.headers} == {f"Bearer {KEY}"}
    shown = capsys.readouterr()
    for name, text in {"stdout": shown.out, "stderr": shown.err, "log": caplog.text,
                       **files_of(tmp_path)}.items():  # fmt: skip
        assert KEY not in text, name
    assert "Bearer (key)" in files_of(tmp_path)["out.jsonl"]


@pytest.mark.parametrize("status", [401, 400, 404, 500])
def test_an_error_that_repeats_the_key_is_shown_without_it(
    words, server, tmp_path, capsys, monkeypatch, status
):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server.script = lambda prompt, nth: (status, {"error": {"message": f"bad key: {KEY}"}})
    assert main(words) == (2 if status in (401, 404) else 1)
    shown = capsys.readouterr().err
    assert KEY not in shown + "".join(files_of(tmp_path).values())
    if status in (401, 404, 500):
        assert "bad key: (key)" in shown
    if status == 401:
        assert main([*words, "--debug"]) == 2
        shown = capsys.readouterr().err
        assert "Traceback" in shown and KEY not in shown


def test_a_key_that_no_header_can_hold_is_refused_without_being_shown(words, capsys, monkeypatch):
    for bad in (f"{KEY} x", f"{KEY}\nx", f"{KEY}é"):
        monkeypatch.setenv("OPENAI_API_KEY", bad)
        assert main(words) == 2
        shown = capsys.readouterr().err
        assert "holds characters that no key has" in shown and KEY not in shown


@pytest.mark.parametrize("url", ["http://u:{}@127.0.0.1/v1", "http://127.0.0.1/v1?key={}"])
def test_a_key_in_the_address_is_refused_without_being_shown(words, capsys, url):
    words[words.index("--base-url") + 1] = url.format(KEY)
    assert main(words) == 2
    shown = capsys.readouterr().err
    assert "OPENAI_API_KEY" in shown and KEY not in shown


def test_another_machine_needs_a_key(words, capsys):
    words[words.index("--base-url") + 1] = "https://models.example.org/v1"
    assert main(words) == 2
    assert "OPENAI_API_KEY: is not set" in capsys.readouterr().err


# --- a kill --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_killed_run_goes_on_and_pays_for_no_text_twice(server, texts, out, read, answer):
    found = [f"text {i}" for i in range(12)]
    both_stall = threading.Barrier(3, timeout=100)

    def script(prompt, nth):
        if int(prompt.split()[-1]) < 7 and not resumed.is_set():
            return answer("text")
        if not resumed.is_set():
            # a worker asks only when its last answer is in the file: seven are now
            both_stall.wait()
            return "stall"
        return answer("text")

    resumed = threading.Event()
    server.script = script
    command = [sys.executable, "-m", "frtune", "label", str(texts(*found)), "--output", str(out),
               "--base-url", server.url, "--model", "m", "--concurrency", "2",
               "--template", str(out.parent / "prompt.txt")]  # fmt: skip
    (out.parent / "prompt.txt").write_text("{text}\n", encoding="utf-8")
    environment = {**os.environ, "OPENAI_API_KEY": KEY}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    both_stall.wait()
    if sys.platform == "linux":
        assert KEY not in Path(f"/proc/{process.pid}/cmdline").read_text("utf-8")
    process.kill()
    process.wait()
    assert not out.exists() and Counter(server.answered) == dict.fromkeys(found[:7], 1)

    resumed.set()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert Counter(server.answered) == dict.fromkeys(found, 1)
    assert len(read(out)) == 12
    report = json.loads(out.with_name("out.report.json").read_text("utf-8"))
    # the two requests that the kill cut off count as if they had been charged for
    assert report["spent"]["unsettled_requests"] == 2
    assert KEY not in done.stdout + done.stderr + "".join(files_of(out.parent).values())


# --- dry runs and bad input ----------------------------------------------------------------------


def test_a_dry_run_shows_prompts_and_cost_and_asks_nothing(words, server, tmp_path, capsys):
    before = files_of(tmp_path)
    words[words.index("--base-url") + 1] = "https://models.example.org/v1"  # without a key
    prices = ["--price-input", "1", "--price-output", "2"]
    assert main([*words, "--dry-run", *prices]) == 0
    shown = capsys.readouterr().out
    assert "<text>\na budget\n</text>" in shown and "2 rows, 2 requests to send" in shown
    assert "output tokens: about 100, at most 512" in shown
    assert "cost: about 0.00" in shown
    assert not server.asked and files_of(tmp_path) == before


def test_a_dry_run_leaves_out_what_is_answered(words, out, capsys):
    assert main(words) == 0
    out.unlink()
    assert main([*words, "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "0 requests to send" in shown and "cost: not known" in shown


def test_a_spent_budget_is_code_1_and_says_how_to_go_on(words, capsys):
    assert main([*words, "--budget-tokens", "20"]) == 1
    assert "could pass the budget. Raise it; the same command" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--task classification", "labels: at least two"),
        ("--task classification --labels a a", "one stands twice"),
        ("--labels a b", "are for task classification"),
        ("--budget-cost 1", "needs prices"),
        ("--price-input 1", "prices: one is missing"),
        ("--parameters {", "--parameters: is not JSON"),
        ('--parameters {"model":"x"}', "model is set by frtune"),
        ("--template none.txt", "--template none.txt: cannot be read"),
        ("--text-column body", "has no column body"),
        ("--output-column id", "has a column id already"),
        ("--concurrency 0", "concurrency=0: at least 1"),
        ("--base-url localhost:8000", "base_url: is no address"),
        ("--output x.csv", "Name a file that ends in .jsonl"),
        ("--output /proc/none/x.jsonl", "cannot be written"),
        ("--api-key=sk-x", "--api-key: no such option"),
        ("--max-rows 0", "max_rows=0"),
    ],
)
def test_bad_input_is_one_line_and_code_2(words, server, capsys, flags, message):
    assert main([*words, *flags.split()]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("frtune: ") and message in shown and shown.count("\n") == 1
    assert "sk-x" not in shown and not server.asked


def test_texts_that_are_all_blank_are_refused(words, texts, capsys):
    texts(" ", "")
    assert main(words) == 2
    assert "no text in any of 2 rows" in capsys.readouterr().err


def test_help_names_every_option_of_the_library(capsys):
    with pytest.raises(SystemExit):
        main(["label", "--help"])
    shown = capsys.readouterr().out
    names = [
        *LabelJob.__dataclass_fields__,
        *Endpoint.__dataclass_fields__,
        *signature(label).parameters,
    ]
    names += [f"budget_{limit}" for limit in ("tokens", "cost")]
    names += [name for name in Budget.__dataclass_fields__ if name.startswith("price")]
    for name in names:
        if name not in ("source", "job", "endpoint", "budget", "backoff_seconds"):
            assert f"--{name.replace('_', '-')}" in shown, name


def test_a_server_that_never_answered_is_to_be_checked(words, server, capsys):
    server.server_close()
    assert main([*words, "--retries", "0"]) == 1
    shown = capsys.readouterr().err
    assert "cannot be reached (" in shown and "). Check the server and --base-url." in shown


def test_why_no_row_could_be_labelled_is_said_at_once(words, server, capsys, answer):
    server.script = lambda prompt, nth: answer("| Rank | Phrase |\n|---|---|\n| 1 | a |")
    assert main(words) == 1
    shown = capsys.readouterr().err
    assert "no row could be labelled (the first: broken: | Rank | Phrase |" in shown
