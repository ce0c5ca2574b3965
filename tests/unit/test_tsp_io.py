"""TSPLIB files: every layout, tolerated deviations, tours and solutions."""

import gzip

import numpy as np
import pytest

from gnnlib.errors import FileFormatError, InputError
from gnnlib.heads.combinatorial.tsp.io import (
    MATRIX_FORMATS,
    format_tour,
    format_tsplib,
    read_solution,
    read_tour,
    read_tsplib,
    write_solution,
    write_tour,
    write_tsplib,
)
from gnnlib.heads.combinatorial.tsp.problem import TSP

PLAIN = """NAME : three
TYPE : TSP
COMMENT : first
COMMENT: second
DIMENSION : 3
EDGE_WEIGHT_TYPE : EUC_2D
NODE_COORD_SECTION
1 0 0
2 3.0e0 4
3 -3 +4.5
EOF
"""

SYMMETRIC = np.array([[0, 1, 2, 3], [1, 0, 4, 5], [2, 4, 0, 6], [3, 5, 6, 0]])


@pytest.fixture
def write(tmp_path):
    def save(text, name="file.tsp"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return save


def _listed(matrix, layout):
    """List a matrix in the order that the TSPLIB document gives for `layout`, by plain loops."""
    n = len(matrix)
    if layout == "FULL_MATRIX":
        return [matrix[i][j] for i in range(n) for j in range(n)]
    with_diagonal = "DIAG" in layout
    upper = layout.startswith("UPPER")
    kept = [(i, j) for i in range(n) for j in range(n) if (i < j if upper else i > j) or (with_diagonal and i == j)]
    if layout.endswith("COL"):
        kept.sort(key=lambda place: (place[1], place[0]))
    return [matrix[i][j] for i, j in kept]


def _explicit(values, layout, kind="TSP", count=4):
    return (
        f"NAME: m\nTYPE: {kind}\nDIMENSION: {count}\nEDGE_WEIGHT_TYPE: EXPLICIT\nEDGE_WEIGHT_FORMAT: {layout}\n"
        f"EDGE_WEIGHT_SECTION\n{values}\nEOF\n"
    )


def test_a_plain_file_is_read(write):
    problem = read_tsplib(write(PLAIN))
    assert (problem.name, problem.comment, problem.metric) == ("three", "first\nsecond", "EUC_2D")
    assert problem.coords.tolist() == [[0, 0], [3, 4], [-3, 4.5]]
    assert problem.length([0, 1, 2]) == 5 + 6 + 5


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("EOF\n", ""),
        lambda text: text.replace("EOF\n", "EOF"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: text.replace(" : ", ":"),
        lambda text: text.replace(" : ", "\t:\t"),
        lambda text: text.replace("\n", "   \n"),
        lambda text: text.replace("\n", "\n\n"),
        lambda text: text.replace("1 0 0", "   1\t 0   0"),
        lambda text: "# made by hand\n% and\n// by another\n" + text.replace("2 3.0e0", "# the second city\n2 3.0e0"),
        lambda text: text.lower().replace("euc_2d", "EUC_2D"),
        lambda text: text.replace("NODE_COORD_SECTION", "NODE_COORD_SECTION :"),
        lambda text: text.replace("TYPE : TSP", "TYPE : TSP (M.~Hofmeister)"),
        lambda text: text.replace("TYPE : TSP\n", ""),
        lambda text: text.replace("DIMENSION : 3", "DIMENSION 3"),
        lambda text: text + "what stands behind EOF is not read\n7 7\n",
        lambda text: "\ufeff" + text,
        lambda text: text.replace("1 0 0\n2 3.0e0 4\n", "2 3.0e0 4\n1 0 0\n"),
    ],
)
def test_harmless_deviations_are_tolerated(write, change):
    problem = read_tsplib(write(change(PLAIN)))
    assert problem.coords.tolist() == [[0, 0], [3, 4], [-3, 4.5]]


def test_a_gzipped_file_is_read_whatever_its_name(write):
    packed = gzip.compress(PLAIN.encode())
    assert read_tsplib(write(packed, "three.tsp.gz")).num_cities == 3
    assert read_tsplib(write(packed, "three.tsp")).num_cities == 3


def test_a_comment_in_an_old_encoding_is_read(write):
    assert read_tsplib(write(PLAIN.replace("first", "für").encode("latin-1"))).comment == "für\nsecond"


def test_a_file_without_a_name_is_called_after_the_file(write):
    assert read_tsplib(write(PLAIN.replace("NAME : three\n", ""), "towns.tsp.txt")).name == "towns"


