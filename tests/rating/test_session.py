import pytest

from frtune.errors import InputError
from frtune.rating.session import RatingSession
from frtune.rating.store import RatingStore
from frtune.rating.study import Item, RatingStudy

RUNS = ("baseline", "tuned")


def _desk(folder, mode="score"):
    items = tuple(Item(f"text {i}", ((f"b{i}", "x"), (f"t{i}",))) for i in range(6))
    return RatingSession(RatingStore.create(folder / "file", RatingStudy(RUNS, items, mode=mode)))


def test_answers_return_to_the_runs_that_were_shown(tmp_path):
    session = _desk(tmp_path)
    for place in range(6):
        sheet = session.sheet("ada", place)
        mine = [phrases[0].startswith("b") for phrases in sheet.lists]
        session.answer(
            "ada", place, grades=[2.0 if b else 4.0 for b in mine],
            wrong=[[1] if b else [] for b in mine],
        )  # fmt: skip
    assert session.resume("ada") == 6
    for judgement in session.store.judgements().values():
        assert judgement.ratings == {0: 2.0, 1: 4.0}
        assert judgement.wrong == {0: (1,), 1: ()}


def test_a_rater_resumes_and_goes_back(tmp_path):
    session = _desk(tmp_path)
    assert session.resume("ada") == 0
    session.answer("ada", 0, grades=[1.0, 5.0], wrong=[[0], []])
    assert (session.resume("ada"), session.resume("bob")) == (1, 0)
    sheet = session.sheet("ada", 0)
    assert (list(sheet.grades), list(sheet.wrong)) == ([1.0, 5.0], [(0,), ()])
    assert (sheet.answered, sheet.done) == (True, 1)
    assert not session.sheet("ada", 1).answered
    assert session.sheet("ada", -1).place == 0
    assert session.sheet("ada", 99).place == 6


def test_preferences_return_to_the_runs(tmp_path):
    session = _desk(tmp_path, "prefer")
    lists = session.sheet("ada", 0).lists
    tuned = next(i for i, phrases in enumerate(lists) if phrases[0].startswith("t"))
    session.answer("ada", 0, preferred=tuned)
    session.answer("ada", 1, preferred=None)
    assert sorted(str(j.preferred) for j in session.store.judgements().values()) == ["1", "None"]
    assert session.sheet("ada", 0).preferred == tuned


def test_nothing_tells_whose_a_list_is(tmp_path):
    assert not any(run in repr(_desk(tmp_path).sheet("ada", 0)) for run in RUNS)


def test_half_an_answer_is_refused(tmp_path):
    session = _desk(tmp_path)
    with pytest.raises(InputError, match="one for each list"):
        session.answer("ada", 0, grades=[1.0, None])
    with pytest.raises(InputError, match="place=6"):
        session.answer("ada", 6, grades=[1.0, 1.0])
