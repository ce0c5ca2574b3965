from __future__ import annotations

import math

import numpy as np
import pytest

from gnnlib.heads.combinatorial.worldmap import WorldMap, great_circles


def spherical_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Great-circle distance in degrees by the haversine formula, independent of the module's own vectors."""
    (p, u), (q, v) = np.deg2rad(a), np.deg2rad(b)
    h = math.sin((q - p) / 2) ** 2 + math.cos(p) * math.cos(q) * math.sin((v - u) / 2) ** 2
    return math.degrees(2 * math.asin(math.sqrt(h)))


def test_great_circle_steps_are_even_and_add_up_to_the_distance() -> None:
    start, end = np.array([40.7, -74.0]), np.array([35.7, 139.7])
    way = great_circles(start[None], end[None], 21)[0]
    steps = [spherical_distance(way[i], way[i + 1]) for i in range(20)]
    assert np.allclose(way[0], start)
    assert np.allclose(way[-1], end)
    assert np.ptp(steps) < 1e-9
    assert sum(steps) == pytest.approx(spherical_distance(start, end))
    assert way[:, 0].max() > 60.0  # the short way from New York to Tokyo leads over Alaska


@pytest.mark.parametrize("end", [[10.0, 20.0], [-10.0, -160.0]])
def test_great_circle_between_equal_or_opposite_places_is_finite(end: list[float]) -> None:
    way = great_circles(np.array([[10.0, 20.0]]), np.array([end]), 5)
    assert np.isfinite(way).all()


def test_projection_keeps_areas_of_latitude_bands_equal() -> None:
    world = WorldMap()
    areas = []
    for south, north in ((0.0, 20.0), (50.0, 70.0)):
        latitude = np.linspace(south, north, 2001)
        east = world.project(np.stack([latitude, np.full_like(latitude, 60.0)], axis=1))
        width = east[:, 0] * 2.0
        areas.append(np.trapezoid(width, east[:, 1]) / (math.sin(math.radians(north)) - math.sin(math.radians(south))))
    assert areas[0] == pytest.approx(areas[1], rel=1e-6)


def test_poles_and_equator_lie_where_the_projection_puts_them() -> None:
    world = WorldMap()
    # values of the projection's own paper: the map is 2.05458 times as wide as high
    height = world.project(np.array([90.0, 0.0]))[1] - world.project(np.array([-90.0, 0.0]))[1]
    width = world.project(np.array([0.0, 179.999999]))[0] * 2.0
    assert width / height == pytest.approx(2.05458, abs=1e-4)


def test_line_across_the_cut_comes_in_two_pieces_that_meet_the_edge() -> None:
    world = WorldMap(centre=0.0)
    pieces = world.lines(np.array([[10.0, 170.0]]), np.array([[20.0, -170.0]]))
    assert len(pieces) == 2
    assert np.allclose(pieces[0][-1], [-pieces[1][0][0], pieces[1][0][1]])
    east = world.outline()[:181]
    assert np.interp(pieces[0][-1][1], east[:, 1], east[:, 0]) == pytest.approx(pieces[0][-1][0], abs=1e-4)
    for piece in pieces:
        assert np.abs(np.diff(piece[:, 0])).max() < 0.2


def test_line_that_does_not_cross_the_cut_stays_whole() -> None:
    assert len(WorldMap(centre=180.0).lines(np.array([[10.0, 170.0]]), np.array([[20.0, -170.0]]))) == 1


def test_map_is_cut_in_the_widest_empty_stretch_of_longitude() -> None:
    islands = np.array([[0.0, 170.0], [0.0, -170.0], [5.0, 178.0], [-5.0, -179.0]])
    around = WorldMap.around(islands)
    assert not around.is_world
    assert np.ptp(around.project(islands)[:, 0]) == pytest.approx(20.0, abs=0.01)


def test_places_all_over_the_globe_make_a_map_of_the_world() -> None:
    longitude = np.linspace(-180.0, 170.0, 36)
    assert WorldMap.around(np.stack([np.zeros(36), longitude], axis=1)).is_world


def test_one_place_makes_a_map() -> None:
    assert np.isfinite(WorldMap.around(np.array([[48.9, 2.4]])).project(np.array([48.9, 2.4]))).all()
