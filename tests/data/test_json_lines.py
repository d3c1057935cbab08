"""Rows of JSON lines are the same whichever reader gives them."""

import pyarrow as pa
import pytest

from frtune.data import json_lines
from frtune.data.json_files import write_values
from frtune.data.json_lines import NotAlike, write_lines
from frtune.data.readers import numbered_rows
from frtune.data.reading import Reading

GOOD = '{"text": "un été", "keyphrases": ["a", null], "n": 1, "b": true}\n'
QUICK = [
    GOOD * 3,
    GOOD.replace("\n", "\r\n") * 2,
    GOOD + GOOD.strip(),
    '{"text": null, "n": 1}\n{"text": "2020-01-01"}\n',
    GOOD + '{"text": "12:30:00", "keyphrases": []}\n',
    GOOD + '{"te\\u0078t": "\\ud83d\\ude00 \\/ \\u0000 \u2028 }\\n{"}\n',
    GOOD + '{"n": -0, "text": ""}\n',
]
CAREFUL = [
    "", "\n", "[" + GOOD.strip() + "]", '{"text":\n"a"}\n', "\ufeff" + GOOD, " " + GOOD,
    GOOD + "\n" + GOOD, GOOD + "{}\n", GOOD.strip() + GOOD, GOOD + "[1]\n",
    *(GOOD + f'{{"text": {value}}}\n' for value in (
        '"a", "text": "b"', '"\\udc00"', '"\\ud800"', '"\t"', '"a\0"', '"\\x"', '"a",', "1", "[]",
        "NaN", '"a", "late": 1', '"a", "n": 1.5', '"a", "n": 1e3', '"a", "n": 9223372036854775808',
        '"a", "keyphrases": ["x", 1]', '"a", "e\u0301": 1',
    )),
    '{"x": 0.5}\n',
    '{"x": {"y": 1}}\n',
    '{"x": []}\n',
]  # fmt: skip


@pytest.fixture
def both(tmp_path, monkeypatch):
    monkeypatch.setattr(json_lines, "_FIRST_ROWS", 1)  # all but one are read by pyarrow alone
    path, found = tmp_path / "rows.jsonl", tmp_path / "rows.arrow"

    def rows(content: bytes) -> list:
        path.write_bytes(content)
        readings = []
        for read in (
            lambda: write_lines(path, found, Reading()),
            lambda: write_values(lambda: numbered_rows(path), path, found, Reading()),
        ):
            count = read()
            with pa.memory_map(str(found)) as file:
                table = pa.ipc.open_stream(file).read_all()
            readings.append((count, table.schema, table.to_pylist()))
        return readings

    return rows


def test_plain_lines_are_read_alike(both):
    for content in QUICK:
        quick, careful = both(content.encode())
        assert quick == careful, content


def test_whatever_is_not_plain_is_left_to_the_careful_reader(both):
    contents = [*(content.encode() for content in CAREFUL), GOOD.encode() + b'{"text": "\xff"}\n']
    for content in contents:
        with pytest.raises(NotAlike):
            both(content)
