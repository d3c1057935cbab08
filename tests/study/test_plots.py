"""Plots: what they show, on which axes, under which names."""

from __future__ import annotations

import numpy as np
import pytest

import planted_study
from frtune import InputError
from frtune.study.definitions import DEFINITIONS
from frtune.study.panels import PANELS
from frtune.study.plots import plot, plot_names, rendered, save_plots


def texts_of(figure) -> str:
    return " ".join(text.get_text() for legend in figure.legends for text in legend.get_texts())


def test_a_whole_study_has_every_plot():
    assert plot_names(planted_study.study()) == [*PANELS, "cka 1", "answer"]


@pytest.mark.parametrize("name", [*PANELS, "cka 1", "answer"])
def test_axes_are_labelled_and_every_line_is_named(name):
    figure = plot(planted_study.study(("raw", "tuned", "more")), name)
    axes = figure.axes[0]
    assert axes.get_title() and axes.get_xlabel() and axes.get_ylabel()
    named = texts_of(figure) if figure.legends else axes.get_xlabel() + axes.get_ylabel()
    assert "raw" in named and "tuned" in named
    marked = [line for line in axes.lines if len(line.get_xdata()) > 2]
    styles = {(line.get_color(), line.get_marker(), line.get_linestyle()) for line in marked}
    assert len(styles) == len(marked), "two lines look the same"


def test_a_line_has_the_numbers_of_the_study():
    figure = plot(planted_study.study(changes={("cosine_within", 4): 0.64}), "convergence")
    drawn = {line.get_label(): line.get_ydata() for line in figure.axes[0].lines}
    assert np.allclose(drawn["raw, cosine"], [0.2, 0.225, 0.25, 0.275, 0.3])
    assert np.allclose(drawn["tuned, cosine"], [0.2, 0.225, 0.25, 0.275, 0.64])
    assert np.allclose(drawn["raw, less anisotropy"], [0.1, 0.1125, 0.125, 0.1375, 0.15])


def test_an_axis_holds_values_beyond_its_usual_limits():
    figure = plot(planted_study.study(changes={("cosine_between", 2): -0.4}), "anisotropy")
    low, high = figure.axes[0].get_ylim()
    assert low < -0.4 and high >= 1


def test_the_probes_stand_against_the_largest_class():
    axes = plot(planted_study.study(), "probe_mean").axes[0]
    line = next(line for line in axes.lines if line.get_label() == "always the largest class")
    assert line.get_ydata()[0] == 0.52 and axes.get_ylim()[0] < 0.52 < axes.get_ylim()[1]


def test_the_heat_map_puts_each_pair_of_layers_in_its_cell():
    axes = plot(planted_study.study(layers=2), "cka 1").axes[0]
    assert axes.get_xlabel() == "layer of tuned" and axes.get_ylabel() == "layer of raw"
    assert np.allclose(
        axes.images[0].get_array(), [[0.9 ** (i + j) for j in range(3)] for i in range(3)]
    )


def test_the_answer_shows_each_layer_by_its_number():
    axes = plot(planted_study.study(("raw",)), "answer").axes[0]
    assert [text.get_text() for text in axes.texts] == ["0", "1", "2", "3", "4"]


def test_what_was_not_computed_has_no_plot():
    study = planted_study.study(("raw",), without=("probe_mean_accuracy", "isotropy"))
    names = plot_names(study)
    assert not {"probe_mean", "isotropy", "drift", "cka 1", "answer"} & set(names)
    with pytest.raises(InputError, match="plot=isotrop: this study has convergence"):
        plot(study, "isotrop")


@pytest.mark.parametrize("name", ["_raw", "a$b$c", "<script>", "x" * 80])
def test_a_name_is_shown_as_it_is(name):
    figure = plot(planted_study.study((name, "tuned")), "anisotropy")
    shown = texts_of(figure)
    assert "…" in shown if len(name) > 32 else name.strip("_") in shown.replace("\\$", "$")
    assert b"<script>" not in rendered(figure, "svg")


def test_files_are_the_same_each_time(tmp_path):
    study = planted_study.study(("raw",), without=tuple(set(DEFINITIONS) - {"cosine_between"}))
    written = save_plots(study, tmp_path / "plots")
    assert [path.name for path in written] == ["anisotropy.png", "anisotropy.svg"]
    assert written[0].read_bytes().startswith(b"\x89PNG") and b"<svg" in written[1].read_bytes()
    assert rendered(plot(study, "anisotropy"), "svg") == written[1].read_bytes()
