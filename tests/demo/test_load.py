"""Many requests: at once, and one after the other."""

from __future__ import annotations

import asyncio
import gc
import json
import resource
from pathlib import Path

import httpx
import pytest

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
    limits = httpx.Limits(max_connections=at_once)

    async def answer(client, text):
        async with turn:
            call = f"{address}gradio_api/call/predict"
            asked = await client.post(call, json={"data": ["classes", text, "", ""]})
            asked.raise_for_status()
            told = await client.get(f"{call}/{asked.json()['event_id']}")
            kind, _, data = told.text.strip().rpartition("data: ")
            assert "event: complete" in kind, told.text
            return json.loads(data)[0]

    async with httpx.AsyncClient(limits=limits, timeout=600) as client:
        return await asyncio.gather(*(answer(client, text) for text in texts))


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


def _resident_mb():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


@pytest.mark.slow
def test_2000_requests_keep_memory_flat(address):
    held = []
    for start_ in range(0, 2_000, 500):
        texts = [f"facture {i} " * 20 for i in range(start_, start_ + 500)]
        asyncio.run(_answers(address, texts, at_once=8))
        gc.collect()
        held.append(_resident_mb())
    assert held[3] - held[1] < 20, held  # MB; with what Gradio keeps by itself, 80
