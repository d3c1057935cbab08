"""Real tokenizer files, in the layouts in which they are published, through their tasks."""

from __future__ import annotations

import csv
import importlib
import json
import shutil

import pytest
import torch
from datasets import Dataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from peft import PeftModel
from real_tokenizers import ENCODERS, GENERATORS, LAYOUTS, real_texts
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import frtune
from conftest import TOKENIZERS
from frtune import InputError, KeyphraseGeneration, KeywordExtraction, SequenceClassification
from frtune.data.token_ids import token_ids
from frtune.models import tokenizer as tokenizer_module
from frtune.models import tokenizer_files
from frtune.models.checkpoint_files import read_config
from frtune.models.families import FAMILIES
from frtune.models.loading import load_saved
from frtune.models.tokenizer import load_tokenizer
from frtune.models.tokenizer_verification import prove_texts, prove_tokenizer, unknown_rate
from frtune.tasks.alignment import END_OF_WORD, tokenize
from frtune.tasks.spans import find_keywords, keyword_key
from frtune.tasks.token_labels import label_tokens, read_labels

ROWS = [
    {
        "text": text,
        "keyphrases": text.split()[1:3],
        "keywords": text.split()[1:2],
        "label": "ab"[i % 2],
    }
    for i, text in enumerate(
        [
            "Le conseil municipal a voté\nle budget de la cantine.",
            "서울시는 올해 예산안을 확정했다고 밝혔다.",
            "The mayor opened a library near the theatre.",
            "L’été, la forêt  brûlée sera replantée.",
        ]
    )
]


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path_factory):
    """Pickled weights are converted into the tests' own folder."""
    monkeypatch.setenv("FRTUNE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="module")
def checkpoint(shared, tmp_path_factory):
    """``checkpoint("llama")``: the directory of a layout, written once."""
    folder, made = tmp_path_factory.mktemp("real"), {}

    def make(name):
        if not (shared / "data" / LAYOUTS[name].folder).is_dir():
            pytest.skip("these files are not here")
        if name not in made:
            made[name] = LAYOUTS[name].write(shared, folder / name.replace(" ", "-"))
        return made[name]

    return make


@pytest.fixture(scope="module")
def loaded(checkpoint):
    """``loaded("llama")``: a layout's tokenizer, loaded once."""
    found = {}

    def load(name):
        if name not in found:
            directory = checkpoint(name)
            family = FAMILIES[LAYOUTS[name].family]
            found[name] = load_tokenizer(directory, family, read_config(directory))
        return found[name]

    return load


@pytest.fixture(scope="module")
def texts(shared):
    return real_texts(shared)


# --- ids and places ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LAYOUTS)
def test_real_texts_get_the_ids_of_the_reference_library(checkpoint, loaded, texts, name):
    reference = LAYOUTS[name].encoder(checkpoint(name))
    every = [text for each in texts.values() for text in each]
    assert len(every) == 3600
    found = token_ids(every, loaded(name))
    different = [text for text, ids in zip(every, found, strict=True) if reference(text) != ids]
    assert different == []


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_real_tokenizer_passes_its_proof(checkpoint, loaded, caplog, name):
    kind = FAMILIES[LAYOUTS[name].family].kind
    report = prove_tokenizer(loaded(name), checkpoint=checkpoint(name), kind=kind)
    assert report.equals_file is (None if LAYOUTS[name].reference == "moses" else True)
    assert "beside it" not in caplog.text


@pytest.mark.parametrize("name", ENCODERS)
def test_keyword_spans_fall_on_the_texts_characters(shared, loaded, name):
    path = shared / "data" / "fr_keys_youtube_wikinews" / "validation.csv"
    if not path.is_file():
        pytest.skip("no keyword data here")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))[:300]
    given = [row["text"] for row in rows]
    wanted = exact = 0
    for row, text, tokens in zip(rows, given, tokenize(given, loaded(name)), strict=True):
        spans = find_keywords(text, row["keywords"].split(";")).spans
        found = read_labels(label_tokens(tokens, spans, "all"), tokens.spans, text)
        places = {(each.start, each.end) for each in found}
        wanted += len(spans)
        for start, end in spans:
            # one token may reach beyond a keyword: "est-à-dire"
            wider = any(a < start < b or a < end < b for a, b in tokens.spans)
            assert (start, end) in places or wider, (text, text[start:end])
            exact += (start, end) in places
    assert exact / wanted > 0.98 and wanted > 1000


