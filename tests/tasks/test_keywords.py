"""Keyword extraction as a task: rows in, training, spans out."""

import csv
import dataclasses
import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from datasets import Dataset

import frtune
from frtune import InputError, KeywordExtraction, build_model, training_arguments
from frtune.tasks.config_file import load_task, save_task
from frtune.tasks.token_labels import Subwords
from frtune.training.encoding import encode_dataset
from kinds import ENCODERS

SAMPLE = Path(frtune.__file__).parent / "data" / "samples" / "keywords.jsonl"


@pytest.fixture(scope="module")
def rows():
    """32 short rows of the sample: the first sentence and the keywords in it."""
    task, found = KeywordExtraction(), []
    for line in SAMPLE.read_text("utf-8").splitlines():
        row = json.loads(line)
        text = row["text"].split(". ")[0]
        kept = [
            k for k in row["keywords"] if task.occurrences({"text": text, "keywords": [k]}).spans
        ]
        if kept:
            found.append({"text": text, "keywords": kept})
    return Dataset.from_list(found[:32])


@pytest.fixture(scope="module")
def built(tiny):
    """``built("bert")``: a fresh tiny model and its tokenizer."""
    return lambda family, **fields: build_model(
        KeywordExtraction(**fields), checkpoint=str(tiny(family)), proof=False
    )


def arguments(task, directory, **settings):
    return training_arguments(
        task,
        str(directory),
        **{
            "bf16": False, "use_cpu": True, "disable_tqdm": True, "eval_strategy": "no",
            "save_strategy": "no", "load_best_model_at_end": False, "logging_steps": 1,
            "report_to": "none", **settings,
        },
    )  # fmt: skip


# --- rows ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        ["eau", "sel"], "eau;sel", "eau; sel", "eau\nsel",
        "['eau', 'sel']", "['eau' 'sel']", '["eau", "sel"]',
    ],
)  # fmt: skip
def test_keyword_lists_are_read_however_they_are_written(value):
    task, row = KeywordExtraction(), {"text": "L'eau et le sel", "keywords": value}
    assert task.keywords(row) == ["eau", "sel"]
    task.check(Dataset.from_list([row]), "train")


def test_a_list_in_writing_is_not_run():
    row = {"text": "rien", "keywords": "[__import__('os').getcwd()]"}
    with pytest.raises(InputError, match="train, row 1: column keywords holds"):
        KeywordExtraction().check(Dataset.from_list([row]), "train")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "eau", "keywords": 7}, "holds a int, 7; a list of text"),
        ({"text": "eau", "keywords": {"eau": 1}}, "holds a dict"),
        ({"text": "eau", "keywords": "{'eau': 1}"}, "no list that can be read"),
        ({"text": "eau", "keywords": "['eau', "}, "no list that can be read"),
        ({"text": "eau", "keywords": [1, 2]}, "holds a list with 1 in it"),
        ({"text": "eau", "keywords": [[["eau"]]]}, "holds a list with"),
        ({"text": "eau", "keywords": float("nan")}, "holds no keywords"),
        ({"text": "eau", "keywords": " "}, "holds no keywords"),
        ({"text": " ", "keywords": ["eau"]}, "column text is blank"),
        ({"text": "\u00ad\u200b", "keywords": ["eau"]}, "column text is blank"),
        ({"text": "vent", "keywords": ["eau"]}, "no keyword of column keywords stands in its text"),
        ({"text": "vent", "keywords": []}, "no keyword of column keywords stands in its text"),
        ({"texte": "eau", "keywords": ["eau"]}, "has no column text"),
    ],
)
def test_rows_that_cannot_be_learnt_are_refused(row, message):
    with pytest.raises(InputError, match=message):
        KeywordExtraction().check(Dataset.from_list([row]), "train")


def test_the_wrong_separator_is_refused():
    rows = Dataset.from_dict({"text": ["eau, sel"] * 2, "keywords": ["eau, sel"] * 2})
    with pytest.raises(InputError, match="the separator '; ' is in none of 2 rows"):
        KeywordExtraction().check(rows, "train")
    KeywordExtraction(separator=", ").check(rows, "train")