@pytest.mark.parametrize("layout", MATRIX_FORMATS)
def test_every_matrix_layout_gives_the_same_matrix(write, layout):
    values = " ".join(str(value) for value in _listed(SYMMETRIC, layout))
    problem = read_tsplib(write(_explicit(values, layout)))
    assert problem.matrix.tolist() == SYMMETRIC.tolist()
    assert problem.is_symmetric


def test_line_breaks_in_a_matrix_have_no_meaning(write):
    values = "\n".join(str(value) for value in _listed(SYMMETRIC, "UPPER_ROW"))
    assert read_tsplib(write(_explicit(values, "UPPER_ROW"))).matrix.tolist() == SYMMETRIC.tolist()


def test_an_asymmetric_file_keeps_its_directions(write):
    problem = read_tsplib(write(_explicit("9999 1 2 9999 9999 3 4 5 9999", "FULL_MATRIX", "ATSP", 3)))
    assert not problem.is_symmetric
    assert problem.matrix.tolist() == [[0, 1, 2], [9999, 0, 3], [4, 5, 0]]


def test_display_coordinates_never_become_distances(write):
    text = _explicit(" ".join(map(str, _listed(SYMMETRIC, "UPPER_ROW"))), "UPPER_ROW").replace(
        "EOF", "DISPLAY_DATA_SECTION\n1 0 0\n2 0 9\n3 9 9\n4 9 0\nEOF"
    )
    problem = read_tsplib(write(text.replace("TYPE: TSP", "TYPE: TSP\nDISPLAY_DATA_TYPE: TWOD_DISPLAY")))
    assert problem.coords is None
    assert problem.display.tolist() == [[0, 0], [0, 9], [9, 9], [9, 0]]
    assert problem.length([0, 1, 2, 3]) == 1 + 4 + 6 + 3


def test_node_coordinates_of_an_explicit_file_serve_as_display(write):
    text = _explicit("1 2 3", "UPPER_ROW", count=3).replace("EOF", "NODE_COORD_SECTION\n1 0 0\n2 0 9\n3 9 9\nEOF")
    problem = read_tsplib(write(text))
    assert problem.coords is None
    assert problem.display.shape == (3, 2)


def test_points_of_space_are_read(write):
    text = PLAIN.replace("EUC_2D", "EUC_3D").replace("1 0 0", "1 0 0 0").replace("2 3.0e0 4", "2 1 2 3")
    assert read_tsplib(write(text.replace("3 -3 +4.5", "3 1 1 1"))).coords.shape == (3, 3)


@pytest.mark.parametrize("end", ["-1\n", ""])
def test_fixed_edges_are_read(write, end):
    text = PLAIN.replace("NODE_COORD_SECTION", f"FIXED_EDGES_SECTION\n1 3\n2 3\n{end}NODE_COORD_SECTION")
    assert read_tsplib(write(text)).fixed_edges == ((0, 2), (1, 2))


@pytest.mark.parametrize(
    "problem",
    [
        TSP.from_coords([[0.1, 0.2], [1e-7, 3], [1 / 3, 1e20]], name="floats"),
        TSP.from_coords([[0.1, 0.2, 0.3], [1, 2, 3]], name="space"),
        TSP.from_coords([[38.24, 20.42], [-33.55, -118.14]], metric="GEO", name="globe"),
        TSP.from_coords([[0, 0, 1], [1, 2, 3]], metric="EUC_3D", name="rounded space"),
        TSP.from_coords([[5, 5]], metric="EUC_2D", name="one"),
        TSP.from_matrix([[0, 1.5], [1.5, 0]], name="pair"),
        TSP.from_matrix([[0]], name="one"),
        TSP.from_matrix([[0, 1, 2], [3, 0, 4], [5, 6, 0]], name="asymmetric"),
        TSP(
            matrix=SYMMETRIC,
            metric="EXPLICIT",
            name="all",
            comment="two\nlines",
            fixed_edges=((0, 3), (3, 1)),
            display=np.arange(8.0).reshape(4, 2),
        ),
    ],
    ids=lambda problem: problem.name,
)
def test_a_written_instance_reads_back_the_same(problem, tmp_path):
    write_tsplib(problem, tmp_path / "x.tsp")
    back = read_tsplib(tmp_path / "x.tsp")
    for name in ("metric", "name", "comment", "fixed_edges"):
        assert getattr(back, name) == getattr(problem, name)
    for name in ("coords", "matrix", "display"):
        assert np.array_equal(getattr(back, name), getattr(problem, name)), name


def test_a_symmetric_matrix_may_be_written_in_full(tmp_path):
    problem = TSP.from_matrix(SYMMETRIC)
    text = format_tsplib(problem, full_matrix=True)
    assert "FULL_MATRIX" in text
    assert "TYPE : TSP\n" in text
    (tmp_path / "x.tsp").write_text(text)
    assert np.array_equal(read_tsplib(tmp_path / "x.tsp").matrix, SYMMETRIC)


