import csv
import sqlite3
import threading

import pytest

from frtune.errors import InputError
from frtune.rating.store import RatingStore
from frtune.rating.study import Item, Judgement, RatingStudy

STUDY = RatingStudy(
    ("one", "two"),
    tuple(Item(f"text {i}, été", (("a", "b"), ()), ("a",) if i else None) for i in range(20)),
    question="Which?",
)


@pytest.fixture
def store(tmp_path):
    return RatingStore.create(tmp_path / "ratings.sqlite", STUDY)


def test_answers_are_there_after_opening_again(store):
    said = Judgement({0: 4.0, 1: 1.0}, {0: (1,), 1: ()})
    store.save("ada", 3, said)
    again = RatingStore.create(store.path, STUDY)
    assert again.study == STUDY
    assert again.judgements("ada").get(("ada", 3)) == said
    assert again.judgements("bob").get(("bob", 3)) is None


def test_a_later_answer_replaces_the_earlier(store):
    store.save("ada", 3, Judgement({0: 4.0, 1: 1.0}, {0: (0, 1)}))
    store.save("ada", 3, Judgement({0: 5.0, 1: 2.0}, {}))
    assert store.judgements() == {("ada", 3): Judgement({0: 5.0, 1: 2.0}, {0: (), 1: ()})}


def test_raters_at_once_lose_nothing(store):
    def rate(rater, grade):
        for item in range(20):
            RatingStore(store.path).save(rater, item, Judgement({0: grade, 1: grade}, {0: (0,)}))

    threads = [threading.Thread(target=rate, args=(f"rater {i}", float(i + 1))) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = store.judgements()
    assert len(found) == 80
    for (rater, _), judgement in found.items():
        grade = float(rater.split()[1]) + 1
        assert judgement == Judgement({0: grade, 1: grade}, {0: (0,), 1: ()})


def test_an_answer_is_kept_whole_or_not_at_all(store):
    with sqlite3.connect(store.path) as file:
        file.execute("CREATE TRIGGER full BEFORE INSERT ON ratings WHEN NEW.run = 1 "
                     "BEGIN SELECT RAISE(ABORT, 'disk full'); END")  # fmt: skip
    with pytest.raises(sqlite3.DatabaseError, match="disk full"):
        store.save("ada", 0, Judgement({0: 1.0, 1: 1.0}, {}))
    assert store.judgements() == {}


@pytest.mark.parametrize(
    ("item", "judgement", "message"),
    [
        (20, Judgement({0: 1.0, 1: 1.0}, {}), "item=20"),
        (0, Judgement({0: 1.0}, {}), "one for each list"),
        (0, Judgement({0: 1.0, 1: 9.0}, {}), "9.0"),
        (0, Judgement({0: 1.0, 1: 1.0}, {1: (0,)}), "wrong"),
        (0, Judgement({0: 1.0, 1: 1.0}, {}, preferred=2), "preferred=2"),
    ],
)
def test_what_does_not_fit_the_study_is_refused(store, item, judgement, message):
    with pytest.raises(InputError, match=message):
        store.save("ada", item, judgement)
    assert store.judgements() == {}


def test_a_file_of_another_study_is_refused(store, tmp_path):
    other = RatingStudy(STUDY.runs, STUDY.items, seed=1, question="Which?")
    with pytest.raises(InputError, match="holds ratings of other predictions"):
        RatingStore.create(store.path, other)
    (tmp_path / "text").write_text("not a database, but long enough to be looked at" * 30)
    with pytest.raises(InputError, match="is no file of ratings"):
        RatingStore(tmp_path / "text")
    with pytest.raises(InputError, match="no such file"):
        RatingStore(tmp_path / "none")
    assert RatingStore.create(tmp_path / "none" / "ratings", STUDY).judgements() == {}
    with pytest.raises(InputError, match="is a directory"):
        RatingStore.create(tmp_path / "none", STUDY)


def test_the_export_has_a_row_for_each_rater_item_and_run(store, tmp_path):
    store.save("ada", 1, Judgement({0: 4.0, 1: 1.0}, {0: (1,)}))
    assert store.export(tmp_path / "out.csv") == 2
    with open(tmp_path / "out.csv", encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {
        "rater": "ada", "item": "2", "run": "one", "rating": "4.0", "preferred": "",
        "phrases": "a; b", "wrong_phrases": "b", "reference": "a", "text": "text 1, été",
        "comment": "",
    }  # fmt: skip
    with pytest.raises(InputError, match="exists"):
        store.export(tmp_path / "out.csv")


def test_a_comment_is_kept_changed_and_exported(store, tmp_path):
    given = {0: 4.0, 1: 1.0}
    store.save("ada", 3, Judgement(given, {}, comment="=unclear"))
    assert store.judgements()["ada", 3].comment == "=unclear"
    store.export(tmp_path / "safe.csv")
    store.export(tmp_path / "plain.csv", defuse=False)
    for name, comment in (("safe.csv", "'=unclear"), ("plain.csv", "=unclear")):
        with (tmp_path / name).open(encoding="utf-8-sig", newline="") as file:
            assert {row["comment"] for row in csv.DictReader(file)} == {comment}
    store.save("ada", 3, Judgement(given, {}))
    assert store.judgements()["ada", 3].comment == ""
    with pytest.raises(InputError, match="at most 2000"):
        store.save("ada", 3, Judgement(given, {}, comment="x" * 2001))


def test_a_file_made_before_there_were_comments_is_opened(store):
    store.save("ada", 3, Judgement({0: 4.0, 1: 1.0}, {}))
    with sqlite3.connect(store.path) as file:
        file.execute("DROP TABLE comments")
    again = RatingStore(store.path)
    again.save("ada", 4, Judgement({0: 4.0, 1: 1.0}, {}, comment="new"))
    assert [given.comment for given in again.judgements("ada").values()] == ["", "new"]