def test_a_text_without_keywords_may_stand_among_others():
    rows = Dataset.from_dict({"text": ["eau", "vent"], "keywords": [["eau"], []]})
    assert KeywordExtraction().check(rows, "train") is None
    assert KeywordExtraction().references(rows) == [["eau"], []]


@pytest.mark.parametrize(
    "fields",
    [
        {"max_source_tokens": 4}, {"max_source_tokens": 32, "overlap_tokens": 15},
        {"overlap_tokens": -1}, {"subwords": "last"}, {"keyword_weight": 0.0},
        {"focal_gamma": -1.0}, {"separator": " "},
    ],
)  # fmt: skip
def test_fields_out_of_range_are_refused(fields):
    with pytest.raises(InputError, match=list(fields)[-1]):
        KeywordExtraction(**fields)


def test_the_task_is_saved_and_loaded(tmp_path):
    task = KeywordExtraction(subwords="first", keyword_weight=3, focal_gamma=1.5)
    save_task(task, tmp_path)
    assert load_task(tmp_path) == task


def test_the_sample_holds_all_its_keywords():
    task = KeywordExtraction()
    rows = [json.loads(line) for line in SAMPLE.read_text("utf-8").splitlines()]
    assert len(rows) == 150
    assert [row["id"] for row in rows if task.occurrences(row).missing] == []
    strict = dataclasses.replace(task, ignore_accents=False)
    assert sum(bool(strict.occurrences(row).missing) for row in rows) > 0


# --- encoding ------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ENCODERS)
@pytest.mark.parametrize("subwords", get_args(Subwords))
def test_true_labels_give_back_the_true_spans(built, rows, family, subwords):
    task = KeywordExtraction(subwords=subwords, max_source_tokens=16, overlap_tokens=4)
    _, tokenizer = built(family)
    encoded = encode_dataset(rows, task, tokenizer, kind="encoder")
    assert len(encoded) > len(rows) and max(encoded["length"]) <= 16
    assert sorted(set(encoded["row"])) == list(range(len(rows)))
    outputs = [np.maximum(labels, 0) for labels in encoded["labels"]]
    scores = task.score_outputs(outputs, encoded, tokenizer)
    assert scores["keyword_f1"] == scores["span_f1"] == scores["token_f1_macro"] == 1
    assert scores["token_accuracy_all_o"] < 1
    assert task.references(encoded) == task.references(rows) == list(rows["keywords"])
    found = [[k["text"] for k in answer["keywords"]]
             for answer in task.answers(outputs, encoded, tokenizer)]  # fmt: skip
    assert found == [[row["text"][a:b] for a, b in task.occurrences(row).spans] for row in rows]


def test_a_model_that_says_o_gets_no_keyword_score(built, rows):
    task, (_, tokenizer) = KeywordExtraction(), built("camembert")
    encoded = encode_dataset(rows, task, tokenizer, kind="encoder")
    scores = task.score_outputs([np.zeros(300, int) for _ in encoded], encoded, tokenizer)
    assert scores["token_accuracy"] == scores["token_accuracy_all_o"] > 0.5
    assert scores["keyword_f1"] == scores["span_f1"] == 0
    assert scores["token_f1_macro"] < 0.4
    assert set(scores) == set(task.metric_directions()) == set(task.signatures([]))
    assert set(task.headline) <= set(scores)


def test_special_tokens_and_padding_never_count(built, rows):
    task, (model, tokenizer) = KeywordExtraction(), built("bert")
    encoded = encode_dataset(rows, task, tokenizer, kind="encoder")
    examples = [encoded[i] for i in range(4)]
    batch = task.collator(model, tokenizer)(examples)
    assert set(batch) == {"input_ids", "attention_mask", "labels", "row"}
    special = [[i in tokenizer.all_special_ids and i != tokenizer.unk_token_id for i in ids]
               for ids in batch["input_ids"].tolist()]  # fmt: skip
    assert (batch["labels"][np.array(special)] == -100).all()
    assert (batch["labels"][batch["attention_mask"] == 0] == -100).all()
    counted = (batch["labels"] != -100).sum().item()
    assert counted == sum(len(example["starts"]) for example in examples)


