"""The parts of Bayesian optimisation against scikit-learn and BoTorch, its regret against random draws."""

from __future__ import annotations

import numpy as np
import pytest

from gnnlib.search import (
    Float,
    GaussianProcess,
    HyperSearch,
    Space,
    expected_improvement,
    lower_confidence_bound,
)
from gnnlib.stop import MaxIterations


def sample(seed: int, n: int = 25, d: int = 3):
    rng = np.random.default_rng(seed)
    x = rng.random((n, d))
    return x, np.sin(5 * x[:, 0]) + x[:, 1] ** 2 + 0.1 * rng.standard_normal(n), rng.random((40, d))


@pytest.mark.parametrize("seed", [0, 1])
def test_the_posterior_is_that_of_scikit_learn(seed):
    process = pytest.importorskip("sklearn.gaussian_process")
    kernels = process.kernels
    x, y, new = sample(seed)
    lengths = np.array([0.3, 0.8, 2.0])
    ours = GaussianProcess(lengthscales=lengths, signal_variance=1.7, noise_variance=0.02, standardise=False).fit(x, y)
    kernel = kernels.ConstantKernel(1.7) * kernels.Matern(lengths, nu=2.5)
    theirs = process.GaussianProcessRegressor(kernel, alpha=0.02, optimizer=None).fit(x, y)
    mean, sigma = theirs.predict(new, return_std=True)
    got_mean, got_sigma = ours.predict(new)
    np.testing.assert_allclose(got_mean, mean, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(got_sigma, sigma, rtol=1e-6, atol=1e-8)
    assert ours.log_marginal_likelihood() == pytest.approx(theirs.log_marginal_likelihood_value_, rel=1e-6)


def test_the_gradient_of_the_likelihood_is_that_of_finite_differences():
    from scipy.optimize import approx_fprime

    x, y, _ = sample(2, n=12)
    model = GaussianProcess(groups=np.array([0, 0, 1])).fit(x, y)
    parts = model._distances()
    at = np.array([0.1, -0.4, 0.2, -3.0])
    exact = model._loss(at, parts, 0.0)[1]
    np.testing.assert_allclose(
        exact, approx_fprime(at, lambda v: model._loss(v, parts, 0.0)[0], 1e-6), rtol=1e-3, atol=1e-4
    )


def test_fitted_lengthscales_tell_relevant_inputs():
    rng = np.random.default_rng(0)
    x = rng.random((60, 2))
    model = GaussianProcess().fit(x, np.sin(8 * x[:, 0]))
    assert model.lengthscales[1] > 3 * model.lengthscales[0]


def test_acquisition_values_are_those_of_botorch():
    torch = pytest.importorskip("torch")
    pytest.importorskip("botorch")
    from botorch.acquisition import LogExpectedImprovement, UpperConfidenceBound
    from botorch.models.model import Model
    from botorch.posteriors import GPyTorchPosterior
    from gpytorch.distributions import MultivariateNormal

    rng = np.random.default_rng(0)
    mean, sigma = rng.standard_normal(30), rng.random(30) + 0.01

    class Fixed(Model):
        num_outputs = 1
        batch_shape = torch.Size([])

        def posterior(self, X, **_):
            index = X[..., 0, 0].long()
            m, s = torch.tensor(mean)[index], torch.tensor(sigma)[index]
            return GPyTorchPosterior(MultivariateNormal(m[..., None], torch.diag_embed((s**2)[..., None])))

    where = torch.arange(30, dtype=torch.float64)[:, None, None]
    theirs = LogExpectedImprovement(Fixed(), best_f=0.3, maximize=False)(where).exp().numpy()
    np.testing.assert_allclose(expected_improvement(mean, sigma, 0.3), theirs, rtol=1e-6, atol=1e-12)
    bound = UpperConfidenceBound(Fixed(), beta=1.5**2, maximize=False)(where).numpy()
    # BoTorch returns mu + k sigma of the negated function: minus the lower confidence bound
    np.testing.assert_allclose(-lower_confidence_bound(mean, sigma, 1.5), bound, rtol=1e-6, atol=1e-12)


def branin(p):
    x, y = p["x"], p["y"]
    inner = y - 5.1 / (4 * np.pi**2) * x**2 + 5 / np.pi * x - 6
    return inner**2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(x) + 10


def test_regret_on_branin_is_a_fraction_of_that_of_random_draws():
    space = Space({"x": Float(-5, 10), "y": Float(0, 15)})
    stop = MaxIterations(35)
    regret = {
        s: np.array([HyperSearch(space, strategy=s, seed=i).run(branin, stop=stop).best_value for i in range(3)])
        - 0.397887
        for s in ("bayes", "random")
    }
    assert (regret["bayes"] > -1e-5).all()
    assert np.median(regret["bayes"]) < 0.05
    assert np.median(regret["bayes"]) < 0.1 * np.median(regret["random"])
