import json

import pytest

from frtune.errors import InputError
from frtune.rating.sources import REFERENCE, make_study
from frtune.rating.study import Item, RatingStudy, parse_scale, rater_name


def _items(count, runs=3):
    return tuple(Item(f"text {i}", tuple((f"p{r}",) for r in range(runs))) for i in range(count))


def test_each_rater_has_an_order_that_stays():
    study = RatingStudy(("a", "b", "c"), _items(20))
    again = RatingStudy(("a", "b", "c"), _items(20))
    orders = {rater: study.item_order(rater) for rater in ("ada", "bob")}
    assert orders["ada"] == again.item_order("ada") != orders["bob"]
    assert sorted(orders["ada"]) == list(range(20))
    other = RatingStudy(("a", "b", "c"), _items(20), seed=7)
    assert other.item_order("ada") != orders["ada"]


def test_every_run_stands_everywhere_about_as_often():
    study = RatingStudy(("a", "b", "c"), _items(300))
    firsts = [study.run_order("ada", item)[0] for item in range(300)]
    assert all(70 < firsts.count(run) < 130 for run in range(3))


def test_names_of_raters_are_made_equal():
    assert rater_name(" Zoe\u0301  B ") == "Zoé B"
    for bad in ("", "  ", "x" * 65, "a\x00b", None):
        with pytest.raises(InputError, match="1 to 64 characters"):
            rater_name(bad)


def test_scales():
    assert parse_scale(["-1=worse", "0.5"]) == ((-1.0, "-1 worse"), (0.5, "0.5"))
    with pytest.raises(InputError, match="not a number"):
        parse_scale(["good"])
    for bad in (["1"], ["2", "1"], ["1", "1"]):
        with pytest.raises(InputError, match="worst to best"):
            RatingStudy(("a",), _items(1, 1), scale=parse_scale(bad))
    with pytest.raises(InputError, match="two runs"):
        RatingStudy(("a",), _items(1, 1), mode="prefer")


@pytest.fixture
def runs(tmp_path):
    """A model directory's predictions, and a file of ``frtune predict`` for other rows too."""
    (tmp_path / "one").mkdir()
    rows = [{"input": f"text {i}", "reference": [f"r{i}"], "prediction": [f"a{i}", f"a{i}", " "]}
            for i in range(6)]  # fmt: skip
    answers = [{"text": f"text  {i}", "keywords": [{"text": f"b{i}", "start": 0, "end": 1}]}
               for i in range(3, 9)]  # fmt: skip
    (tmp_path / "one" / "predictions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "two.jsonl").write_text("\n".join(map(json.dumps, answers)))
    return [tmp_path / "one", tmp_path / "two.jsonl"]


def test_rows_that_every_run_has_are_judged(runs):
    study = make_study(runs)
    assert study.runs == ("one", "two.jsonl")
    assert sorted(item.text for item in study.items) == ["text 3", "text 4", "text 5"]
    item = next(item for item in study.items if item.text == "text 4")
    assert item.phrases == (("a4",), ("b4",))
    assert item.reference == ("r4",)


def test_data_say_which_rows_and_what_is_true(runs, tmp_path):
    data = tmp_path / "rows.csv"
    data.write_text("article,tags\ntext 4,x; y\ntext 8,z\ntext 4,w\n")
    study = make_study(runs, data, columns={"text": "article", "keyphrases": "tags"},
                       with_reference=True)  # fmt: skip
    (item,) = study.items
    assert study.runs[-1] == REFERENCE
    assert item.phrases == (("a4",), ("b4",), ("x", "y"))


def test_so_many_rows_are_drawn_by_seed(runs):
    drawn = [make_study(runs, max_rows=2, seed=seed) for seed in (1, 1, 2, 3, 4)]
    assert drawn[0] == drawn[1]
    assert len({study.items for study in drawn}) > 1
    with pytest.raises(InputError, match="rows=0"):
        make_study(runs, max_rows=0)


def test_runs_that_cannot_be_judged_are_refused(runs, tmp_path):
    labels = tmp_path / "labels.jsonl"
    labels.write_text('{"input": "text 3", "prediction": "loyer"}\n')
    with pytest.raises(InputError, match=r"labels.jsonl, line 1: needs a text"):
        make_study([runs[0], labels])
    with pytest.raises(InputError, match="frtune evaluate"):
        make_study([tmp_path])
    other = tmp_path / "other.jsonl"
    other.write_text('{"text": "elsewhere", "keyphrases": []}\n')
    with pytest.raises(InputError, match="no row in common"):
        make_study([runs[0], other])
    with pytest.raises(InputError, match="no row with true phrases"):
        make_study([other], with_reference=True)
