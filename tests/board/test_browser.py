"""The board in a browser, as people use it: no terminal, and the page may die."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request

import pytest

from chat_server import Server, completion
from chromium import visit
from frtune.board.folder import BoardFolder
from frtune.board.jobs import Jobs
from frtune.board.translations import WORDS
from frtune.models.tiny import tiny_checkpoint
from frtune.run.status import read_status
from frtune.web.translations import LANGUAGES

pytestmark = pytest.mark.browser

LINES = {
    "613000": ["loyer des bureaux", "loyer de l'entrepôt"],
    "606100": ["électricité de l'été", "gaz et énergie"],
    "626000": ["téléphone mobile", "affranchissement du courrier"],
}
SET = "#set_{0} textarea, #set_{0} input"


@pytest.fixture
def folder(tmp_path):
    """A folder with invoices of a French spreadsheet, articles, a bad file and tiny checkpoints."""
    draw = random.Random(0)
    rows = [
        (f"Facture {i * 7919} {draw.choice(LINES[account])} réf {i * 31}", account)
        for i in range(90)
        for account in [draw.choice(list(LINES))]
    ]
    text = "".join(f"{i};{line};{account}\r\n" for i, (line, account) in enumerate(rows))
    text = f"id;libelle;compte\r\n{text}90;;613000\r\n"
    (tmp_path / "factures.csv").write_bytes(text.encode("cp1252"))
    (tmp_path / "bad.csv").write_text("text,label\na,b\nc,d,e\n")
    articles = [
        {"text": f"{i * 7919} about the {word} and {i * 31}", "keyphrases": [word, "city council"]}
        for i in range(60)
        for word in [draw.choice(["budget", "forest", "river"])]
    ]
    lines = "".join(json.dumps(article) + "\n" for article in articles)
    (tmp_path / "articles.jsonl").write_text(lines)
    texts = [line for line, _ in rows] + [article["text"] for article in articles]
    for family in ("camembert", "qwen2"):
        tiny_checkpoint(family, texts, tmp_path / "models" / family)
    return tmp_path


@contextlib.contextmanager
def board(folder):
    """``frtune board`` as a process of its own, and its address."""
    words = [sys.executable, "-m", "frtune", "board", str(folder)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            yield line.split()[2], process
        finally:
            process.kill()


def fill(page, field, text):
    page.fill(f"{field} textarea, {field} input", text)


def tab(page, number):
    page.locator("[role=tab]").nth(number).click()


def prepare(seen, folder, data, task, kept):
    """From a file to prepared data, as it was guessed."""
    page = seen.page
    seen.choose("#data_file", data)
    page.get_by_text(kept).wait_for()
    name = data.partition(".")[0]
    page.wait_for_function(
        "wanted => ['task', 'prepared_name'].every((id, i) => wanted[i] == "
        "document.querySelector(`#${id} input, #${id} textarea`).value)", arg=[task, name],
    )  # fmt: skip
    shown = page.inner_text("#data_command").split("\n")[-1]
    page.click("#write")
    page.wait_for_selector("#data_message :is(.frtune-ok, .frtune-error)")
    assert f"prepared/{name}" in page.inner_text("#data_message")
    assert Jobs(BoardFolder(folder)).find(f"prepare-{name}").command == shown


def train(seen, checkpoint, settings, method=None):
    """From prepared data to a run in the queue."""
    page = seen.page
    tab(page, 1)
    page.wait_for_selector("#facts .frtune-note")
    page.click("#checkpoint input")
    page.locator("#checkpoint").get_by_role("option", name=checkpoint).click()
    page.wait_for_selector("#fit table")
    assert page.locator("#fit .frtune-note").count() == 2, "what fits, and lengths in tokens"
    if method:
        page.get_by_label(method, exact=True).check()
    for name, value in settings.items():
        page.fill(SET.format(name), value)
        page.wait_for_function(
            "line => document.querySelector('#config').innerText.includes(line)",
            arg=f"{name}: {value}",
        )
    page.click("#start")
    page.wait_for_selector("#model_message .frtune-ok")
    tab(page, 2)


def wait_for_state(page, run, state):
    page.wait_for_function(
        "told => document.querySelector('#run_state').innerText.includes(told)",
        arg=f"runs/{run} · {state}", timeout=180_000,
    )  # fmt: skip


def ask(page, text):
    """The answer of the run that is shown first."""
    tab(page, 3)
    page.wait_for_selector("#result_scores table")
    fill(page, "#text", text)
    page.click("#run")
    page.wait_for_selector("#answer h2")
    return page.inner_text("#answer")


def test_from_a_spreadsheet_to_an_answer_through_bad_input_a_stop_and_a_killed_page(folder):
    with board(folder) as (address, process):
        info = json.load(urllib.request.urlopen(f"{address}gradio_api/info"))
        assert info["named_endpoints"] == {}
        with visit(address) as seen:
            page = seen.page
            page.wait_for_selector("#folder p")
            seen.choose("#data_file", "bad.csv")
            page.wait_for_selector("#table .frtune-error")
            assert "line 3: 3 fields, but the header has 2" in page.inner_text("#table")
            prepare(
                seen,
                folder,
                "factures.csv",
                WORDS["task_classification"][0],
                "91 rows read: 90 kept",
            )
            assert "énergie" in page.inner_text("#table"), "cp1252 was guessed"
            assert "--encoding=cp1252 --text-column=libelle --label-column=compte" in (
                page.inner_text("#data_command")
            )
            tab(page, 1)
            page.wait_for_selector("#facts .frtune-note")
            page.fill(SET.format("learning_rate"), "fast")
            page.wait_for_selector("#error_learning_rate .frtune-error")
            assert "invalid float value: 'fast'" in page.inner_text("#error_learning_rate")
            page.fill(SET.format("learning_rate"), "")
            settings = {"learning_rate": "0.001", "num_train_epochs": "400",
                        "early_stopping_patience": "0"}  # fmt: skip
            train(seen, "models/camembert", settings)
            wait_for_state(page, "factures", f"{WORDS['running'][0]} · step ")
            page.click("#stop_run")
            wait_for_state(page, "factures", WORDS["stopped"][0])
            status = read_status(folder / "runs/factures")
            assert status["state"] == "stopped" and 0 < status["step"] < status["steps"]
            page.click("#resume_run")
            wait_for_state(page, "factures", WORDS["running"][0])
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    time.sleep(1)
    jobs = Jobs(BoardFolder(folder))
    assert jobs.find("factures").state == "running", "a run outlives the page"
    with board(folder) as (address, _), visit(address, locale="fr-FR") as seen:
        page = seen.page
        tab(page, 2)
        wait_for_state(page, "factures", WORDS["running"][1])
        assert "--resume" in page.inner_text("#run_log")
        page.click("#stop_run")
        wait_for_state(page, "factures", WORDS["stopped"][1])
        tab(page, 1)
        seen.choose("#prepared", "prepared/factures")
        settings = {"learning_rate": "0.001", "num_train_epochs": "12"}
        train(seen, "models/camembert", settings)
        wait_for_state(page, "factures-2", WORDS["finished"][1])
        answer = ask(page, "Facture 12 loyer des bureaux réf 3")
        assert "613000" in answer and "%" in answer
        assert page.locator("#report iframe").count() == 1
        label(seen, folder)
        assert seen.hosts <= {"127.0.0.1", "", None} and not seen.dialogs


def label(seen, folder):
    """New texts get the classes of the run that is shown, by a model behind an API."""
    (folder / "new.csv").write_text("libelle\nGaz de mai\nLoyer\n")
    page, server = seen.page, Server()
    server.script = lambda prompt, nth: completion("613000")
    tab(page, 0)
    tab(page, 3)
    page.click("#label_part > button")
    seen.choose("#label_texts", "new.csv")
    for field, text in (("column", "libelle"), ("address", server.url), ("model", "m")):
        fill(page, f"#label_{field}", text)
    page.click("#label_dry")
    page.get_by_text("Gaz de mai").first.wait_for()
    page.wait_for_selector("#stop_step", state="hidden")
    assert not server.asked and "--dry-run" in page.inner_text("#step_state")
    page.click("#label_start")
    page.wait_for_function(
        "() => { const state = document.querySelector('#step_state');"
        " return state.querySelector('.frtune-ok') && !state.innerText.includes('--dry-run') }"
    )
    lines = (folder / "labelled/new.jsonl").read_text().splitlines()
    assert [json.loads(line)["label"] for line in lines] == ["613000", "613000"]


def test_keyphrases_with_an_adapter_of_a_decoder_and_two_runs_compared(folder):
    with board(folder) as (address, _), visit(address, locale="ko-KR") as seen:
        page = seen.page
        page.wait_for_selector("#folder p")
        prepare(seen, folder, "articles.jsonl", WORDS["task_keyphrases"][2], "읽은 행 60개")
        for name, rate in (("articles", "0.003"), ("articles-2", "0.0001")):
            settings = {"learning_rate": rate, "num_train_epochs": "1", "max_source_tokens": "64"}
            if name != "articles":
                seen.choose("#prepared", "prepared/articles")
                page.wait_for_function(
                    "name => document.querySelector('#run_name input, #run_name textarea').value"
                    " == name", arg=name,
                )  # fmt: skip
            train(seen, "models/qwen2", settings, WORDS["method_lora"][2])
            wait_for_state(page, name, WORDS["finished"][2])
            assert (folder / "runs" / name / "adapter_model.safetensors").is_file()
            tab(page, 1)
        answer = ask(page, "about the budget and the city council")
        assert "articles-2" in answer
        page.click("#results input")
        page.locator("#results").get_by_role("option", name="runs/articles", exact=True).click()
        page.wait_for_selector("#do_compare")
        told = page.inner_text("#result_scores")
        assert "learning_rate=0.003" in told and "learning_rate=0.0001" in told
        assert any(part in told for part in (WORDS["overlap"][2], "구간이 겹치지 않습니다"))


def test_a_full_disk_is_told(folder, tmp_path_factory):
    disk = tmp_path_factory.mktemp("disk")
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a file system")
    try:
        (disk / "factures.csv").write_bytes((folder / "factures.csv").read_bytes())
        with contextlib.suppress(OSError), open(disk / "rest", "wb") as file:
            while True:
                file.write(b"\0" * 4096)
                file.flush()
        with board(disk) as (address, _), visit(address, locale="fr-FR") as seen:
            page = seen.page
            page.wait_for_selector("#folder .frtune-error")
            assert "Le disque est plein" in page.inner_text("#folder")
            seen.choose("#data_file", "factures.csv")
            page.wait_for_selector("#audit table")
            page.wait_for_function(
                "document.querySelector('#prepared_name input, #prepared_name textarea').value"
                " == 'factures'"
            )
            page.wait_for_timeout(1_000)  # the parts of the tab change one after the other
            page.click("#write")
            page.wait_for_selector("#data_message .frtune-error")
            assert "disk is full" in page.inner_text("#data_message") or "disque est plein" in (
                page.inner_text("#data_message")
            )
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_the_page_speaks_one_language_and_fits_a_phone(folder):
    locales = {"en": "en-US", "fr": "fr-FR", "ko": "ko-KR"}
    phone = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}
    names = ("tab_data", "tab_model", "tab_train", "tab_result")
    with board(folder) as (address, _):
        for place, language in enumerate(LANGUAGES):
            with visit(address, locale=locales[language], **phone) as seen:
                page = seen.page
                page.wait_for_selector("#folder p")
                assert page.get_attribute("html", "lang") == language
                tabs = page.locator("[role=tab]").all_inner_texts()
                assert tabs == [WORDS[name][place] for name in names]
                found = seen.strings()
                page.locator("[role=tab]").first.focus()
                for _ in names[1:]:
                    page.keyboard.press("ArrowRight")
                    page.wait_for_timeout(1_500)
                    found |= seen.strings()
                    assert seen.wide() == []
            assert not [text for text in found if "frtune_" in text or "[object" in text]
            others = {text for words in WORDS.values() for text in set(words) - {words[place]}}
            own = {words[place] for words in WORDS.values()}
            assert (found & others) - own - SAME == set()


# words that are the same in another language, or names
SAME = {text for words in WORDS.values() for text in words if len(set(words)) < 3} | {"Patience"}
