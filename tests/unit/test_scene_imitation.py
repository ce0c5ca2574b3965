"""The imitation planner: its data, its head, its presets, its policy."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gnnlib.encoder import Card, Encoder, GraphModel, load
from gnnlib.errors import InputError, WeightsError
from gnnlib.heads.scene.generate import generate_scene
from gnnlib.heads.scene.graph import SCENE_SPEC
from gnnlib.heads.scene.imitation import ABLATION, IMITATION_PRESETS, ImitationPlanner, build_planner
from gnnlib.heads.scene.maps.road import Route
from gnnlib.heads.scene.planning.idm import Traffic
from gnnlib.heads.scene.planning.imitation_graph import (
    Push,
    ahead_features,
    join_plan_graphs,
    perturbed_path,
    route_features,
)
from gnnlib.heads.scene.planning.imitation_head import PLAN_LOSSES, ROUTE_FEATURES, PlanHead, drive_controls
from gnnlib.heads.scene.planning.scenarios import make_scenario
from gnnlib.heads.scene.problem import Scene
from gnnlib.heads.scene.sim import SceneSim, StartShift
from gnnlib.heads.scene.training.imitation_data import PERTURBED_WEIGHT, Augmentation, PlanBatches, PlanScene
from gnnlib.heads.scene.training.losses import Plan, environment_losses
from gnnlib.heads.scene.training.train_imitation import Material, ship_best, train_planner
from gnnlib.heads.scene.training.validation_drives import failures, pushed_starts
from gnnlib.testing import NodeValueHead
from gnnlib.training import FitConfig

PLAIN = Augmentation(drop_past=0.0)


@pytest.fixture(scope="module")
def street():
    return PlanScene(generate_scene("highway", seed=4, num_steps=60, density=0.4))


def drawn(item, change=PLAIN, step=25, seed=0):
    graph = item.draw(step, change, np.random.default_rng(seed))
    assert graph is not None
    return graph


def test_constant_controls_drive_the_bicycle_of_the_kinematics():
    from gnnlib.heads.scene.kinematics import controls_to_poses

    curvature, speed = 0.05, 8.0
    xy, heading, _ = drive_controls(
        torch.tensor([speed], dtype=torch.float64),
        torch.zeros(1, 20, dtype=torch.float64),
        torch.full((1, 20), curvature, dtype=torch.float64),
        0.1,
    )
    controls = np.tile([speed, np.arctan(2.7 * curvature)], (20, 1))
    poses = controls_to_poses([0, 0, 0], controls, wheelbase_m=2.7, dt=0.1)[1:]
    assert np.allclose(heading[0], poses[:, 2])
    assert np.allclose(xy[0], poses[:, :2], atol=1e-3)  # a chord for an arc


def test_braking_ends_at_a_standstill_and_can_start_again():
    push = torch.tensor([[-4.0] * 5 + [2.0] * 5])
    xy, _, speed = drive_controls(torch.tensor([1.0]), push, torch.zeros(1, 10), 0.1)
    assert speed.min() == 0.0 and (xy[..., 0].diff() >= 0).all()
    assert float(speed[0, -1]) == pytest.approx(1.0)


def test_targets_are_the_recorded_futures_in_the_frame_of_the_vehicle(street):
    graph = drawn(street)
    origin, target = graph.origin.numpy(), graph.target.numpy()
    rows = [street.scene.agents.index(a) for a in street.scene.agents]
    cos, sin = np.cos(origin[:, 2]), np.sin(origin[:, 2])
    x = origin[:, 0, None] + cos[:, None] * target[..., 0] - sin[:, None] * target[..., 1]
    y = origin[:, 1, None] + sin[:, None] * target[..., 0] + cos[:, None] * target[..., 1]
    here = street.scene.xy[rows, 25]
    for k in range(len(origin)):
        row = int(np.nanargmin(np.linalg.norm(here - origin[k, :2], axis=1)))
        assert np.allclose(street.scene.xy[row, 26:56], np.stack([x[k], y[k]], axis=-1), atol=1e-3)


def test_what_the_network_sees_holds_nothing_of_the_future(street):
    scene = street.scene
    xy = scene.xy.copy()
    xy[:, 26:] += np.linspace(0, 3, xy.shape[1] - 26)[:, None]
    other = PlanScene(replace(scene, xy=xy))
    other.routes = {row: street.route(int(row)) for row in street.vehicles}
    one, two = drawn(street), drawn(other)
    for name in ("x", "edge_index", "edge_attr", "speed", "turned", "route", "origin"):
        assert torch.equal(getattr(one, name), getattr(two, name)), name
    assert not torch.equal(one.target, two.target)


def test_dropping_the_past_leaves_four_steps(street):
    whole, dropped = drawn(street), drawn(street, Augmentation(drop_past=1.0))
    assert not torch.equal(whole.x, dropped.x)
    assert torch.equal(whole.target, dropped.target) and torch.equal(whole.speed, dropped.speed)


def test_perturbed_vehicles_start_aside_come_back_and_count_half(street):
    plain, pushed = drawn(street), drawn(street, replace(PLAIN, perturb=1.0))
    moved = (plain.origin - pushed.origin)[:, :2].norm(dim=1) > 1e-6
    assert moved.any()
    assert torch.allclose(pushed.imitate[moved], PERTURBED_WEIGHT * plain.imitate[moved])
    assert torch.equal(pushed.matter, plain.matter)
    ends = []
    for graph in (plain, pushed):
        cos, sin = graph.origin[:, 2].cos(), graph.origin[:, 2].sin()
        last = graph.target[:, -1].double()
        ends.append(
            graph.origin[:, :2]
            + torch.stack([cos * last[:, 0] - sin * last[:, 1], sin * last[:, 0] + cos * last[:, 1]], 1)
        )
    assert torch.allclose(*ends, atol=1e-3)


@pytest.mark.parametrize("speed", [7.0, 10.0, 14.0])
def test_who_was_turned_away_comes_back_without_swinging_out(speed):
    """A return over 3 s would go 1.2 m farther to the side at 10 m/s; the vehicle is 1.9 m wide, the lane 3.6 m."""
    path = np.stack([0.1 * speed * np.arange(60.0), np.zeros(60)], axis=-1)
    back, heading = perturbed_path(path, np.zeros(60), 20, Push(StartShift(0.3, 0.15)), 0.1)
    sideways = np.diff(back[20:51, 1], n=2) / 0.01
    assert np.abs(sideways).max() < 3.2
    assert back[20:51, 1].max() < 0.3 + (speed * np.tan(0.15)) ** 2 / (2 * 3.0) + 0.45
    assert np.allclose(back[50], path[50]) and abs(heading[50]) < 1e-9
    straight, _ = perturbed_path(path, np.zeros(60), 20, Push(StartShift(0.3, 0.0)), 0.1)
    assert abs(straight[35, 1]) < 0.02  # half a lane mark aside, no 3 s are needed


def test_nobody_learns_a_way_back_that_runs_into_somebody(street):
    row = int(street.choices(25)[0])
    xy, heading = street.scene.xy[row], street.heading_rad[row]
    assert not street._touches(row, 25, xy, heading)
    other = int(street.choices(25)[1])
    into = xy.copy()
    into[40:44] = street.scene.xy[other, 40:44]
    assert street._touches(row, 25, into, heading)


def test_sharp_slow_and_backward_perturbations_are_rejected():
    path = np.stack([0.3 * np.arange(60.0), np.zeros(60)], axis=-1)

    def push(track, *values):
        left, turn, *along = values
        return perturbed_path(track, np.zeros(60), 20, Push(StartShift(left, turn), *along), 0.1)

    assert push(path, 1.0, 0.5) is None
    assert push(path * 0.1, 0.1, 0.0) is None
    assert push(path, 0.0, 0.0, -8.0, 0.0) is None
    assert push(path * 4, 1.0, 0.1) is not None


def test_a_push_ahead_keeps_the_path_and_changes_place_and_speed():
    angle = np.linspace(0.0, 1.5, 60)
    circle = 50 * np.stack([np.sin(angle), 1 - np.cos(angle)], axis=-1)
    moved, heading = perturbed_path(circle, angle, 20, Push(StartShift(), 2.0, 1.5), 0.1)
    assert np.allclose(np.linalg.norm(moved - [0.0, 50.0], axis=1), 50.0, atol=0.01)
    place = np.unwrap(np.arctan2(moved[:, 0], 50.0 - moved[:, 1])) * 50
    assert np.allclose(heading, place / 50, atol=1e-3)
    log = 50 * angle
    assert place[20] - log[20] == pytest.approx(2.0, abs=0.01)
    assert (place[21] - place[19]) / 0.2 - (log[21] - log[19]) / 0.2 == pytest.approx(1.5, abs=0.2)
    assert np.allclose(moved[:11], circle[:11], atol=0.01) and np.allclose(moved[50:], circle[50:], atol=0.01)


def test_imitation_dropout_drops_imitation_only_and_lowers_its_share(street):
    def batches(share, **options):
        return PlanBatches([street], 1, replace(PLAIN, drop_imitation=share), seed=1, **options)

    drawn = {}
    whole, half, none = (next(iter(batches(share, drawn=drawn)(1))) for share in (0.0, 0.5, 1.0))
    kept = half.imitate > 0
    assert 0 < int(kept.sum()) < len(kept) and torch.equal(half.imitate[kept], whole.imitate[kept])
    assert torch.equal(whole.target, half.target) and torch.equal(whole.matter, half.matter)
    head = PlanHead(16)
    model = GraphModel(Encoder([SCENE_SPEC], width=16, depth=1, edge_width=8), head)
    with torch.inference_mode():
        losses = [{k: float(v) for k, v in model.losses(model(g), g).items()} for g in (whole, half, none)]
    assert 0.0 == losses[2]["imitation"] < losses[1]["imitation"] < losses[0]["imitation"]
    assert losses[2]["off_road"] == losses[1]["off_road"] == losses[0]["off_road"] > 0.0
    first, second = ({tuple((graph.imitate > 0).tolist()) for graph in batches(0.5, drawn=drawn)(k)} for k in (1, 4))
    assert first != second  # the same vehicles are shown again, others are dropped


def test_the_recorded_drive_costs_little_in_its_own_surroundings(street):
    """The environment losses and the surroundings fit together: who drove did so on the road, past the others."""
    graph = drawn(street)
    part = slice(2, None, 3)
    driven = Plan(graph.target[:, part, :2], graph.target[:, part, 2], graph.size)
    aside = Plan(driven.xy + torch.tensor([0.0, 12.0]), driven.heading_rad, driven.size)
    good = environment_losses(driven, graph.around, dt=0.3)
    bad = environment_losses(aside, graph.around, dt=0.3)
    assert float(good["collision"]) < 0.05 and float(good["off_road"]) < 0.1 and float(good["off_route"]) < 0.4
    assert float(bad["off_route"]) > 3 * float(good["off_route"]) + 1.0


def test_the_features_of_a_route_do_not_depend_on_the_frame():
    line = np.array([[0.0, 0.0], [30.0, 0.0], [60.0, 20.0], [90.0, 60.0]])
    pose = np.array([5.0, 1.0, 0.2])
    cos, sin = np.cos(1.1), np.sin(1.1)
    turn = np.array([[cos, -sin], [sin, cos]])
    moved = np.append(turn @ pose[:2] + [7.0, -3.0], pose[2] + 1.1)
    here = route_features(Route.along(line), pose)
    there = route_features(Route.along(line @ turn.T + [7.0, -3.0]), moved)
    assert here.shape == (58,) and np.allclose(here, there)


def test_what_is_ahead_on_the_route_is_told_in_order():
    route, pose = Route.along([[0.0, 0.0], [100.0, 0.0]]), np.array([10.0, 0.0, 0.0])
    xy = np.array([[40.0, 1.0], [30.0, 0.0], [5.0, 0.0], [20.0, 9.0]])
    others = Traffic(xy, np.zeros(4), np.tile([4.0, 2.0], (4, 1)), np.array([3.0, 5.0, 7.0, 9.0]))
    own = (10.0, np.array([4.0, 2.0]))
    table = ahead_features(route, pose, own, others, np.array([8.0, 50.0]))
    first, second, third = table[:27].reshape(3, 9)
    assert first[:3].tolist() == [1.0, 1.0, 0.0] and first[4:6].tolist() == [0.5, 0.5]
    assert second[:3].tolist() == [1.0, 1.5, 0.5] and not third.any()
    assert first[6] == pytest.approx(5.0**2 / (2 * 16.0) / 4.0)
    assert table[36:38].tolist() == [1.0, 1.0]
    gap, wanted = 16.0, 2.0 + 12.0 + 10.0 * 5.0 / (2 * np.sqrt(1.5 * 2.5))
    first_in_way = [1.0, gap / 40.0, 0.5, wanted / gap, (wanted / gap) ** 2, 5.0**2 / (2 * gap) / 4.0]
    assert table[-6:] == pytest.approx(first_in_way)
    stop = ahead_features(route, pose, own, others.taken(np.zeros(4, bool)), np.array([50.0]))
    assert stop[-6:-3] == pytest.approx([1.0, 38.0 / 40.0, 0.0])
    nobody = Traffic(np.zeros((0, 2)), np.zeros(0), np.zeros((0, 2)), np.zeros(0))
    free = ahead_features(route, pose, own, nobody, np.zeros(0))
    assert free.shape == (ROUTE_FEATURES - 58,) and free[-6] == 0.0 and free[-2] < 0.1


def test_a_batch_plans_what_its_graphs_plan_alone(street):
    model = build_planner(width=16, depth=2, edge_width=8).eval()
    graphs = [drawn(street, step=step) for step in (22, 28)]
    with torch.inference_mode():
        alone = torch.cat([model(graph).xy for graph in graphs])
        together = model(join_plan_graphs(graphs)).xy
    assert torch.allclose(alone, together, atol=1e-4)


def test_every_preset_trains_on_its_named_losses(street, tmp_path):
    assert ABLATION == ("past_dropout", "perturbed", "environment", "less_imitation", "imitation_dropout")
    material = Material([street], [street], "a street", {})
    for name, preset in IMITATION_PRESETS.items():
        assert set(preset.loss_weights) == set(PLAN_LOSSES)
        model = build_planner(width=16, depth=1, edge_width=8)
        config = FitConfig(epochs=1, batch_size=2, steps_per_epoch=1)
        result = train_planner(model, name, material, folder=tmp_path / name, config=config)
        assert result.steps == 1 and {f"train/{loss}" for loss in PLAN_LOSSES} <= set(result.best)
    assert len(material.drawn) == 4  # for training and validation: on their way, or pushed
    weights = [IMITATION_PRESETS[name].loss_weights for name in ABLATION]
    assert weights[0]["collision"] == weights[1]["collision"] == 0.0 < weights[2]["collision"]
    assert weights[3]["imitation"] < weights[2]["imitation"]
    assert IMITATION_PRESETS["imitation_dropout"].augmentation.drop_imitation == 0.5


def test_training_lowers_the_loss(street, tmp_path):
    model = build_planner(width=16, depth=1, edge_width=8)
    config = FitConfig(epochs=20, batch_size=2, learning_rate=5e-3, schedule="constant")
    material = Material([street], [street], "a street", {})
    result = train_planner(model, "environment", material, folder=tmp_path, config=config)
    assert result.history[-1]["train/loss"] < 0.7 * result.history[0]["train/loss"]


def test_batches_of_an_epoch_can_be_drawn_again(street):
    change = IMITATION_PRESETS["imitation_dropout"].augmentation
    one, other = (PlanBatches([street], 1, change, seed=3, distinct=2) for _ in range(2))

    def places(batches, epoch):
        return [graph.origin.sum().item() for graph in batches(epoch)]

    assert len(places(one, 1)) == len(one) > 1
    assert places(one, 1) == places(other, 1) and sorted(places(one, 1)) == sorted(places(one, 3))
    assert sorted(places(one, 1)) != sorted(places(one, 2))
    fixed = PlanBatches([street], 1, change, distinct=1)
    assert places(fixed, 1) == places(fixed, 7)


def test_plans_move_with_the_scene():
    scenario = make_scenario("slow_leader", seed=1)
    planner = ImitationPlanner(build_planner(width=16, depth=2, edge_width=8))
    there = scenario.scene.transformed(0.7, (50.0, -20.0))
    plans = []
    for scene in (scenario.scene, there):
        SceneSim(scene, ego="ego", at_step=19, steps=1).run(lambda seen: plans.append(planner(seen)) or plans[-1])
    cos, sin = np.cos(0.7), np.sin(0.7)
    expected = plans[0][:, :2] @ np.array([[cos, sin], [-sin, cos]]) + [50.0, -20.0]
    assert np.allclose(plans[1][:, :2], expected, atol=1e-3)


def test_the_policy_drives_and_saved_weights_drive_alike(tmp_path):
    scenario = make_scenario("parked_car", seed=0)
    model = build_planner(width=16, depth=1, edge_width=8)
    model.save(tmp_path / "planner")
    here, there = scenario.run(ImitationPlanner(model)), scenario.run(ImitationPlanner(tmp_path / "planner"))
    assert np.array_equal(here.xy, there.xy) and here.timing.calls == 12


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda s: Augmentation(drop_past=1.5), InputError, "drop_past"),
        (lambda s: Augmentation(shift_m=-1.0), InputError, "shift_m"),
        (lambda s: PlanHead(16, steps=7), InputError, "multiple of 5"),
        (lambda s: PlanBatches([PlanScene(s.scene.window(0, 20))], 4, PLAIN), InputError, "more than 34"),
        (lambda s: ImitationPlanner("no-such-weights"), WeightsError, "no weights named"),
        (
            lambda s: ImitationPlanner(
                GraphModel(Encoder([SCENE_SPEC], width=16, depth=1), NodeValueHead(SCENE_SPEC, width=16))
            ),
            InputError,
            "PlanHead",
        ),
        (
            lambda s: train_planner(build_planner(), "M9", Material([s], [s], "", {}), folder=None),
            InputError,
            "past_dropout",
        ),
    ],
)
def test_bad_input_is_refused(street, call, error, match):
    with pytest.raises(error, match=match):
        call(street)


def test_a_graph_without_plans_is_no_input(street):
    from gnnlib.heads.scene.graph import scene_graph

    model = build_planner(width=16, depth=1, edge_width=8)
    with pytest.raises(InputError, match="PlanGraph"):
        model(scene_graph(street.scene, at_step=20))
    graph = drawn(street)
    output = model(graph)
    graph.target = None
    with pytest.raises(InputError, match="target"):
        model.losses(output, graph)


def test_nobody_to_learn_from_is_no_graph():
    still = Scene("late", ("a",), np.full((1, 60, 2), np.nan))
    assert PlanScene(still).draw(25, PLAIN, np.random.default_rng(0)) is None


def test_a_step_without_a_whole_future_is_no_choice(street):
    assert street.choices(29).size and not street.choices(30).size


def test_the_best_of_several_planners_by_their_drives_is_shipped(tmp_path):
    for name, failed in (("a", 9.0), ("b", 4.0), ("c", 4.0)):
        model = build_planner(width=16, depth=1, edge_width=8)
        drives = {"closed loop, 3 pushed starts of the validation scenes: failed": failed}
        model.card = Card(name, purpose=f"planner {name}", metrics=drives)
        model.save(tmp_path / name)
    card = ship_best([tmp_path / name for name in "abc"], tmp_path / "best", "the command")
    assert (card.name, card.purpose, card.command) == ("best", "planner b", "the command")
    assert load(tmp_path / "best").card.purpose == "planner b"


def test_failures_count_who_leaves_the_road_or_runs_into_somebody():
    cases = pushed_starts([generate_scene("street", seed=3, num_steps=60)], each=3)
    assert cases and all(case.kind == "pushed_start" and case.shift != StartShift() for case in cases)

    def aside(seen):
        way = np.arange(1.0, 31.0)
        turn = seen.state.heading_rad + 0.5
        return seen.state.xy + way[:, None] * [np.cos(turn), np.sin(turn)]

    assert failures(aside, cases)["off the road"] == 100.0
    stopped = failures(lambda seen: np.repeat(seen.state.xy[None], 30, axis=0), cases)
    assert stopped["collisions at fault"] <= 50.0
    with pytest.raises(InputError, match="no case"):
        failures(aside, [])
    with pytest.raises(InputError, match="each"):
        pushed_starts([], each=0)
