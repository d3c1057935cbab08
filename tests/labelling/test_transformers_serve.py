"""Against a real server: ``transformers serve`` with a tiny chat model that learnt its answers."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from frtune.cli import main

pytestmark = pytest.mark.slow

TEMPLATE = (
    "{% for message in messages %}{{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}=>{% endif %}"
)


def phrases_of(text):
    words = [word.strip(".,;:()?'\"") for word in text.split()]
    return [word.casefold() for word in sorted(words, key=len)[-2:]]


@pytest.fixture(scope="module")
def chat_model(tiny, tmp_path_factory, corpus):
    """A directory with a tiny llama that answers the first texts with two of their words."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(0)
    directory = tmp_path_factory.mktemp("chat") / "model"
    tokenizer = AutoTokenizer.from_pretrained(tiny("llama"))
    tokenizer.chat_template = TEMPLATE
    model = AutoModelForCausalLM.from_pretrained(tiny("llama"))
    end = tokenizer.eos_token_id
    rows = []
    for text in corpus:
        source = tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], add_generation_prompt=True
        )["input_ids"]
        answer = tokenizer(f" {'; '.join(phrases_of(text))}", add_special_tokens=False)
        rows.append((source, [*answer["input_ids"], end]))
    length = max(len(source) + len(answer) for source, answer in rows)
    ids = torch.full((len(rows), length), end)
    labels = torch.full((len(rows), length), -100)
    for row, (source, answer) in enumerate(rows):
        stop = len(source) + len(answer)
        ids[row, :stop] = torch.tensor([*source, *answer])
        labels[row, len(source) : stop] = torch.tensor(answer)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(150):
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if loss < 0.01:
            break
    model.generation_config.eos_token_id = end
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


@pytest.fixture(scope="module")
def serve(chat_model):
    """The base address of ``transformers serve``."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = Path(sys.executable).with_name("transformers")
    command = [program, "serve", str(chat_model), "--device", "cpu", "--port", str(port)]
    process = subprocess.Popen(
        command, env={**os.environ, "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        for _ in range(600):
            assert process.poll() is None, "transformers serve ended"
            try:
                opener.open(f"http://localhost:{port}/health", timeout=5).close()
                break
            except OSError:
                time.sleep(0.3)
        yield f"http://localhost:{port}/v1"
    finally:
        process.terminate()
        process.wait(30)


def test_what_a_real_server_refuses_says_what_to_change(serve, chat_model, texts, out, capsys):
    command = ["label", str(texts("a")), "--output", str(out), "--retries", "0"]
    url = serve.removesuffix("/v1")
    assert main([*command, "--base-url", url, "--model", str(chat_model)]) == 2
    assert f"Does --base-url lack /v1? Try {url}/v1." in capsys.readouterr().err
    assert main([*command, "--base-url", serve, "--model", "no-such-model"]) != 0
    shown = capsys.readouterr().err
    assert "no-such-model" in shown and not out.exists(), shown


def test_texts_are_labelled_by_a_real_server_and_trained_on(
    serve, chat_model, texts, out, read, corpus, tmp_path, capsys
):
    (tmp_path / "prompt.txt").write_text("{text}", encoding="utf-8")
    path = texts(*corpus[:20])
    command = ["label", str(path), "--output", str(out), "--base-url", serve,
               "--model", str(chat_model), "--template", str(tmp_path / "prompt.txt"),
               "--concurrency", "2", "--max-output-tokens", "48", "--passes", "2"]  # fmt: skip
    assert main(command) == 0, capsys.readouterr().err
    shown = capsys.readouterr().out
    assert "20 rows read" in shown and "agreement of the passes, f1_at_m: 1.0" in shown
    rows = read(out)
    right = [row["keyphrases"] == phrases_of(row["text"]) for row in rows]
    assert sum(right) >= 16, rows
    report = json.loads(out.with_name("out.report.json").read_text("utf-8"))
    assert report["requests"]["answers_without_usage"] == 0
    assert report["spent"]["output_tokens"] > 2 * 20

    out.unlink()
    assert main(command) == 0 and read(out) == rows
    report = json.loads(out.with_name("out.report.json").read_text("utf-8"))
    assert report["requests"] == {
        "answered": 0, "texts_answered_before": 40, "failed_tries": {}, "answers_without_usage": 0
    }  # fmt: skip

    trained = tmp_path / "trained"
    assert main(["train", "keyphrases", "--data", str(out), "--checkpoint", "tiny",
                 "--max-steps", "1", "--output-dir", str(trained)]) == 0  # fmt: skip
    assert (trained / "metrics.json").is_file()
