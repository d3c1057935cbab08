"""Rows are tokenised once: kept, opened again, and never taken for another model's."""

import gc
import json
import os
import random
import subprocess
import sys
import time

import pytest
from datasets import Dataset, DatasetDict
from transformers import AutoConfig

from conftest import FAMILY_NAMES, TOKENIZERS
from frtune import (
    KeyphraseGeneration,
    KeywordExtraction,
    SequenceClassification,
    build_model,
    load_splits,
)
from frtune.data import token_ids as ids_module
from frtune.data.token_ids import token_ids
from frtune.errors import InputError
from frtune.training.encoding import encode_dataset, encode_once, is_encoded


def splits(count=24):
    texts = [f"le maire ouvre la ville {i}" for i in range(count)]
    rows = Dataset.from_dict({"text": texts, "label": [*"ab"] * (count // 2)})
    return DatasetDict(train=rows, test=rows.select(range(6)))


@pytest.fixture
def fitted(tiny):
    task = SequenceClassification().fit(splits())
    tokenizer = build_model(task, checkpoint=tiny("bert"))[1]
    return task, tokenizer


def changed(directory):
    return {path: path.stat().st_mtime_ns for path in directory.rglob("*") if path.is_file()}


def test_a_second_run_opens_what_the_first_kept(fitted, tmp_path):
    task, tokenizer = fitted
    kept = tmp_path / "tokenised"
    first = encode_once(splits(), kept, task, tokenizer, kind="encoder")
    before = changed(kept)
    again = encode_once(splits(), kept, task, tokenizer, kind="encoder")
    assert changed(kept) == before
    expected = task.encode(splits()["train"][:], tokenizer, kind="encoder")["input_ids"]
    assert list(first["train"]["input_ids"]) == list(again["train"]["input_ids"]) == expected
    assert [path.name for path in tmp_path.iterdir()] == ["tokenised"]


@pytest.mark.parametrize("what", ["rows", "task", "tokenizer"])
def test_other_rows_tasks_and_tokenizers_are_tokenised_anew(what, fitted, tiny, tmp_path):
    task, tokenizer = fitted
    kept = tmp_path / "tokenised"
    encode_once(splits(), kept, task, tokenizer, kind="encoder")
    data = splits(30) if what == "rows" else splits()
    if what == "task":
        task = SequenceClassification(max_source_tokens=8).fit(data)
    if what == "tokenizer":
        tokenizer = build_model(task, checkpoint=tiny("camembert"))[1]
    found = encode_once(data, kept, task, tokenizer, kind="encoder")
    expected = task.encode(data["train"][:], tokenizer, kind="encoder")["input_ids"]
    assert list(found["train"]["input_ids"]) == expected


def test_the_kept_rows_are_data_and_another_models_tokens_are_not_reused(
    fitted, tiny, tmp_path, caplog
):
    task, tokenizer = fitted
    encode_once(splits(), tmp_path / "kept", task, tokenizer, kind="encoder")
    data, notes = load_splits(tmp_path / "kept", cut=False)
    assert not notes and task.fit(data) == task
    for rows in data.values():
        assert is_encoded(rows, task, tokenizer, kind="encoder")
        assert encode_dataset(rows, task, tokenizer, kind="encoder") is rows
    drawn = data["train"].shuffle(seed=1).select(range(5))
    assert is_encoded(drawn, task, tokenizer, kind="encoder")
    other = build_model(task, checkpoint=tiny("camembert"))[1]
    encoded = encode_dataset(drawn, task, other, kind="encoder")
    assert "is tokenised again" in caplog.text
    assert list(encoded["input_ids"]) == task.encode(drawn[:], other, kind="encoder")["input_ids"]
    own = Dataset.from_dict({"input_ids": [[1, 2]], "labels": [0]})
    assert encode_dataset(own, task, other, kind="encoder") is own


def test_windows_of_another_tokenizer_are_refused(tiny):
    task = KeywordExtraction(max_source_tokens=16)
    rows = Dataset.from_dict({"text": ["le maire ouvre la ville " * 9], "keywords": [["maire"]]})
    tokenizers = [build_model(task, checkpoint=tiny(name))[1] for name in ("bert", "camembert")]
    encoded = encode_dataset(rows, task, tokenizers[0], kind="encoder")
    assert encode_dataset(encoded, task, tokenizers[0], kind="encoder") is encoded
    with pytest.raises(InputError, match="Give the rows as they were before"):
        encode_dataset(encoded, task, tokenizers[1], kind="encoder")


RUN = """
import sys, frtune
from frtune.training.encoding import encode_once
task = frtune.SequenceClassification()
data, _ = frtune.load_splits(sys.argv[1], stratify_by="label", max_train_rows=20, max_test_rows=2)
task = task.fit(data)
tokenizer = frtune.build_model(task, checkpoint=sys.argv[2])[1]
encode_once(data, sys.argv[3], task, tokenizer, kind="encoder")
"""


@pytest.mark.slow
def test_another_process_draws_the_same_rows_and_opens_the_same_tokens(tiny, tmp_path):
    path, kept = tmp_path / "rows.jsonl", tmp_path / "kept"
    lines = [json.dumps({"text": f"ligne {i}", "label": "ab"[i % 2]}) for i in range(40)]
    path.write_text("\n".join(lines))
    found = []
    for _ in range(2):
        command = [sys.executable, "-c", RUN, str(path), str(tiny("bert")), str(kept)]
        env = {**os.environ, "HF_DATASETS_CACHE": str(tmp_path / "cache")}
        subprocess.run(command, check=True, env=env)
        found.append(changed(kept))
        time.sleep(0.01)
    assert found[0] == found[1] and len(load_splits(kept)[0]["train"]) == 20


def opened(checkpoint):
    task = SequenceClassification(labels=["a", "b"])
    if AutoConfig.from_pretrained(checkpoint).is_encoder_decoder:
        task = KeyphraseGeneration()
    return build_model(task, checkpoint=str(checkpoint), proof=False)[1]


@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_ids_are_the_tokenizers_own_whatever_it_did_before(family, special, tiny):
    tokenizer = opened(tiny(family))
    texts = ["L'été, la forêt brûlée", "", "서울의 봄 <pad> </s>", "mot " * 200]
    expected = [tokenizer(text, add_special_tokens=special)["input_ids"] for text in texts]
    tokenizer(texts, padding="max_length", truncation=True, max_length=8)
    assert token_ids(texts, tokenizer, special=special) == expected


STRANGE = [
    " ",
    "  ",
    "\n",
    " \n ",
    "\u3000",
    "\t",
    " \u0301",
    "'",
    "…",
    "</s>",
    "<pad>",
    "ß",
    "x" * 40,
]


@pytest.mark.parametrize("enough", [1, 7, 40])
@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize(("family", "kind"), TOKENIZERS)
def test_long_texts_begin_with_the_same_ids(family, kind, special, enough, tiny, corpus):
    tokenizer = opened(tiny(family, kind))
    draw = random.Random(enough)
    words = [word for text in corpus for word in text.split()]
    texts = []
    for number in range(200):
        some = draw.choices(words, k=draw.randrange(120)) + draw.choices(STRANGE, k=number % 9)
        draw.shuffle(some)
        texts.append(draw.choice(["", " "]).join(some) if number % 3 == 0 else " ".join(some))
    whole = token_ids(texts, tokenizer, special=special)
    begun = token_ids(texts, tokenizer, special=special, enough=enough)
    last = 1 if special else 0  # EOS, at another place
    for all_ids, ids in zip(whole, begun, strict=True):
        assert (len(all_ids) > enough) == (len(ids) > enough)
        assert ids == all_ids or ids[: len(ids) - last] == all_ids[: len(ids) - last]


def words_are_worth_it(monkeypatch, characters):
    for name in ("CHARACTERS_WORTH_WORDS", "CHARACTERS_WORTH_KNOWN_WORDS"):
        monkeypatch.setattr(ids_module, name, characters)


@pytest.mark.parametrize(("family", "kind"), TOKENIZERS)
def test_texts_have_the_same_ids_when_each_word_is_encoded_once(
    family, kind, tiny, corpus, monkeypatch
):
    tokenizer, draw = opened(tiny(family, kind)), random.Random(1)
    specials = list(tokenizer.all_special_tokens)
    words = [word for text in corpus for word in text.split()] + ["l’eau", "ﬁn…", "日本", "«", "»"]
    for _ in range(3):  # words of the first texts are known in the next
        texts = [
            " ".join(draw.choices(words, k=30) + draw.choices([*STRANGE, *specials], k=n % 3))
            for n in range(60)
        ]
        for special, enough in ((True, None), (False, None), (True, 20), (True, 200)):
            words_are_worth_it(monkeypatch, 10**9)
            expected = token_ids(texts, tokenizer, special=special)
            words_are_worth_it(monkeypatch, 0)
            found = token_ids(texts, tokenizer, special=special, enough=enough)
            limit = 10**9 if enough is None else enough
            for all_ids, ids in zip(expected, found, strict=True):
                assert ids == all_ids or len(ids) > limit
                assert ids[: limit - 1] == all_ids[: limit - 1]


def test_a_changed_tokenizer_forgets_the_words_of_the_former(tiny, corpus, monkeypatch):
    words_are_worth_it(monkeypatch, 0)
    tokenizer = opened(tiny("bert"))
    before = token_ids(corpus[:5], tokenizer)
    added = corpus[0].split()[0]
    tokenizer.add_tokens([added])
    assert (
        before
        != token_ids(corpus[:5], tokenizer)
        == [tokenizer.encode(t, add_special_tokens=False) for t in corpus[:5]]
    )


def test_the_rest_of_long_texts_is_not_looked_at(tiny, corpus):
    tokenizer = opened(tiny("camembert"))
    texts = [" ".join(corpus[i % 7 : 7] * 20) for i in range(60)]
    whole, begun = token_ids(texts, tokenizer), token_ids(texts, tokenizer, enough=100)
    assert sum(map(len, begun[16:])) < 0.2 * sum(map(len, whole[16:]))


def test_an_added_token_with_a_space_is_not_cut_in_two(tiny, corpus):
    tokenizer = opened(tiny("camembert"))
    tokenizer.add_tokens(["[fin du texte]"])
    words = " ".join(corpus[:7]).split()
    texts = [f"{' '.join(words[i % 50 :])} {'[fin du texte] ' * 90}" for i in range(300)]
    whole = token_ids(texts, tokenizer)
    for enough in range(200, 300, 9):
        begun = token_ids(texts, tokenizer, enough=enough)
        assert [ids[:enough] for ids in begun] == [ids[:enough] for ids in whole]


def test_garbage_is_collected_again_after_a_batch(fitted):
    class Failing(SequenceClassification):
        def encode(self, *args, **options):
            assert not gc.isenabled()
            raise KeyError("text")

    task, tokenizer = fitted
    failing = Failing(labels=task.labels)
    with pytest.raises(KeyError):
        encode_dataset(splits()["test"], failing, tokenizer, kind="encoder")
    assert gc.isenabled()
