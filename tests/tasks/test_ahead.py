"""Korean is analysed while the model writes, and the scores find it analysed."""

from __future__ import annotations

import pytest
import torch
from datasets import Dataset

from frtune import KeyphraseGeneration, build_model
from frtune.metrics import morphemes, tokenizers
from frtune.tasks._ahead import analysed_ahead
from frtune.tasks.generated import Generated

TASK = KeyphraseGeneration(max_source_tokens=64, max_target_tokens=32)
GPU, CPU = torch.device("cuda"), torch.device("cpu")
KOREAN = Dataset.from_dict(
    {"text": ["서울의 봄", "부산의 여름"], "keyphrases": [["봄 소식"], ["여름"]]}
)
FRENCH = Dataset.from_dict({"text": ["le budget"], "keyphrases": [["budget"]]})


@pytest.fixture
def analysed(monkeypatch):
    """Lists of texts that Kiwi was asked for, in order."""
    monkeypatch.setenv("FRTUNE_CACHE", "")
    tokenizers._korean.cache_clear()
    asked = []

    def load(name):
        kiwi = morphemes.load_kiwi()
        return lambda texts: (
            asked.append(texts)
            or [[token.form for token in tokens] for tokens in kiwi.tokenize(texts)]
        )

    monkeypatch.setattr(morphemes, "_load", load)
    yield asked
    tokenizers._korean.cache_clear()


@pytest.fixture(scope="module")
def tokenizer(tiny):
    return build_model(TASK, checkpoint=str(tiny("polyglot")), proof=False)[1]


def _written(text, tokenizer):
    return Generated(tokenizer(text, add_special_tokens=False)["input_ids"], True)


def test_scores_analyse_nothing_anew(analysed, tokenizer):
    outputs = [_written("서울의 봄; 소식", tokenizer), _written("가을", tokenizer)]
    expected = TASK.score_outputs(outputs, KOREAN, tokenizer)
    tokenizers._korean.cache_clear()
    analysed.clear()
    with analysed_ahead(TASK, KOREAN, tokenizer, GPU) as each:
        for row in outputs:
            each([row])
    assert analysed[0] == ["봄 소식", "여름"], "references come first"
    assert len(analysed) == 3
    assert TASK.score_outputs(outputs, KOREAN, tokenizer) == expected
    assert len(analysed) == 3


@pytest.mark.parametrize(("rows", "device"), [(KOREAN, CPU), (FRENCH, GPU)])
def test_nothing_is_done_where_it_would_not_help(rows, device, analysed, tokenizer):
    with analysed_ahead(TASK, rows, tokenizer, device) as each:
        assert each is None
    assert not analysed


def test_an_error_in_the_background_does_not_end_the_generation(analysed, tokenizer):
    with analysed_ahead(TASK, KOREAN, tokenizer, GPU) as each:
        each([None])
    assert len(analysed) == 1
