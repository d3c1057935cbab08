"""Preparing rows of classification, similarity and keywords: reasons, conflicts, shares, audit."""

import json

import pytest
from datasets import ClassLabel, Dataset, Features, Value

from frtune import KeywordExtraction, SentenceSimilarity, SequenceClassification
from frtune.data.prepare import Cut, Filters, prepare

WORDS = "loyer timbres gaz papier voyage conseil affiche bureau".split()


def read(folder, name):
    lines = (folder / f"{name}.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def lines(count=40):
    """Rows of three classes, 5:3:2, each text once."""
    labels = "aaaaabbbcc"
    texts = [f"{WORDS[i % 8]} {WORDS[i * 3 % 8]} numéro {i}" for i in range(count)]
    return {"text": texts, "label": [labels[i % 10] for i in range(count)]}


def test_labels_are_cleaned_counted_and_cut_in_their_shares(tmp_path):
    audit = prepare(Dataset.from_dict(lines()), tmp_path / "out", SequenceClassification())
    labels = {name: split["labels"] for name, split in audit["splits"].items()}
    assert labels == {
        "train": {"a": 16, "b": 10, "c": 6},
        "validation": {"a": 2, "b": 1, "c": 1},
        "test": {"a": 2, "b": 1, "c": 1},
    }
    assert audit["notes"][0].endswith("stratified by label")
    assert audit["rows"] == {"read": 40, "kept": 40, "rejected": 0, "adds_up": True}
    split = audit["splits"]["train"]
    assert split["words"]["median"] == 4 and not {"keyphrases", "present_share"} & {*split}
    json.dumps(audit)


def test_each_unusable_row_has_its_reason_and_conflicts_name_both_labels(tmp_path):
    columns = lines(30)
    columns["text"][1] = " \u200b"
    columns["label"][2] = None
    columns["text"][4] = columns["text"][3].upper()
    columns["label"][3] = columns["label"][4] = "a"
    columns["text"][6] = columns["text"][5]
    columns["label"][6], columns["label"][5] = "c", "b"
    audit = prepare(Dataset.from_dict(columns), tmp_path / "out", SequenceClassification())
    rejected = read(tmp_path / "out", "rejected")
    assert [(row["row"], row["reason"], row["detail"]) for row in rejected] == [
        (2, "unusable_text", "column text is blank"),
        (3, "unusable_label", "column label has no label"),
        (5, "duplicate", "same text as Dataset, row 4"),
        (7, "conflict", "'c', but 'b' with the same text in Dataset, row 6"),
    ]
    assert rejected[3]["original"] == {"text": columns["text"][6], "label": "c"}
    assert audit["rows"] == {"read": 30, "kept": 26, "rejected": 4, "adds_up": True}
    kept = prepare(
        Dataset.from_dict(columns),
        tmp_path / "all",
        SequenceClassification(),
        filters=Filters(duplicates="report"),
    )
    assert kept["rejected"] == {"unusable_text": 1, "unusable_label": 1}


def test_scores_in_place_of_classes_and_class_names(tmp_path):
    scores = Dataset.from_dict({**lines(20), "label": [1.0, 0.5, *[0.0] * 9, *[1.0] * 9]})
    audit = prepare(scores, tmp_path / "scores", SequenceClassification())
    [row] = read(tmp_path / "scores", "rejected")
    assert (row["row"], row["detail"]) == (2, "column label holds 0.5, a score and no class")
    assert audit["splits"]["train"]["labels"].keys() == {"0", "1"}

    features = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    named = Dataset.from_dict({**lines(20), "label": [-1, *[0, 1] * 9, 1]}, features=features)
    prepare(named, tmp_path / "names", SequenceClassification())
    [row] = read(tmp_path / "names", "rejected")
    assert (row["row"], row["reason"]) == (1, "unusable_label")
    assert {row["label"] for row in read(tmp_path / "names", "train")} == {"neg", "pos"}


def test_labels_that_training_would_trip_over_are_noted(tmp_path):
    columns = lines(20)
    columns["label"] = [*["a"] * 19, "alone"]
    audit = prepare(Dataset.from_dict(columns), tmp_path / "one", SequenceClassification())
    assert audit["notes"][-1] == "labels with one row in train: alone"
    columns["label"] = ["a"] * 20
    audit = prepare(Dataset.from_dict(columns), tmp_path / "same", SequenceClassification())
    assert audit["notes"][-1] == "'a' is the only label of train: training needs two"
    for name, label in (("train", "ab"), ("test", "bc")):
        rows = {"text": [f"{name} {i}" for i in range(8)], "label": [*label * 4]}
        (tmp_path / "in").mkdir(exist_ok=True)
        Dataset.from_dict(rows).to_json(tmp_path / "in" / f"{name}.jsonl")
    audit = prepare(tmp_path / "in", tmp_path / "unseen", SequenceClassification(), cut=Cut("8:2"))
    assert "test has labels that train has not: c" in audit["notes"]


def test_columns_are_written_under_the_names_that_the_task_expects(tmp_path):
    data = Dataset.from_dict(
        {"id": [*"abcdefghij"], "a": [f"le chat {i}" for i in range(10)], "note": [*"jihgfedcba"],
         "b": [f"un chien {i}" for i in range(10)], "s": [i / 2 for i in range(10)]}
    )  # fmt: skip
    task = SentenceSimilarity(
        first_column="a", second_column="b", label_column="s", head="regression"
    )
    audit = prepare(data, tmp_path / "out", task, cut=Cut(test_rows=2, validation_rows=0))
    first = read(tmp_path / "out", "train")[0]
    assert list(first) == ["id", "sentence1", "sentence2", "label"]
    assert isinstance(first["label"], float)
    assert audit["splits"]["train"]["scores"]["max"] <= 4.5 and "labels" not in audit["splits"]
    assert audit["settings"]["head"] == "regression" and audit["settings"]["first_column"] == "a"
    [note] = audit["notes"]
    assert "stratified" not in note


def test_a_pair_the_other_way_round_is_the_same_pair(tmp_path):
    firsts = [f"le maire {WORDS[i % 8]} {i}" for i in range(12)]
    seconds = [f"la ville {WORDS[i % 5]} {i}" for i in range(12)]
    firsts[11], seconds[11] = seconds[0], firsts[0]
    data = Dataset.from_dict({"sentence1": firsts, "sentence2": seconds, "label": [0, 1] * 6})
    prepare(data, tmp_path / "out", SentenceSimilarity())
    [row] = read(tmp_path / "out", "rejected")
    assert (row["row"], row["reason"]) == (12, "conflict")


def test_keywords_become_lists_and_an_empty_list_is_kept(tmp_path):
    texts = [f"l'opération {WORDS[i % 8]} {i}" for i in range(14)]
    keywords = ["opération;gaz"] * 14
    keywords[1], keywords[2], keywords[3], keywords[4] = "['gaz', 'bureau']", "[]", "", "[broken"
    data = Dataset.from_dict({"text": texts, "tags": keywords})
    task = KeywordExtraction(keywords_column="tags", separator=";")
    audit = prepare(data, tmp_path / "out", task, cut=Cut("1:0:0"))
    kept = read(tmp_path / "out", "train")
    assert [row["keywords"] for row in kept[:3]] == [["opération", "gaz"], ["gaz", "bureau"], []]
    found = [(row["row"], row["reason"]) for row in read(tmp_path / "out", "rejected")]
    assert found == [(4, "unusable_keywords"), (5, "unusable_keywords")]
    split = audit["splits"]["train"]
    assert split["keywords"]["max"] == 2 and 0 < split["present_share"] < 1


def test_the_published_paws_x_loses_its_eight_empty_rows_alone(tmp_path, shared):
    source = shared / "fr_pawsx/raw_dev_2k.tsv"
    task, keep = SentenceSimilarity(), Filters(duplicates="report")
    audit = prepare(source, tmp_path / "all", task, filters=keep)
    assert audit["rows"] == {"read": 2000, "kept": 1992, "rejected": 8, "adds_up": True}
    rejected = read(tmp_path / "all", "rejected")
    assert all("placeholder" in row["detail"] or "blank" in row["detail"] for row in rejected)
    audit = prepare(source, tmp_path / "out", task)  # most of them swapped pairs
    assert audit["rejected"]["duplicate"] == 15 and audit["rejected"]["conflict"] == 1
    shares = [split["labels"]["1"] / split["rows"] for split in audit["splits"].values()]
    assert max(shares) - min(shares) < 0.01


@pytest.mark.parametrize("head", ["classification", "regression"])
def test_prepared_pairs_train_as_they_are(tmp_path, head):
    from frtune import load_splits

    data = Dataset.from_dict(
        {
            "sentence1": [f"a {i}" for i in range(20)],
            "sentence2": [f"b {i}" for i in range(20)],
            "label": [float(i % 2) for i in range(20)],
        }
    )
    task = SentenceSimilarity(head=head)
    prepare(data, tmp_path / "out", task)
    splits, _ = load_splits(tmp_path / "out")
    fitted = task.fit(splits)
    assert fitted.labels == (None if task.scored else ["0", "1"])
