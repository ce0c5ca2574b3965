"""Training the routing policy: labels, the steps to learn from, and a whole tiny run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from gnnlib.encoder import GraphModel
from gnnlib.heads.combinatorial.vrp import labels, train
from gnnlib.heads.combinatorial.vrp.baselines import nearest_neighbour, savings
from gnnlib.heads.combinatorial.vrp.head import RouteHead, StepBatch, StepPolicy, StepScores
from gnnlib.heads.combinatorial.vrp.labels import KINDS, LabelledRoutes, LabelPlan, make_labels
from gnnlib.heads.combinatorial.vrp.metrics import check_routes
from gnnlib.heads.combinatorial.vrp.policy import construct_routes
from gnnlib.heads.combinatorial.vrp.policy_kernel import (
    FIRST_EXCESS,
    KIND,
    NUM_ACTION_FEATURES,
    NUM_COSTS,
    NUM_STATE_FEATURES,
    TOUR,
)
from gnnlib.heads.combinatorial.vrp.train_steps import (
    ImitationBatches,
    SamplingBatches,
    encode_labels,
    sample_routes,
)
from gnnlib.training import Course


@pytest.fixture
def quick_labels(monkeypatch):
    """Labels of a baseline, which needs no compiled search."""

    def label(self, number):
        kind, problem, _ = self.draw(number)
        return (nearest_neighbour if kind == "tour" else savings)(problem).routes

    monkeypatch.setattr(LabelPlan, "label", label)


def labelled(count):
    plan = LabelPlan("val", count, 12, 16)
    drawn = [plan.draw(number)[:2] for number in range(count)]
    return [LabelledRoutes(kind, problem, nearest_neighbour(problem).routes) for kind, problem in drawn]


def test_labels_come_from_the_cache_and_a_longer_plan_continues_it(tmp_path, quick_labels, monkeypatch):
    first = make_labels(LabelPlan("val", 4, 12, 16), tmp_path)
    assert [one.kind for one in first] == list(KINDS[:4])
    for one in first:
        assert check_routes(one.problem, one.routes, [0] * len(one.routes)).feasible
    drawn = []
    monkeypatch.setattr(LabelPlan, "label", lambda _, number: drawn.append(number) or ((1,),))
    again = make_labels(LabelPlan("val", 6, 12, 16), tmp_path)
    assert drawn == [4, 5]
    assert [one.routes for one in again[:4]] == [one.routes for one in first]


def test_splits_and_numbers_give_different_instances():
    drawn = {
        LabelPlan(split, 9).draw(number)[1].travel.coords.tobytes() for split in labels.SPLITS for number in (0, 8)
    }
    assert len(drawn) == 6


def test_the_loss_of_a_step_is_that_of_its_right_actions_together():
    policy = StepPolicy()
    batch = StepBatch(
        actions=torch.zeros(5, NUM_ACTION_FEATURES),
        step=torch.tensor([0, 0, 1, 1, 1]),
        is_right=torch.tensor([True, False, True, True, False]),
        states=torch.zeros(2, NUM_STATE_FEATURES).index_fill(1, torch.tensor([KIND]), TOUR),
        costs=torch.ones(2, NUM_COSTS),
        to_go=torch.tensor([3.0, 3.0]),
        scale=torch.tensor([10.0, 10.0]),
    )
    scores = StepScores(torch.log(torch.tensor([1.0, 3.0, 1.0, 2.0, 1.0])), torch.tensor([3.0, 5.0]))
    losses = policy.losses(scores, batch)
    wanted = -(np.log(1 / 4) + np.log(3 / 4)) / 2
    assert losses["step"].item() == pytest.approx(wanted, rel=1e-5)
    assert losses["value"].item() == pytest.approx(0.5 * 0.2**2 / 2, rel=1e-4)
    assert policy.metrics(scores, batch)["agreement"] == 0.5
    elsewhere = batch._replace(states=torch.zeros(2, NUM_STATE_FEATURES))  # the steps of vehicles are not imitated
    assert policy.losses(scores, elsewhere)["step"] == 0.0


def test_an_untrained_policy_follows_the_first_estimate():
    actions = torch.rand(6, NUM_ACTION_FEATURES, generator=torch.Generator().manual_seed(0))
    assert StepPolicy()(actions).argmax() == actions[:, FIRST_EXCESS].argmin()


def test_imitation_lowers_its_loss():
    model = train.build_model(train.PRESETS["tiny"])
    assert isinstance(model.head, RouteHead)
    policy = model.head.policy
    batches = ImitationBatches(encode_labels(labelled(8), model), policy, 8)
    optimiser = torch.optim.Adam(policy.parameters(), lr=1e-2)
    history = []
    for _ in range(15):
        (batch,) = batches(0)
        losses = policy.losses(policy(batch), batch)
        history.append(losses["step"].item())
        optimiser.zero_grad()
        sum(losses.values()).backward()
        optimiser.step()
    assert history[-1] < 0.8 * history[0]


def test_samples_carry_the_gradient_of_their_log_probability():
    model = train.build_model(train.PRESETS["tiny"])
    (batch,) = SamplingBatches(encode_labels(labelled(2), model), 2)(1)
    rollouts = sample_routes(model.head.policy, batch, torch.Generator().manual_seed(0))
    assert rollouts.log_prob.shape == rollouts.reward.shape == (2, 8)
    assert (rollouts.log_prob <= 0).all()
    rollouts.log_prob.sum().backward()
    assert all(p.grad is not None for p in model.head.policy.act.parameters())


def test_one_command_makes_weights_that_construct_routes(tmp_path, quick_labels):
    out = tmp_path / "toy"
    card = train.run("tiny", out, Course(tmp_path / "runs" / "tiny-0"))
    assert card is not None
    assert json.loads(Path(f"{out}.json").read_text())["metrics"] == card.metrics
    assert {f"greedy gap in % ({kind})" for kind in set(KINDS)} <= set(card.metrics)
    model = GraphModel.load(out)
    for one in labelled(6):
        assert construct_routes(one.problem, model=model).feasible
