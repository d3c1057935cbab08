import pytest

from frtune.errors import InputError
from frtune.metrics import generation_health


def test_hand_computed_health():
    health = generation_health(
        [["a", "b", "a"], ["x"], [], ["", " "]],
        token_counts=[8, 4, 1, 7],
        finished=[False, True, True, False],
        limit=8,
    )
    assert health == {
        "eos_rate": 0.5,
        "cut_by_limit_rate": 0.25,  # the last neither ended nor reached the limit
        "empty_rate": 0.5,
        "repeated_phrase_rate": 0.25,
        "mean_tokens": 5.0,
        "mean_phrases": 1.0,
    }


def test_end_token_in_the_last_place_is_not_a_cut():
    health = generation_health([["a"]], token_counts=[8], finished=[True], limit=8)
    assert (health["eos_rate"], health["cut_by_limit_rate"]) == (1.0, 0.0)


def test_no_documents_give_zeros():
    assert set(generation_health([], token_counts=[], finished=[], limit=1).values()) == {0.0}


def test_bad_input_is_named():
    with pytest.raises(InputError, match=r"len\(finished\)=0"):
        generation_health([["a"]], token_counts=[1], finished=[], limit=8)
    with pytest.raises(InputError, match=r"len\(token_counts\)=2"):
        generation_health([["a"]], token_counts=[1, 2], finished=[True], limit=8)
    with pytest.raises(InputError, match="limit=0"):
        generation_health([], token_counts=[], finished=[], limit=0)