def test_flauberts_tokens_are_the_letters_they_stand_on(loaded, texts):
    tokenizer = loaded("flaubert")
    given = texts["French"][:300]
    for text, tokens in zip(given, tokenize(given, tokenizer), strict=True):
        pieces = tokenizer.convert_ids_to_tokens(tokens.ids)
        for piece, (start, end) in zip(pieces, tokens.spans, strict=True):
            if piece.removesuffix(END_OF_WORD).isalnum():
                assert keyword_key(piece.removesuffix(END_OF_WORD)) == keyword_key(text[start:end])


@pytest.mark.parametrize("name", LAYOUTS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(max_size=40), min_size=1, max_size=4))
def test_any_unicode_goes_through_a_real_tokenizer(loaded, name, texts):
    goes_through(loaded(name), texts)


@pytest.mark.parametrize(("family", "kind"), TOKENIZERS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(max_size=40), min_size=1, max_size=4))
def test_any_unicode_goes_through_a_tiny_tokenizer(tiny_tokenizer, family, kind, texts):
    goes_through(tiny_tokenizer(family, kind), texts)


@pytest.fixture(scope="module")
def tiny_tokenizer(tiny):
    found = {}

    def load(family, kind):
        if (family, kind) not in found:
            directory = tiny(family, kind)
            tokenizer = load_tokenizer(directory, FAMILIES[family], read_config(directory))
            found[family, kind] = tokenizer
        return found[family, kind]

    return load


def goes_through(tokenizer, texts):
    """Texts are encoded, decoded and aligned, and every place lies inside the text."""
    for ids in token_ids(texts, tokenizer, special=True):
        assert all(0 <= i < len(tokenizer) for i in ids)
        assert isinstance(tokenizer.decode(ids), str)
    for text, tokens in zip(texts, tokenize(texts, tokenizer), strict=True):
        assert len(tokens.ids) == len(tokens.spans) == len(tokens.word_starts)
        assert all(0 <= start <= end <= len(text) for start, end in tokens.spans)


# --- through the tasks ---------------------------------------------------------------------------


def task_of(name, *, lora):
    if name in GENERATORS:
        return KeyphraseGeneration(max_source_tokens=32, max_target_tokens=8)
    if lora:
        return KeywordExtraction(max_source_tokens=32)
    return SequenceClassification(labels=["a", "b"], max_source_tokens=32)


def trained(task, directory, output, *, lora):
    model, tokenizer = frtune.build_model(
        task, checkpoint=directory, lora=frtune.lora_config(r=2) if lora else None
    )
    args = frtune.training_arguments(
        task, str(output), max_steps=2, learning_rate=1e-2, per_device_train_batch_size=2,
        bf16=False, eval_strategy="no", save_strategy="no", load_best_model_at_end=False,
        disable_tqdm=True,
    )  # fmt: skip
    trainer = task.trainer(model, tokenizer, args, train_dataset=Dataset.from_list(ROWS))
    trainer.train()
    return trainer


QUICK = {
    ("camembert", False), ("llama", False), ("camembert sentencepiece", True), ("flaubert", True),
    ("kobart", True), ("gptj", True), ("llama unnamed", True),
}  # fmt: skip
RUNS = [
    pytest.param(name, lora, marks=[] if (name, lora) in QUICK else pytest.mark.slow)
    for name in LAYOUTS
    for lora in (False, True)
]


@pytest.mark.parametrize(("name", "lora"), RUNS)
def test_a_real_checkpoint_goes_through_its_task(checkpoint, loaded, texts, tmp_path, name, lora):
    task = task_of(name, lora=lora)
    trainer = trained(task, checkpoint(name), tmp_path / "run", lora=lora)
    saved = frtune.save(trainer, tmp_path / "model")  # which proves it
    predictor = frtune.load(saved, bf16=False, device="cpu")
    given = [row["text"] for row in ROWS]
    assert len(predictor.predict(given)) == len(given)
    again = load_saved(saved, task)[1]
    sample = [*given, *texts["French"][:50], *texts["Korean"][:50]]
    for special in (False, True):
        ids = token_ids(sample, trainer.processing_class, special=special)
        assert token_ids(sample, again, special=special) == ids
    assert token_ids(sample, loaded(name)) == token_ids(sample, again)


# --- rows of the embedding -----------------------------------------------------------------------


CAMEMBERTS = [name for name in ENCODERS if name.startswith("camembert")]


