import hashlib
import json
from dataclasses import fields

import pytest
from datasets import Dataset, DatasetDict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frtune import KeyphraseGeneration
from frtune.data.loading import load_splits
from frtune.data.prepare import Cut, Filters
from frtune.data.prepare import prepare as prepare_rows
from frtune.errors import InputError

WORDS = "budget school town vote river bridge canteen tax library market".split()


def article(i, keyphrases=None):
    text = " ".join(f"{WORDS[(i + j) % 10]}{(i * j) % 17}" for j in range(40))
    return {"id": i, "text": f"{i} {text}", "keyphrases": keyphrases or f"{WORDS[i % 10]}; tax {i}"}


def prepare(source, output, task=None, **options):
    """``prepare``, with the fields of ``Filters`` and ``Cut`` by their names."""
    for name, cls in (("filters", Filters), ("cut", Cut)):
        given = {f.name: options.pop(f.name) for f in fields(cls) if f.name in options}
        options[name] = cls(**given)
    return prepare_rows(source, output, task or KeyphraseGeneration(), **options)


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text("".join(lines), encoding="utf-8")
    return path


def read(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def test_prepared_rows_are_clean_and_train_as_they_are(tmp_path):
    rows = [article(i) for i in range(50)]
    rows[3]["text"] += "\u200b  e\u0301"
    rows[3]["keyphrases"] = "Keyphrases: 1. budget; 2. « école »; Budget;"
    audit = prepare(write(tmp_path / "a.jsonl", rows), tmp_path / "out")
    kept = [
        row
        for name in ("train", "validation", "test")
        for row in read(tmp_path / f"out/{name}.jsonl")
    ]
    assert sorted(row["id"] for row in kept) == list(range(50))
    third = next(row for row in kept if row["id"] == 3)
    assert third["keyphrases"] == ["budget", "école"]
    assert third["text"] == rows[3]["text"].replace("\u200b  e\u0301", " é")
    assert list(third) == ["id", "text", "keyphrases"]
    assert audit["rows"] == {"read": 50, "kept": 50, "rejected": 0, "adds_up": True}
    assert audit == json.loads((tmp_path / "out/audit.json").read_text())
    splits, notes = load_splits(tmp_path / "out")
    assert [len(each) for each in splits.values()] == [40, 5, 5] and not [
        n for n in notes if "cut" in n
    ]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.jsonl", "out"]


def test_each_rejected_row_has_its_reason_and_its_place(tmp_path):
    rows = [article(i) for i in range(30)]
    rows[1]["text"] = " \u200b "
    rows[2]["keyphrases"] = " ; - ;"
    rows[4]["keyphrases"] = "one"
    rows[5]["keyphrases"] = "a; b; c; d; e"
    rows[6]["text"] = "내년 시 예산은 크게 늘어난다"
    rows[8]["text"] = rows[7]["text"].upper() + "!"
    path = write(tmp_path / "a.jsonl", rows)
    audit = prepare(path, tmp_path / "out", min_keyphrases=2, max_keyphrases=4, language="en")
    rejected = {row["row"]: row for row in read(tmp_path / "out/rejected.jsonl")}
    assert {row: found["reason"] for row, found in rejected.items()} == {
        2: "blank_text",
        3: "no_keyphrases",
        5: "too_few_keyphrases",
        6: "too_many_keyphrases",
        7: "other_language",
        9: "duplicate",
    }
    assert rejected[9]["detail"] == f"same text as {path}, row 8"
    assert rejected[5]["detail"] == "1, at least 2"
    assert all(found["file"] == str(path) for found in rejected.values())
    assert all(found["original"] == rows[row - 1] for row, found in rejected.items())
    assert audit["rows"] == {"read": 30, "kept": 24, "rejected": 6, "adds_up": True}
    assert sum(audit["rejected"].values()) == 6


def test_the_copy_in_test_is_kept_and_the_one_in_train_rejected(tmp_path):
    train, test = [article(i) for i in range(20)], [article(i) for i in range(18, 25)]
    near = dict(article(24), id=99, text=article(24)["text"] + " more")
    write(tmp_path / "in/train.jsonl", [*train, near])
    write(tmp_path / "in/test.jsonl", test)
    reported = prepare(tmp_path / "in", tmp_path / "report", split="8:2")
    assert reported["leakage"]["train/test"]["near_duplicates"] == 1
    assert reported["rejected"] == {"duplicate": 2}
    audit = prepare(tmp_path / "in", tmp_path / "reject", split="8:2", near_duplicates="reject")
    assert audit["rejected"] == {"duplicate": 2, "near_duplicate": 1}
    assert audit["leakage"]["train/test"]["near_duplicates"] == 0
    assert read(tmp_path / "reject/test.jsonl") == [
        {**row, "keyphrases": row["keyphrases"].split("; ")} for row in test
    ]
    rejected = read(tmp_path / "reject/rejected.jsonl")
    assert [row["row"] for row in rejected] == [19, 20, 21]
    assert "Jaccard 0.9" in rejected[2]["detail"] and "test.jsonl, row 7" in rejected[2]["detail"]


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        ({}, {"train": 80, "validation": 10, "test": 10}),
        ({"split": "8:2"}, {"train": 80, "test": 20}),
        ({"split": "1:0:0"}, {"train": 100}),
        ({"test_rows": 7}, {"train": 83, "validation": 10, "test": 7}),
        ({"validation_rows": 3, "test_rows": 0}, {"train": 97, "validation": 3}),
    ],
)
def test_rows_are_split_as_asked(tmp_path, options, sizes):
    path = write(tmp_path / "a.jsonl", [article(i) for i in range(100)])
    audit = prepare(path, tmp_path / "out", **options)
    assert {name: split["rows"] for name, split in audit["splits"].items()} == sizes
    assert {p.stem for p in (tmp_path / "out").glob("*.jsonl")} == {*sizes, "rejected"}


