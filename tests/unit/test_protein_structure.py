from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from gnnlib.errors import InputError
from gnnlib.heads.protein.problem import Structure, as_structure
from gnnlib.heads.protein.residues import clean_sequence, parent_letter, sequence_indices


def _walk(count: int, step: float = 3.8) -> np.ndarray:
    return np.arange(count)[:, None] * np.array([step, 0.0, 0.0])


def test_arrays_of_three_shapes_become_structures() -> None:
    ca = as_structure(_walk(4))
    assert ca.is_ca_only
    assert ca.coords_angstrom.shape == (4, 5, 3)
    assert np.array_equal(ca.ca, _walk(4))
    full = np.random.default_rng(0).normal(size=(4, 5, 3))
    assert np.array_equal(as_structure(full).coords_angstrom, full)
    four = as_structure(full[:, :4])
    assert np.array_equal(four.coords_angstrom[:, :4], full[:, :4])
    assert not four.atom_mask[:, 4].any()


def test_torch_tensors_and_lists_become_structures() -> None:
    assert np.array_equal(as_structure(torch.as_tensor(_walk(3))).ca, _walk(3))
    assert as_structure(_walk(3).tolist()).num_residues == 3


def test_the_input_is_copied() -> None:
    coords = _walk(3)
    structure = as_structure(coords)
    coords += 1.0
    assert np.array_equal(structure.ca, _walk(3))


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (np.zeros((0, 3)), "at least 1 residue"),
        (np.zeros((4, 2)), r"\[L, 3\].*found \[4, 2\]"),
        (np.zeros((4, 3, 3)), r"found \[4, 3, 3\]"),
        (np.zeros(3), r"found \[3\]"),
        ([[0.0, 0.0, 0.0], [1.0, 2.0]], "rectangular"),
        (np.array([["a", "b", "c"]]), "real numbers"),
        (None, "real numbers"),
    ],
)
def test_arrays_that_are_no_structure_are_named(bad, said: str) -> None:
    with pytest.raises(InputError, match=said):
        as_structure(bad)


def test_a_missing_ca_names_the_residue() -> None:
    coords = _walk(5)
    coords[3, 1] = np.nan
    with pytest.raises(InputError, match="residue index 3"):
        as_structure(coords)
    full = np.ones((5, 5, 3))
    full[2, 1] = np.nan
    with pytest.raises(InputError, match="residue index 2"):
        as_structure(full)


def test_infinite_and_half_known_atoms_are_refused() -> None:
    full = np.ones((3, 5, 3))
    full[1, 3, 2] = np.inf
    with pytest.raises(InputError, match=r"index \[1, 3\]"):
        as_structure(full)
    full[1, 3, 2] = np.nan
    with pytest.raises(InputError, match="three NaN"):
        as_structure(full)
    full[1, 3] = np.nan
    assert not as_structure(full).atom_mask[1, 3]


def test_one_residue_is_a_structure() -> None:
    one = Structure.from_arrays(np.zeros((1, 3)), "A")
    assert one.segment.tolist() == [0]
    assert one.chains == ("A",)
    assert "residues  1" in one.summary()


def test_segments_end_at_long_steps_and_at_other_chains() -> None:
    coords = _walk(6)
    coords[4:] += [5.0, 0.0, 0.0]
    structure = Structure.from_arrays(coords, chain_ids=np.array(list("AABBBB")))
    assert structure.segment.tolist() == [0, 0, 1, 1, 2, 2]


def test_numbering_does_not_break_a_chain() -> None:
    structure = Structure.from_arrays(
        _walk(4), residue_numbers=[5, 5, 99, -3], insertion_codes=np.array(["", "A", "", ""])
    )
    assert structure.segment.tolist() == [0, 0, 0, 0]
    assert structure.residue_label(1) == "A UNK 5A"


def test_chains_and_selections_keep_everything_together() -> None:
    structure = Structure.from_arrays(_walk(6), "ACDEFG", chain_ids=np.array(list("ABABAB")), b_factors=np.arange(6.0))
    part = structure.chain("B")
    assert part.sequence == "CEG"
    assert part.b_factors.tolist() == [1.0, 3.0, 5.0]
    assert part.residue_names.tolist() == ["CYS", "GLU", "GLY"]
    with pytest.raises(InputError, match=r"no chain 'Z'.*'A', 'B'"):
        structure.chain("Z")
    with pytest.raises(InputError, match="at least 1 residue"):
        structure.select(np.zeros(6, dtype=bool))
    with pytest.raises(InputError, match=r"0 .. 5, found 6"):
        structure.select([0, 6])
    with pytest.raises(InputError, match=r"shape \[6\]"):
        structure.select(np.ones(5, dtype=bool))


def test_fields_of_another_length_are_refused() -> None:
    with pytest.raises(InputError, match="4 residues, found 3"):
        Structure.from_arrays(_walk(4), "ACD")
    with pytest.raises(InputError, match="4 integers"):
        Structure.from_arrays(_walk(4), residue_numbers=[1, 2, 3])
    with pytest.raises(InputError, match="4 strings"):
        Structure.from_arrays(_walk(4), chain_ids=["A"])
    with pytest.raises(InputError, match=r"shape \[4\]"):
        Structure.from_arrays(_walk(4), b_factors=[0.0])


def test_sequences_are_cleaned_or_refused() -> None:
    assert clean_sequence(" acd\nUOBZJx") == "ACDCKXXXX"
    with pytest.raises(InputError, match="'1' at index 2"):
        clean_sequence("AC1")
    with pytest.raises(InputError, match="at least one residue"):
        clean_sequence("  ")
    with pytest.raises(InputError, match="must be a string"):
        clean_sequence(None)
    assert sequence_indices("AYX").tolist() == [0, 19, 20]


def test_modified_residues_have_their_parents_letter() -> None:
    names = ["MSE", "SEP", "HSD", "HIE", "CYX", "PCA", "HYP", "ALA", "HOH", "MG"]
    assert "".join(map(parent_letter, names)) == "MSHHCQPAXX"


def test_a_structure_becomes_json_without_its_report() -> None:
    fields = Structure.from_arrays(_walk(3), "ACD", name="toy").to_dict()
    assert "report" not in fields
    assert json.loads(json.dumps(fields))["sequence"] == "ACD"


def test_the_html_of_a_structure_shows_its_size() -> None:
    assert "residues" in Structure.from_arrays(_walk(3))._repr_html_()