@pytest.mark.parametrize("name", CAMEMBERTS)
def test_camembert_gets_no_row_for_a_token_of_its_class(checkpoint, loaded, tmp_path, name):
    tokenizer = loaded(name)
    assert len(tokenizer) == 32005
    assert max(tokenizer("<s>NOTUSED </s>NOTUSED <unk>NOTUSED <mask>")["input_ids"]) < 32005
    tokenizer.save_pretrained(tmp_path)
    shutil.copy(checkpoint(name) / "config.json", tmp_path)
    again = load_tokenizer(tmp_path, FAMILIES["camembert"], read_config(tmp_path))
    assert len(again) == 32005 and again.get_vocab() == tokenizer.get_vocab()
    model, _ = frtune.build_model(task_of(name, lora=False), checkpoint=checkpoint(name))
    assert model.config.vocab_size == 32005


@pytest.mark.parametrize("name", ["camembert published", "flaubert", "phi2"])
def test_an_adapter_that_needs_no_rows_opens_in_plain_peft(checkpoint, tmp_path, name):
    task = task_of("camembert", lora=False)
    trainer = trained(task, checkpoint(name), tmp_path / "run", lora=True)
    saved = frtune.save(trainer, tmp_path / "model")
    base = AutoModelForSequenceClassification.from_pretrained(
        checkpoint(name), num_labels=2, pad_token_id=trainer.model.config.pad_token_id
    )
    plain = PeftModel.from_pretrained(base, str(saved)).eval()
    ids = torch.tensor([[5, 9, 300, 6]])
    with torch.no_grad():
        expected = trainer.model.eval()(input_ids=ids).logits
        assert torch.allclose(plain(input_ids=ids).logits, expected, atol=1e-6)


def test_an_adapter_that_was_saved_with_a_row_too_many_opens(checkpoint, tmp_path, monkeypatch):
    task = task_of("camembert", lora=False)
    with monkeypatch.context() as patched:
        patched.setattr(tokenizer_module, "_drop_rowless", lambda *_: None)  # as 0.1.0 did
        trainer = trained(task, checkpoint("camembert"), tmp_path / "run", lora=True)
        assert trainer.model.config.vocab_size == 32006
        saved = frtune.save(trainer, tmp_path / "model")
    predictor = frtune.load(saved, bf16=False, device="cpu")
    assert predictor.model.config.vocab_size == 32006
    assert len(predictor.predict([ROWS[0]["text"]])) == 1


def test_spare_rows_are_used_before_the_embedding_grows(checkpoint):
    task = task_of("phi2", lora=False)
    phi2, gptj = (frtune.build_model(task, checkpoint=checkpoint(n)) for n in ("phi2", "gptj"))
    assert phi2[0].config.vocab_size == 51200 and len(phi2[1]) == 50299
    assert gptj[0].config.vocab_size == len(gptj[1]) == 50404  # all its rows were taken


# --- unknown text --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CAMEMBERTS)
def test_camembert_does_not_know_half_of_korean(loaded, texts, name):
    assert 0.4 < unknown_rate(loaded(name), texts["Korean"]) < 0.5
    assert unknown_rate(loaded(name), texts["French"]) < 0.001


def test_korean_texts_are_warned_about_with_camembert(loaded, texts, caplog):
    prove_texts(loaded("camembert published"), texts["Korean"])
    assert "of the texts' tokens are unknown" in caplog.text


# --- FlauBERT ------------------------------------------------------------------------------------


def test_flaubert_uncased_writes_lower_case_and_says_so(checkpoint, loaded, tmp_path):
    plain = AutoTokenizer.from_pretrained(checkpoint("flaubert"))
    assert plain.tokenize("Paris") != ["paris</w>"]  # or it is heard, and so may its remedy go
    assert loaded("flaubert").tokenize("Paris") == ["paris</w>"]
    loaded("flaubert").save_pretrained(tmp_path)
    assert AutoTokenizer.from_pretrained(tmp_path).tokenize("Paris") == ["paris</w>"]


def test_flaubert_that_was_saved_without_lower_case_keeps_it(checkpoint, tmp_path):
    directory = tmp_path / "cased"
    shutil.copytree(checkpoint("flaubert"), directory)
    AutoTokenizer.from_pretrained(directory).save_pretrained(directory)  # do_lowercase: false
    found = load_tokenizer(directory, FAMILIES["flaubert"], read_config(directory))
    assert found.tokenize("Paris") != ["paris</w>"]


