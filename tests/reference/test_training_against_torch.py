"""The training loop against a loop written out with torch's and PyG's own pieces."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from gnnlib.training import FitConfig, MovingAverage, fit, learning_rate_factor, parameter_groups


class Model(nn.Module):
    def __init__(self, seed=0):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.net = nn.Sequential(nn.Linear(3, 6), nn.LayerNorm(6), nn.Tanh(), nn.Linear(6, 1)).double()

    def forward(self, graph):
        return self.net(graph.x if hasattr(graph, "x") else graph["x"]).squeeze(-1)

    def losses(self, output, graph):
        y = graph.y if hasattr(graph, "y") else graph["y"]
        return {"square": (output - y).square().mean()}


def batches(count):
    generator = torch.Generator().manual_seed(1)
    for _ in range(count):
        x = torch.randn(10, 3, generator=generator, dtype=torch.float64)
        yield {"x": x, "y": x.sum(1).sin()}


def test_thirty_steps_equal_those_of_a_loop_written_out_in_torch():
    data = list(batches(10))
    ours, theirs = Model(), Model()
    config = FitConfig(epochs=3, learning_rate=0.03, weight_decay=0.3, clip_norm=0.5, warmup_steps=5, final_rate=0.1)
    result = fit(ours, data, config=config)

    norms = [theirs.net[1].weight, theirs.net[1].bias, theirs.net[0].bias, theirs.net[3].bias]
    matrices = [theirs.net[0].weight, theirs.net[3].weight]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.3}, {"params": norms, "weight_decay": 0.0}], lr=0.03
    )
    warmup = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=1 / 5, total_iters=4)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=25, eta_min=0.003)
    schedule = torch.optim.lr_scheduler.SequentialLR(optimizer, [warmup, cosine], milestones=[5])
    losses = []
    for batch in data * 3:
        optimizer.zero_grad()
        loss = theirs.losses(theirs(batch), batch)["square"]
        loss.backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())

    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(mine, other, rtol=1e-9, atol=1e-12)
    for epoch, row in enumerate(result.history):
        assert row["train/square"] == pytest.approx(sum(losses[10 * epoch : 10 * epoch + 10]) / 10, rel=1e-9)


@pytest.mark.parametrize(
    ("schedule", "final_rate"), [("cosine", 0.0), ("cosine", 0.2), ("linear", 0.0), ("linear", 0.5)]
)
def test_the_schedules_are_those_of_torch(schedule, final_rate):
    config = FitConfig(schedule=schedule, final_rate=final_rate)
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    if schedule == "cosine":
        theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=40, eta_min=final_rate)
    else:
        theirs = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, final_rate, total_iters=40)
    for step in range(40):
        assert learning_rate_factor(step, config, 40) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-12)
        optimizer.step()
        theirs.step()


def test_the_moving_average_is_that_of_torch_once_warm():
    model = nn.Linear(2, 2)
    ours = MovingAverage(model, 0.75)
    ours.updates = 10**6  # past its warm-up
    theirs = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.75))
    theirs.update_parameters(model)  # torch copies on the first call
    for step in range(20):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.sin(torch.tensor(float(step))))
        ours.update(model)
        theirs.update_parameters(model)
    for name, value in ours.values.items():
        assert torch.allclose(value, theirs.module.state_dict()[name], atol=1e-5)


def test_norms_biases_and_vectors_do_not_decay():
    class Scale(nn.Module):
        def __init__(self):
            super().__init__()
            self.vector = nn.Parameter(torch.ones(3))
            self.matrix = nn.Parameter(torch.ones(3, 3))

    class DomainNorm(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Parameter(torch.ones(4, 3))

    shared = nn.Linear(3, 3)
    model = nn.ModuleDict(
        {
            "first": shared,
            "again": nn.Sequential(shared),
            "scale": Scale(),
            "norm": DomainNorm(),
            "batch": nn.BatchNorm1d(3),
            "embedding": nn.Embedding(5, 3),
            "frozen": nn.Linear(3, 3).requires_grad_(requires_grad=False),
        }
    )
    decaying, others = parameter_groups(model, 0.1)
    assert {id(p) for p in decaying["params"]} == {
        id(shared.weight),
        id(model["scale"].matrix),
        id(model["embedding"].weight),
    }
    assert {id(p) for p in others["params"]} == {
        id(shared.bias),
        id(model["scale"].vector),
        id(model["norm"].table),
        id(model["batch"].weight),
        id(model["batch"].bias),
    }
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.1, 0.0)


def graphs(count):
    from torch_geometric.data import Data

    generator = torch.Generator().manual_seed(2)
    for index in range(count):
        x = torch.randn(2 + index % 3, 3, generator=generator, dtype=torch.float64)
        yield Data(x=x, y=x.sum(1), edge_index=torch.zeros(2, 0, dtype=torch.long), number=torch.tensor([index]))


def test_graphs_are_batched_as_pyg_does_it():
    from torch_geometric.loader import DataLoader

    data = list(graphs(11))
    ours, theirs = Model(), Model()
    config = FitConfig(epochs=2, batch_size=4, shuffle=False)
    first = fit(ours, data, val=data, config=config)
    second = fit(theirs, DataLoader(data, batch_size=4), val=DataLoader(data, batch_size=4), config=config)
    assert [row["train/loss"] for row in first.history] == [row["train/loss"] for row in second.history]
    assert [row["val/loss"] for row in first.history] == [row["val/loss"] for row in second.history]
    assert torch.equal(ours.net[0].weight, theirs.net[0].weight)
    assert first.steps == 6


def test_shuffling_shows_every_graph_once_an_epoch_in_a_new_order():
    seen = []

    class Watcher(Model):
        def forward(self, graph):
            if self.training:
                seen.append(graph.number.tolist())
            return super().forward(graph)

    fit(Watcher(), list(graphs(10)), val=list(graphs(3)), config=FitConfig(epochs=3, batch_size=4), seed=1)
    epochs = [[number for batch in seen[start : start + 3] for number in batch] for start in (0, 3, 6)]
    assert all(sorted(order) == list(range(10)) for order in epochs)
    assert len({tuple(order) for order in epochs}) == 3
    assert [len(batch) for batch in seen[:3]] == [4, 4, 2]
