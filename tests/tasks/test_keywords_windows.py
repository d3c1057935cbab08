"""Where tokens stand in a text, and how long texts are cut into windows and put together."""

import random
import re
import unicodedata
from typing import get_args

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from frtune import InputError, KeywordExtraction
from frtune.metrics import tagged_spans
from frtune.models import tiny_tokenizers
from frtune.models.families import FAMILIES
from frtune.models.tokenizer import load_tokenizer
from frtune.tasks.alignment import align, tokenize
from frtune.tasks.spans import Span, plain
from frtune.tasks.token_labels import Subwords, label_tokens, read_labels
from frtune.tasks.windows import frame_of, plan_windows
from kinds import ENCODERS

ODD = [
    "L'opération a coûté 1 234,56 € (dont 20 % de T.V.A.)…",
    "« L’été », dit-elle ; aujourd'hui, c'est “fini” – enfin — presque !",
    "la com\u00admune et l'e\u0301cole, nai\u0308ve",
    "un chat \U0001f642 et une famille \U0001f468‍\U0001f469‍\U0001f467 ici \u2764\ufe0f",
    "une ligne\nl'autre\r\n\tla fin  double",
    "arc-en-ciel, va-t-il ? J.-P. et M. Dupont ; n° 3, 2e, 12h30",
    "http://exemple.fr/été?a=1&b=2 et moi@exemple.fr",
    "l'œuvre ﬁnale, ½ tasse, x², 5 °C, Σ et ß",
    "…… ''deux'' ``accents`` ‹simple› „bas“",
    "\u200bzéro\ufefflargeur\u2009fine",
    "",
    "   ",
]


@pytest.fixture(scope="module")
def tokenizers(tiny):
    from transformers import AutoConfig

    return {
        name: load_tokenizer(tiny(name), FAMILIES[name], AutoConfig.from_pretrained(tiny(name)))
        for name in ENCODERS
    }


# --- the aligner ---------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ODD)
@pytest.mark.parametrize("name", [name for name in ENCODERS if FAMILIES[name].extra is None])
def test_the_aligner_agrees_with_the_offsets_of_fast_tokenizers(tokenizers, name, text):
    tokenizer, text = tokenizers[name], plain(text).text
    wordpiece = FAMILIES[name].tiny.tokenizers[None] is tiny_tokenizers.wordpiece
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    pieces = []
    for token, index in zip(encoded.tokens(), encoded["input_ids"], strict=True):
        token = token.removeprefix("##") if wordpiece else token.replace("▁", "")
        pieces.append(None if index == tokenizer.unk_token_id and wordpiece else token)
    for piece, ours, theirs in zip(pieces, align(pieces, text), encoded["offset_mapping"],
                                   strict=True):  # fmt: skip
        if piece is None:  # several unknown ones in a row share what no neighbour claims
            assert ours.start <= theirs[1] and theirs[0] <= ours.end
        elif piece:  # fast tokenizers give a lone ▁ the letter after it
            assert ours == theirs, (piece, text[slice(*ours)], text[slice(*theirs)])


@pytest.mark.parametrize("text", ODD)
def test_flaubert_tokens_stand_where_their_letters_are(tokenizers, text):
    tokenizer = tokenizers["flaubert"]
    (tokens,) = tokenize([text], tokenizer)
    pieces = [p.removesuffix("</w>") for p in tokenizer.tokenize(plain(text).text)]
    assert len(tokens.ids) == len(tokens.spans) == len(pieces)
    last = 0
    for piece, (start, end) in zip(pieces, tokens.spans, strict=True):
        assert last <= end <= len(text) and start <= end
        last = end
        if piece.isalnum() and piece.isascii():
            assert unicodedata.normalize("NFKC", text[start:end]).replace("\u00ad", "") == piece
    letters = {i for i, char in enumerate(text) if char.isalnum()}
    assert letters <= {i for start, end in tokens.spans for i in range(start, end)}