def test_encoded_rows_keep_their_raw_columns_once(built):
    text = "Le vent d'ouest souffle. " * 60
    rows = Dataset.from_list([{"text": text, "keywords": "['vent']", "id": 5}] * 3)
    task, (_, tokenizer) = KeywordExtraction(max_source_tokens=64, overlap_tokens=16), built("bert")
    encoded = encode_dataset(rows, task, tokenizer, kind="encoder")
    assert len([t for t in encoded["text"] if t is not None]) == 3
    assert task.references(encoded) == [["vent"]] * 3
    with pytest.raises(InputError, match="its first window is missing"):
        task.references(encoded.select([1, 2]))


def test_what_was_not_labelled_is_told(built, caplog, tmp_path):
    rows = Dataset.from_list(
        [
            {
                "text": "la facture électronique " * 20,
                "keywords": ["facture électronique", "facture"],
            },
            {"text": "rien", "keywords": ["absent", "manquant"]},
        ]
    )
    task = KeywordExtraction(max_source_tokens=32, overlap_tokens=8)
    model, tokenizer = built("bert")
    task.trainer(model, tokenizer, arguments(task, tmp_path), train_dataset=rows)
    told = caplog.text
    assert "training: 2 of 4 keywords do not stand in their text" in told
    assert "1 of 2 texts hold none of their keywords" in told
    assert "20 occurrences of keywords lie under longer keywords" in told
    assert "1 of 2 texts are longer than max_source_tokens=32" in told


@pytest.mark.parametrize("family", ENCODERS)
def test_odd_texts_are_encoded_and_answered(built, family):
    texts = [
        "L\u2019e\u0301cole de la com\u00admune \U0001f642",
        "eau " * 5_000,
        "a" * 20_000,
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        "été\n\n\tfin\u00a0!",
        "[SEP] </s> <s> [CLS]",
    ]
    rows = Dataset.from_dict({"text": texts, "keywords": [["école", "fin", "eau"]] * len(texts)})
    task, (_, tokenizer) = KeywordExtraction(max_source_tokens=128), built(family)
    encoded = encode_dataset(rows, task, tokenizer, kind="encoder")
    rng = np.random.default_rng(0)
    outputs = [rng.normal(size=(length + 3, 3)) for length in encoded["length"]]
    answers = task.answers(outputs, encoded, tokenizer)
    assert len(answers) == len(texts)
    for text, answer in zip(texts, answers, strict=True):
        for keyword in answer["keywords"]:
            assert text[keyword["start"] : keyword["end"]] == keyword["text"] != ""
            assert 1 / 3 <= keyword["score"] <= 1
    assert task.score_outputs(outputs, encoded, tokenizer)["keyword_recall_limit"] > 0


def test_outputs_of_other_rows_are_refused(built, rows):
    task, (_, tokenizer) = KeywordExtraction(), built("bert")
    encoded = encode_dataset(rows, task, tokenizer, kind="encoder")
    with pytest.raises(InputError, match=r"len\(outputs\)=1"):
        task.answers([np.zeros(5)], encoded, tokenizer)


