"""TM-score, GDT and RMSD against the TMscore program, lDDT and RMSD against biotite.

The models are made here, so that the stored numbers need no file; pairs of conformers of the data pack are compared as
well when it is there. `protein_tmscore.json` names the program and the command line that made its numbers.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from gnnlib.heads.protein import metrics
from gnnlib.heads.protein.assessment import assess
from gnnlib.heads.protein.geometry import build_backbone

MIRROR = Path(os.environ.get("GNNLIB_DATA") or Path(__file__).parents[3] / "shared" / "data")
CONFORMERS = MIRROR / "protein" / "decoys" / "db5_bound_unbound_ca.npz"
STORED = json.loads((Path(__file__).parent / "protein_tmscore.json").read_text())
needs_data = pytest.mark.skipif(
    not CONFORMERS.is_file(), reason=f"no conformers below {MIRROR}; name a mirror of the data in GNNLIB_DATA"
)


def made_pairs():
    """Models and natives of 12 to 240 residues, from nearly right to unrelated, rounded as in a PDB file."""
    generator = np.random.default_rng(20)
    pairs = []
    for length in (12, 30, 60, 110, 160, 240):
        kinds = generator.integers(0, 2, length // 8 + 1).repeat(8)[:length]
        phi = np.where(kinds == 0, -60.0, -115.0) + generator.normal(0, 8, length)
        psi = np.where(kinds == 0, -45.0, 130.0) + generator.normal(0, 8, length)
        native = build_backbone(phi, psi)[:, 1]
        for spread in (0.5, 3.0, 12.0):
            moved = build_backbone(phi + generator.normal(0, spread, length), psi + generator.normal(0, spread, length))
            pairs.append((np.round(moved[:, 1], 3), np.round(native, 3)))
    return pairs


def conformer_pairs():
    with np.load(CONFORMERS) as archive:
        offsets, bound, unbound = archive["offsets"], archive["bound_ca"], archive["unbound_ca"]
    chosen = [i for i in range(len(offsets) - 1) if offsets[i + 1] - offsets[i] < 300][::40]
    return [
        (np.round(bound[a:b].astype(float), 3), np.round(unbound[a:b].astype(float), 3))
        for a, b in ((offsets[i], offsets[i + 1]) for i in chosen)
    ]


def check(pairs, stored):
    assert len(pairs) == len(stored)
    for (model, native), wanted in zip(pairs, stored, strict=True):
        found = assess(model, native)
        assert found.tm_score == pytest.approx(wanted["tm_score"], abs=0.005)
        assert found.gdt_ts == pytest.approx(wanted["gdt_ts"], abs=0.005)
        assert found.gdt_ha == pytest.approx(wanted["gdt_ha"], abs=0.005)
        assert found.rmsd == pytest.approx(wanted["rmsd"], abs=0.002)


def test_made_models_score_as_with_tmscore():
    check(made_pairs(), STORED["made"])
    assert min(row["tm_score"] for row in STORED["made"]) < 0.3 < 0.95 < max(row["tm_score"] for row in STORED["made"])


@needs_data
def test_real_conformers_score_as_with_tmscore():
    check(conformer_pairs(), STORED["conformers"])


def test_lddt_and_rmsd_are_those_of_biotite():
    struc = pytest.importorskip("biotite.structure")
    for model, native in made_pairs():
        atoms = [struc.AtomArray(len(native)) for _ in range(2)]
        for array, coords in zip(atoms, (model, native), strict=True):
            array.coord = coords.astype(np.float32)
            array.res_id = np.arange(len(coords))
        moved = atoms[0].coord.astype(np.float64), atoms[1].coord.astype(np.float64)
        whole = struc.lddt(atoms[1], atoms[0])
        each = struc.lddt(atoms[1], atoms[0], aggregation="residue")
        assert metrics.lddt(*moved) == pytest.approx(float(whole), abs=1e-6)
        np.testing.assert_allclose(metrics.lddt_per_residue(*moved), each, atol=1e-6)
        fitted, _ = struc.superimpose(atoms[1], atoms[0])
        assert metrics.rmsd(*moved) == pytest.approx(float(struc.rmsd(atoms[1], fitted)), abs=1e-4)
