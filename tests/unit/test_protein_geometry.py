"""Angles, ideal atoms, internal coordinates, frames and superposition."""

import numpy as np
import pytest

from gnnlib.heads.protein import geometry
from gnnlib.heads.protein.torsions import torsions

LONG = np.random.default_rng(5)


def test_dihedral_is_zero_in_cis_and_turns_clockwise():
    a, b, c = np.array([[1.0, 0, 0], [0, 0, 0], [0, 0, 1.0]])
    around = np.radians([0.0, 30.0, 90.0, 180.0, -90.0])
    ends = np.stack([np.cos(around), np.sin(around), np.ones(5)], axis=1)
    found = geometry.dihedral(a, b, c, ends)
    np.testing.assert_allclose(np.abs(found), [0, 30, 90, 180, 90], atol=1e-9)
    assert np.sign(found[1]) == np.sign(found[2]) == -np.sign(found[4])


def test_mirror_changes_the_sign_of_dihedrals_and_no_angle():
    points = LONG.normal(size=(4, 50, 3))
    mirrored = points * [-1.0, 1.0, 1.0]
    np.testing.assert_allclose(geometry.dihedral(*mirrored), -geometry.dihedral(*points), atol=1e-9)
    np.testing.assert_allclose(geometry.angle(*mirrored[:3]), geometry.angle(*points[:3]), atol=1e-9)


def test_backbone_built_from_torsions_has_these_torsions_and_ideal_bonds():
    phi, psi = LONG.uniform(-170, -40, 40), LONG.uniform(-60, 170, 40)
    omega = np.where(LONG.random(40) < 0.1, 5.0, 178.0)
    chain = geometry.build_backbone(phi, psi, omega)
    found = geometry.backbone_torsions(chain, np.zeros(40, dtype=int))
    np.testing.assert_allclose(found[0][1:], phi[1:], atol=1e-8)
    np.testing.assert_allclose(found[1][:-1], psi[:-1], atol=1e-8)
    np.testing.assert_allclose(found[2][1:], omega[1:], atol=1e-8)
    lengths = np.linalg.norm(chain[:, 1] - chain[:, 0], axis=1), np.linalg.norm(chain[1:, 0] - chain[:-1, 2], axis=1)
    np.testing.assert_allclose(lengths[0], geometry.BOND_LENGTHS_ANGSTROM["N-CA"], atol=1e-9)
    np.testing.assert_allclose(lengths[1], geometry.BOND_LENGTHS_ANGSTROM["C-N"], atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(chain[:, 3] - chain[:, 2], axis=1), 1.231, atol=1e-9)


def test_place_atom_agrees_with_the_angles_it_was_given():
    a, b, c = LONG.normal(size=(3, 20, 3)) * 3.0
    d = geometry.place_atom(a, b, c, 1.4, 117.0, np.linspace(-170, 170, 20))
    np.testing.assert_allclose(geometry.angle(b, c, d), 117.0, atol=1e-6)
    np.testing.assert_allclose(geometry.dihedral(a, b, c, d), np.linspace(-170, 170, 20), atol=1e-6)


def test_trans_neighbours_are_3_8_angstrom_apart_and_cis_ones_2_8():
    trans = geometry.build_backbone(np.full(2, -60.0), np.full(2, -45.0), 180.0)
    cis = geometry.build_backbone(np.full(2, -60.0), np.full(2, -45.0), 0.0)
    assert np.linalg.norm(trans[1, 1] - trans[0, 1]) == pytest.approx(3.80, abs=0.02)
    assert np.linalg.norm(cis[1, 1] - cis[0, 1]) == pytest.approx(2.8, abs=0.1)


def test_virtual_cb_is_on_the_left_handed_side():
    chain = geometry.build_backbone(np.full(5, -60.0), np.full(5, -45.0))
    n, ca, c, cb = chain[:, 0], chain[:, 1], chain[:, 2], chain[:, 4]
    assert (np.sum(np.cross(n - ca, c - ca) * (cb - ca), axis=1) > 0).all()
    np.testing.assert_allclose(geometry.angle(n, ca, cb), 110.4, atol=0.1)
    np.testing.assert_allclose(geometry.angle(c, ca, cb), 110.1, atol=0.1)


def test_no_angle_crosses_a_break():
    chain = geometry.build_backbone(np.full(8, -60.0), np.full(8, -45.0))
    segment = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    phi, psi, omega = geometry.backbone_torsions(chain, segment)
    kappa, alpha = geometry.ca_angles(chain[:, 1], segment)
    assert np.flatnonzero(np.isnan(phi)).tolist() == [0, 4]
    assert np.flatnonzero(np.isnan(psi)).tolist() == [3, 7]
    assert np.flatnonzero(np.isnan(omega)).tolist() == [0, 4]
    assert np.flatnonzero(np.isnan(kappa)).tolist() == [0, 3, 4, 7]
    assert np.flatnonzero(np.isnan(alpha)).tolist() == [0, 2, 3, 4, 6, 7]


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_short_chains_have_angles_where_they_exist(count):
    found = torsions(np.cumsum(np.full((count, 3), 2.19), axis=0))
    assert len(found.ca_kappa) == count
    assert np.isfinite(found.ca_kappa).sum() == max(0, count - 2)
    assert np.isnan(found.phi).all()
    assert "residues" in found.summary()


def test_torsions_of_a_structure_count_cis_bonds():
    chain = geometry.build_backbone(np.full(6, -75.0), np.full(6, 150.0), np.array([180, 180, 0, 180, 180, 180.0]))
    found = torsions(chain[:, :4])
    assert found.num_cis == 1
    assert found.to_dict()["phi"][0] is None


@pytest.mark.parametrize("atoms", [1, 4])
def test_frames_are_orthonormal_and_follow_the_chain(atoms):
    chain = geometry.build_backbone(np.full(9, -60.0), np.full(9, -45.0))
    coords = chain[:, 1] if atoms == 1 else chain[:, :4]
    frames = geometry.local_frames(coords)
    np.testing.assert_allclose(frames.transpose(0, 2, 1) @ frames, np.tile(np.eye(3), (9, 1, 1)), atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(frames), 1.0, atol=1e-9)
    turn = np.linalg.qr(LONG.normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    np.testing.assert_allclose(geometry.local_frames(coords @ turn.T + 5.0), turn @ frames, atol=1e-9)


def test_kabsch_finds_the_move_of_a_batch_with_masks():
    points = LONG.normal(size=(6, 30, 3)) * 10
    turns = np.linalg.qr(LONG.normal(size=(6, 3, 3)))[0]
    turns *= np.sign(np.linalg.det(turns))[:, None, None]
    shifts = LONG.normal(size=(6, 3)) * 50
    moved = points @ turns.transpose(0, 2, 1) + shifts[:, None]
    mask = LONG.random((6, 30)) < 0.7
    moved[~mask] = np.nan
    rotation, translation = geometry.kabsch(points, moved, mask)
    np.testing.assert_allclose(rotation, turns, atol=1e-8)
    np.testing.assert_allclose(translation, shifts, atol=1e-6)


def test_kabsch_never_returns_a_reflection():
    points = LONG.normal(size=(20, 3))
    rotation, _ = geometry.kabsch(points, points * [1, 1, -1])
    assert np.linalg.det(rotation) == pytest.approx(1.0)
    flat = points * [1.0, 1.0, 0.0]
    rotation, translation = geometry.kabsch(flat, flat + 1.0)
    assert np.linalg.det(rotation) == pytest.approx(1.0)
    np.testing.assert_allclose(geometry.apply_transform(flat, rotation, translation), flat + 1.0, atol=1e-9)
