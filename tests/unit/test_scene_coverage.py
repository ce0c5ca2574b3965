"""Modes that are moved to where they leave out the least: what is gained, by independent samples, and what stays."""

import numpy as np
import pytest
import torch

from gnnlib.heads.scene.coverage import REACH_M, Modes, cover
from gnnlib.heads.scene.decode import choose_modes
from gnnlib.heads.scene.head import Trajectories

STEPS = 10


def mixtures(agents, seed=0):
    """Six straight futures of each agent that fan out a little, with unequal probabilities and wide scales."""
    rng = np.random.default_rng(seed)
    end = np.array([25.0, 0.0]) + rng.normal(0.0, [3.0, 0.7], (agents, 6, 2))
    share = (np.arange(1, STEPS + 1) / STEPS)[:, None]
    scale = rng.uniform(0.5, 2.0, (agents, 6, 1, 2)) * [1.0, 0.4] * share
    return Modes(end[:, :, None] * share, scale, rng.dirichlet(np.full(6, 2.0), agents))


def found(modes, samples):
    """Share of samples [A, N, 2] that end within reach of a mode."""
    away = np.hypot(*np.moveaxis(modes.path[:, None, :, -1] - samples[:, :, None], -1, 0))
    return (away.min(axis=2) <= REACH_M).mean(axis=1)


def samples_of(modes, number, seed=1):
    rng = np.random.default_rng(seed)
    rows = np.arange(len(modes.path))[:, None]
    mode = np.stack([rng.choice(6, number, p=p) for p in modes.probability])
    return modes.path[rows, mode, -1] + rng.laplace(size=(*mode.shape, 2)) * modes.scale[rows, mode, -1]


def test_independent_samples_are_found_more_often():
    modes = mixtures(60)
    samples = samples_of(modes, 3000)
    before, after = found(modes, samples), found(cover(modes), samples)
    assert (after >= before - 0.02).all()
    assert (1.0 - after).mean() < 0.8 * (1.0 - before).mean()


def test_probabilities_are_those_of_being_the_nearest():
    modes = mixtures(10)
    moved = cover(modes)
    samples = samples_of(modes, 20_000)
    away = np.hypot(*np.moveaxis(moved.path[:, None, :, -1] - samples[:, :, None], -1, 0))
    share = np.stack([np.bincount(row, minlength=6) / row.size for row in away.argmin(axis=2)])
    assert np.abs(moved.probability - share).max() < 0.06
    assert moved.probability.sum(axis=1) == pytest.approx(np.ones(10))


def test_paths_bend_with_the_square_of_time_and_scales_stay():
    modes = mixtures(3)
    moved = cover(modes)
    change = moved.path - modes.path
    assert change[:, :, 4] == pytest.approx(change[:, :, 9] / 4.0)
    assert np.abs(change[:, :, 9]).max() > 0.3
    assert np.array_equal(moved.scale, modes.scale)


def test_modes_that_are_certain_and_apart_stay():
    modes = mixtures(4)
    apart = np.arange(6)[:, None, None] * np.array([0.0, 10.0])
    certain = Modes(modes.path + apart, np.full_like(modes.scale, 0.01), modes.probability)
    moved = cover(certain)
    assert moved.path == pytest.approx(certain.path, abs=1e-9)
    assert moved.probability == pytest.approx(certain.probability)


def test_renumbered_modes_and_shifted_agents_give_the_same():
    modes = mixtures(5)
    order = [3, 0, 5, 1, 4, 2]
    expected = cover(modes)
    renumbered = cover(Modes(*(part[:, order] for part in modes)))
    assert renumbered.path == pytest.approx(expected.path[:, order])
    assert renumbered.probability == pytest.approx(expected.probability[:, order])
    shift = np.array([7.0, -2.0])
    assert cover(modes._replace(path=modes.path + shift)).path - shift == pytest.approx(expected.path)


@pytest.mark.parametrize("rounds", [0, 4])
def test_nobody_and_no_rounds_change_nothing(rounds):
    nobody = Modes(*(part[:0] for part in mixtures(1)))
    assert cover(nobody, rounds=rounds).path.shape == (0, 6, STEPS, 2)
    modes = mixtures(1)
    assert np.array_equal(cover(modes, rounds=0).path, modes.path)


def test_a_mode_without_probability_and_modes_in_one_place_are_no_trouble():
    modes = mixtures(2)
    probability = np.array([[0.5, 0.5, 0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]])
    for path in (modes.path, np.zeros_like(modes.path)):
        moved = cover(Modes(path, modes.scale, probability))
        assert np.isfinite(moved.path).all()
        assert moved.probability.sum(axis=1) == pytest.approx(np.ones(2))


def test_choosing_modes_moves_them_unless_told_not_to():
    modes = mixtures(4)
    path, log_scale = (torch.from_numpy(part) for part in (modes.path, np.log(modes.scale)))
    output = Trajectories(
        torch.cat([path, path[:, :1]], dim=1),
        torch.cat([log_scale, log_scale[:, :1]], dim=1),
        torch.log(torch.from_numpy(modes.probability)),
        torch.zeros(4, 1),
    )
    order = np.argsort(-modes.probability, axis=1)
    plain = choose_modes(output, 6, is_covering=False)
    assert plain.path == pytest.approx(np.take_along_axis(modes.path, order[:, :, None, None], axis=1))
    moved, samples = choose_modes(output, 6), samples_of(modes, 2000)
    assert (np.diff(moved.probability, axis=1) <= 0.0).all()
    assert found(moved, samples).mean() > found(plain, samples).mean() + 0.02
    assert choose_modes(output, 1).path[:, 0] == pytest.approx(modes.path[:, 0])
