"""Environment losses: what they must be zero for, what they must push away from, and their gradients."""

import math

import pytest
import torch

from gnnlib.errors import InputError
from gnnlib.heads.scene.training.contact_loss import contact_loss
from gnnlib.heads.scene.training.losses import (
    ENVIRONMENT_LOSSES,
    Plan,
    Surroundings,
    collision_loss,
    corners,
    disc_centres,
    environment_losses,
    off_road_loss,
    off_route_loss,
    road_distance,
    smoothness_loss,
)

CAR = torch.tensor([[4.5, 1.9]])


def plan_at(*points, heading=0.0):
    xy = torch.tensor([points], dtype=torch.float32)
    return Plan(xy, torch.full(xy.shape[:2], heading), CAR)


def straight(y=0.0, speed=10.0, steps=10):
    return plan_at(*[(speed * 0.1 * k, y) for k in range(1, steps + 1)])


def around(plan, *others, width=2.0, heading=0.0):
    """A lane along x, and other cars that stand at `others`."""
    steps, count = plan.xy.shape[1], len(others)
    xy = torch.tensor(others, dtype=torch.float32).reshape(1, count, 1, 2).expand(1, count, steps, 2)
    lane = torch.tensor([[[[-100.0, 0.0], [100.0, 0.0]]]])
    there = torch.ones(1, 1, dtype=torch.bool)
    return Surroundings(
        xy.clone(),
        torch.full((1, count, steps), heading),
        CAR[:, None].expand(1, count, 2),
        torch.ones(1, count, steps, dtype=torch.bool),
        lane,
        torch.tensor([[width]]),
        there,
        lane,
        there.clone(),
    )


def test_three_discs_cover_the_rectangle():
    centres, radius = disc_centres(torch.tensor([[3.0, -2.0]]), torch.tensor([0.7]), CAR[0])
    rectangle = corners(torch.tensor([[3.0, -2.0]]), torch.tensor([0.7]), CAR[0])[0]
    ring = torch.cat([rectangle, rectangle.roll(-1, 0)]).reshape(2, 4, 2)
    edge = torch.cat([ring[0] + share * (ring[1] - ring[0]) for share in torch.linspace(0, 1, 21)])
    assert float((edge[:, None] - centres[0]).norm(dim=-1).amin(1).max()) <= float(radius) + 1e-5


@pytest.mark.parametrize(("gap", "is_hit"), [(40.0, False), (14.0, True), (10.0, True)])
def test_collision_costs_only_where_cars_come_near(gap, is_hit):
    plan = straight()
    value = float(collision_loss(plan, around(plan, (gap, 0.0))))
    assert (value > 0.1) if is_hit else (value < 1e-3)


def test_collision_grows_with_the_overlap_and_pushes_away():
    plan = plan_at(*[(0.0, 0.0)] * 4)
    values = [float(collision_loss(plan, around(plan, (0.0, y)))) for y in (3.5, 2.5, 1.5, 0.5)]
    assert values == sorted(values) and values[0] < 0.01 < values[-1]
    plan.xy.requires_grad_()
    collision_loss(plan, around(plan, (0.0, 1.5))).sum().backward()
    assert (plan.xy.grad[..., 1] > 0).all()  # down the slope is away from the car on the left


def test_absent_agents_cost_nothing():
    plan = straight()
    surroundings = around(plan, (5.0, 0.0))
    surroundings.agent_mask[:] = False
    assert float(collision_loss(plan, surroundings)) == 0.0
    assert float(collision_loss(plan, around(plan))) == 0.0


def test_every_agent_adds_its_own_collision():
    plan = plan_at(*[(0.0, 0.0)] * 4)
    one, two = (float(collision_loss(plan, around(plan, place))) for place in ((0.0, 1.5), (1.0, -1.5)))
    both = float(collision_loss(plan, around(plan, (0.0, 1.5), (1.0, -1.5))))
    assert both == pytest.approx(one + two, rel=1e-5)


def test_the_middle_of_a_wide_lane_is_on_the_road_and_its_edge_is_not():
    plan = straight()
    assert float(off_road_loss(plan, around(plan, width=2.5))) < 1e-3
    edge = straight(y=2.0)
    assert float(off_road_loss(edge, around(edge, width=2.5))) > 0.1


def test_off_road_points_back_to_the_lane():
    plan = straight(y=3.0)
    plan.xy.requires_grad_()
    off_road_loss(plan, around(plan)).sum().backward()
    assert (plan.xy.grad[..., 1] > 0).all()


def test_without_a_road_nothing_is_off_road_or_off_route():
    plan = straight(y=30.0)
    surroundings = around(plan)
    surroundings.road_mask[:] = surroundings.route_mask[:] = False
    assert float(off_road_loss(plan, surroundings)) == float(off_route_loss(plan, surroundings)) == 0.0


def test_the_route_has_a_free_band():
    near, far = straight(y=0.2), straight(y=4.0)
    assert float(off_route_loss(near, around(near))) < 0.01
    assert float(off_route_loss(far, around(far))) == pytest.approx(math.log1p(3.0), rel=1e-2)


def test_constant_velocity_is_smooth_and_a_jump_is_not():
    assert float(smoothness_loss(straight(), dt=0.1)) < 1e-3
    jump = straight()
    jump.xy[0, 5, 1] = 0.3
    assert float(smoothness_loss(jump, dt=0.1)) > 10.0


def test_constant_acceleration_costs_its_square():
    t = 0.1 * torch.arange(1, 21, dtype=torch.float64)
    xy = torch.stack([5 * t + 0.5 * 1.5 * t**2, torch.zeros_like(t)], dim=-1)[None]
    plan = Plan(xy, torch.zeros(1, 20, dtype=torch.float64), CAR.double())
    assert float(smoothness_loss(plan, dt=0.1)) == pytest.approx((1.5 / 3.0) ** 2, rel=1e-6)