# --- training ------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ENCODERS)
@pytest.mark.parametrize("fields", [{}, {"keyword_weight": 4.0, "focal_gamma": 2.0}])
def test_loss_and_gradients_do_not_depend_on_how_a_step_is_cut(
    built, rows, tmp_path, family, fields
):
    import torch

    task = KeywordExtraction(max_source_tokens=24, overlap_tokens=4, **fields)
    found = []
    for size, steps in ((8, 1), (2, 4)):
        torch.manual_seed(0)  # the head is new
        model, tokenizer = built(family)
        for module in model.modules():
            if type(module).__name__ == "Dropout":
                module.p = 0.0
        for name in ("dropout", "attention_dropout"):  # FlauBERT's are numbers
            for module in model.modules():
                if isinstance(getattr(module, name, None), float):
                    setattr(module, name, 0.0)
        trainer = task.trainer(
            model,
            tokenizer,
            arguments(
                task, tmp_path, max_steps=2, per_device_train_batch_size=size,
                gradient_accumulation_steps=steps, train_sampling_strategy="sequential",
            ),
            train_dataset=rows,
        )  # fmt: skip
        trainer.train()
        found.append([(log["loss"], log["grad_norm"]) for log in trainer.state.log_history[:2]])
    assert np.array(found[0]) == pytest.approx(np.array(found[1]), rel=1e-4)
    assert found[0][0][0] == pytest.approx(found[1][0][0], abs=1e-5)


def test_a_batch_in_which_nothing_counts_has_no_loss():
    import torch

    loss = KeywordExtraction().loss(None, arguments(KeywordExtraction(), "unused"))
    logits = torch.zeros(1, 2, 3, requires_grad=True)
    value = loss({"logits": logits}, torch.full((1, 2), -100))
    value.backward()
    assert value.item() == 0


def test_focal_loss_by_hand():
    import torch

    task = KeywordExtraction(focal_gamma=2.0, keyword_weight=3.0)
    loss = task.loss(None, arguments(task, "unused"))
    logits = torch.log(torch.tensor([[[0.5, 0.25, 0.25], [0.2, 0.6, 0.2]]]))
    value = loss({"logits": logits}, torch.tensor([[0, 1]]))
    by_hand = (0.25 * -np.log(0.5) + 3 * 0.16 * -np.log(0.6)) / 2
    assert value.item() == pytest.approx(by_hand)


@pytest.fixture(scope="module", params=["bert-all", "bert-first", "bert-word", "camembert-all"])
def trained(request, tiny, rows, tmp_path_factory):
    """A model that has learnt 32 rows by heart: task, trainer, its directory."""
    family, subwords = request.param.split("-")
    task = KeywordExtraction(subwords=subwords)
    # the corpus of the fixture holds few of these words: a tokenizer of their own
    base = tmp_path_factory.mktemp("base") / family
    frtune.tiny_checkpoint(family, task.corpus(rows), base)
    directory = tmp_path_factory.mktemp("run")
    args = arguments(
        task, directory, num_train_epochs=45, learning_rate=2e-3, weight_decay=0.0,
        lr_scheduler_type="constant_with_warmup", warmup_steps=10,
        per_device_train_batch_size=8, gradient_accumulation_steps=1,
    )  # fmt: skip
    model, tokenizer = build_model(task, checkpoint=str(base))
    trainer = task.trainer(model, tokenizer, args, train_dataset=rows, eval_dataset=rows)
    trainer.train()
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    save_task(task, directory)
    return task, trainer, directory


def test_a_tiny_model_learns_rows_by_heart(trained):
    _, trainer, _ = trained
    scores = trainer.evaluate()
    assert scores["eval_keyword_f1"] > 0.9
    assert scores["eval_token_accuracy"] > scores["eval_token_accuracy_all_o"]


def test_a_saved_model_answers_with_the_same_spans(trained, rows):
    task, trainer, directory = trained
    encoded = trainer.encode(rows)
    trainer.predict(encoded)
    before = task.answers(trainer.outputs, encoded, trainer.processing_class)
    predictor = frtune.load(directory, bf16=False, device="cpu")
    after = predictor.predict(list(rows["text"]))
    assert sum(len(answer["keywords"]) for answer in before) > 30
    for one, two in zip(before, after, strict=True):
        places = [[(k["text"], k["start"], k["end"]) for k in x["keywords"]] for x in (one, two)]
        assert places[0] == places[1]
    assert all(0 < k["score"] <= 1 for answer in after for k in answer["keywords"])


