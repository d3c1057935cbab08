"""Ids found by way of words are the tokenizer's own, of every family and whatever the text."""

from __future__ import annotations

import random

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from conftest import CORPUS, FAMILY_NAMES
from frtune.tasks import _words
from frtune.tasks._words import token_ids

FAST = [name for name in FAMILY_NAMES if name != "flaubert"]  # which has no fast tokenizer
SIGNS = (
    "  ", " \n", "\n", "\u00a0", "\u200b", "\u0301", " \u0301x", "▁", " ▁ ", "'s", " 's", "日本",
    "<extra_id_0>", "</s>", "<mask> ", "[MASK]", "<unk>", "(", " )", "한", "\u1161", "!?", "\t",
    "\u3000", "¨", "ﬁ", "👩\u200d🚒", "<|endoftext|>", "",
)  # fmt: skip


def odd_texts(count: int) -> list[str]:
    """Texts of the corpus, most with something that may matter to a tokenizer at a random place."""
    draw = random.Random(0)
    texts = []
    for i in range(count):
        words = draw.sample([word for text in CORPUS for word in text.split()], draw.randint(1, 9))
        text = " ".join(words)
        for _ in range(draw.choice((0, 0, 1, 2))):
            at = draw.randrange(len(text) + 1)
            text = text[:at] + draw.choice(SIGNS) + text[at:]
        texts.append(text if i else "")
    return texts


def plain(texts: list[str], tokenizer, special: bool) -> list[list[int]]:
    return tokenizer(texts, add_special_tokens=special, verbose=False)["input_ids"]


@pytest.mark.parametrize("family", [*FAST, "t5 byte-level", "bart byte-level"])
def test_ids_are_those_of_the_tokenizer(tiny, family):
    name, _, kind = family.partition(" ")
    folder = tiny(name, kind or None)
    tokenizer = AutoTokenizer.from_pretrained(folder) if not kind else (
        PreTrainedTokenizerFast.from_pretrained(folder)
    )  # fmt: skip
    tokenizer.add_tokens(["[generate keyphrases]"], special_tokens=True)
    texts = [*odd_texts(400), "a [generate keyphrases] b"]
    for special in (False, True):
        expected = plain(texts, tokenizer, special)
        assert token_ids(texts, tokenizer, special=special) == expected
        # again, now that the words are known
        assert token_ids(texts[::-1], tokenizer, special=special) == expected[::-1]
    by_words = _words._words_of(tokenizer)
    assert (by_words is not None) == (family != "llama")
    assert by_words is None or (by_words._proven and by_words._frame is not None)


def test_a_tokenizer_that_was_changed_is_read_anew(tiny):
    tokenizer = AutoTokenizer.from_pretrained(tiny("t5"))
    texts = ["le budget de la cantine"] * 60
    before = token_ids(texts, tokenizer)
    tokenizer.add_tokens(["budget"])
    assert token_ids(texts, tokenizer) == plain(texts, tokenizer, False) != before


def test_a_tokenizer_beyond_the_rules_is_found_out(monkeypatch):
    backend = Tokenizer(
        models.BPE({"a": 0, "b": 1, " ": 2, "a b": 3, "a ": 4}, [("a", " "), ("a ", "b")])
    )
    backend.pre_tokenizer = pre_tokenizers.Split("x", "removed")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend)
    assert _words._words_of(tokenizer) is None
    monkeypatch.setattr(_words, "rules_of", lambda content: _words._Rules(False, ()))
    _words._words.clear()
    assert token_ids(["a b"] * 60, tokenizer) == [[3]] * 60


def test_words_beyond_those_that_are_kept(tiny, monkeypatch):
    monkeypatch.setattr(_words, "_MOST_WORDS", 5)
    tokenizer = AutoTokenizer.from_pretrained(tiny("polyglot"))
    texts = odd_texts(100)
    assert token_ids(texts, tokenizer) == plain(texts, tokenizer, False)
    assert len(_words._words_of(tokenizer)._known) <= 5
