"""Damaged TSPLIB instances: each fault is reported with its line."""

import gzip

import pytest

from gnnlib.errors import FileFormatError, InputError
from gnnlib.heads.combinatorial.tsp.io import read_tsplib

COORDS = """NAME : three
TYPE : TSP
DIMENSION : 3
EDGE_WEIGHT_TYPE : EUC_2D
NODE_COORD_SECTION
1 0 0
2 3 4
3 3 5
EOF
"""

MATRIX = """NAME : three
TYPE : TSP
DIMENSION : 3
EDGE_WEIGHT_TYPE : EXPLICIT
EDGE_WEIGHT_FORMAT : FULL_MATRIX
EDGE_WEIGHT_SECTION
0 1 2
1 0 3
2 3 0
EOF
"""


def _fault(tmp_path, text):
    path = tmp_path / "bad.tsp"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(FileFormatError) as caught:
        read_tsplib(path)
    assert isinstance(caught.value, InputError)
    assert str(caught.value).startswith(str(path))
    return str(caught.value).removeprefix(str(path))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("3 3 5\nEOF\n", "", ":7: NODE_COORD_SECTION must hold 3 cities (DIMENSION), found 2; the file ends there, is it truncated?"),
        ("3 3 5\nEOF\n", "3 3", ":8: expected a city number and 2 coordinates, found '3 3'"),
        ("3 3 5\n", "", ":7: NODE_COORD_SECTION must hold 3 cities (DIMENSION), found 2"),
        ("3 3 5\n", "3 3 5\n4 1 1\n", ":9: city numbers are 1 .. 3 (DIMENSION), found 4"),
        ("3 3 5\n", "2 3 5\n", ":8: city 2 stands twice, first in line 7"),
        ("1 0 0\n", "0 0 0\n", ":6: city numbers are 1 .. 3 (DIMENSION), found 0"),
        ("1 0 0\n", "1.5 0 0\n", ":6: city numbers are 1 .. 3 (DIMENSION), found 1.5"),
        ("2 3 4\n", "2 3 4 5\n", ":7: expected a city number and 2 coordinates, found '2 3 4 5'"),
        ("2 3 4\n", "2 3 4x\n", ":7: expected a number in NODE_COORD_SECTION, found '4x'"),
        ("2 3 4\n", "2 3 nan\n", ":5: `coords` must be finite, found nan at index [1, 1]"),
        ("2 3 4\n", "2 3 1e999\n", ":5: `coords` must be finite, found inf at index [1, 1]"),
        ("DIMENSION : 3\n", "", ": DIMENSION (the number of cities) is missing"),
        ("DIMENSION : 3", "DIMENSION : three", ":3: DIMENSION must be a whole number >= 1, found 'three'"),
        ("DIMENSION : 3", "DIMENSION : 0", ":3: DIMENSION must be a whole number >= 1, found '0'"),
        ("DIMENSION : 3", "DIMENSION : -3", ":3: DIMENSION must be a whole number >= 1, found '-3'"),
        ("DIMENSION : 3", "DIMENSION : 3\nDIMENSION : 3", ":4: DIMENSION stands twice in the file"),
        ("DIMENSION : 3", "DIMENSON : 3", ":3: expected a TSPLIB keyword, found 'DIMENSON'; did you mean DIMENSION?"),
        ("DIMENSION : 3", "SPEED : 3", ":3: expected a TSPLIB keyword, found 'SPEED'"),
        ("DIMENSION : 3", "DIMENSION", ":3: expected a value for 'DIMENSION'"),
        ("TYPE : TSP", "TYPE : CVRP", ":2: TYPE must be one of TSP, ATSP; found 'CVRP'"),
        ("TYPE : TSP", "TYPE : TOUR", ":2: TYPE must be one of TSP, ATSP; found 'TOUR'"),
        ("TYPE : TSP", "CAPACITY : 3", ":2: CAPACITY does not belong into a file of TYPE TSP"),
        ("EUC_2D", "XRAY1", ":4: EDGE_WEIGHT_TYPE must be one of EXPLICIT, EUCLIDEAN, EUC_2D,"),
        ("EDGE_WEIGHT_TYPE : EUC_2D\n", "", ": EDGE_WEIGHT_TYPE must be one of EXPLICIT"),
        ("EUC_2D", "EXPLICIT", ": EDGE_WEIGHT_TYPE EXPLICIT needs an EDGE_WEIGHT_SECTION, which is missing"),
        ("NODE_COORD_SECTION", "TOUR_SECTION", ":5: TOUR_SECTION does not belong into a file of TYPE TSP"),
        ("NODE_COORD_SECTION", "NODE_COORD_SECTION 5", ":5: nothing may follow NODE_COORD_SECTION, found '5'"),
        ("NODE_COORD_SECTION\n", "", ":5: expected `KEYWORD : value`, found '1 0 0'"),
        ("EOF", "NODE_COORD_SECTION\n1 1 1", ":9: NODE_COORD_SECTION stands twice in the file"),
        ("NODE_COORD_SECTION", "NODE_COORD_TYPE : FOURD\nNODE_COORD_SECTION", ":5: NODE_COORD_TYPE must be one of"),
        ("NODE_COORD_SECTION", "DISPLAY_DATA_TYPE : X\nNODE_COORD_SECTION", ":5: DISPLAY_DATA_TYPE must be one of"),
        ("EOF", "FIXED_EDGES_SECTION\n1\n-1", ":11: FIXED_EDGES_SECTION must hold pairs of cities"),
        ("EOF", "FIXED_EDGES_SECTION\n1 2\n2 4\n-1", ":11: fixed edges join cities 1 .. 3 (DIMENSION), found 4"),
        ("EOF", "FIXED_EDGES_SECTION\n1 1\n-1", ":9: (cities numbered from 0) a fixed edge joins two different"),
        ("EOF", "FIXED_EDGES_SECTION\n1 x\n-1", ":10: expected a number in FIXED_EDGES_SECTION, found 'x'"),
        ("EUC_2D", "GEO", None),
        ("1 0 0", "1 1e16 0", ":5: `coords` span 1e+16, so that EUC_2D tours"),
    ],
)  # fmt: skip
def test_a_fault_in_a_coordinate_file_is_named_with_its_line(tmp_path, old, new, expected):
    assert old in COORDS
    text = COORDS.replace(old, new, 1)
    if expected is None:
        (tmp_path / "good.tsp").write_text(text)
        assert read_tsplib(tmp_path / "good.tsp").metric == "GEO"
        return
    assert _fault(tmp_path, text).startswith(expected)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("2 3 0\nEOF\n", "2 3", ":9: EDGE_WEIGHT_SECTION must hold 9 numbers (FULL_MATRIX of 3 cities), found 8; the file ends there, is it truncated?"),
        ("2 3 0", "2 3 0 7", ":9: EDGE_WEIGHT_SECTION must hold 9 numbers (FULL_MATRIX of 3 cities), found 10"),
        ("1 0 3", "1 0 three", ":8: expected a number in EDGE_WEIGHT_SECTION, found 'three'"),
        ("1 0 3", "1 0 4", ":6: `matrix` must be symmetric, found 4 at index [1, 2] and 3 at [2, 1]"),
        ("1 0 3", "1 0 -3", ":6: `matrix` must have no negative entry, found -3 at index [1, 2]"),
        ("1 0 3", "1 0 nan", ":6: `matrix` must be finite, found nan at index [1, 2]"),
        ("FULL_MATRIX", "FULL", ":5: EDGE_WEIGHT_FORMAT must be one of FULL_MATRIX, UPPER_ROW"),
        ("FULL_MATRIX", "FUNCTION", ":5: EDGE_WEIGHT_FORMAT must be one of FULL_MATRIX, UPPER_ROW"),
        ("EDGE_WEIGHT_FORMAT : FULL_MATRIX\n", "", ": EDGE_WEIGHT_FORMAT must be one of FULL_MATRIX"),
        ("FULL_MATRIX", "UPPER_ROW", ":9: EDGE_WEIGHT_SECTION must hold 3 numbers (UPPER_ROW of 3 cities), found 9"),
        ("EXPLICIT", "EUC_2D", ": EDGE_WEIGHT_TYPE EUC_2D needs a NODE_COORD_SECTION, which is missing"),
        ("EOF", "DISPLAY_DATA_SECTION\n1 0 0\n2 0 0", ":12: DISPLAY_DATA_SECTION must hold 3 cities"),
    ],
)  # fmt: skip
def test_a_fault_in_a_matrix_file_is_named_with_its_line(tmp_path, old, new, expected):
    assert old in MATRIX
    assert _fault(tmp_path, MATRIX.replace(old, new, 1)).startswith(expected)


@pytest.mark.parametrize("length", range(0, len(COORDS) - len("3 5\nEOF\n"), 7))
def test_a_file_cut_anywhere_before_its_last_number_is_refused(tmp_path, length):
    _fault(tmp_path, COORDS[:length])


def test_an_empty_file_is_refused(tmp_path):
    assert "DIMENSION" in _fault(tmp_path, "")


def test_a_binary_file_is_refused(tmp_path):
    assert _fault(tmp_path, bytes(range(256)) * 4).startswith(":")


def test_a_damaged_gzip_file_is_refused(tmp_path):
    packed = gzip.compress(COORDS.encode())
    assert "damaged or truncated" in _fault(tmp_path, packed[:-12])
    assert "damaged or truncated" in _fault(tmp_path, packed[:20] + b"xxxx" + packed[24:])
