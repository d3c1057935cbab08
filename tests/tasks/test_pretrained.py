"""Real learning: a small pre-trained BERT on real English data, cut to what fits into minutes."""

import pytest

import frtune

pytestmark = pytest.mark.slow


def validation_scores(task, minilm, splits, directory, **recipe):
    """Train on one split, score the other; the rate is higher than the task's, for fewer steps."""
    args = frtune.training_arguments(
        task, str(directory), gradient_accumulation_steps=1, eval_strategy="no",
        save_strategy="no", load_best_model_at_end=False, disable_tqdm=True, **recipe,
    )  # fmt: skip
    model, tokenizer = frtune.build_model(task, checkpoint=str(minilm))
    trainer = task.trainer(model, tokenizer, args, train_dataset=splits["train"])
    trainer.train()
    if "calibration" in splits:
        assert trainer.calibrate(splits["calibration"]) == []
    return trainer.predict(splits["validation"], metric_key_prefix="eval").metrics


def best_baseline(task, splits, score):
    rows = splits["validation"]
    texts, references = list(rows["text"]), task.references(rows)
    found = task.baselines(splits["train"], rows).values()
    return max(task.compute_metrics(each, references, texts=texts)[score] for each in found)


def test_film_reviews_are_learnt(minilm, shared, tmp_path):
    splits, _ = frtune.load_splits(
        shared / "data" / "en_rotten_tomatoes", task_name="classification", max_train_rows=3_000,
    )  # fmt: skip
    # half the validation rows fit, the other half judge
    halves = splits["validation"].train_test_split(0.5, seed=1)
    splits["calibration"], splits["validation"] = halves["train"], halves["test"]
    task = frtune.SequenceClassification(max_source_tokens=64, min_precision=0.85).fit(splits)
    scores = validation_scores(
        task, minilm, splits, tmp_path, num_train_epochs=1, learning_rate=5e-5
    )
    baseline = best_baseline(task, splits, "accuracy")
    print({"accuracy": scores["eval_accuracy"], "best baseline": baseline})
    assert scores["eval_accuracy"] >= max(0.74, baseline + 0.01)  # seeds differ by 0.01
    assert scores["eval_ece"] < 0.08 and scores["eval_log_loss"] < 0.6
    assert 0.2 < scores["eval_coverage"] < 1
    assert scores["eval_precision_answered"] > max(0.83, scores["eval_accuracy"] + 0.03)


def test_keywords_of_abstracts_are_learnt(minilm, shared, tmp_path):
    splits, _ = frtune.load_splits(
        shared / "data" / "en_inspec", task_name="keywords", max_train_rows=250, max_eval_rows=150
    )
    task = frtune.KeywordExtraction(
        keywords_column="keyphrases", subwords="first", max_source_tokens=128, overlap_tokens=16
    )
    scores = validation_scores(
        task, minilm, splits, tmp_path, num_train_epochs=2, learning_rate=1e-4,
        per_device_train_batch_size=8,
    )  # fmt: skip
    baseline = best_baseline(task, splits, "keyword_f1")
    print({name: scores[f"eval_{name}"] for name in task.headline} | {"best baseline": baseline})
    assert scores["eval_keyword_f1"] > 2 * baseline
    assert scores["eval_token_accuracy"] > scores["eval_token_accuracy_all_o"]
