"""A DeepSpeed configuration that is none is refused with its file's name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from frtune.errors import InputError
from frtune.training.deepspeed_config import check_deepspeed

SHIPPED = sorted((Path(__file__).parents[2] / "deepspeed_configs").glob("*.json"))


def test_the_shipped_files_pass_also_as_a_dict_and_as_text():
    assert SHIPPED
    for path in SHIPPED:
        for given in (path, json.loads(path.read_text()), path.read_text()):
            check_deepspeed(given)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file"),
        ("", "is no JSON"),
        ("{", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("\x00", "is no JSON"),
        ("[1]", "holds no JSON object"),
        ("{}", 'has no "zero_optimization"'),
        ('{"zero_optimization": 3}', "zero_optimization is 3"),
        ('{"zero_optimization": {"stage": 4}}', "zero_optimization.stage: Input should be"),
        ('{"zero_optimization": {"overlap_com": true}}', "zero_optimization.overlap_com: Extra"),
        ('{"zero_optimization": {}, "gradient_cliping": 1}', 'Did you mean "gradient_clipping"'),
        ('{"zero_optimization": {}, "bf16": {"enable": true}}', "bf16.enable: Extra"),
    ],
)
def test_another_file_is_refused_by_name(content, message, tmp_path):
    path = tmp_path / "zero.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=r"deepspeed=.*zero\.json") as caught:
        check_deepspeed(path)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_directory_is_refused(tmp_path):
    with pytest.raises(InputError, match="is no file"):
        check_deepspeed(tmp_path)
