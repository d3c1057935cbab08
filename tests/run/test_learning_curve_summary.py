"""What a learning curve says: forecasts, their check, and where there are none, why."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest

from frtune.files import json_text
from frtune.run.learning_curve_page import curve_page, curve_table
from frtune.run.learning_curve_summary import Share, meaning, summed_up

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>"
ROWS = [50, 100, 200, 400, 800]


def curve_of(shares, *, greater=True, validation_rows=500, score="f1_macro"):
    return summed_up(
        "classification", score, greater_is_better=greater, seeds=[1, 2, 3],
        validation_rows=validation_rows, shares=shares,
    )  # fmt: skip


def shares(values=None, seed=0, deviation=0.004):
    random = np.random.default_rng(seed)
    means = [0.9 - 1.5 * n**-0.5 for n in ROWS] if values is None else values
    return [
        Share(n, (mean + random.normal(0, deviation, 3)).tolist())
        for n, mean in zip(ROWS, means, strict=True)
    ]


def test_twice_and_four_times_the_rows_are_forecast_with_an_interval():
    found = curve_of(shares())
    assert [each.rows for each in found.forecasts] == [1600, 3200]
    for each in found.forecasts:
        truth = 1.5 * (800**-0.5 - each.rows**-0.5)
        assert each.gain == pytest.approx(truth, abs=0.006)
        assert each.gain_low <= each.gain <= each.gain_high and each.low < each.score < each.high
    said = meaning(found)
    opening = re.fullmatch(
        r"Twice as many training rows \(1,600 in place of 800\) would bring about (\+\d\.\d) "
        r"points of f1_macro \(95 % interval (\+\d\.\d) to (\+\d\.\d)\)\.",
        said[0],
    )
    assert opening and float(opening[2]) <= float(opening[1]) <= float(opening[3])
    assert said[1].startswith("Four times as many training rows (3,200 in place of 800)")


def test_the_largest_share_is_held_back_and_the_check_says_how_far_it_was_off():
    found = curve_of(shares())
    assert found.check is not None and found.check.within
    assert found.check.off == found.shares[-1].mean - found.check.forecast.score
    other = curve_of([*shares()[:-1], Share(800, [0.7, 0.71, 0.7])])
    if other.check is not None:
        assert other.check.forecast == found.check.forecast, "the largest share is not fitted"
    assert f"{found.shares[-1].mean:.3f} was reached" in meaning(found)[2]
    assert "within the interval" in meaning(found)[2]


def test_a_check_that_fails_says_not_to_rely_on_the_forecasts():
    found = curve_of(shares([0.70, 0.76, 0.79, 0.805, 0.830], deviation=0.002))
    assert found.check is not None and not found.check.within
    (text,) = [each for each in meaning(found) if each.startswith("Check")]
    assert "outside of the interval. Do not rely on the forecasts above." in text


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([0.5] * 5, "does not get better by more than the seeds differ"),
        ([0.8, 0.78, 0.77, 0.75, 0.74], "does not get better"),
        ([0.3, 0.3, 0.3, 0.3, 0.7], "lies further from a power law than the seeds explain"),
        ([0.5, 0.5, 0.5, 0.5, 0.515], "without the largest share, from 50 to 400 rows"),
    ],
)
def test_a_curve_that_cannot_be_trusted_gives_no_number(values, reason):
    found = curve_of(shares(values))
    assert found.reason is not None and reason in found.reason
    assert found.forecasts == [] and found.law is None and found.check is None
    said = " ".join(meaning(found))
    assert said.startswith("There is no forecast: ") and "points" not in said
    assert "is not known" in said and "Forecasts" not in curve_page(found, "t")


def test_shares_without_a_score_are_left_out_and_too_few_are_said():
    found = curve_of([Share(25, [math.nan, 0.1, 0.2]), *shares()])
    assert found.forecasts
    assert json.loads(json_text(found.content()))["shares"][0]["scores"][0] is None
    found = curve_of([Share(n, [math.nan, 0.5, 0.6]) for n in ROWS[:2]] + shares()[2:])
    assert found.reason == "f1_macro has a value for 3 shares only."


def test_a_score_of_which_less_is_better_falls():
    fallen = [Share(each.rows, [1 - value for value in each.scores]) for each in shares()]
    up, down = curve_of(shares()), curve_of(fallen, greater=False, score="error")
    for one, other in zip(up.forecasts, down.forecasts, strict=True):
        assert other.gain == pytest.approx(-one.gain, abs=1e-6)
        assert (other.gain_low, other.gain_high) == pytest.approx((-one.gain_high, -one.gain_low))
        assert (other.low, other.high) == pytest.approx((1 - one.high, 1 - one.low), abs=1e-6)
    assert "points of error (95 % interval -" in meaning(down)[0]
    assert 0 <= down.content()["curve"]["limit"] < 0.2


def test_few_validation_rows_are_told():
    assert "30 validation rows are few" in meaning(curve_of(shares(), validation_rows=30))[-1]
    assert "few" not in " ".join(meaning(curve_of(shares())))


def test_the_page_stands_alone_opens_with_the_meaning_and_escapes_every_text():
    found = curve_of(shares())
    text = curve_page(found, EVIL, [EVIL])
    assert "<script" not in text and text.count("<img") == 1
    assert text.count("&lt;script&gt;") == 3, "title, heading, note"
    (image,) = re.findall(r'src="([^"]*)"', text)
    assert image.startswith("data:image/svg+xml;base64,")
    links = {f"rows-{n}/seed-{seed}/report.html" for n in ROWS for seed in (1, 2, 3)}
    assert set(re.findall(r'href="([^"]*)"', text)) == links
    assert not re.search(r"@import|url\(|https?://", text)
    first = text.split("<li>")[1]
    assert first.startswith("Twice as many") and text.index(first) < text.index("<table")
    assert "Test rows were not looked at" in text


def test_the_command_ends_with_shares_meaning_and_page(capsys):
    curve_table(curve_of(shares()), "runs/curve")
    shown = capsys.readouterr().out
    assert "1,600 in place of 800" in shown and "Check: " in shown
    assert shown.strip().endswith("runs/curve/learning_curve.html")


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_asks_no_one_and_no_table_is_wider_than_its_box(tmp_path, width):
    from chromium import visit

    path = tmp_path / "learning_curve.html"
    path.write_text(curve_page(curve_of(shares()), "page", ["a note"]), "utf-8")
    settings = {"viewport": {"width": width, "height": 800}, "color_scheme": "dark"}
    with visit(path.as_uri(), **settings) as seen:
        assert seen.page.locator("table").count() == 2
        drawn = "() => [...document.images].every(image => image.naturalWidth > 100)"
        assert seen.page.evaluate(drawn)
        assert not seen.dialogs and not {host for host in seen.hosts if host}
        assert seen.wide() == []
