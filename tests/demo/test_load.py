"""Many requests: at once, and one after the other."""

from __future__ import annotations

import asyncio
import json
import re
import resource
import subprocess
import sys
from collections import Counter
from pathlib import Path

import httpx
import pytest

from frtune import SequenceClassification
from frtune.demo.app import build_page
from frtune.demo.translations import WORDS
from frtune.web.launch import Server, private_folder, start
from frtune.web.translations import PageLanguage


@pytest.fixture(scope="module")
def address(models):
    language = PageLanguage(WORDS, "en")
    with private_folder():
        page = build_page({"classes": models["classes"]}, language)
        yield start(page, Server(), language)[0]
        page.close()


async def _answers(address, texts, at_once):
    """The page's answer to each text, asked as a program does; ``at_once`` wait at a time."""
    turn = asyncio.Semaphore(at_once)
    # each request on a connection of its own: the server closes those that were idle for 5 s, and
    # on a busy machine a request may be sent on one that is just being closed (ReadError)
    limits = httpx.Limits(max_connections=at_once, max_keepalive_connections=0)

    async def answer(client, text):
        async with turn:
            call = f"{address}gradio_api/call/predict"
            asked = await client.post(call, json={"data": ["classes", text, "", ""]})
            assert asked.status_code == 200, f"asked: {asked.status_code} {asked.text[:300]}"
            told = await client.get(f"{call}/{asked.json()['event_id']}")
            kind, _, data = told.text.strip().rpartition("data: ")
            assert "event: complete" in kind, f"answered: {told.status_code} {told.text[:300]!r}"
            return json.loads(data)[0]

    async with httpx.AsyncClient(limits=limits, timeout=600) as client:
        asked = (answer(client, text) for text in texts)
        found = await asyncio.gather(*asked, return_exceptions=True)
    failed = Counter(repr(each) for each in found if isinstance(each, BaseException))
    assert not failed, f"{failed.total()} of {len(texts)}: {failed.most_common(5)}"
    return found


def test_150_requests_at_once_are_all_answered(address):
    texts = [f"facture {i}" for i in range(150)]
    answers = asyncio.run(_answers(address, texts, at_once=150))
    assert [answer["text"] for answer in answers] == texts


def test_whoever_finds_the_queue_full_is_told_to_wait(models):
    language = PageLanguage(WORDS, "en")
    with private_folder():
        page = build_page({"classes": models["classes"]}, language)
        local, _ = start(page, Server(waiting=2), language)
        try:
            call = f"{local}gradio_api/call/predict"

            async def ask():
                async with httpx.AsyncClient(timeout=60) as client:
                    asked = (client.post(call, json={"data": ["classes", "a", "", ""]})
                             for _ in range(40))  # fmt: skip
                    return await asyncio.gather(*asked)

            codes = [answer.status_code for answer in asyncio.run(ask())]
            assert set(codes) <= {200, 503} and 200 in codes
        finally:
            page.close()


def _resident_mb(pid):
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


@pytest.mark.slow
def test_2000_requests_keep_memory_flat(saved):
    directory = saved("classes", SequenceClassification(labels=["loyer", "énergie"]), "camembert")
    held = []
    # a process of its own: what other tests left in this one comes and goes
    words = [sys.executable, "-u", "-m", "frtune", "demo", str(directory)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            address = next(filter(None, (re.search(r"http://\S+/", x) for x in process.stdout)))[0]
            for start_ in range(0, 3_500, 500):
                texts = [f"facture {i} " * 5 for i in range(start_, start_ + 500)]
                asyncio.run(_answers(address, texts, at_once=8))
                held.append(_resident_mb(process.pid))
        finally:
            process.kill()
    # MB; the first 1,500 fill what is kept of visitors. With what Gradio keeps by itself, 160
    assert held[6] - held[2] < 20, held
