"""The chain prior: its fit, its file, its features."""

import json

import numpy as np
import pytest

from gnnlib.errors import WeightsError
from gnnlib.heads.protein.folding import chain_prior
from gnnlib.heads.protein.geometry import build_backbone
from gnnlib.heads.protein.training.train_chain_prior import fit_mixture


def test_fit_finds_two_clouds_and_their_shares():
    generator = np.random.default_rng(0)
    centres = np.array([np.full(8, 5.0), np.full(8, 9.0)])
    points = np.concatenate(
        [centres[0] + generator.normal(0, 0.5, (3000, 8)), centres[1] + generator.normal(0, 1, (1000, 8))]
    )
    weights, means, covariances = fit_mixture(points, 2, generator)
    np.testing.assert_allclose(weights, [0.75, 0.25], atol=0.01)
    np.testing.assert_allclose(means, centres, atol=0.1)
    np.testing.assert_allclose(np.sqrt(np.diagonal(covariances[0])), 0.5, atol=0.08)


def test_density_of_a_single_gaussian_is_normalised():
    prior = chain_prior.ChainPrior.from_mixture(np.ones(1), np.zeros((1, 8)), np.eye(8)[None])
    assert prior.log_density(np.zeros((1, 8)))[0] == pytest.approx(-4.0 * np.log(2.0 * np.pi))


def test_shipped_file_has_a_card_and_sums_to_one():
    content = json.loads(chain_prior.PRIOR_FILE.read_text())
    assert {"name", "purpose", "command", "data", "seed", "metrics", "licence"} <= set(content)
    assert sum(content["weights"]) == pytest.approx(1.0, abs=1e-4)
    metrics = content["metrics"]
    assert metrics["mean log density (val)"] > metrics["mean log density (val, mirrored)"] + 10.0


def test_helix_and_strand_are_likely_and_a_knotted_line_is_not():
    prior = chain_prior.load_chain_prior()
    helix = chain_prior.stretch_features(build_backbone(np.full(9, -62.0), np.full(9, -43.0))[:, 1])
    strand = chain_prior.stretch_features(build_backbone(np.full(9, -120.0), np.full(9, 135.0))[:, 1])
    odd = chain_prior.stretch_features(np.cumsum(np.random.default_rng(1).normal(0, 2.2, (9, 3)), axis=0))
    assert prior.log_density(helix).min() > 0.0
    assert prior.log_density(strand).min() > -6.0
    assert prior.log_density(odd).max() < -20.0


def test_missing_file_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(chain_prior, "PRIOR_FILE", tmp_path / "nowhere.json")
    with pytest.raises(WeightsError, match="nowhere"):
        chain_prior.load_chain_prior.__wrapped__()
