from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnlib.heads.protein.io import read_structure
from gnnlib.heads.protein.problem import Structure
from gnnlib.heads.protein.reading.writing import format_structure
from gnnlib.heads.protein.residues import AMINO_ACIDS


@st.composite
def structures(draw) -> Structure:
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(1, 12))
    coords = random.uniform(-400.0, 400.0, (count, 5, 3)).round(3)
    lost = random.random((count, 5)) < draw(st.sampled_from([0.0, 0.3, 1.0]))
    lost[:, 1] = False
    coords[lost] = np.nan
    letters = "".join(random.choice(list(AMINO_ACIDS + "X"), count))
    chains = np.sort(random.choice(list("ABz1"), count))
    return Structure.from_arrays(
        coords,
        letters,
        name="case",
        chain_ids=chains,
        residue_numbers=random.choice(np.arange(-99, 900), count, replace=False),
        insertion_codes=random.choice(["", "A", "b"], count),
        b_factors=random.uniform(0.0, 100.0, count).round(2),
    )


@settings(max_examples=40, deadline=None)
@given(structures(), st.sampled_from(["pdb", "mmcif"]), st.sampled_from(["fast", "biopython"]))
def test_what_is_written_is_read_again(structure: Structure, kind: str, reader: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "case.x")
        format_structure(structure, kind, path)
        found = read_structure(path, reader=reader)
    # Biopython keeps single precision
    assert np.allclose(
        found.coords_angstrom, structure.coords_angstrom, atol=1e-4 if reader == "biopython" else 1e-9, equal_nan=True
    )
    for name in ("sequence", "chain_ids", "residue_numbers", "insertion_codes", "residue_names", "b_factors"):
        assert np.array_equal(getattr(found, name), getattr(structure, name)), name
    assert not found.report.dropped


@pytest.mark.parametrize("kind", ["pdb", "mmcif"])
def test_numbers_a_residue_go_into_the_b_column(kind: str) -> None:
    structure = Structure.from_arrays(np.arange(12.0).reshape(4, 3), "ACDE")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "case")
        format_structure(structure, kind, path, b_factors=[0.25, 0.5, 0.75, 1.0])
        assert read_structure(path).b_factors.tolist() == [0.25, 0.5, 0.75, 1.0]


@settings(max_examples=25, deadline=None)
@given(structures(), st.integers(0, 2**32 - 1))
def test_cut_and_flipped_bytes_give_a_structure_or_a_named_error(structure: Structure, seed: int) -> None:
    from gnnlib.errors import InputError

    random = np.random.default_rng(seed)
    for kind in ("pdb", "mmcif"):
        text = bytearray(format_structure(structure, kind).encode())
        for place in random.integers(len(text), size=random.integers(1, 6)).tolist():
            text[place] = int(random.integers(32, 127))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "case")
            path.write_bytes(bytes(text[: int(random.integers(1, len(text) + 1))]))
            try:
                assert read_structure(path).num_residues >= 1
            except InputError as error:
                assert str(path) in str(error)
