"""A report says what the model scored, against what, and how each number was counted."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from datasets import Dataset, DatasetDict
from huggingface_hub import ModelCardData

from frtune import KeyphraseGeneration, KeywordExtraction, SequenceClassification, build_model
from frtune.environment.versions import versions as library_versions
from frtune.run.model_card import model_card, score_rows
from frtune.run.settings import RunSettings
from frtune.score_files import baseline_metrics, write_scores
from frtune.tasks.generated import Generated
from frtune.training.encoding import encode_dataset

TEXTS = ["La forêt brûlée sera replantée.", "Le budget de la cantine scolaire."]
REFERENCES = [["forêt brûlée"], ["budget", "cantine"]]


@pytest.fixture(scope="module")
def task():
    return KeyphraseGeneration(max_source_tokens=48, max_target_tokens=16, language="fr")


@pytest.fixture(scope="module")
def written(task, tiny, tmp_path_factory):
    """The directory that ``write_scores`` leaves of one right and one empty answer."""
    directory = tmp_path_factory.mktemp("report")
    _, tokenizer = build_model(task, checkpoint=str(tiny("t5", "byte-level")), proof=False)
    rows = Dataset.from_dict({"text": TEXTS, "keyphrases": REFERENCES})
    encoded = encode_dataset(rows, task, tokenizer, kind="encoder-decoder")
    eos = tokenizer.eos_token_id
    outputs = [Generated(list(encoded["labels"][0]), True), Generated([eos], True)]
    scores = task.score_outputs(outputs, encoded, tokenizer)
    metrics, signatures = write_scores(
        directory,
        task,
        tokenizer,
        rows=rows,
        encoded=encoded,
        outputs=outputs,
        train=rows,
        metrics={f"test_{name}": value for name, value in scores.items()} | {"eval_loss": 1.25},
    )
    return SimpleNamespace(directory=directory, metrics=metrics, signatures=signatures)


def read(path):
    return json.loads(path.read_text("utf-8"))


# --- files ---------------------------------------------------------------------------------------


def test_metrics_are_flat_numbers_with_baselines_beside_them(written, task):
    metrics = read(written.directory / "metrics.json")
    assert metrics == written.metrics
    assert all(isinstance(value, int | float) for value in metrics.values())
    assert metrics["test_f1_at_m"] == 0.5 and metrics["eval_loss"] == 1.25
    for baseline in ("first_phrases", "tfidf"):
        for score in task.headline:
            assert 0 <= metrics[f"test_baseline_{baseline}_{score}"] <= 1


def test_every_headline_score_is_signed(written, task):
    signatures = read(written.directory / "signatures.json")
    assert signatures == written.signatures
    assert set(task.headline) <= set(signatures)


def test_predictions_stand_beside_inputs_and_references(written):
    lines = (written.directory / "predictions.jsonl").read_text("utf-8").splitlines()
    first, second = map(json.loads, lines)
    assert first == {
        "input": TEXTS[0],
        "reference": ["forêt brûlée"],
        "prediction": ["forêt brûlée"],
        "generated": "forêt brûlée",
        "finished": True,
    }
    assert second["prediction"] == [] and second["generated"] == ""
    assert "forêt" in lines[0], "accents are written as they are"


# --- the table -----------------------------------------------------------------------------------


def test_an_answer_is_called_prediction_whatever_the_task_calls_it():
    assert KeyphraseGeneration().prediction({"keyphrases": ["a"]}) == {"prediction": ["a"]}
    label = {"label": "loyer", "score": 0.9}
    assert SequenceClassification().prediction(label) == {"prediction": "loyer", "score": 0.9}
    task, spans = KeywordExtraction(), [{"text": "a", "start": 0, "end": 1}]
    assert task.prediction({"keywords": spans}) == {"prediction": ["a"], "spans": spans}
    assert task.prediction({"keywords": []}) == {"prediction": [], "spans": []}


def test_rows_of_the_table_are_the_model_and_each_baseline():
    task = SimpleNamespace(headline=("f1_at_10", "partial_f1_at_10"))
    metrics = {
        "test_f1_at_10": 0.5,
        "test_partial_f1_at_10": 0.6,
        "test_baseline_title_copy_f1_at_10": 0.1,
        "test_baseline_title_copy_partial_f1_at_10": 0.2,
        "test_baseline_tfidf_f1_at_10": 0.3,
        "eval_loss": 1.0,
    }
    assert score_rows(task, metrics) == [
        ("this model", [0.5, 0.6]),
        ("title_copy", [0.1, 0.2]),
        ("tfidf", [0.3, None]),
    ]


def test_baselines_are_scored_as_the_model_is(task):
    rows = Dataset.from_dict({"text": TEXTS})
    found = baseline_metrics(task, None, rows, REFERENCES)
    for name, predictions in task.baselines(None, rows).items():
        expected = task.compute_metrics(predictions, REFERENCES, texts=TEXTS)
        for score in task.headline:
            assert found[f"test_baseline_{name}_{score}"] == expected[score]


# --- the model card ------------------------------------------------------------------------------


def card(task, written, **settings):
    rows = Dataset.from_dict({"text": TEXTS})
    return model_card(
        task,
        RunSettings(**settings),
        SimpleNamespace(output_dir="runs/articles", world_size=1, use_cpu=True),
        splits=DatasetDict(train=rows, test=rows),
        notes=["validation was cut from train"],
        metrics=written.metrics,
        signatures=written.signatures,
        config={"learning_rate": 1e-4},
        metadata=ModelCardData(library_name="transformers"),
    )


def test_the_card_shows_data_scores_signatures_settings_and_versions(task, written):
    text = card(task, written, data="articles/", checkpoint="paust/pko-t5-base")
    assert text.startswith("---\nlibrary_name: transformers\n")
    for part in (
        "# keyphrases: articles",
        "Fine-tuned from `paust/pko-t5-base`.",
        "`articles/`: 2 train rows, 2 test rows.",
        "- validation was cut from train",
        "frtune train keyphrases --config config.yaml",
        "Validation loss of the checkpoint kept: 1.2500",
        'frtune.load("articles")',
    ):
        assert part in text
    for name in task.headline:
        assert f"- `{written.signatures[name]}`" in text
    for name in task.health_scores:
        assert f"- {name}: " in text
    for name, number in library_versions().items():
        assert f"{name} {number}" in text
    assert {"frtune", "python", "torch", "transformers"} <= set(library_versions())


def test_the_card_has_a_row_for_the_model_and_each_baseline(task, written):
    lines = card(task, written, data="articles/", checkpoint="x").splitlines()
    scores = lines[lines.index("## Scores") : lines.index("## Limits")]
    table = [line for line in scores if line.startswith("|")]
    labels = [line.split("|")[1].strip() for line in table]
    assert labels[2:] == [label for label, _ in score_rows(task, written.metrics)]
    assert {line.count("|") for line in table} == {len(task.headline) + 2}
    assert "| 0.5000" in table[2]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"checkpoint": "x", "lora": True}, "Fine-tuned from `x` with LoRA."),
        ({"checkpoint": "x", "lora": True, "nf4": True}, "`x` with LoRA on an nf4 base."),
        ({}, "Fine-tuned from `tiny`."),
        ({"checkpoint": "a`b"}, "Fine-tuned from `` a`b ``."),
    ],
)
def test_the_card_says_what_it_was_made_from(task, written, settings, expected):
    assert expected in card(task, written, **settings)


def test_a_task_that_does_not_generate_has_no_health():
    metrics = {"test_f1_macro": 0.5, "test_accuracy": 0.75}
    text = model_card(
        SequenceClassification(labels=["a", "b"]),
        RunSettings(),
        SimpleNamespace(output_dir="runs/lines", world_size=1, use_cpu=True),
        splits=DatasetDict(train=Dataset.from_dict({"text": ["x"]})),
        notes=[],
        metrics=metrics,
        signatures={},
        config={},
        metadata=ModelCardData(),
    )
    assert "Generation health" not in text and "0.5000" in text