def test_line_breaks_in_a_name_do_not_break_the_file(tmp_path):
    write_tsplib(TSP.from_coords([[0, 0]], name="a\nEOF\nb"), tmp_path / "x.tsp")
    assert read_tsplib(tmp_path / "x.tsp").name == "a EOF b"


@pytest.mark.parametrize("end", ["-1\nEOF\n", "-1\n", "EOF\n", "", "-1\n-1\nEOF\n", "-1 \n\nEOF"])
@pytest.mark.parametrize("body", ["2\n3\n1\n", "2 3 1\n", "  2  3\n1\n"])
def test_tour_files_end_in_many_ways(write, end, body):
    text = f"NAME : t.opt.tour\nTYPE : TOUR\nDIMENSION : 3\nTOUR_SECTION\n{body}{end}"
    assert read_tour(write(text)).tolist() == [1, 2, 0]


def test_a_tour_file_without_dimension_or_type_is_read(write):
    assert read_tour(write("TOUR_SECTION\n2\n1\n-1\n")).tolist() == [1, 0]


def test_a_written_tour_reads_back_the_same(tmp_path):
    order = np.random.default_rng(0).permutation(50)
    write_tour(order, tmp_path / "x.tour", name="fifty", comment="Length 12\nby hand")
    assert np.array_equal(read_tour(tmp_path / "x.tour"), order)


def test_a_solution_begins_with_the_depot(write):
    assert read_solution(write("Route #1: 3 1 2\nCost 17\n")).tolist() == [0, 3, 1, 2]
    assert read_solution(write("Route 1 : 1\n")).tolist() == [0, 1]
    assert read_solution(write("Route #1:\n")).tolist() == [0]


def test_a_written_solution_reads_back_from_the_depot(tmp_path):
    write_solution([2, 3, 0, 1], tmp_path / "x.sol", cost=5)
    assert (tmp_path / "x.sol").read_text() == "Route #1: 1 2 3\nCost 5\n"
    assert read_solution(tmp_path / "x.sol").tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("writer", [format_tour, lambda order: write_solution(order, "never.sol")])
def test_what_is_no_tour_is_not_written(writer):
    with pytest.raises(InputError, match="twice"):
        writer([0, 1, 1])


def test_a_solution_of_no_city_is_not_written():
    with pytest.raises(InputError, match="at least one city"):
        write_solution(np.zeros(0, dtype=int), "never.sol")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Cost 3\n", "expected a line `Route #1: ...`, found none"),
        ("Route #1: 1 2\nRoute #2: 3\n", ":2: a tour is a single route"),
        ("Route #1: 1 x\n", ":1: expected a number in the route, found 'x'"),
        ("\nRoute #1: 1 1\n", ":2: .*twice"),
        ("Route #1: 1 5\n", ":1: .*found 5"),
        ("Route #1: 1.5\n", ":1: expected an integer"),
    ],
)
def test_a_bad_solution_is_refused_with_its_line(write, text, message):
    with pytest.raises(FileFormatError, match=message):
        read_solution(write(text))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("TOUR_SECTION\n1\n2\n2\n-1\n", r":6: the tour visits city 2 twice"),
        ("TOUR_SECTION\n1\n2\n4\n-1\n", r":6: the tour names city 4, outside 1 .. 3"),
        ("TOUR_SECTION\n1\n0\n2\n-1\n", r":5: the tour names city 0"),
        ("TOUR_SECTION\n1\n2\n", r":5: TOUR_SECTION must hold 3 cities .*, found 2; the file ends there, is it trunc"),
        ("TOUR_SECTION\n1\n2\n3\n-1\n3\n2\n1\n-1\n", r":8: .*one tour here, found several"),
        ("TOUR_SECTION\n1\ntwo\n3\n", r":5: expected a TSPLIB keyword, found 'TWO'"),
        ("TOUR_SECTION\n1\n2x\n3\n", r":5: expected a number in TOUR_SECTION, found '2x'"),
        ("TOUR_SECTION\n1\n1.5\n3\n", r":5: expected an integer, found 1.5"),
        ("EOF\n", "TOUR_SECTION, which is missing"),
    ],
)
def test_a_bad_tour_is_refused_with_its_line(write, body, message):
    with pytest.raises(FileFormatError, match=message):
        read_tour(write(f"TYPE : TOUR\nDIMENSION : 3\n{body}"))


def test_an_empty_tour_is_refused(write):
    with pytest.raises(FileFormatError, match="a tour, found 0"):
        read_tour(write("TYPE : TOUR\nTOUR_SECTION\n-1\nEOF\n"))