def test_a_pipeline_gives_the_same_spans(trained, rows):
    from transformers import pipeline

    task, _, directory = trained
    strategy = "simple" if task.subwords == "all" else "first"
    tagger = pipeline("token-classification", model=str(directory),
                      aggregation_strategy=strategy, device="cpu")  # fmt: skip
    predictor = frtune.load(directory, bf16=False, device="cpu")
    unseen = ["L'opération du conseil, dit-on, coûte cher.", "Un vent d'ouest souffle sur la ville"]
    count = 0
    for text in [*rows["text"], *unseen]:
        ours = predictor.predict(text)[0]["keywords"]
        theirs = tagger(text)
        assert [(k["start"], k["end"]) for k in ours] == [(k["start"], k["end"]) for k in theirs]
        assert [k["score"] for k in ours] == pytest.approx([k["score"] for k in theirs], abs=1e-4)
        count += len(ours)
    assert count > 30


def test_a_card_has_lines_where_a_tokenizer_says_where_its_tokens_stand(built):
    task = KeywordExtraction()
    for family, expected in (("bert", True), ("camembert", True), ("flaubert", False)):
        _, tokenizer = built(family)
        assert bool(task.transformers_lines(tokenizer, "encoder")) == expected


def test_a_pipeline_of_flaubert_marks_the_same_words(built, rows, tmp_path):
    """FlauBERT's tokenizer gives a pipeline no offsets, so that words are compared."""
    from transformers import pipeline

    task, (model, tokenizer) = KeywordExtraction(subwords="all"), built("flaubert")
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    save_task(task, tmp_path)
    tagger = pipeline("token-classification", model=str(tmp_path), tokenizer=tokenizer,
                      aggregation_strategy="simple", device="cpu")  # fmt: skip
    predictor = frtune.load(tmp_path, bf16=False, device="cpu")
    for text in rows["text"][:8]:
        ours = predictor.predict(text)[0]["keywords"]
        theirs = tagger(text)
        assert len(ours) == len(theirs)
        assert [k["score"] for k in ours] == pytest.approx([k["score"] for k in theirs], abs=1e-4)


def test_a_long_text_is_answered_to_its_end(trained, rows):
    _, _, directory = trained
    predictor = frtune.load(directory, bf16=False, device="cpu")
    text = " ".join(f"{row}." for row in rows["text"]) * 2
    found = predictor.predict(text)[0]["keywords"]
    assert found[-1]["end"] > 0.9 * len(text)
    assert found == sorted(found, key=lambda k: k["start"])


# --- baselines and real data ---------------------------------------------------------------------


def test_baselines_need_no_model(rows):
    task = KeywordExtraction()
    train, test = rows.select(range(24)), rows.select(range(24, 32))
    predictions = task.baselines(train, test)
    assert set(predictions) == {"nothing", "tfidf", "frequent"}
    for name, found in predictions.items():
        scores = task.compute_metrics(found, task.references(test), texts=list(test["text"]))
        assert len(found) == len(test)
        assert (scores["keyword_f1"] > 0) == (name == "tfidf") or name == "frequent"
    seen = task.baselines(rows, rows)["frequent"]
    assert task.compute_metrics(seen, task.references(rows))["keyword_recall"] > 0.5


def test_python_lists_in_a_published_csv_are_the_lists_of_the_clean_one(shared):
    folder = shared / "data" / "fr_keys_youtube_wikinews"
    if not (folder / "raw_train.csv").is_file():
        pytest.skip("no keyword data here")
    task = KeywordExtraction()
    raw, clean = (
        list(csv.DictReader((folder / name).open(encoding="utf-8")))[:1_000]
        for name in ("raw_train.csv", "train.csv")
    )
    assert raw[0]["keywords"].startswith("[")
    assert [task.keywords(row) for row in raw] == [task.keywords(row) for row in clean]
    data, _ = frtune.load_splits(folder / "raw_train.csv", task_name="keywords")
    task.check(data["test"], "raw_train.csv")
