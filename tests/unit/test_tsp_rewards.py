"""The policy gradient on tours: rewards, samples, and the part of the training that uses them."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from gnnlib.data.generate import GENERATORS
from gnnlib.encoder import load, read_card
from gnnlib.heads.combinatorial.tsp import train as train_module
from gnnlib.heads.combinatorial.tsp import train_rewards
from gnnlib.heads.combinatorial.tsp.labels import LabelledTour, LabelPlan
from gnnlib.heads.combinatorial.tsp.train import PRESETS, Preset, build_model, reward_model
from gnnlib.heads.combinatorial.tsp.train_rewards import (
    RewardBatches,
    local_lengths,
    prepare_rewards,
    sample_tours,
    search_gaps,
)
from gnnlib.training import Course, ReinforceConfig

REWARDS = ReinforceConfig(epochs=2, batch_size=3, learning_rate=1e-3, warmup_steps=0, baseline="leave_one_out")
TINY = Preset(
    16,
    8,
    1,
    tuple(LabelPlan(split, 4, low=20, high=40) for split in ("train", "val", "test", "large")),
    replace(PRESETS["small"].fit, epochs=1, batch_size=4, warmup_steps=0),
    REWARDS,
)


def toy(count=4, n=30):
    rng = np.random.default_rng(0)
    kinds = list(GENERATORS)
    return [LabelledTour(kinds[0], rng.random((n + i, 2)), np.arange(n + i)) for i in range(count)]


@pytest.fixture(scope="module")
def parts():
    return prepare_rewards(toy())


def test_the_length_around_a_city_is_the_mean_over_it_and_its_candidates(parts):
    one = parts[0]
    n = one.instance.size
    tour = np.random.default_rng(1).permutation(n).astype(np.int32)
    points = one.instance.points[:, :2]
    own = np.zeros(n)
    for a, b in pairwise([*tour.tolist(), int(tour[0])]):
        half = 0.5 * float(np.linalg.norm(points[a] - points[b]))
        own[a] += half
        own[b] += half
    for city, found in enumerate(local_lengths(one, tour)):
        around = np.mean([own[city], *(own[other] for other in one.instance.neighbours[city])])
        assert found == pytest.approx(around * n / one.length)


def test_log_probabilities_are_those_of_normal_scores(parts, monkeypatch):
    model = build_model(TINY).train()
    batch = next(iter(RewardBatches(parts, 2)(1)))
    seen = []
    find = train_rewards._find_tour
    monkeypatch.setattr(train_rewards, "_find_tour", lambda *args: seen.append(args[1]) or find(*args))
    found = sample_tours(model, batch, torch.Generator().manual_seed(0))
    assert found.log_prob.shape == found.reward.shape == (30 + 31, train_rewards.SAMPLES)
    logit = model(batch.graph).logit.detach().double().numpy()[:300].reshape(30, 10)
    first = -0.5 * (((seen[0] - logit) / train_rewards.SPREAD) ** 2).sum(axis=1)
    np.testing.assert_allclose(found.log_prob[:30, 0].detach().numpy(), first, rtol=1e-3, atol=1e-3)
    assert found.log_prob.requires_grad
    assert not found.reward.requires_grad


def test_both_directions_of_an_edge_are_perturbed_alike(parts, monkeypatch):
    monkeypatch.setattr(train_rewards, "_find_tour", lambda one, scores, noise: seen.append(scores) or order(one))
    seen = []

    def order(one):
        return np.arange(one.instance.size, dtype=np.int32)

    model = build_model(TINY).train()
    sample_tours(model, next(iter(RewardBatches(parts[:1], 1)(1))), torch.Generator().manual_seed(0))
    near = parts[0].instance.neighbours
    for city, row in enumerate(near):
        for slot, other in enumerate(row):
            back = np.flatnonzero(near[other] == city)
            if len(back):
                assert seen[0][city, slot] == pytest.approx(seen[0][other, back[0]], abs=1e-5)


def test_validation_searches_with_the_scores_themselves(parts):
    model = build_model(TINY).eval()
    batch = next(iter(RewardBatches(parts, 4)(1)))
    one, two = (sample_tours(model, batch, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one.reward, two.reward)
    assert torch.equal(one.log_prob, torch.zeros_like(one.log_prob))


def test_better_scores_find_shorter_tours():
    rng = np.random.default_rng(5)
    angle = np.sort(rng.random(40)) * 2.0 * np.pi
    ring = LabelledTour("uniform", np.c_[np.cos(angle), np.sin(angle)], np.arange(40))
    (one,) = prepare_rewards([ring])

    class Known(torch.nn.Module):
        def __init__(self, sign):
            super().__init__()
            self.sign = sign

        def forward(self, graph):
            place = torch.from_numpy(one.instance.cities)
            apart = (place[graph.edge_index[0]] - place[graph.edge_index[1]]).abs()
            return self.sign * torch.where((apart == 1) | (apart == 39), 5.0, -5.0)

    right, wrong = (search_gaps(Known(sign), [one]).mean() for sign in (1.0, -1.0))
    assert right == pytest.approx(0.0, abs=1e-9)
    assert wrong > 1.0


def test_the_stage_is_resumed_where_it_was_left(tmp_path):
    tours = toy()
    models = [build_model(TINY, seed=3) for _ in range(3)]
    config = replace(REWARDS, schedule="constant", epochs=3)
    reward_model(models[0], tours, tours[:2], config, Course(tmp_path / "whole", seed=3))
    reward_model(models[1], tours, tours[:2], replace(config, epochs=1), Course(tmp_path / "parts", seed=3))
    result = reward_model(models[2], tours, tours[:2], config, Course(tmp_path / "parts", seed=3, resume=True))
    assert result.stopped_by == "epochs"
    whole, resumed = models[0].state_dict(), models[2].state_dict()
    assert all(torch.equal(resumed[name], value) for name, value in whole.items())


def test_the_card_says_what_the_rewards_brought(tmp_path, monkeypatch):
    monkeypatch.setitem(train_module.PRESETS, "small", TINY)
    monkeypatch.setattr("gnnlib.training.command.tune_cpu", lambda: False)
    out, runs = tmp_path / "toy", tmp_path / "runs"
    assert train_module.main(["--out", str(out), "--runs", str(runs)]) == 0
    metrics = read_card(out).metrics
    before, after = (metrics[f"descent gap in % (val, {kind})"] for kind in ("supervised", "rewarded"))
    assert metrics["rewarded weights kept"] == float(after < before)
    kept = "rewarded" if after < before else "supervised"
    shipped, expected = load(out).state_dict(), load(runs / "small-0" / kept).state_dict()
    assert all(torch.equal(shipped[name], value) for name, value in expected.items())
