"""Drawings: that they show what they should, not how it looks."""

from __future__ import annotations

import numpy as np
import pytest

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.vrp.generate import generate_vrp
from gnnlib.heads.combinatorial.vrp.plotting import (
    plot_arc_scores,
    plot_loads,
    plot_routes,
    plot_timetable,
    plot_trace,
)
from gnnlib.heads.combinatorial.vrp.problem import VRP, VehicleType
from gnnlib.heads.combinatorial.vrp.result import RouteResult
from gnnlib.heads.combinatorial.vrp.travel import Travel

plt = pytest.importorskip("matplotlib.pyplot")
PLACES = np.array([[0.0, 0.0], [0.0, 3.0], [4.0, 3.0], [4.0, 0.0]])


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture
def result():
    problem = VRP(Travel(PLACES), (VehicleType(2, (4.0,)),), delivery=[[1.0], [2.0], [3.0]], windows=[[9, 20]] * 3)
    return RouteResult.from_routes(problem, [[1, 2], [3]], trace=np.array([[0.1, 30.0], [0.5, 20.0]]), seconds=1.0)


def test_every_route_is_a_line_from_depot_to_depot(result):
    lines = plot_routes(result).lines
    assert [line.get_xydata().tolist() for line in lines] == [
        PLACES[[0, 1, 2, 0]].tolist(),
        PLACES[[0, 3, 0]].tolist(),
    ]
    assert len({line.get_color() for line in lines}) == 2


def test_unserved_clients_are_marked(result):
    partial = RouteResult.from_routes(result.problem, [[1]])
    axes = plot_routes(partial)
    assert any(np.array_equal(c.get_offsets(), PLACES[[2, 3]]) for c in axes.collections)
    assert "2 clients unserved" in axes.texts[0].get_text() or any("unserved" in t.get_text() for t in axes.texts)


def test_a_bare_problem_is_drawn():
    assert plot_routes(generate_vrp(50)).get_title(loc="left") == "mixed-50"


def test_loads_start_full_and_end_empty(result):
    first = plot_loads(result).lines[0].get_ydata()
    assert list(first) == [75.0, 50.0, 0.0]
    with pytest.raises(InputError, match="`dimension` must be below the 1"):
        plot_loads(result, dimension=1)


def test_the_timetable_shows_waiting_only_where_there_is_some(result):
    axes = plot_timetable(result)
    drives, waits, serves = axes.collections[:3]
    assert len(drives.get_paths()) == 3
    assert len(waits.get_paths()) == 0  # the vehicle leaves as late as it can
    assert len(serves.get_paths()) == 2


def test_the_trace_is_a_falling_line(result):
    heights = plot_trace({"a": result, "b": result}).lines[0].get_ydata()
    assert list(heights) == [30.0, 20.0, 20.0]
    with pytest.raises(InputError, match="results with a trace"):
        plot_trace(RouteResult.from_routes(result.problem, [[1]]))
    with pytest.raises(InputError, match="at least one result"):
        plot_trace({})


def test_arcs_of_high_score_are_drawn_last(result):
    lines = plot_arc_scores(result, [[1, 2], [2, 3]], [0.9, 0.1]).collections[0]
    assert lines.get_segments()[-1].tolist() == PLACES[[1, 2]].tolist()


@pytest.mark.parametrize(
    ("arcs", "scores", "message"),
    [
        ([[0, 9]], [1.0], "must hold places 0 .. 3"),
        ([[0, 1]], [np.nan], "`scores` must be finite"),
        ([0, 1], [1.0], "must be integers"),
        ([[0, 1]], [1.0, 2.0], "must be integers"),
    ],
)
def test_bad_scores_are_refused(result, arcs, scores, message):
    with pytest.raises(InputError, match=message):
        plot_arc_scores(result, arcs, scores)


def test_matrices_cannot_be_drawn():
    with pytest.raises(InputError, match="matrices only"):
        plot_routes(VRP(Travel(distances=np.ones((1, 2, 2))), (VehicleType(1),)))
