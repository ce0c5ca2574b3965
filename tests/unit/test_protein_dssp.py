"""The own DSSP on built backbones, a slow twin of its energies, and its bad input."""

import numpy as np
import pytest

from gnnlib.errors import InputError
from gnnlib.heads.protein import dssp
from gnnlib.heads.protein.geometry import build_backbone
from gnnlib.heads.protein.secondary import secondary_structure


def helix(count, phi=-57.0, psi=-47.0):
    return build_backbone(np.full(count, phi), np.full(count, psi))


def hairpin():
    """Two strands joined by a type I' turn."""
    phi = np.array([-120.0] * 7 + [55.0, 80.0] + [-120.0] * 7)
    psi = np.array([135.0] * 7 + [38.0, 5.0] + [135.0] * 7)
    return build_backbone(phi, psi)


def assign(coords, sequence=None, **options):
    return dssp.assign_dssp(coords, np.zeros(len(coords), dtype=int), sequence, **options)


def test_alpha_three_ten_and_pi_helices_are_told_apart():
    assert assign(helix(14)) == "C" + "H" * 12 + "C"
    assert set(assign(helix(14, -49.0, -26.0))[2:-2]) == {"G"}
    assert "I" in assign(helix(20, -57.0, -70.0))


def test_hairpin_has_two_strands_and_a_turn():
    states = assign(hairpin())
    assert "E" in states[:7]
    assert "E" in states[9:]
    assert states[7:9] in {"TT", "TC", "TS"} or "T" in states[6:10]


def test_extended_chain_alone_is_no_strand():
    assert set(assign(build_backbone(np.full(12, -120.0), np.full(12, 135.0)))) <= {"C", "S"}


def test_polyproline_is_marked_on_request():
    chain = build_backbone(np.full(10, -75.0), np.full(10, 145.0))
    assert "P" not in assign(chain)
    assert "PPP" in assign(chain, ppii=True)


def test_proline_gives_no_hydrogen_bond():
    chain = helix(14)
    bonds = dssp.hydrogen_bonds(chain, "A" * 7 + "P" + "A" * 6)
    assert bonds.acceptors[7].max() < 0
    assert bonds.acceptors[8, 0] == 4
    assert (bonds.energies[5:, 0] < -0.5).sum() >= 7


def test_energies_are_those_of_the_formula():
    chain = hairpin()
    bonds = dssp.hydrogen_bonds(chain, "A" * len(chain))
    n, ca, c, o = (chain[:, k] for k in range(4))
    slow = {}
    for donor in range(1, len(chain)):
        h = n[donor] + (c[donor - 1] - o[donor - 1]) / np.linalg.norm(c[donor - 1] - o[donor - 1])
        for acceptor in range(len(chain)):
            if acceptor in (donor, donor - 1) or np.linalg.norm(ca[donor] - ca[acceptor]) > 9.0:
                continue
            near = [np.linalg.norm(a - b) for a, b in ((n[donor], o[acceptor]), (h, c[acceptor]))]
            far = [np.linalg.norm(a - b) for a, b in ((h, o[acceptor]), (n[donor], c[acceptor]))]
            slow.setdefault(donor, []).append(
                (27.888 * (1 / near[0] + 1 / near[1] - 1 / far[0] - 1 / far[1]), acceptor)
            )
    for donor, found in slow.items():
        best = min(found)
        if best[0] < -0.001:
            assert bonds.acceptors[donor, 0] == best[1]
            assert bonds.energies[donor, 0] == pytest.approx(max(best[0], -9.9), abs=6e-4)


def test_a_break_ends_a_helix():
    chain = helix(20)
    chain[10:] += 30.0
    segment = np.repeat([0, 1], 10)
    assert dssp.assign_dssp(chain, segment) == "CHHHHHHHHC" * 2


def test_residues_that_lack_an_atom_are_coil_and_break():
    chain = helix(20)[:, :4]
    chain[10, 3] = np.nan
    states = assign(chain)
    assert states[10] == "C"
    assert states[1:9] == "HHHHHHHH"


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_short_chains_are_coil(count):
    assert set(assign(helix(count))) <= {"C", "S", "T"}
    assert len(assign(helix(count))) == count


def test_chain_without_any_whole_residue_is_coil():
    chain = np.full((4, 4, 3), np.nan)
    assert assign(chain) == "CCCC"


@pytest.mark.parametrize(
    ("coords", "segment", "sequence", "words"),
    [
        (np.zeros((4, 3)), np.zeros(4), None, "N, CA, C, O"),
        (np.zeros((4, 4, 3)), np.zeros(3), None, "one number a residue"),
        (np.zeros((4, 4, 3)), np.zeros(4), "AA", "one letter a residue, 4, found 2"),
        (np.full((4, 4, 3), np.inf), np.zeros(4), None, "finite or NaN"),
    ],
)
def test_bad_input_is_named(coords, segment, sequence, words):
    with pytest.raises(InputError, match=words):
        dssp.assign_dssp(coords, segment, sequence)


def test_result_has_states_probabilities_and_fractions():
    found = secondary_structure(helix(12))
    assert found.states3 == "C" + "H" * 10 + "C"
    assert found.probabilities.shape == (12, 8)
    np.testing.assert_array_equal(found.probabilities3.argmax(axis=1), ["HEC".index(s) for s in found.states3])
    assert found.fractions["H"] == pytest.approx(10 / 12)
    assert found.to_dict()["states3"] == found.states3
    assert "83%" in found.summary()


def test_bare_trace_and_unknown_method_are_refused():
    with pytest.raises(InputError, match="use method 'ca'"):
        secondary_structure(helix(12)[:, 1], method="dssp")
    with pytest.raises(InputError, match="must be one of"):
        secondary_structure(helix(12), method="magic")


def test_five_thousand_residues_are_assigned():
    parts = [helix(50)[:, :4] + np.array([40.0 * (k % 10), 40.0 * (k // 10), 0.0]) for k in range(100)]
    states = dssp.assign_dssp(np.concatenate(parts), np.repeat(np.arange(100), 50))
    assert states == ("C" + "H" * 48 + "C") * 100