def test_given_splits_stay_unless_asked_otherwise(tmp_path):
    write(tmp_path / "in/train.jsonl", [article(i) for i in range(40)])
    write(tmp_path / "in/dev.jsonl", [article(i) for i in range(40, 50)])
    audit = prepare(tmp_path / "in", tmp_path / "a")
    assert [split["rows"] for split in audit["splits"].values()] == [36, 10, 4]
    assert [row["id"] for row in read(tmp_path / "a/validation.jsonl")] == list(range(40, 50))
    audit = prepare(tmp_path / "in", tmp_path / "b", resplit=True)
    assert [split["rows"] for split in audit["splits"].values()] == [40, 5, 5]


def test_the_same_input_gives_the_same_bytes(tmp_path):
    path = write(tmp_path / "a.jsonl", [article(i % 90) for i in range(100)])
    digests = []
    for name, processes in (("a", 1), ("b", 2), ("c", None)):
        prepare(path, tmp_path / name, num_proc=processes)
        files = sorted((tmp_path / name).iterdir())
        digests.append([(f.name, hashlib.sha256(f.read_bytes()).hexdigest()) for f in files])
    assert digests[0] == digests[1] == digests[2]


def test_two_processes_give_what_one_gives(tmp_path):
    path = write(
        tmp_path / "a.jsonl", [{"text": f"town {i}", "keyphrases": "a; b"} for i in range(4000)]
    )
    one = prepare(path, tmp_path / "one", num_proc=1)
    two = prepare(path, tmp_path / "two", num_proc=2)
    assert one == two
    for name in ("train", "test", "rejected"):
        assert (tmp_path / f"one/{name}.jsonl").read_bytes() == (
            tmp_path / f"two/{name}.jsonl"
        ).read_bytes()


