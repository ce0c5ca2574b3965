"""Environment losses: finite with finite gradients, blind to the frame and to the order of the others."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnlib.heads.scene.maps.road import Road
from gnnlib.heads.scene.training.losses import Plan, Surroundings, environment_losses, road_distance

few = settings(max_examples=25, deadline=None)


def scene(seed, agents=4, steps=6, pieces=7):
    g = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    plan = Plan(5 * normal(2, steps, 2).cumsum(1), normal(2, steps), 2 + normal(2, 2).abs())
    road = 15 * normal(2, pieces, 2, 2)
    surroundings = Surroundings(
        8 * normal(2, agents, steps, 2),
        normal(2, agents, steps),
        1 + normal(2, agents, 2).abs(),
        normal(2, agents, steps) > -0.5,
        road,
        1 + normal(2, pieces).abs(),
        normal(2, pieces) > -0.5,
        15 * normal(2, pieces, 2, 2),
        normal(2, pieces) > -0.5,
    )
    return plan, surroundings


@few
@given(st.integers(0, 10**6))
def test_values_and_gradients_are_finite_and_not_negative(seed):
    plan, around = scene(seed)
    plan.xy.requires_grad_()
    losses = environment_losses(plan, around, dt=0.3)
    assert all(float(value.detach()) >= 0.0 for value in losses.values())
    sum(losses.values()).backward()
    assert torch.isfinite(plan.xy.grad).all()


@few
@given(st.integers(0, 10**6), st.floats(-3, 3), st.floats(-200, 200))
def test_turning_and_shifting_everything_changes_nothing(seed, angle, shift):
    plan, around = scene(seed)
    cos, sin = torch.tensor(angle).cos().item(), torch.tensor(angle).sin().item()
    turn = torch.tensor([[cos, -sin], [sin, cos]], dtype=torch.float64)

    def moved(points):
        return points @ turn.T + shift

    there = Plan(moved(plan.xy), plan.heading_rad + angle, plan.size)
    other = Surroundings(
        moved(around.agent_xy),
        around.agent_heading_rad + angle,
        around.agent_size,
        around.agent_mask,
        moved(around.road),
        around.road_half_width,
        around.road_mask,
        moved(around.route),
        around.route_mask,
    )
    before, after = environment_losses(plan, around, dt=0.3), environment_losses(there, other, dt=0.3)
    for name, value in before.items():
        assert torch.allclose(value, after[name], rtol=1e-4, atol=1e-6)


@few
@given(st.integers(0, 10**6))
def test_the_order_of_the_others_does_not_matter(seed):
    plan, around = scene(seed)
    order = torch.randperm(4, generator=torch.Generator().manual_seed(seed))
    mixed = Surroundings(
        around.agent_xy[:, order],
        around.agent_heading_rad[:, order],
        around.agent_size[:, order],
        around.agent_mask[:, order],
        *(getattr(around, name) for name in ("road", "road_half_width", "road_mask", "route", "route_mask")),
    )
    one, two = environment_losses(plan, around, dt=0.3), environment_losses(plan, mixed, dt=0.3)
    assert torch.allclose(one["collision"], two["collision"])


@few
@given(st.integers(0, 10**6))
def test_the_distance_to_the_road_is_that_of_the_simulator(seed):
    plan, around = scene(seed)
    mask = torch.ones_like(around.road_mask)
    ours = road_distance(plan.xy, around.road, around.road_half_width, mask)
    for k in range(2):
        road = Road(*(around.road[k, :, side].numpy().copy() for side in (0, 1)), around.road_half_width[k].numpy())
        assert torch.allclose(ours[k], torch.from_numpy(road.distance(plan.xy[k].numpy())), atol=1e-4)
