"""Under load: refusals with a time to come back, a stop that answers what was taken."""

from __future__ import annotations

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from frtune import load
from frtune.errors import InputError
from frtune.http_api.batcher import Batcher, Busy, batches_of
from frtune.http_api.settings import BatchSettings
from frtune.training.encoded_rows import EncodedRows


def gauge(server, name):
    text = server.ask("/metrics", key=None)[2].decode()
    return float(next(line for line in text.splitlines() if line.startswith(name)).split()[-1])


def until(true, seconds=60):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.slow
def test_sigterm_answers_what_was_taken_and_ends_with_0(start, saved, read_log):
    server = start([saved["phrases"]], "--batch-tokens=1000", "--stop-seconds=300")
    texts = [f"le budget de la ville, numéro {i}" for i in range(40)]
    with ThreadPoolExecutor(8) as pool:
        asked = [
            pool.submit(server.predict, "phrases", {"texts": texts}, key=None) for _ in range(8)
        ]
        until(lambda: gauge(server, "frtune_waiting_texts") > 3 * 40)
        server.process.send_signal(signal.SIGTERM)
        answers = [each.result() for each in asked]
    assert [status for status, _ in answers] == [200] * 8
    assert all([row["text"] for row in found] == texts for _, found in answers)
    assert server.process.wait(60) == 0
    with pytest.raises(OSError):
        server.ask("/health", key=None)
    assert "Traceback" not in read_log(server)


@pytest.mark.slow
def test_a_stop_ends_in_time_and_says_what_it_did_not_answer(start, saved, read_log):
    server = start([saved["phrases"]], "--batch-tokens=64", "--stop-seconds=1")
    texts = [f"le budget de la ville, numéro {i}" for i in range(60)]
    with ThreadPoolExecutor(12) as pool:
        asked = [
            pool.submit(server.predict, "phrases", {"texts": texts}, key=None) for _ in range(12)
        ]
        until(lambda: gauge(server, "frtune_waiting_texts") > 8 * 60)
        server.process.send_signal(signal.SIGTERM)
        answers = [each.result() for each in asked]
    assert server.process.wait(60) == 0
    late = [content["error"]["type"] for status, content in answers if status != 200]
    assert late and {*late} == {"stopping"}
    assert "Traceback" not in read_log(server)


@pytest.mark.slow
def test_ctrl_c_ends_an_idle_server_with_0(start, saved, read_log):
    server = start([saved["classes"]])
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(60) == 0
    assert "Traceback" not in read_log(server)


@pytest.mark.slow
def test_a_full_queue_is_told_with_a_time_to_come_back(start, saved):
    server = start([saved["phrases"]], "--max-waiting=64", "--batch-tokens=64")
    texts = [f"le budget de la ville, numéro {i}" for i in range(64)]
    with ThreadPoolExecutor(8) as pool:
        asked = [
            pool.submit(server.ask, "/v1/phrases/predict", {"texts": texts}, key=None)
            for _ in range(8)
        ]
        answers = [each.result() for each in asked]
    refused = [(headers, content) for status, headers, content in answers if status == 429]
    served = [content for status, _, content in answers if status == 200]
    assert refused and served and len(refused) + len(served) == 8
    for headers, content in refused:
        assert content["error"]["type"] == "busy" and 1 <= int(headers["Retry-After"]) <= 60
    assert all(len(content) == 64 for content in served)
    assert server.predict("phrases", {"text": "après"}, key=None)[0] == 200


# --- the queue itself -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def predictor(saved):
    return load(saved["classes"])


def test_requests_that_wait_together_are_computed_together(predictor):
    turn, seen = threading.Lock(), []
    batcher = Batcher(predictor, BatchSettings(), turn=turn, seen=seen.append)
    with turn:  # the first is being computed meanwhile
        first = batcher.ask([{"text": "a"}])
        until(lambda: batcher.waiting == 0)
        others = [batcher.ask([{"text": f"b {i}"}, {"text": "c " * i + "c"}]) for i in range(8)]
    assert [row["text"] for row in first.result(60)] == ["a"]
    for i, each in enumerate(others):
        assert [row["text"] for row in each.result(60)] == [f"b {i}", "c " * i + "c"]
    assert seen == [1, 16]
    batcher.close()


def test_a_lone_request_does_not_wait_and_those_that_came_together_do(predictor):
    batcher = Batcher(predictor, BatchSettings(batch_wait_ms=10_000))
    for _ in range(3):
        batcher.ask([{"text": "a"}]).result(5)
    batcher._together = 2
    start = time.monotonic()
    asked = [batcher.ask([{"text": "a"}])]
    time.sleep(0.5)
    assert not asked[0].done()
    asked.append(batcher.ask([{"text": "b"}]))
    for each in asked:
        each.result(5)
    assert time.monotonic() - start < 9
    batcher.close()


def test_a_text_that_cannot_be_answered_fails_alone(predictor, monkeypatch):
    class Picky(type(predictor)):
        def answer(self, rows, encoded, **options):
            if any("poison" in row["text"] for row in rows):
                raise InputError("text: is poison. Take it out.")
            return super().answer(rows, encoded, **options)

    picky = Picky(**vars(predictor))
    turn = threading.Lock()
    batcher = Batcher(picky, BatchSettings(), turn=turn)
    with turn:
        asked = [batcher.ask([{"text": text}]) for text in ("a", "poison", "b")]
    assert asked[0].result(60) and asked[2].result(60)
    with pytest.raises(InputError, match="poison"):
        asked[1].result(60)
    batcher.close()


def test_a_queue_that_is_full_or_closed_takes_nothing(predictor):
    turn = threading.Lock()
    batcher = Batcher(predictor, BatchSettings(max_waiting=4), turn=turn)
    with turn:
        held = batcher.ask([{"text": "a"}])
        until(lambda: batcher.waiting == 0)
        taken = batcher.ask([{"text": "b"}] * 4)
        with pytest.raises(Busy, match="4 texts are waiting"):
            batcher.ask([{"text": "c"}])
    assert len(held.result(60)) == 1 and len(taken.result(60)) == 4
    with turn:
        held = batcher.ask([{"text": "a"}])
        until(lambda: batcher.waiting == 0)
        left = batcher.ask([{"text": "b"}])
        closing = threading.Thread(target=batcher.close)
        closing.start()
        with pytest.raises(Busy):
            left.result(60)
    closing.join(60)
    with pytest.raises(Busy):
        held.result(0)
    with pytest.raises(Busy):
        batcher.ask([{"text": "d"}])


def test_no_batch_has_more_tokens_than_allowed_and_every_row_is_in_one():
    lengths = [3, 40, 7, 7, 100, 12, 1, 40, 40]
    rows = EncodedRows({"length": lengths, "row": [0, 1, 2, 2, 3, 4, 5, 6, 6]})
    by_row = {0: [3], 1: [40], 2: [7, 7], 3: [100], 4: [12], 5: [1], 6: [40, 40]}
    found = batches_of(rows, 50)
    assert sorted(owner for batch, _ in found for owner in batch) == list(range(7))
    for batch, size in found:
        parts = [length for owner in batch for length in by_row[owner]]
        assert len(parts) * max(parts) <= 50 or len(batch) == 1
        assert size * max(parts) <= 50 or size == 1
    assert [batch for batch, _ in batches_of(rows, 1)] == [[5], [0], [2], [4], [1], [6], [3]]
