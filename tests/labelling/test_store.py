"""The answers' file after kills, and with two runs at once."""

import json

import pytest

from frtune.errors import InputError
from frtune.labelling.budget import Tokens
from frtune.labelling.store import Answer, Journal

MOST = Tokens(90, 256)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "out.answers.jsonl"
    with Journal(path) as journal:
        for key in ("k0", "k1"):
            number = journal.sent(MOST)
            journal.done(number, Tokens(10, 5), key=key, answer=Answer(f"to {key}", "stop"))
    return path


def test_a_torn_last_line_is_dropped_wherever_it_is_torn(path):
    whole = path.read_bytes()
    start = whole.rstrip(b"\n").rfind(b"\n") + 1
    for cut in range(start + 1, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with Journal(path) as journal:
            assert set(journal.answers) == {"k0"}
            # the second request may have been charged for
            assert journal.spent == Tokens(100, 261) and journal.unsettled == 1
            journal.done(journal.sent(MOST), Tokens(1, 1), key="k2", answer=Answer("new"))
        lines = path.read_text("utf-8").splitlines()
        assert [json.loads(line) for line in lines][-1]["answer"] == "new"


def test_a_line_that_lacks_its_end_alone_is_kept(path):
    whole = path.read_bytes()
    path.write_bytes(whole.rstrip(b"\n"))
    with Journal(path) as journal:
        assert set(journal.answers) == {"k0", "k1"}
        journal.sent(MOST)
    assert path.read_bytes().startswith(whole)


def test_a_damaged_line_in_the_middle_is_named(path):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], b"{oops\n", *lines[1:]]))
    with pytest.raises(InputError, match="line 2: is damaged"):
        Journal(path).read()


def test_two_runs_do_not_write_to_one_file(path):
    with Journal(path):
        with pytest.raises(InputError, match="another run is writing"):
            Journal(path).__enter__()
    with Journal(path) as journal:
        assert len(journal.answers) == 2


def test_what_was_sent_and_never_settled_counts_at_its_most(path):
    with Journal(path) as journal:
        journal.sent(MOST)
    with Journal(path) as journal:
        assert journal.spent == Tokens(20 + 90, 10 + 256)
        assert journal.sent(MOST) == 3
