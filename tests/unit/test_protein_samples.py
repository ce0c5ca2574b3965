from __future__ import annotations

import numpy as np
import pytest

from gnnlib.errors import InputError
from gnnlib.heads.protein.dssp import assign_dssp
from gnnlib.heads.protein.sample_building import build_chain
from gnnlib.heads.protein.samples import SAMPLES, build_sample, list_samples, load_sample, sample_path


def _states(structure) -> str:
    return assign_dssp(structure.coords_angstrom, structure.segment, structure.sequence)


@pytest.mark.parametrize("name", list(SAMPLES))
def test_every_sample_is_read_and_documented(name: str) -> None:
    structure = load_sample(name)
    assert structure.num_residues > 1
    assert structure.name == name
    card = (sample_path(name).parent / "card.md").read_text()
    assert SAMPLES[name][0] in card


@pytest.mark.parametrize("name", ["helix", "dimer", "ensemble"])
def test_the_files_are_what_the_code_makes(name: str) -> None:
    made, kept = build_sample(name).splitlines(), sample_path(name).read_text().splitlines()
    assert len(made) == len(kept)
    for line, stored in zip(made, kept, strict=True):
        assert line[:30] == stored[:30]
        if line.startswith("ATOM"):  # the last digit is the machine's
            for first in (30, 38, 46):
                assert float(line[first : first + 8]) == pytest.approx(float(stored[first : first + 8]), abs=0.002)


def test_samples_have_the_structure_that_their_name_says() -> None:
    assert _states(load_sample("helix"))[1:-1] == "H" * 28
    assert _states(load_sample("bundle")).count("H") >= 70
    assert "TT" in _states(load_sample("hairpin"))
    assert _states(load_sample("hairpin")).count("E") >= 4
    domain = _states(load_sample("domain"))
    assert domain.count("H") >= 45
    assert domain.count("E") >= 12


@pytest.mark.parametrize("name", ["helix", "hairpin", "bundle", "domain", "dimer"])
def test_samples_are_chains_without_clashes(name: str) -> None:
    structure = load_sample(name)
    assert structure.segment.max() == len(structure.chains) - 1
    distance = np.linalg.norm(structure.ca[:, None] - structure.ca[None], axis=-1)
    assert distance[np.triu_indices(len(structure), 3)].min() > 3.2
    is_glycine = np.array([letter == "G" for letter in structure.sequence])
    assert np.array_equal(structure.atom_mask[:, 4], ~is_glycine)
    assert structure.atom_mask[:, :4].all()


def test_the_dimer_has_two_disulfide_bonds() -> None:
    sulfurs = load_sample("dimer").sulfurs
    found = np.flatnonzero(~np.isnan(sulfurs[:, 0]))
    assert len(found) == 4
    for first, second in (found[:2], found[2:]):
        assert np.linalg.norm(sulfurs[first] - sulfurs[second]) == pytest.approx(2.05, abs=0.01)


def test_the_damaged_sample_tells_each_of_its_damages() -> None:
    structure = load_sample("damaged")
    report = structure.report
    assert structure.num_residues == 92 - 3 - 1
    assert [(note.number, note.insertion_code) for note in report.mapped] == [(52, "A")]
    assert [note.number for note in report.dropped] == [40]
    assert [note.number for note in report.altlocs] == [10]
    assert [note.number for note in report.gaps] == [23, 39]
    assert [note.number for note in report.repaired] == [70]
    assert report.ignored == {"HOH": 1, "CA": 1}
    place = structure.residue_numbers.tolist().index(60)
    assert structure.atom_mask[place].tolist() == [True, True, True, False, True]
    assert "dropped" in report.summary()


def test_the_same_seed_gives_the_same_chain() -> None:
    first, second, other = (build_chain("H8 L3 E5 T E5", seed=seed, draws=5) for seed in (1, 1, 2))
    assert np.array_equal(first.ca, second.ca)
    assert not np.array_equal(first.ca, other.ca)


def test_unknown_samples_are_refused_with_a_hint() -> None:
    with pytest.raises(InputError, match="did you mean 'helix'"):
        load_sample("helx")
    with pytest.raises(InputError, match="there are"):
        build_sample("nothing")
    assert list_samples() == list(SAMPLES)
