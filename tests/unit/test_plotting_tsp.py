from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import LineCollection

from gnnlib.data import load_instance
from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.tsp.plotting import plot_edge_scores, plot_tour, plot_trace
from gnnlib.heads.combinatorial.tsp.problem import TSP, TourResult, as_tsp


@pytest.fixture
def ring() -> TSP:
    angle = np.linspace(0.0, 2.0 * np.pi, 12, endpoint=False)
    return TSP.from_coords(np.stack([np.cos(angle), 0.5 * np.sin(angle)], axis=1), name="ring")


def tour_of(problem: TSP, **keywords: object) -> TourResult:
    order = np.arange(problem.num_cities)
    return TourResult(order, problem.length(order), problem, **keywords)


def lines_of(ax: plt.Axes) -> list[np.ndarray]:
    return [segment for c in ax.collections if isinstance(c, LineCollection) for segment in c.get_segments()]


def titles_of(ax: plt.Axes) -> str:
    return "\n".join([ax.get_title(loc="left"), *(text.get_text() for text in ax.texts)])


def test_tour_is_drawn_edge_by_edge_between_its_cities(ring: TSP) -> None:
    result = tour_of(ring)
    drawn = {tuple(sorted(map(tuple, np.round(line, 6)))) for line in lines_of(plot_tour(result))}
    after = np.roll(result.order, -1)
    wanted = zip(ring.coords[result.order], ring.coords[after], strict=True)
    assert drawn == {tuple(sorted(map(tuple, np.round(pair, 6)))) for pair in wanted}


def test_instance_alone_is_drawn_without_edges(ring: TSP) -> None:
    ax = plot_tour(ring)
    assert lines_of(ax) == []
    assert np.allclose(ax.collections[0].get_offsets(), ring.coords)


def test_given_axes_are_used_and_returned(ring: TSP) -> None:
    _, ax = plt.subplots()
    assert plot_tour(tour_of(ring), ax=ax) is ax
    assert plot_trace(tour_of(ring, trace=[[0.1, 9.0]]), ax=ax) is ax
    assert len(plt.get_fignums()) == 1


def test_result_and_instance_plot_themselves(ring: TSP) -> None:
    assert titles_of(tour_of(ring).plot()).startswith("ring\n12 cities, length")
    assert titles_of(ring.plot()) == "ring\n12 cities"


def test_title_states_the_certificate(ring: TSP) -> None:
    length = ring.length(range(12))
    assert "within 1.00 % of the optimum" in titles_of(plot_tour(tour_of(ring, lower_bound=length / 1.01)))
    assert "optimal" in titles_of(plot_tour(tour_of(ring, lower_bound=length, is_optimal=True)))
    assert "optim" not in titles_of(plot_tour(tour_of(ring)))


def test_drawing_leaves_the_settings_of_matplotlib_alone(ring: TSP) -> None:
    before = dict(plt.rcParams)
    plot_tour(tour_of(ring))
    plot_trace(tour_of(ring, trace=[[0.1, 9.0]]))
    assert dict(plt.rcParams) == before


def test_capitals_become_a_map_of_the_world_with_names() -> None:
    problem = as_tsp(load_instance("capitals"))
    ax = plot_tour(tour_of(problem))
    shown = {text.get_text() for text in ax.texts}
    assert len(shown & set(problem.node_names or ())) >= 15
    assert {"60°N", "0°", "30°S"} <= shown
    assert max(np.abs(np.diff(line[:, 0])).max() for line in lines_of(ax)) < 1.0  # nothing runs across the map


def test_geo_instance_of_a_region_gets_a_graticule() -> None:
    europe = TSP.from_coords([[59.19, 18.04], [55.40, 12.34], [60.10, 24.56], [52.31, 13.24]], metric="GEO")
    assert {"54°N", "60°N", "14°E", "20°E"} <= {text.get_text() for text in plot_tour(tour_of(europe)).texts}


@pytest.mark.parametrize("coords", [[[3.0, 3.0]], [[0.0, 0.0], [1.0, 1.0]], [[2.0, 2.0]] * 5, [[0, 0], [1, 0], [2, 0]]])
def test_degenerate_instances_are_drawn(coords: list[list[float]]) -> None:
    ax = plot_tour(tour_of(TSP.from_coords(coords)))
    ax.figure.canvas.draw()


def test_points_of_space_are_drawn_in_space() -> None:
    cube = TSP.from_coords([[0, 0, 0], [0, 0, 1], [0, 1, 1], [1, 1, 1]])
    ax = plot_tour(tour_of(cube))
    assert ax.name == "3d"
    ax.figure.canvas.draw()
    with pytest.raises(InputError, match=r"must be 3d axes.*subplot_kw"):
        plot_tour(cube, ax=plt.subplots()[1])


def test_distances_alone_are_placed_so_that_they_come_out_right(ring: TSP) -> None:
    ax = plot_tour(tour_of(TSP.from_matrix(ring.distance_matrix())))
    places = np.asarray(ax.collections[-1].get_offsets())
    apart = np.linalg.norm(places[:, None] - places[None], axis=-1)
    assert np.allclose(apart, ring.distance_matrix())
    assert "placed by multidimensional scaling" in titles_of(ax)


def test_display_coordinates_of_a_file_are_used() -> None:
    shown = np.array([[0.0, 0.0], [5.0, 0.0], [5.0, 5.0]])
    problem = TSP(matrix=np.ones((3, 3)), metric="EXPLICIT", display=shown)
    ax = plot_tour(problem)
    assert np.allclose(ax.collections[0].get_offsets(), shown)
    assert "scaling" not in titles_of(ax)