def test_the_union_of_pieces_is_what_one_of_them_holds():
    pieces = torch.tensor([[[[0.0, 0.0], [10.0, 0.0]], [[10.0, 0.0], [10.0, 10.0]]]])
    width, mask = torch.tensor([[1.0, 2.0]]), torch.ones(1, 2, dtype=torch.bool)
    points = torch.tensor([[[5.0, 0.0], [10.0, 5.0], [5.0, 4.0], [13.0, 5.0]]])
    assert road_distance(points, pieces, width, mask)[0].tolist() == pytest.approx([-1.0, -2.0, 3.0, 1.0], abs=1e-3)
    mask[0, 1] = False
    assert float(road_distance(points, pieces, width, mask)[0, 1]) == pytest.approx(4.0, abs=1e-3)


def test_the_losses_are_named_scalars_and_weights_select_plans():
    plan = straight(y=3.0)
    both = Plan(plan.xy.repeat(2, 1, 1), plan.heading_rad.repeat(2, 1), CAR.repeat(2, 1))
    both.xy[1, :, 1] = 0.0
    alone = around(plan)
    twice = Surroundings(
        *(getattr(alone, name).repeat(2, *[1] * (getattr(alone, name).dim() - 1)) for name in vars(alone))
    )
    whole = environment_losses(both, twice, dt=0.1)
    assert tuple(whole) == ENVIRONMENT_LOSSES and all(value.dim() == 0 for value in whole.values())
    first = environment_losses(both, twice, dt=0.1, weight=torch.tensor([1.0, 0.0]))
    assert float(first["off_road"]) == pytest.approx(2 * float(whole["off_road"]), rel=1e-2)
    none = environment_losses(both, twice, dt=0.1, weight=torch.zeros(2))
    assert all(float(value) == 0.0 for value in none.values())


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: Plan(torch.zeros(1, 4), torch.zeros(1, 4), CAR), r"\[B, T >= 1, 2\]"),
        (lambda: Plan(torch.zeros(1, 0, 2), torch.zeros(1, 0), CAR), "T >= 1"),
        (lambda: Plan(torch.zeros(1, 4, 2), torch.zeros(1, 3), CAR), "headings"),
        (lambda: smoothness_loss(straight(steps=3), dt=0.1), "at least 4"),
        (lambda: collision_loss(straight(), around(straight(), (0.0, 0.0)), softness_m=0.0), "softness_m"),
    ],
)
def test_bad_input_is_refused(call, match):
    with pytest.raises(InputError, match=match):
        call()


def contact(plan, *others, heading=0.0):
    return contact_loss(plan, around(plan, *others, heading=heading))


def test_the_contact_loss_of_a_plan_into_a_leader_asks_to_brake_however_deep_it_is():
    """The overlap alone ends behind the leader, and asks to drive on once its middle is passed."""
    for speed in (8.0, 12.0, 20.0):
        scale = torch.tensor(1.0, requires_grad=True)
        plan = straight(speed=speed)
        contact(Plan(plan.xy * scale, plan.heading_rad, plan.size), (9.0, 0.2)).sum().backward()
        assert float(scale.grad) > 0.1, speed
    values = [float(contact(straight(speed=speed), (9.0, 0.2))) for speed in (3.0, 6.0, 9.0, 12.0, 18.0)]
    assert values == sorted(values) and values[0] < 0.01 < values[1]


def test_who_is_in_the_next_lane_or_passes_there_costs_nothing():
    plan = straight(speed=20.0)
    for place in ((6.0, 3.0), (6.0, -3.0), (0.0, 3.0), (40.0, 0.0)):
        assert float(contact(plan, place)) < 0.02, place
    assert float(contact(plan, (6.0, 6.0), heading=math.pi / 2)) < 0.02


def test_followers_push_little_and_cars_beside_are_left_to_their_side():
    plan = straight(speed=0.0)
    behind, beside = float(contact(plan, (-3.0, 0.0))), float(contact(plan, (1.0, 1.8)))
    assert beside > 0.2
    follower = around(plan, (0.0, 0.0))
    follower.agent_xy[..., 0] = torch.linspace(-12.0, -2.0, 10)
    assert 0.0 < float(contact_loss(plan, follower)) < 0.3 * behind
    shift = torch.zeros(2, requires_grad=True)
    contact(Plan(plan.xy + shift, plan.heading_rad, plan.size), (1.0, 1.8)).sum().backward()
    assert float(shift.grad[1]) > 0.5 and abs(float(shift.grad[0])) < 0.1


def test_the_contact_loss_does_not_see_the_frame_nor_those_who_are_not_there():
    plan = straight(speed=12.0)
    here = around(plan, (9.0, 0.4), (4.0, 2.5))
    turn = torch.tensor([[math.cos(0.8), math.sin(0.8)], [-math.sin(0.8), math.cos(0.8)]])
    there = around(plan, (9.0, 0.4), (4.0, 2.5), heading=0.8)
    there.agent_xy = here.agent_xy @ turn + 3.0
    moved = Plan(plan.xy @ turn + 3.0, plan.heading_rad + 0.8, plan.size)
    assert torch.allclose(contact_loss(plan, here), contact_loss(moved, there), atol=1e-4)
    here.agent_mask[:, 0] = False
    assert torch.allclose(contact_loss(plan, here), contact(plan, (4.0, 2.5)))
    assert float(contact(plan)) == 0.0
    with pytest.raises(InputError, match="negative"):
        contact_loss(plan, here, gap_m=-1.0)