ROW = st.fixed_dictionaries(
    {
        "text": st.one_of(st.none(), st.text(max_size=30), st.sampled_from(["a b c", "A, b c"])),
        "keyphrases": st.one_of(
            st.none(), st.lists(st.one_of(st.none(), st.text(max_size=5)), max_size=4)
        ),
    }
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=st.lists(ROW, min_size=1, max_size=30), least=st.sampled_from([None, 1, 2]))
def test_counts_add_up(tmp_path_factory, rows, least):
    folder = tmp_path_factory.mktemp("prepare")
    path = write(folder / "a.jsonl", [{"id": i, **row} for i, row in enumerate(rows)])
    try:
        audit = prepare(path, folder / "out", min_keyphrases=least, near_duplicates="reject")
    except InputError as error:
        assert not (folder / "out").exists() and len(list(folder.iterdir())) == 1
        assert (
            "no row is left" in str(error) or "too few" in str(error) or "surrogate" in str(error)
        )
        return
    written = {p.stem: read(p) for p in (folder / "out").glob("*.jsonl")}
    rejected = written.pop("rejected")
    kept = [row["id"] for split in written.values() for row in split]
    assert sorted(kept + [row["original"]["id"] for row in rejected]) == list(range(len(rows)))
    assert audit["rows"]["read"] == len(rows) == audit["rows"]["kept"] + audit["rows"]["rejected"]
    assert all(row["text"] and row["keyphrases"] for split in written.values() for row in split)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """One token for each word, saved as a checkpoint's tokenizer is."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({"<unk>": 0}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    folder = tmp_path_factory.mktemp("tokenizer")
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>").save_pretrained(str(folder))
    return folder


def test_rows_are_filtered_by_tokens(tmp_path, tokenizer):
    rows = [
        {"title": "t", "text": " ".join(["w"] * count) + f" {count}", "keyphrases": phrases}
        for count, phrases in ((3, ["a"]), (5, ["a"]), (6, ["a"]), (9, ["a"]), (7, ["a b", "c d"]))
    ]
    audit = prepare(
        write(tmp_path / "a.jsonl", rows),
        tmp_path / "out",
        task=KeyphraseGeneration(title_column="title"),
        tokenizer=str(tokenizer),
        min_source_tokens=7,
        max_source_tokens=10,
        max_target_tokens=4,
        split="1:0:0",
    )
    rejected = [
        (row["row"], row["reason"], row["detail"]) for row in read(tmp_path / "out/rejected.jsonl")
    ]
    assert rejected == [
        (1, "source_too_short", "5 tokens, at least 7"),
        (4, "source_too_long", "11 tokens, at most 10"),
        (5, "target_too_long", "5 tokens, at most 4"),
    ]
    assert audit["splits"]["train"]["tokens"]["max"] == 8
    assert audit["splits"]["train"]["target_tokens"]["max"] == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_source_tokens": 5}, "min_source_tokens=5: needs a tokenizer .*--tokenizer"),
        ({"min_keyphrases": 0}, "min_keyphrases=0: a whole number of at least 1"),
        ({"min_keyphrases": 5, "max_keyphrases": 2}, "min_keyphrases=5: at most max_keyphrases=2"),
        ({"language": "kor"}, "language='kor': one of ko, .*Did you mean ko"),
        ({"split": "8-1-1"}, "split='8-1-1': two or three numbers"),
        ({"split": "0:1"}, "split='0:1'"),
        ({"test_rows": -1}, "test_rows=-1: a whole number"),
        ({"test_rows": 500}, "too few to cut .*test .500."),
        ({"near_duplicates": "rejekt"}, "near_duplicates='rejekt': .*Did you mean reject"),
        ({"duplicates": "keep"}, "duplicates='keep': report or reject"),
        ({"near_threshold": 2.0}, "near_threshold=2.0: from 0.5 to 1"),
        ({"num_proc": 0}, "num_proc=0: at least 1"),
        ({"min_keyphrases": 9}, "no row is left of 20: 20 too_few_keyphrases"),
        (
            {"task": KeyphraseGeneration(text_column="body")},
            "a.jsonl: has no column body; it has id, text",
        ),
        (
            {"task": KeyphraseGeneration(separator=" | ")},
            "the separator ' | ' is in none of 20 rows; '; '",
        ),
        ({"tokenizer": "./nowhere"}, "tokenizer=./nowhere: does not open"),
    ],
)
def test_what_cannot_be_leaves_nothing_behind(tmp_path, options, message):
    path = write(tmp_path / "in/a.jsonl", [article(i) for i in range(20)])
    with pytest.raises(InputError, match=message):
        prepare(path, tmp_path / "work" / "out", **options)
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and p != path]


def test_an_output_directory_with_files_is_not_touched(tmp_path):
    path = write(tmp_path / "a.jsonl", [article(i) for i in range(20)])
    (tmp_path / "out").mkdir()
    prepare(path, tmp_path / "out")
    before = (tmp_path / "out/train.jsonl").read_bytes()
    with pytest.raises(InputError, match="out: holds files already"):
        prepare(path, tmp_path / "out", seed=1)
    assert (tmp_path / "out/train.jsonl").read_bytes() == before


def test_given_data_sets_and_samples_are_prepared(tmp_path):
    rows = Dataset.from_list([article(i) for i in range(20)])
    audit = prepare(DatasetDict(train=rows, test=rows.select([3])), tmp_path / "a")
    assert audit["files"] == {"DatasetDict:train": 20, "DatasetDict:test": 1}
    assert audit["rejected"] == {"duplicate": 1}
    assert prepare("sample", tmp_path / "b", language="ko")["rows"]["kept"] == 333


def test_real_data_is_prepared(tmp_path, shared):
    audit = prepare(
        shared / "fr_papyrus_f",
        tmp_path / "out",
        task=KeyphraseGeneration(title_column="title"),
        language="fr",
    )
    assert audit["rows"] == {"read": 1288, "kept": 1287, "rejected": 1, "adds_up": True}
    assert audit["splits"]["train"]["present_share"] > 0.6
