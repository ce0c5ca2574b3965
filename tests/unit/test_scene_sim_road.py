"""Road and route: distances by hand, projection both ways, the choice of lanes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnlib.errors import InputError
from gnnlib.heads.scene.maps.road import Road, Route, box_corners, road_of, route_of
from gnnlib.heads.scene.problem import Lane, LaneMap, Scene


def lanes():
    fork = (
        Lane("in", [[0, 0], [40, 0]], successors=("straight", "left")),
        Lane("straight", [[40, 0], [90, 0]], predecessors=("in",)),
        Lane("left", [[40, 0], [50, 5], [55, 20], [55, 60]], predecessors=("in",)),
        Lane("back", [[90, 4], [0, 4]]),
        Lane("bikes", [[0, -5], [90, -5]], kind="bike"),
    )
    return LaneMap(fork)


def test_bounds_give_the_width_of_the_road_and_bike_lanes_are_no_road():
    wide = LaneMap((Lane("a", [[0, 0], [20, 0]], left=[[0, 3], [20, 3]], right=[[0, -1], [20, -1]]),))
    assert road_of(wide).distance([[10.0, 0.0], [10.0, 2.5]]).tolist() == [-2.0, 0.5]
    assert road_of(lanes()).distance([[20.0, -5.0]])[0] == pytest.approx(3.25)


def test_without_lanes_the_road_is_empty_and_far():
    road = road_of(LaneMap())
    assert len(road) == 0 and road.near([0, 0], 10.0) is road
    assert road.distance([[0.0, 0.0]])[0] > 1e3


def test_near_keeps_every_piece_within_reach():
    road = road_of(lanes())
    part = road.near([20.0, 0.0], 15.0)
    assert 0 < len(part) < len(road)
    points = np.array([20.0, 0.0]) + np.array([[3.0, 4.0], [-8.0, 0.0], [0.0, -9.0]])
    inside = road.distance(points)
    assert np.allclose(part.distance(points), inside)


def test_a_route_goes_straight_on_beyond_its_ends():
    route = Route.along([[0, 0], [10, 0], [10, 10]])
    along, offset = route.project([[-5.0, 1.0], [9.0, 15.0]])
    assert along.tolist() == [-5.0, 25.0] and offset.tolist() == [1.0, 1.0]
    assert np.allclose(route.points([-5.0, 25.0], [1.0, 1.0]), [[-5.0, 1.0], [9.0, 15.0]])


@settings(max_examples=40, deadline=None)
@given(st.floats(1.0, 39.0), st.floats(-3.0, 3.0), st.floats(-0.02, 0.02))
def test_points_beside_a_smooth_route_project_back(along, offset, bend):
    way = np.linspace(0.0, 40.0, 81)
    line = np.cumsum(0.5 * np.stack([np.cos(bend * way), np.sin(bend * way)], axis=-1), axis=0)
    route = Route.along(line)
    back = route.project(route.points(along, offset))
    assert back[0] == pytest.approx(along, abs=0.2) and back[1] == pytest.approx(offset, abs=0.05)


@pytest.mark.parametrize("name", ["straight", "left"])
def test_the_route_follows_the_branch_that_was_driven(name):
    way = lanes()
    path = Route.along(np.concatenate([way["in"].centre, way[name].centre]))
    xy = path.points(np.linspace(20.0, 80.0, 60))[None]
    scene = Scene("fork", ("a",), xy, heading_rad=path.heading(np.linspace(20.0, 80.0, 60))[None], lanes=way)
    route = route_of(scene, 0, 5)
    assert np.abs(route.project(xy[0, 5:])[1]).max() < 1.5
    assert np.abs(route.project(way["back"].centre)[1]).max() > 3.0


def test_without_a_map_the_route_is_straight_ahead():
    scene = Scene("bare", ("a",), [[[0.0, 0], [1, 1], [2, 2], [2, 3]]])
    route = route_of(scene, 0, 2)
    along, offset = route.project([[7.0, 7.0]])
    assert offset[0] == pytest.approx(0.0, abs=1e-9) and along[0] == pytest.approx(10 + 5 * 2**0.5)


def test_who_is_absent_has_no_route():
    scene = Scene("gap", ("a",), [[[0.0, 0], [np.nan, np.nan], [2, 0]]])
    with pytest.raises(InputError, match="absent at step 1"):
        route_of(scene, 0, 1)


@pytest.mark.parametrize("line", [[[0, 0]], [[1, 1], [1, 1]], [[0, 0], [np.nan, 0]], [0, 1, 2]])
def test_a_route_needs_two_different_finite_points(line):
    with pytest.raises(InputError, match="route"):
        Route.along(line)


def test_smoothing_rounds_corners_and_keeps_length():
    corner = Route.along([[0, 0], [30, 0], [30, 30]])
    smooth = corner.resampled(1.0, smooth_m=6.0)
    turns = np.abs(np.diff(smooth.heading(smooth.arc[:-1] + 0.5)))
    assert turns.max() < 0.5
    assert smooth.length == pytest.approx(60.0, abs=3.0)


def test_corners_turn_with_the_heading():
    quarter = box_corners(np.array([1.0, 1.0]), np.array(np.pi / 2), np.array([4.0, 2.0]))
    assert np.allclose(quarter, [[0, 3], [0, -1], [2, -1], [2, 3]])


def test_the_compiled_distance_equals_a_plain_one():
    rng = np.random.default_rng(0)
    start, end, half = rng.normal(0, 9, (12, 2)), rng.normal(0, 9, (12, 2)), rng.uniform(0.5, 3, 12)
    points = rng.normal(0, 15, (50, 2))

    def plain(point):
        share = np.clip(((point - start) * (end - start)).sum(1) / ((end - start) ** 2).sum(1), 0, 1)
        return (np.linalg.norm(point - start - share[:, None] * (end - start), axis=1) - half).min()

    assert np.allclose(Road(start, end, half).distance(points), [plain(point) for point in points])
