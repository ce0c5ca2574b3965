"""The shipped model for secondary structure and torsions does what its card says."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from gnnlib.encoder import list_weights, load, read_card
from gnnlib.encoder.pretrained import WEIGHTS_DIR
from gnnlib.heads.protein.chains import load_chains
from gnnlib.heads.protein.geometry import build_backbone
from gnnlib.heads.protein.secondary import secondary_structure
from gnnlib.heads.protein.structure_models import predict_backbone, torsions_from_ca
from gnnlib.heads.protein.training.train_backbone import measure_model

NAME = "protein-backbone"
MIRROR = Path(os.environ.get("GNNLIB_DATA") or Path(__file__).parents[3] / "shared" / "data")

pytestmark = pytest.mark.skipif(NAME not in list_weights(), reason=f"the weights {NAME} are not in this checkout")


def helix_and_strand(noise_angstrom: float = 0.0) -> np.ndarray:
    phi, psi = np.repeat([-60.0, -75.0, -120.0], [20, 2, 10]), np.repeat([-45.0, 140.0, 130.0], [20, 2, 10])
    ca = build_backbone(phi, psi)[:, 1]
    return ca + noise_angstrom * np.random.default_rng(0).standard_normal(ca.shape)


def test_a_bare_trace_gets_its_helix() -> None:
    found = secondary_structure(helix_and_strand(), method="ca")
    assert found.method == "ca" and found.probabilities.shape == (32, 8)
    assert np.allclose(found.probabilities.sum(axis=1), 1.0)
    assert set(found.states8[2:17]) == {"H"} and "H" not in found.states8[23:]


def test_the_helix_stays_under_noise() -> None:
    found = secondary_structure(helix_and_strand(0.4), method="ca")
    assert found.states3[3:16].count("H") >= 11


def test_torsions_of_a_helix_and_a_strand_come_back() -> None:
    found = torsions_from_ca(helix_and_strand())
    assert np.abs(found.phi[3:17] + 60.0).max() < 15.0 and np.abs(found.psi[3:17] + 45.0).max() < 15.0
    assert np.abs(found.phi[25:-3] + 120.0).max() < 35.0
    assert np.isnan(found.phi[0]) and np.isnan(found.psi[-1]) and np.isfinite(found.psi[0])


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_the_shortest_traces_get_an_answer(count: int) -> None:
    found = predict_backbone(3.8 * np.arange(count)[:, None] * np.array([[1.0, 0.0, 0.0]]))
    assert len(found.states8) == count and np.isfinite(found.probabilities).all()


def test_a_broken_chain_is_read_in_pieces() -> None:
    ca = helix_and_strand()
    far = np.concatenate([ca, ca + 400.0])
    both = predict_backbone(far)
    assert both.states8[:20] == predict_backbone(ca).states8[:20] == both.states8[32:52]


def test_weights_are_small_and_the_card_is_complete() -> None:
    assert (WEIGHTS_DIR / f"{NAME}.safetensors").stat().st_size < 800_000
    card = read_card(NAME)
    assert card.command and card.data and card.seed is not None and card.commit
    assert card.metrics["q3 (ts50)"] > 0.9


@pytest.mark.skipif(
    not (MIRROR / "protein" / "chains_backbone.npz").is_file(),
    reason=f"no protein chains below {MIRROR}; name a mirror of the data in GNNLIB_DATA",
)
def test_a_part_of_the_validation_chains_gives_the_stored_figures() -> None:
    chains = load_chains("val", folder=MIRROR / "protein")[:40]
    found = measure_model(load(NAME), chains)
    noisy = measure_model(load(NAME), chains, noise_angstrom=0.5)
    assert found["q3"] > LEAST["q3"] and found["q8"] > LEAST["q8"] and noisy["q3"] > LEAST["noisy q3"]
    assert found["phi_mae"] < LEAST["phi_mae"] and found["psi_mae"] < LEAST["psi_mae"]


#: A little worse than what the weights reached when they were stored.
LEAST = {"q3": 0.95, "q8": 0.92, "noisy q3": 0.92, "phi_mae": 10.5, "psi_mae": 10.1}
