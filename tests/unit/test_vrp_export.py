"""Results as files: solutions, pages, GeoJSON, graphs."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.vrp.export import (
    result_geojson,
    result_networkx,
    routes_by_vehicle,
    write_html,
    write_solution,
)
from gnnlib.heads.combinatorial.vrp.export_html import routes_svg
from gnnlib.heads.combinatorial.vrp.io import read_routes
from gnnlib.heads.combinatorial.vrp.metrics import check_routes
from gnnlib.heads.combinatorial.vrp.problem import VRP, VehicleType
from gnnlib.heads.combinatorial.vrp.result import RouteResult
from gnnlib.heads.combinatorial.vrp.travel import Travel

PLACES = np.array([[0.0, 0.0], [0.0, 3.0], [4.0, 3.0], [4.0, 0.0]])


def fleet(**fields):
    kinds = (
        VehicleType(2, (4.0,), name="van"),
        VehicleType(1, (9.0,), fixed_cost=5.0, reload_depots=(0,), name="<lorry>"),
    )
    return VRP(Travel(PLACES), kinds, delivery=[[1.0], [2.0], [3.0]], **fields)


def test_route_k_of_the_file_belongs_to_vehicle_k(tmp_path):
    problem = fleet()
    result = RouteResult.from_routes(problem, [[2, 0, 1], [3]], [1, 0])
    assert routes_by_vehicle(result) == [(3,), (), (2, 0, 1)]
    write_solution(result, tmp_path / "x.sol")
    stored = read_routes(tmp_path / "x.sol")
    again = check_routes(problem, stored.routes)
    assert again.cost == result.cost == stored.cost
    assert again.feasible


def test_geojson_holds_every_route_stop_and_unserved_client(tmp_path):
    problem = fleet(prize=[0.0, 0.0, 1.0], cost_scale=10.0)
    result = RouteResult.from_routes(problem, [[1], [2]], [0, 1])
    found = result_geojson(result, tmp_path / "x.json")
    assert json.loads((tmp_path / "x.json").read_text()) == found
    kinds = [feature["properties"]["kind"] for feature in found["features"]]
    assert kinds == ["route", "route", "stop", "stop", "depot", "unserved"]
    assert found["features"][0]["properties"]["distance"] == 0.6
    assert found["features"][3]["geometry"] == {"type": "Point", "coordinates": [4.0, 3.0]}
    assert found["features"][3]["properties"]["service_starts"] == 0.5
    assert found["features"][5]["properties"]["client"] == 3


def test_the_graph_adds_up_to_the_cost():
    result = RouteResult.from_routes(fleet(), [[1, 2], [3]], [0, 0])
    graph = result_networkx(result)
    assert graph.size(weight="weight") == result.check.distance_cost == 20.0
    assert graph.has_edge(1, 2)
    assert not graph.has_edge(2, 1)


def test_an_open_route_ends_at_its_last_client():
    problem = VRP(Travel(PLACES), (VehicleType(1, end=None),))
    result = RouteResult.from_routes(problem, [[1, 2, 3]])
    assert result_geojson(result)["features"][0]["geometry"]["coordinates"][-1] == [4.0, 0.0]
    assert list(result_networkx(result).edges(keys=False)) == [(0, 1), (1, 2), (2, 3)]


def test_the_page_is_whole_and_escapes_names(tmp_path):
    result = RouteResult.from_routes(fleet(name="a<b"), [[1, 2], [3]], [0, 1])
    write_html(result, tmp_path / "x.html")
    page = (tmp_path / "x.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "&lt;lorry&gt;" in page
    assert "<lorry>" not in page
    assert "a&lt;b" in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    drawing = ET.fromstring(routes_svg(result))
    assert len(drawing.findall("{*}polyline")) == 2
    assert len(drawing.findall("{*}circle")) == 3


def test_the_page_says_what_is_broken():
    problem = fleet(windows=[[0, 99], [0, 1], [0, 99]])
    result = RouteResult.from_routes(problem, [[1], [3]], [0, 0], unservable=((2, "its window closes"),))
    text = result._repr_html_()
    assert "client 2 cannot be served by anyone: its window closes" in text
    assert "client 2 is not served" in text


def test_matrices_without_coordinates_have_no_drawing_but_a_page():
    problem = VRP(Travel(distances=np.ones((1, 2, 2))), (VehicleType(1),))
    result = RouteResult.from_routes(problem, [[1]])
    assert "<svg" not in result._repr_html_()
    with pytest.raises(InputError, match="GeoJSON needs coordinates"):
        result_geojson(result)
