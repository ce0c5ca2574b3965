"""Policy gradients against what calculus and enumeration say."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from gnnlib.errors import DivergenceError, InputError, WeightsError
from gnnlib.stop import MaxIterations
from gnnlib.training import ReinforceConfig, Rollouts, policy_gradient_loss, reinforce

REWARD = torch.tensor([0.3, -1.2, 2.0, 0.5], dtype=torch.float64)
LOGITS = torch.tensor([0.1, 0.7, -0.4, 0.0], dtype=torch.float64)


def gradient_of_loss(answers, baseline):
    """Gradient in the logits for given answers [B, K] of one softmax policy."""
    logits = LOGITS.clone().requires_grad_()
    log_prob = logits.log_softmax(0)[answers]
    policy_gradient_loss(log_prob, REWARD[answers], baseline=baseline).backward()
    return logits.grad


def expected_gradient(num_solutions, baseline):
    """Exact expectation over all tuples of K independent answers."""
    p = LOGITS.softmax(0)
    total = torch.zeros(4, dtype=torch.float64)
    for answers in itertools.product(range(4), repeat=num_solutions):
        chance = torch.prod(p[list(answers)])
        total += chance * gradient_of_loss(torch.tensor([answers]), baseline)
    return total


def true_gradient():
    """d/d logit_a of sum_a p_a r_a = p_a (r_a - mean reward)."""
    p = LOGITS.softmax(0)
    return p * (REWARD - (p * REWARD).sum())


@pytest.mark.parametrize("num_solutions", [2, 3, 4])
@pytest.mark.parametrize(("baseline", "factor"), [("none", None), ("leave_one_out", None), ("shared", "own share")])
def test_no_baseline_turns_the_expected_gradient(num_solutions, baseline, factor):
    scale = (num_solutions - 1) / num_solutions if factor else 1.0
    expected = -scale * true_gradient()
    assert torch.allclose(expected_gradient(num_solutions, baseline), expected, atol=1e-12)


@pytest.mark.parametrize("baseline", ["shared", "leave_one_out"])
def test_a_baseline_makes_the_gradient_less_noisy(baseline):
    p = LOGITS.softmax(0)

    def spread(kind, shift):
        total = 0.0
        for answers in itertools.product(range(4), repeat=3):
            logits = LOGITS.clone().requires_grad_()
            picked = torch.tensor([answers])
            policy_gradient_loss(logits.log_softmax(0)[picked], REWARD[picked] + shift, baseline=kind).backward()
            total += float(torch.prod(p[list(answers)]) * logits.grad.square().sum())
        return total

    assert spread(baseline, 10.0) < 0.1 * spread("none", 10.0)
    assert spread(baseline, 10.0) == pytest.approx(spread(baseline, 0.0))


def test_the_loss_is_the_formula_written_out():
    generator = torch.Generator().manual_seed(0)
    log_prob = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    reward = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    shared = others = 0.0
    for b in range(5):
        for k in range(3):
            rest = [float(reward[b, j]) for j in range(3) if j != k]
            shared -= (float(reward[b, k]) - (sum(rest) + float(reward[b, k])) / 3) * float(log_prob[b, k]) / 15
            others -= (float(reward[b, k]) - sum(rest) / 2) * float(log_prob[b, k]) / 15
    assert float(policy_gradient_loss(log_prob, reward)) == pytest.approx(shared)
    assert float(policy_gradient_loss(log_prob, reward, baseline="leave_one_out")) == pytest.approx(others)
    assert float(policy_gradient_loss(log_prob, reward, baseline="none")) == pytest.approx(
        -float((reward * log_prob).mean())
    )


def test_no_gradient_flows_into_the_reward():
    log_prob = torch.zeros(1, 2, requires_grad=True)
    reward = torch.tensor([[1.0, 2.0]], requires_grad=True)
    policy_gradient_loss(log_prob, reward).backward()
    assert reward.grad is None


@pytest.mark.parametrize(
    ("log_prob", "reward", "message"),
    [
        (torch.zeros(3), torch.zeros(3), r"must both have shape \[B, K\], found \[3\] and \[3\]"),
        (torch.zeros(2, 3), torch.zeros(2, 4), r"found \[2, 3\] and \[2, 4\]"),
        (torch.zeros(0, 3), torch.zeros(0, 3), r"shape \[B, K\]"),
        (torch.zeros(1, 2), torch.tensor([[1.0, -torch.inf]]), "`reward` must be finite"),
        (torch.zeros(2, 1), torch.zeros(2, 1), "needs K >= 2 solutions per instance, found 1"),
    ],
)
def test_rollouts_of_the_wrong_kind_are_refused(log_prob, reward, message):
    with pytest.raises(InputError, match=message):
        policy_gradient_loss(log_prob, reward)


def test_an_unknown_baseline_is_refused():
    with pytest.raises(InputError, match="`baseline` must be one of"):
        policy_gradient_loss(torch.zeros(1, 2), torch.zeros(1, 2), baseline="greedy")


class Chooser(nn.Module):
    """Scores four items by their two features."""

    def __init__(self):
        super().__init__()
        self.score = nn.Linear(2, 1, bias=False)
        nn.init.zeros_(self.score.weight)

    def forward(self, items):
        return self.score(items).squeeze(-1)


def instances(epoch):
    generator = torch.Generator().manual_seed(epoch)
    for _ in range(4):
        yield torch.randn(16, 4, 2, generator=generator)


def choose(model, items, generator):
    """The worth of an item is the difference of its features."""
    log_p = model(items).log_softmax(-1)
    picked = torch.multinomial(log_p.exp(), 6, replacement=True, generator=generator)
    worth = (items[..., 0] - items[..., 1]).gather(1, picked)
    return Rollouts(log_p.gather(1, picked), worth, -(log_p.exp() * log_p).sum(-1))


VAL = list(instances(10**6))
CONFIG = ReinforceConfig(epochs=25, steps_per_epoch=4, learning_rate=0.1, weight_decay=0.0)


@pytest.mark.parametrize("baseline", ["shared", "leave_one_out"])
def test_a_small_choice_is_learned(baseline):
    model = Chooser()
    config = ReinforceConfig(epochs=25, steps_per_epoch=4, learning_rate=0.1, weight_decay=0.0, baseline=baseline)
    result = reinforce(model, instances, choose, val=VAL, config=config)
    best = torch.stack([(items[..., 0] - items[..., 1]).amax(-1).mean() for items in VAL]).mean()
    assert result.history[0]["val/reward"] < 0.75 * best
    assert result.best["val/reward"] > 0.9 * best
    assert result.best["val/reward"] == max(row["val/reward"] for row in result.history)
    assert result.best["val/reward"] <= result.best["val/best_reward"] <= best + 1e-6
    direction = model.score.weight[0].detach() / model.score.weight.detach().norm()
    assert float(direction @ torch.tensor([1.0, -1.0]) / 2**0.5) > 0.95
    assert result.history[-1]["train/entropy"] < result.history[0]["train/entropy"]


def test_validation_repeats_its_random_numbers():
    config = ReinforceConfig(epochs=3, steps_per_epoch=4, learning_rate=1e-12)
    rows = reinforce(Chooser(), instances, choose, val=VAL, config=config).history
    assert rows[0]["val/reward"] == pytest.approx(rows[2]["val/reward"], abs=1e-12)
    assert rows[0]["train/reward"] != rows[1]["train/reward"]


def test_an_entropy_bonus_keeps_the_policy_undecided():
    config = ReinforceConfig(epochs=15, steps_per_epoch=4, learning_rate=0.1, entropy_weight=20.0)
    keen = reinforce(Chooser(), instances, choose, config=CONFIG).history[14]
    calm = reinforce(Chooser(), instances, choose, config=config).history[14]
    assert calm["train/entropy"] > keen["train/entropy"]
    assert calm["train/exploration"] == pytest.approx(-20 * calm["train/entropy"], rel=1e-5)
    assert "train/exploration" not in keen


def test_a_resumed_run_repeats_the_samples_bit_for_bit(tmp_path):
    whole, resumed = Chooser(), Chooser()
    expected = reinforce(whole, instances, choose, val=VAL[:1], config=CONFIG, seed=3)
    reinforce(
        Chooser(),
        instances,
        choose,
        val=VAL[:1],
        config=CONFIG,
        seed=3,
        checkpoint=tmp_path / "c",
        stop=MaxIterations(7),
    )
    result = reinforce(
        resumed, instances, choose, val=VAL[:1], config=CONFIG, seed=3, checkpoint=tmp_path / "c", resume=True
    )
    assert torch.equal(whole.score.weight, resumed.score.weight)
    assert [row["train/reward"] for row in result.history] == [row["train/reward"] for row in expected.history]
    other = reinforce(Chooser(), instances, choose, val=VAL[:1], config=CONFIG, seed=4)
    assert other.history[0]["train/reward"] != expected.history[0]["train/reward"]


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    reinforce(Chooser(), instances, choose, config=CONFIG, checkpoint=tmp_path / "c", stop=MaxIterations(1))
    other = ReinforceConfig(epochs=25, steps_per_epoch=4, learning_rate=0.1, weight_decay=0.0, baseline="leave_one_out")
    with pytest.raises(InputError, match="`baseline` was 'shared' and is 'leave_one_out'"):
        reinforce(Chooser(), instances, choose, config=other, checkpoint=tmp_path / "c", resume=True)
    with pytest.raises(WeightsError, match="does not fit the model"):
        reinforce(nn.Linear(3, 1), instances, choose, config=CONFIG, checkpoint=tmp_path / "c", resume=True)


def test_faulty_samplers_are_named():
    with pytest.raises(InputError, match="`sample` must return Rollouts, found tuple"):
        reinforce(Chooser(), VAL, lambda *_: (torch.zeros(1, 2), torch.zeros(1, 2)))
    with pytest.raises(InputError, match="`sample` a function, found Chooser and int"):
        reinforce(Chooser(), VAL, 3)

    def endless(model, items, generator):
        return Rollouts(model(items) * torch.inf, items[..., 0])

    with pytest.raises(DivergenceError, match="the loss 'policy' became nan at step 1"):
        reinforce(Chooser(), VAL, endless)