def test_flaubert_and_fast_tokenizers_give_words_the_same_place(tokenizers):
    text = "L’e\u0301cole «\u00a0primaire\u00a0» de la com\u00admune\u2026 aujourd’hui, 120 lits"
    places = {}
    for name, tokenizer in tokenizers.items():
        (tokens,) = tokenize([text], tokenizer)
        places[name] = {
            word: (text.index(word) in {s.start for s in tokens.spans})
            and (text.index(word) + len(word) in {s.end for s in tokens.spans})
            for word in ("e\u0301cole", "primaire", "com\u00admune", "aujourd", "hui", "120")
        }
    assert all(all(found.values()) for found in places.values()), places


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=50))
@example("\ud800 moitié")
def test_any_text_gets_ordered_offsets(tokenizers, text):
    for tokenizer in tokenizers.values():
        (tokens,) = tokenize([text], tokenizer)
        assert len(tokens.ids) == len(tokens.spans) == len(tokens.word_starts)
        assert all(0 <= start <= end <= len(text) for start, end in tokens.spans)
        assert [s.start for s in tokens.spans] == sorted(s.start for s in tokens.spans)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text("abé1", min_size=3, max_size=6), max_size=12), st.data())
def test_the_aligner_finds_tokens_again_past_what_was_dropped(words, data):
    text, expected = "", []
    for word in words:
        text += data.draw(st.sampled_from([" ", "  ", "\u200d", "~", " ~~ ", "~\u200d"]))
        expected.append((len(text), len(text) + len(word)))
        text += word
    assert align(words, text) == expected


def test_tokens_in_the_middle_of_a_word_start_none(tokenizers):
    for name, tokenizer in tokenizers.items():
        text = "L'opération dure 1,5 h"
        (tokens,) = tokenize([text], tokenizer)
        starts = [s.start for s, is_start in zip(tokens.spans, tokens.word_starts, strict=True)
                  if is_start]  # fmt: skip
        assert {0, 2, 12, 17, 21} <= set(starts), name
        assert not set(starts) & set(range(3, 11)), name


# --- windows -------------------------------------------------------------------------------------

