import json

import pytest

from frtune import KeywordExtraction
from frtune.demo.errors import TooLong
from frtune.demo.models import Facts, open_models
from frtune.errors import InputError
from frtune.models.lineage import save_lineage


def test_rows_are_named_as_each_task_reads_them(models):
    assert models["keywords"].row("a", "b", "c") == {"text": "a"}
    assert models["phrases"].row("a", "b", "c") == {"text": "a", "title": "c"}
    assert models["pairs"].row("a", "b") == {"sentence1": "a", "sentence2": "b"}
    assert models["pairs"].parts({"sentence1": "a", "sentence2": "b"}) == ("a", "b", "")
    assert models["phrases"].parts({"text": "a", "title": "c"}) == ("a", "", "c")


def test_all_parts_count_for_the_longest_text(models):
    models["pairs"].check(models["pairs"].row("a" * 250, "b" * 250))
    with pytest.raises(TooLong, match="501 characters; 500 are allowed"):
        models["pairs"].predict([models["pairs"].row("a" * 250, "b" * 251)])


def test_examples_come_from_the_sample_the_test_rows_or_a_file(models, saved, tmp_path):
    assert all(len(model.examples) == 5 for model in models.values())
    assert set(models["pairs"].examples[0]) == {"sentence1", "sentence2"}
    directory = saved("tested", KeywordExtraction(), "camembert")
    rows = [{"input": f"test row {i}", "reference": [], "prediction": []} for i in range(9)]
    (directory / "predictions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (model,) = open_models([directory]).values()
    assert [row["text"] for row in model.examples] == [f"test row {i}" for i in range(5)]
    (tmp_path / "mine.txt").write_text("mine\n")
    (model,) = open_models([directory], examples=[tmp_path / "mine.txt"]).values()
    assert model.examples == [{"text": "mine"}]


def test_the_truth_of_examples_and_what_the_model_is_come_from_its_directory(saved):
    directory = saved("known", KeywordExtraction(), "camembert")
    rows = [{"input": "a b", "reference": ["a", "b"], "prediction": []}]
    (directory / "predictions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (directory / "metrics.json").write_text('{"test_keyword_f1": 0.5}')
    save_lineage(directory, checkpoint="almanach/camembert-base", task="keywords")
    (model,) = open_models([directory]).values()
    assert (model.truth(0), model.truth(1)) == ("a; b", "")
    assert model.facts == Facts("almanach/camembert-base", "keyword_f1", 0.5)


def test_a_directory_without_a_model_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such directory"):
        open_models([tmp_path / "none"])
    with pytest.raises(InputError, match="at least one"):
        open_models([])
