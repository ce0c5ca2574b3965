"""Graph files: TNTP and GraphML, well-formed and broken, and the commands that read them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from gnnlib.cli.app import main
from gnnlib.errors import FileFormatError, InputError
from gnnlib.heads.combinatorial.graph_io import read_graph, read_graphml, read_tntp
from gnnlib.heads.combinatorial.mst.api import spanning_tree
from gnnlib.heads.combinatorial.paths.api import shortest_path

DATA = Path(os.environ.get("GNNLIB_DATA", Path(__file__).parents[3] / "shared" / "data")) / "combinatorial" / "graphs"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the road networks are not here; set GNNLIB_DATA")

TNTP = """<NUMBER OF ZONES> 1
<NUMBER OF NODES> 3
<FIRST THRU NODE> 1
<NUMBER OF LINKS> 4
<END OF METADATA>

~ init term capacity length free_flow_time ;
1\t2\t100\t1.5\t3\t0.15\t4\t0\t0\t1\t;
2\t1\t100\t1.5\t3\t0.15\t4\t0\t0\t1\t;
2\t3\t100\t2.0\t1\t0.15\t4\t0\t0\t1\t;
1\t3\t100\t9.0\t5\t0.15\t4\t0\t0\t1\t;
"""


@pytest.fixture
def tntp(tmp_path) -> Path:
    (tmp_path / "town_node.tntp").write_text("Node X Y ;\n1 0 0 ;\n2 1 0 ;\n3 1 1 ;\n")
    path = tmp_path / "town_net.tntp"
    path.write_text(TNTP)
    return path


def test_a_tntp_file_has_lengths_times_names_and_places(tntp):
    graph = read_tntp(tntp)
    assert (graph.num_nodes, graph.num_edges, graph.is_directed, graph.name) == (3, 4, True, "town")
    assert graph.weights.tolist() == [1.5, 1.5, 2.0, 9.0]
    assert graph.coords.tolist() == [[0, 0], [1, 0], [1, 1]]
    assert shortest_path(tntp, 1, 3).nodes == (1, 2, 3)
    assert shortest_path(tntp, 1, 3, weight="free_flow_time").length == 4.0
    assert spanning_tree(graph.to_undirected()).weight == 3.5
    with pytest.raises(InputError, match="to_undirected"):
        spanning_tree(tntp)
    with pytest.raises(InputError, match="`weight` of a TNTP file"):
        read_tntp(tntp, weight="colour")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<END OF METADATA>", "", "END OF METADATA"),
        ("<NUMBER OF NODES> 3", "", "expected a line <NUMBER OF NODES>"),
        ("<NUMBER OF NODES> 3", "<NUMBER OF NODES> three", ":2: <NUMBER OF NODES> must be an integer"),
        ("<NUMBER OF LINKS> 4", "<NUMBER OF LINKS> 5", "expected 5 links, found 4"),
        ("2\t3\t100\t2.0", "2\t4\t100\t2.0", ":10: nodes must lie in 1 .. 3"),
        ("2\t3\t100\t2.0", "2\t3\t100\tlong", ":10: expected two node numbers"),
        ("2\t3\t100\t2.0", "2\t3\t100\tnan", ":10: the length must be finite"),
        ("2\t3\t100\t2.0\t1\t0.15\t4\t0\t0\t1\t;", "2\t3;", ":10: expected at least 4 columns"),
    ],
)
def test_a_broken_tntp_file_names_the_line(tmp_path, old, new, message):
    path = tmp_path / "broken_net.tntp"
    path.write_text(TNTP.replace(old, new))
    with pytest.raises(FileFormatError, match=message):
        read_graph(path)


def test_graphml_comes_back_as_it_was_written(tmp_path):
    graph = nx.MultiDiGraph(name="streets")
    graph.add_node("a", x=0.0, y=1.0)
    graph.add_node("b", x=2.0, y=1.0)
    graph.add_edge("a", "b", length="12.5")  # road maps write numbers as text
    graph.add_edge("a", "b", length="10.0")
    nx.write_graphml(graph, tmp_path / "streets.graphml")
    record = read_graph(tmp_path / "streets.graphml", weight="length")
    assert record.names == ("a", "b") and record.weights.tolist() == [12.5, 10.0]
    assert record.coords.tolist() == [[0.0, 1.0], [2.0, 1.0]]
    assert shortest_path(tmp_path / "streets.graphml", "a", "b", weight="length").length == 10.0
    assert read_graphml(tmp_path / "streets.graphml").weights.tolist() == [1.0, 1.0]


def test_broken_graphml_is_refused(tmp_path):
    path = tmp_path / "broken.graphml"
    for text in ("<graphml><graph>", "no xml", "", "<html></html>"):
        path.write_text(text)
        with pytest.raises(FileFormatError, match="not a GraphML file"):
            read_graph(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FileFormatError, match="UTF-8"):
        read_graph(path)


@needs_data
@pytest.mark.parametrize(
    "path",
    sorted(path for path in (DATA / "tntp").glob("*_net.tntp") if path.stat().st_size < 300_000),
    ids=lambda path: path.stem,
)
def test_road_networks_are_read_as_networkx_would_have_them(path):
    graph = read_tntp(path)
    declared = int(path.read_text().split("<NUMBER OF LINKS>")[1].split()[0])
    assert graph.num_edges == declared
    flat = graph.to_undirected()
    result = spanning_tree(flat)
    assert result.weight == pytest.approx(nx.minimum_spanning_tree(flat.to_networkx()).size(weight="weight"), rel=1e-9)
    distances = shortest_path(graph, 1)
    reference = nx.single_source_dijkstra_path_length(graph.to_networkx(), 1)
    found = {name: d for name, d in zip(graph.names, distances.distances.tolist(), strict=True) if np.isfinite(d)}
    assert found == pytest.approx(reference, rel=1e-9)


@needs_data
def test_the_street_map_is_read():
    graph = read_graph(DATA / "osm" / "short.graphml", weight="length")
    assert graph.num_nodes > 0 and (graph.weights > 0).all()


def test_the_commands_answer_with_json_and_text(tntp, tmp_path, capsys):
    assert main(["solve", "mst", str(tntp), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["weight"] == 3.5
    assert main(["solve", "path", str(tntp), "1", "3", "--plot", str(tmp_path / "path.png")]) == 0
    assert "1 -> 2 -> 3" in capsys.readouterr().out
    assert (tmp_path / "path.png").stat().st_size > 1000
    assert main(["solve", "path", str(tntp), "1", "7"]) == 2
    assert "`target` must be a node of the graph, found 7" in capsys.readouterr().err
    assert main(["solve", "mst", str(tmp_path / "none.tntp")]) == 2