LAYOUT = st.integers(1, 40).flatmap(
    lambda size: st.tuples(st.integers(0, 200), st.just(size), st.integers(0, size // 2))
)


@settings(max_examples=100, deadline=None)
@given(LAYOUT, st.randoms())
def test_every_token_belongs_to_one_window_that_reads_it(layout, random):
    tokens, size, overlap = layout
    for word_starts in (None, [random.random() < 0.4 for _ in range(tokens)]):
        windows = plan_windows(tokens, size, overlap, word_starts)
        owned = [i for w in windows for i in range(w.own_start, w.own_end)]
        assert owned == list(range(tokens))
        for window in windows:
            assert window.start <= window.own_start <= window.own_end <= window.end
            assert window.end - window.start <= size
            assert window.own_start < window.own_end or tokens == 0


@settings(max_examples=100, deadline=None)
@given(LAYOUT, st.data())
def test_no_span_is_lost_at_a_seam_even_if_a_span_cut_by_a_window_is_not_seen(layout, data):
    tokens, size, overlap = layout
    longest = max(1, overlap // 2)
    true, at = [], 0
    while at < tokens:
        length = data.draw(st.integers(1, longest))
        true.append((at, min(at + length, tokens)))
        at += length + data.draw(st.integers(0, 5))
    stitched = []
    for window in plan_windows(tokens, size, overlap):
        labels = [0] * tokens
        for start, end in true:
            if window.start <= start and end <= window.end:
                labels[start:end] = [1, *[2] * (end - start - 1)]
        stitched += labels[window.own_start : window.own_end]
    assert tagged_spans(stitched) == true


@settings(max_examples=30, deadline=None)
@given(
    st.integers(8, 40).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, (n - 4) // 2))),
    st.lists(st.sampled_from(["eau", "été", "mot", "vent d'ouest", "C++", "."]), max_size=60),
    st.sampled_from(get_args(Subwords)),
    st.sampled_from(ENCODERS),
)
def test_planted_keywords_survive_any_window_of_a_real_tokenizer(
    tokenizers, layout, words, subwords, name
):
    from datasets import Dataset

    size, overlap = layout
    task = KeywordExtraction(max_source_tokens=size, overlap_tokens=overlap, subwords=subwords)
    text = "le " + " ".join(words) + " fin"
    row = {"text": text, "keywords": ["été", "vent d'ouest", "C++"]}
    batch = {name: [value, value] for name, value in row.items()}
    encoded = task.encode(batch, tokenizers[name])
    assert max(encoded["length"]) <= size
    owners = encoded.pop("row_in_batch")
    encoded["text"] = [
        text if i == 0 or owners[i - 1] != owner else None for i, owner in enumerate(owners)
    ]
    outputs = [np.array([max(label, 0) for label in labels]) for labels in encoded["labels"]]
    rows = task.decode(outputs, Dataset.from_dict({**encoded, "row": owners}))
    expected = task.occurrences(row).spans
    assert [[(f.start, f.end) for f in found] for found in rows] == [expected, expected]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from([*ODD, "progressif", "logiciels", "les logiciels d'été,"]), max_size=6
    ),
    st.sampled_from(["", " ", " l'", "-", "."]),
    st.randoms(use_true_random=False),
    st.sampled_from(["first", "word"]),
    st.sampled_from(ENCODERS),
    st.booleans(),
)
@example(["logiciels progressifs"], " ", random.Random(1), "word", "bert", True)
def test_no_answer_by_word_divides_a_word(
    tokenizers, parts, between, draw, subwords, name, as_labels
):
    from datasets import Dataset

    text = "le " + between.join(parts)
    task = KeywordExtraction(max_source_tokens=24, overlap_tokens=4, subwords=subwords)
    encoded = task.encode({"text": [text]}, tokenizers[name], with_labels=False)
    count = len(encoded["input_ids"])
    outputs = [
        np.array([[draw.random() for _ in range(3)] for _ in ids]) for ids in encoded["input_ids"]
    ]
    outputs = [o.argmax(-1) for o in outputs] if as_labels else outputs
    rows = {**encoded, "text": [text, *[None] * (count - 1)]}
    rows["row"] = rows.pop("row_in_batch")
    (answer,) = task.answers(outputs, Dataset.from_dict(rows), tokenizers[name])

    words = [word.span() for word in re.finditer(r"\w[\w\u0300-\u036f]*", text)]
    for place in ((k["start"], k["end"]) for k in answer["keywords"]):
        assert not [text[a:b] for a, b in words if any(a < at < b for at in place)]


@pytest.mark.parametrize(("size", "overlap"), [(0, 0), (4, 3), (4, -1)])
def test_a_layout_out_of_range_is_refused(size, overlap):
    with pytest.raises(InputError, match="overlap="):
        plan_windows(10, size, overlap)


def test_special_tokens_stand_around_the_text(tokenizers):
    for name, tokenizer in tokenizers.items():
        frame = frame_of(tokenizer)
        assert [len(frame.before), len(frame.after)] == [1, 1], name
        whole = list(tokenizer("été")["input_ids"])
        assert tuple(whole[:1]) == frame.before and tuple(whole[-1:]) == frame.after


# --- labels --------------------------------------------------------------------------------------


def test_labels_are_those_that_a_hand_would_write(tokenizers):
    text = "L'hôpital ouvre un service"
    (tokens,) = tokenize([text], tokenizers["bert"])
    labels = label_tokens(tokens, [Span(2, 9), Span(19, 26)])
    marked = [text[s.start : s.end] for s, label in zip(tokens.spans, labels, strict=True) if label]
    assert "".join(marked) == "hôpitalservice"
    assert labels.count(1) == 2
    first = label_tokens(tokens, [Span(2, 9), Span(19, 26)], "first")
    assert [label for label in first if label >= 0] == [0, 0, 1, 0, 0, 1]


def test_what_a_tokenizer_glued_to_a_word_is_left_out():
    text = "(l’été, le C++. »"
    spans = [Span(0, 7), Span(8, 10), Span(11, 15)]
    found = read_labels([1, 0, 1], spans, text, scores=[0.5, 0.9, 0.7])
    assert [(text[f.start : f.end], f.score) for f in found] == [("l’été", 0.5), ("C++.", 0.7)]


def test_tokens_that_share_a_character_are_one_keyword():
    """SentencePiece's lone ▁ stands at the first character of the word that follows it."""
    spans = [Span(0, 2), Span(3, 4), Span(3, 16), Span(16, 17)]
    found = read_labels([1, 1, 1, 0], spans, "un amortissement.", scores=[0.5, 0.6, 0.8, 1.0])
    assert found == [(0, 2, 0.5), (3, 16, pytest.approx(0.7))]
