import json
from itertools import combinations

import numpy as np
import pytest
from datasets import Dataset

from frtune.data.audit import audit
from frtune.data.fingerprints import Letters, jaccard, shingles
from frtune.data.language import LANGUAGES, other_language
from frtune.data.loading import load_splits
from frtune.data.measures import is_present, measure
from frtune.data.near_duplicates import near_pairs
from frtune.errors import InputError


def rows(*texts, phrases=("budget",)):
    return Dataset.from_dict({"text": list(texts), "keyphrases": [list(phrases)] * len(texts)})


def test_same_texts_are_found_within_and_across_splits():
    found = audit({"train": rows("A b.", "a  B", "c"), "test": rows("C!", "new")})
    assert found["splits"]["train"]["repeated_texts"] == 1
    assert found["leakage"]["train/test"]["same_text"] == 1
    json.dumps(found)


def test_near_duplicates_across_splits_equal_brute_force():
    import random

    random.seed(0)
    vocabulary = ["".join(random.choices("abcdefgh", k=5)) for _ in range(400)]
    texts = [" ".join(random.choices(vocabulary, k=60)) for _ in range(60)]
    for text in texts[:40]:
        words = text.split()
        for i in random.sample(range(60), random.randint(0, 5)):
            words[i] = random.choice(vocabulary)
        texts.append(" ".join(words))
    splits = np.array(random.choices([-1, 0, 1, 2], k=100))
    table = Dataset.from_dict({"text": texts, **measure(texts, [[]] * 100, threshold=0.7)})
    sets = [shingles(text) for text in texts]
    expected = {
        frozenset((i, j))
        for i, j in combinations(range(100), 2)
        if splits[i] != splits[j]
        and min(splits[i], splits[j]) >= 0
        and jaccard(sets[i], sets[j]) >= 0.7
    }
    found = list(near_pairs(table, splits, threshold=0.7))
    assert {frozenset((p.left, p.right)) for p in found} == expected and len(expected) > 5
    assert len(found) == len(expected)


def test_leakage_is_found_in_windows_of_one_document(shared):
    splits, _ = load_splits(shared / "fr_keys_youtube_wikinews", cut=False)
    found = audit(splits, keyphrases_column="keywords", separator=";", near_threshold=0.8)
    leakage = found["leakage"]["train/validation"]
    assert leakage["same_text"] == 1
    assert leakage["near_duplicates"] >= 3
    assert leakage["shared_runs"]["rows"] == 47  # of 905; unrelated texts of this length share none
    assert found["leakage"]["train/test"]["shared_runs"]["rows"] > 20
    assert found["splits"]["train"]["present_share"] > 0.99


def test_present_share_and_lengths_of_real_abstracts(shared):
    splits, _ = load_splits(shared / "en_inspec", cut=False)
    found = audit({"train": splits["train"]}, title_column="title")["splits"]["train"]
    assert found["present_share"] == pytest.approx(0.77, abs=0.01)
    assert found["keyphrases"]["mean"] == pytest.approx(9.8, abs=0.1)
    assert found["characters"]["min"] <= found["characters"]["median"] <= found["characters"]["max"]


def test_pawsx_pairs_are_near_duplicates_of_each_other(shared):
    splits, _ = load_splits(shared / "fr_pawsx" / "raw_dev_2k.tsv", cut=False)
    sides = {
        name: splits["train"].select_columns([f"sentence{i}"]).rename_column(f"sentence{i}", "text")
        for i, name in enumerate(("train", "test"), start=1)
    }
    found = audit(sides, keyphrases_column=None)
    assert found["leakage"]["train/test"]["same_text"] > 0
    assert found["leakage"]["train/test"]["near_duplicates"] > 400
    assert found["splits"]["train"]["present_share"] is None


@pytest.mark.parametrize(
    ("phrase", "text", "present"),
    [
        ("budget", "The Budget.", True),
        ("art", "The party", False),
        ("예산", "내년 예산은", True),
        ("예산", "추가예산은", False),
        ("C++", "in C++.", True),
        ("école", "l'e\u0301cole", True),
        ("data base", "data\nbase", True),
        ("", "x", False),
    ],
)
def test_presence_is_of_whole_words(phrase, text, present):
    assert is_present(phrase, text) is present


def test_keys_are_equal_for_texts_equal_but_for_marks_and_case():
    assert Letters("L'été, 2023!").key == Letters("l été 2023").key
    assert Letters("!!!").key != Letters("???").key


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("내년 시 예산은 크게 늘어난다 (AP)", "ko"),
        ("Le budget de la ville est en hausse pour les écoles", "fr"),
        ("The budget of the town is on the rise for schools", "en"),
        ("Der Haushalt der Stadt wird nicht für die Schule", "de"),
        ("市の予算は来年大きく増える", "ja"),
        ("城市的预算明年将大幅增加", "zh"),
        ("Бюджет города вырастет", "ru"),
    ],
)
def test_languages_are_told_apart(text, language):
    assert other_language(text, language) is None
    for other in {"ko", "fr", "en", "ja", "zh", "ru"} - {language}:
        assert other_language(text, other), other
    assert language in LANGUAGES


def test_a_threshold_out_of_range_is_named():
    with pytest.raises(InputError, match=r"near_threshold=0.2: from 0.5 to 1"):
        audit({"train": rows("a")}, near_threshold=0.2)


def test_a_split_without_any_word_is_audited():
    splits = {
        "train": Dataset.from_dict({"text": ["!", ""], "keyphrases": [["a"], ["b"]]}),
        "test": Dataset.from_dict({"text": ["one word and more"], "keyphrases": [["word"]]}),
    }
    found = audit(splits)
    assert found["leakage"]["train/test"]["shared_runs"]["rows"] == 0
    assert found["splits"]["train"]["words"]["max"] == 0
