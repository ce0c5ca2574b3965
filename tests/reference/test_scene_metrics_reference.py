"""The metrics against a second implementation in plain loops, and likelihoods against scipy."""

import math

import numpy as np
import pytest
from scipy.stats import laplace

from gnnlib.heads.scene.metrics import displacement_errors, laplace_nll


def loop_errors(modes, truth, probability):
    """The definitions of the Argoverse benchmark, one agent at a time."""
    rows = []
    for agent in range(len(modes)):
        ade, fde = [], []
        for mode in modes[agent]:
            gaps = [math.dist(a, b) for a, b in zip(mode, truth[agent], strict=True)]
            ade.append(sum(gaps) / len(gaps))
            fde.append(gaps[-1])
        best = fde.index(min(fde))
        rows.append((min(ade), fde[best], float(fde[best] > 2.0), fde[best] + (1 - probability[agent][best]) ** 2))
    return np.array(rows)


@pytest.mark.parametrize("seed", range(3))
def test_displacement_errors_agree_with_plain_loops(seed):
    rng = np.random.default_rng(seed)
    modes, truth = rng.normal(0, 3, (20, 6, 30, 2)), rng.normal(0, 1, (20, 30, 2))
    probability = rng.dirichlet(np.ones(6), 20)
    found = np.stack(displacement_errors(modes, truth, probability), axis=1)
    assert found == pytest.approx(loop_errors(modes, truth, probability))


def test_likelihoods_agree_with_scipy():
    rng = np.random.default_rng(5)
    modes, truth = rng.normal(0, 3, (4, 3, 5, 2)), rng.normal(0, 3, (4, 5, 2))
    scale, heading = rng.uniform(0.2, 2.0, (4, 3, 5, 2)), rng.uniform(-3, 3, 4)
    probability = rng.dirichlet(np.ones(3), 4)
    for agent in range(4):
        cos, sin = math.cos(heading[agent]), math.sin(heading[agent])
        turn = np.array([[cos, sin], [-sin, cos]])
        steps = []
        for t in range(5):
            density = 0.0
            for k in range(3):
                away = turn @ (truth[agent, t] - modes[agent, k, t])
                density += probability[agent, k] * laplace.pdf(away, scale=scale[agent, k, t]).prod()
            steps.append(-math.log(density))
        found = laplace_nll(modes, scale, probability, truth, heading)[agent]
        assert found == pytest.approx(np.mean(steps))
