"""Figures of AutoML show what the result holds."""

from __future__ import annotations

import numpy as np
import pytest

from gnnlib.errors import InputError
from gnnlib.heads.automl.plotting import (
    plot_anytime,
    plot_confusion,
    plot_leaderboard,
    plot_predicted_regret,
    plot_residuals,
)
from gnnlib.heads.automl.result import AutoMLResult, TrialSummary


def trial(score, *, status="ok", finished=1.0, weight=0.0, family="linear"):
    return TrialSummary(
        "median > ordinal > standard > ridge > none", family, score, 2, status, weight, 1, 1, 0, finished, "x"
    )


@pytest.fixture
def result():
    trials = (
        trial(3.0, finished=1.0),
        trial(2.0, finished=4.0, weight=0.7),
        trial(2.5, finished=5.0, weight=0.3, family="boosting"),
        trial(np.nan, status="error"),
    )
    trace = np.array([[0.2, np.nan], [1.0, 3.0], [4.0, 2.0]])
    return AutoMLResult("regression", "rmse", 2.0, trials, (), trace=trace, seconds=9.5, seconds_asked=10.0)


def test_the_curve_steps_at_each_improvement(result):
    ax = result.plot()
    curve = next(line for line in ax.lines if line.get_label() == "best so far")
    assert curve.get_xdata().tolist() == [1.0, 4.0, 9.5]
    assert curve.get_ydata().tolist() == [3.0, 2.0, 2.0]
    assert ax.collections[0].get_offsets().shape == (3, 2)


def test_a_result_without_a_trial_is_drawn_too():
    assert plot_anytime(AutoMLResult("regression", "rmse", np.nan, (), ())).get_ylabel() == "rmse"


def test_the_best_pipeline_is_the_first_bar(result):
    ax = plot_leaderboard(result, count=2)
    assert [bar.get_width() for bar in ax.patches] == [2.0, 2.5]
    assert "0.70" in ax.texts[0].get_text()
    with pytest.raises(InputError, match="at least 1"):
        plot_leaderboard(result, count=0)


def test_confusions_are_shares_of_the_true_class():
    ax = plot_confusion(["a", "a", "b", "b"], ["a", "b", "b", "b"])
    assert ax.images[0].get_array().tolist() == [[0.5, 0.5], [0.0, 1.0]]
    with pytest.raises(InputError, match="shapes"):
        plot_confusion([1, 2], [1])


def test_residuals_show_every_row():
    ax = plot_residuals([1.0, 2.0, 3.0], [1.0, 2.5, 2.0])
    assert ax.collections[0].get_offsets().shape == (3, 2)


def test_predicted_regret_is_drawn_where_both_are_known():
    ax = plot_predicted_regret([0.1, 0.4, np.nan], [0.0, 0.5, 0.3], uncertainty=[0.1, 0.2, 0.3])
    assert ax.collections[-1].get_offsets().tolist() == [[0.1, 0.0], [0.4, 0.5]]
    with pytest.raises(InputError, match="no pipeline has both"):
        plot_predicted_regret([np.nan], [0.0])
    with pytest.raises(InputError, match="`uncertainty` must be"):
        plot_predicted_regret([0.1], [0.0], uncertainty=[0.1, 0.2])


def test_a_notebook_that_turns_figures_on_with_the_first_one_keeps_showing_them():
    import matplotlib as mpl

    from gnnlib.style import styled

    before = mpl.is_interactive()
    try:
        mpl.interactive(False)
        with styled():
            mpl.interactive(True)  # what the backend of notebooks does when it makes its first figure
        assert mpl.is_interactive()
    finally:
        mpl.interactive(before)