def test_large_instance_without_places_is_refused() -> None:
    problem = TSP.from_matrix(np.zeros((3001, 3001)))
    with pytest.raises(InputError, match=r"drawn up to 3,000 cities, found 3,001.*display"):
        plot_tour(problem)


def test_fixed_edges_stand_out(ring: TSP) -> None:
    problem = TSP(ring.coords, fixed_edges=((0, 1), (5, 6)))
    thick = [c for c in plot_tour(tour_of(problem)).collections if np.max(c.get_linewidth()) > 2.0]
    assert [len(c.get_segments()) for c in thick if isinstance(c, LineCollection)] == [2]


def test_of_two_directions_the_higher_score_is_drawn_and_the_best_on_top(ring: TSP) -> None:
    neighbours = np.stack([(np.arange(12) + 1) % 12, (np.arange(12) - 1) % 12], axis=1)
    scores = np.zeros((12, 2))
    scores[0, 0], scores[1, 1], scores[5, 0] = 0.2, 0.9, 0.4
    ax = plot_edge_scores(ring, neighbours, scores)
    lines = next(c for c in ax.collections if isinstance(c, LineCollection))
    assert np.allclose(lines.get_array(), [0.0] * 10 + [0.4, 0.9])
    assert np.allclose(np.sort(lines.get_segments()[-1], axis=0), np.sort(ring.coords[[0, 1]], axis=0))
    assert lines.get_linewidth()[-1] > lines.get_linewidth()[0]


def test_padding_among_the_neighbours_is_left_out(ring: TSP) -> None:
    neighbours = np.full((12, 3), -1)
    neighbours[0] = [1, 2, -1]
    ax = plot_edge_scores(ring, neighbours, np.where(neighbours < 0, np.nan, 1.0))
    assert len(lines_of(ax)) == 2


def test_heat_map_of_a_world_keeps_one_value_a_line() -> None:
    problem = TSP.from_coords([[10.0, 170.0], [20.0, -170.0], [0.0, 0.0], [0.0, 100.0], [0.0, -100.0]], metric="GEO")
    neighbours = np.array([[1, 3], [0, 4], [3, 4], [2, 0], [2, 1]])
    ax = plot_edge_scores(tour_of(problem), neighbours, np.arange(10.0).reshape(5, 2))
    scored = [c for c in ax.collections if isinstance(c, LineCollection) and c.get_array() is not None]
    assert len(scored) == 1
    assert len(scored[0].get_segments()) == len(scored[0].get_array()) == len(scored[0].get_linewidth())


@pytest.mark.parametrize(
    ("neighbours", "scores", "message"),
    [
        ([[1]] * 11, [[1.0]] * 11, r"shape \[12, K\]"),
        ([[1, 2]] * 12, [[1.0]] * 12, r"shape \[12, K\]"),
        ([[1.0]] * 12, [[1.0]] * 12, r"integers"),
        ([[12]] * 12, [[1.0]] * 12, r"0 \.\. 11, found 12"),
        ([[1]] * 12, [[np.nan]] * 12, r"finite"),
    ],
)
def test_bad_scores_are_refused(ring: TSP, neighbours: list, scores: list, message: str) -> None:
    with pytest.raises(InputError, match=message):
        plot_edge_scores(ring, neighbours, scores)


def test_trace_goes_on_to_the_end_of_the_run_and_shows_the_bound(ring: TSP) -> None:
    length = ring.length(range(12))
    result = tour_of(ring, trace=[[0.01, 2 * length], [0.1, length]], seconds=3.0, lower_bound=0.9 * length)
    ax = plot_trace(result)
    curve = ax.get_lines()[0]
    assert curve.get_xdata().tolist() == [0.01, 0.1, 3.0]
    assert curve.get_ydata().tolist() == [2 * length, length, length]
    assert any(np.allclose(line.get_ydata(), 0.9 * length) for line in ax.get_lines())
    assert "11.11 % below the tour" in titles_of(ax)
    low, high = ax.get_ylim()
    assert low < 0.9 * length < 2 * length < high
    ax.figure.canvas.draw()


def test_trace_without_a_bound_has_none(ring: TSP) -> None:
    ax = plot_trace(tour_of(ring, trace=[[0.01, 9.0]]))
    assert "bound" not in titles_of(ax)
    ax.figure.canvas.draw()


def test_several_traces_get_a_legend_and_the_best_bound(ring: TSP) -> None:
    length = ring.length(range(12))
    first = tour_of(ring, trace=[[0.01, length]], seconds=1.0, lower_bound=0.8 * length)
    second = tour_of(ring, trace=[[0.02, length]], seconds=2.0, lower_bound=0.9 * length)
    ax = plot_trace({"one": first, "two": second})
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["one", "two"]
    assert any(np.allclose(line.get_ydata(), 0.9 * length) for line in ax.get_lines())
    assert not any(np.allclose(line.get_ydata(), 0.8 * length) for line in ax.get_lines())


def test_trace_at_time_zero_is_drawn(ring: TSP) -> None:
    plot_trace(tour_of(ring, trace=[[0.0, ring.length(range(12))]])).figure.canvas.draw()


def test_empty_traces_are_refused(ring: TSP) -> None:
    with pytest.raises(InputError, match="needs at least one result"):
        plot_trace({})
    with pytest.raises(InputError, match="that of 'tour' is empty"):
        plot_trace(tour_of(ring))