@pytest.mark.parametrize("space", ["\n", "\r\n", "\t", "\x0b", "\x85", "\u2028"])
def test_flauberts_words_end_at_the_end_of_a_line(loaded, space):
    text, blank = f"mot{space}second", f"mot{' ' * len(space)}second"
    assert token_ids([text], loaded("flaubert")) == token_ids([blank], loaded("flaubert"))
    (tokens,) = tokenize([text], loaded("flaubert"))
    assert [text[a:b] for a, b in tokens.spans] == ["mot", "second"]
    assert tokens.ids == token_ids([text], loaded("flaubert"))[0]


# --- what is missing or wrong --------------------------------------------------------------------


def test_a_tokenizer_that_was_made_without_the_space_in_front_is_an_error(checkpoint):
    generic = AutoTokenizer.from_pretrained(checkpoint("llama unnamed"))
    with pytest.raises(InputError, match=r"other ids than its own tokenizer\.model"):
        prove_tokenizer(generic, checkpoint=checkpoint("llama unnamed"), kind="decoder")


def test_llama_without_a_class_begins_a_text_as_with_one(loaded):
    text = "L'été, 서울시"
    assert loaded("llama unnamed")(text)["input_ids"] == loaded("llama")(text)["input_ids"]


def test_a_sentencepiece_model_that_differs_from_tokenizer_json_is_warned_about(
    checkpoint, loaded, tmp_path, caplog
):
    shutil.copytree(checkpoint("camembert"), tmp_path / "other")
    model = checkpoint("llama") / "tokenizer.model"
    shutil.copy(model, tmp_path / "other" / "sentencepiece.bpe.model")
    prove_tokenizer(loaded("camembert"), checkpoint=tmp_path / "other")
    assert "other ids than tokenizer.json beside it" in caplog.text


def load_without(directory, family, *names):
    for name in names:
        (directory / name).unlink()
    return load_tokenizer(directory, FAMILIES[family], read_config(directory))


@pytest.mark.parametrize(
    ("name", "removed", "said"),
    [
        ("camembert", ["tokenizer.json"], "Copy tokenizer.json, or sentencepiece.bpe.model, there"),
        ("gptj", ["tokenizer.json", "vocab.json", "merges.txt"], "or vocab.json and merges.txt"),
        ("gptj", ["tokenizer.json", "merges.txt"], "Copy the tokenizer's files there"),
        ("phi2", ["tokenizer.json", "vocab.json", "merges.txt"], "or vocab.json and merges.txt"),
        ("llama", ["tokenizer.model"], "Copy tokenizer.json, or tokenizer.model, there"),
        ("llama unnamed", ["tokenizer.model"], "Copy the tokenizer's files there"),
        ("kobart", ["tokenizer.json"], "Copy tokenizer.json, or vocab.json and merges.txt, there"),
        ("flaubert", ["vocab.json"], "Copy the tokenizer's files there"),
    ],
)
def test_a_tokenizers_missing_file_is_named(checkpoint, tmp_path, name, removed, said):
    directory = tmp_path / "part"
    shutil.copytree(checkpoint(name), directory)
    with pytest.raises(InputError, match=said):
        load_without(directory, LAYOUTS[name].family, *removed)


def test_a_broken_sentencepiece_model_is_named(checkpoint, tmp_path):
    directory = tmp_path / "cut"
    shutil.copytree(checkpoint("llama"), directory)
    model = directory / "tokenizer.model"
    model.write_bytes(model.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"tokenizer\.model: is not a whole tokenizer"):
        load_without(directory, "llama")


def test_a_missing_package_is_not_blamed_on_the_files(checkpoint, monkeypatch):
    def without(*_, **__):
        raise ImportError("requires the protobuf library")

    for name in (tokenizer_files.__name__, "transformers.convert_slow_tokenizer"):
        monkeypatch.setattr(importlib.import_module(name), "import_protobuf", without)
    with pytest.raises(ImportError, match=r"tokenizer\.model: needs protobuf.*pip install"):
        load_without(checkpoint("llama"), "llama")


def test_kobarts_merges_with_line_ends_in_them_are_refused(shared, checkpoint, tmp_path):
    directory = tmp_path / "merges"
    shutil.copytree(checkpoint("kobart"), directory)
    (directory / "tokenizer.json").unlink()
    for name in ("vocab.json", "merges.txt"):
        source = shared / "data" / LAYOUTS["kobart"].folder / f"emji_tokenizer-{name}"
        shutil.copyfile(source, directory / name)
    assert len(json.loads((directory / "vocab.json").read_text("utf-8"))) == 30000
    with pytest.raises(InputError, match="its tokenizer cannot be read"):
        load_without(directory, "bart")
