"""The board counts the rows' tokens as the run will."""

from __future__ import annotations

import json

import pytest

from frtune.board.token_lengths import token_lengths
from frtune.errors import InputError
from frtune.models.tiny import tiny_checkpoint
from frtune.tasks.config_file import task_class

TEXTS = ["Une facture d'électricité pour le bureau", "Loyer", "Gaz et eau " * 30]
ROWS = {
    "classification": ("bert", [{"text": text, "label": text[:1]} for text in TEXTS]),
    "keyphrases": ("t5", [{"text": text, "keyphrases": ["eau"]} for text in TEXTS]),
    "keywords": ("camembert", [{"text": text, "keywords": ["eau"]} for text in TEXTS]),
    "similarity": (
        "bert",
        [{"sentence1": t, "sentence2": "Un loyer", "label": i % 2} for i, t in enumerate(TEXTS)],
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_lengths_are_those_of_the_encoded_rows(name, tmp_path):
    family, rows = ROWS[name]
    checkpoint = str(tiny_checkpoint(family, TEXTS, tmp_path / family))
    (tmp_path / "data").mkdir()
    (tmp_path / "data/train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    plenty = token_lengths(tmp_path / "data", checkpoint, task_class(name)())
    assert plenty.counted == 3 and plenty.longer == 0 and plenty.limit > plenty.longest
    assert plenty.median < 60 < plenty.longest
    few = token_lengths(
        tmp_path / "data", checkpoint, task_class(name)(max_source_tokens=plenty.longest - 1)
    )
    assert (few.longer, few.longest) == (1, plenty.longest), "a row of just the limit is not cut"


def test_a_checkpoint_without_a_tokenizer_is_told(tmp_path):
    checkpoint = tiny_checkpoint("bert", TEXTS, tmp_path / "bert")
    for path in checkpoint.glob("token*"):
        path.unlink()
    (tmp_path / "data").mkdir()
    rows = [{"text": "a", "label": "b"}, {"text": "b", "label": "c"}]
    (tmp_path / "data/train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(InputError, match="tokenizer"):
        token_lengths(tmp_path / "data", str(checkpoint), task_class("classification")())
