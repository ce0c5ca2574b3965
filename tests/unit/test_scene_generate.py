from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from gnnlib.errors import InputError
from gnnlib.heads.scene.generate import RARE_EVENTS, SCENE_KINDS, generate_scene, generate_with_event
from gnnlib.heads.scene.lanes import nearest_lanes
from gnnlib.heads.scene.maps.junctions import plan_intersection, plan_roundabout
from gnnlib.heads.scene.maps.layouts import plan_highway, plan_merge, plan_street
from gnnlib.heads.scene.maps.road_tables import road_tables
from gnnlib.heads.scene.planning.drivers import signal_phases
from gnnlib.heads.scene.problem import AGENT_TYPES, Scene
from gnnlib.heads.scene.traffic import Fleet, follow_acceleration, free_acceleration, simulate

PLANS = {
    "highway": plan_highway,
    "merge": plan_merge,
    "intersection": plan_intersection,
    "roundabout": plan_roundabout,
    "street": plan_street,
}
MOTOR = [AGENT_TYPES.index(name) for name in ("vehicle", "truck", "bus", "motorcycle")]


def motor_speeds(scene: Scene) -> np.ndarray:
    moves = np.diff(scene.xy[np.isin(scene.agent_types, MOTOR)], axis=1)
    return np.hypot(moves[..., 0], moves[..., 1]) / scene.dt


def pairs_that_touch(scene: Scene) -> set[tuple[int, int]]:
    """Pairs of motor vehicles whose boxes, as four discs each, overlap at some step."""
    touching = set()
    rows = np.flatnonzero(np.isin(scene.agent_types, MOTOR))
    length, width = scene.size[rows].T
    along = ((length - width) / 2.0)[:, None] * np.array([-1.0, -1 / 3, 1 / 3, 1.0])
    for step in range(0, scene.num_steps, 4):
        heading = scene.heading_rad[rows, step]
        axis = np.stack([np.cos(heading), np.sin(heading)], axis=-1)
        discs = scene.xy[rows, step][:, None] + along[..., None] * axis[:, None]
        gap = np.linalg.norm(discs[:, None, :, None] - discs[None, :, None], axis=-1).min(axis=(2, 3))
        close = gap < 0.95 * (width[:, None] + width) / 2.0
        touching |= {(int(rows[i]), int(rows[j])) for i, j in np.argwhere(close) if i < j}
    return touching


@pytest.mark.parametrize("kind", SCENE_KINDS)
def test_same_seed_gives_the_same_scene(kind: str) -> None:
    first, second = generate_scene(kind, seed=5, num_steps=30), generate_scene(kind, seed=5, num_steps=30)
    assert np.array_equal(first.xy, second.xy, equal_nan=True)
    assert all(np.array_equal(a.centre, b.centre) for a, b in zip(first.lanes.lanes, second.lanes.lanes, strict=True))
    other = generate_scene(kind, seed=6, num_steps=30)
    assert other.xy.shape != first.xy.shape or not np.allclose(other.xy, first.xy, equal_nan=True)


@pytest.mark.parametrize("kind", SCENE_KINDS)
def test_vehicles_drive_on_lanes_at_possible_speeds(kind: str) -> None:
    near = []
    for seed in range(2):
        scene = generate_scene(kind, seed=seed, num_steps=60)
        assert scene.num_steps == 60
        speeds = motor_speeds(scene)
        assert np.nanmax(speeds) < 60.0
        change = np.abs(np.diff(speeds, axis=1)) / scene.dt
        assert np.nanquantile(change, 0.99) < 9.5
        for row in np.flatnonzero(np.isin(scene.agent_types, MOTOR) & scene.valid[:, 30]):
            places = nearest_lanes(scene.lanes, scene.xy[row, 30], float(scene.heading_rad[row, 30]), radius_m=4.0)
            near.append(abs(places[0].left) if places else 9.0)
    assert np.quantile(near, 0.95) < 2.5
    assert np.median(near) < 0.6


@pytest.mark.parametrize("kind", SCENE_KINDS)
def test_traffic_hardly_ever_collides(kind: str) -> None:
    touching = sum(len(pairs_that_touch(generate_scene(kind, seed=seed, num_steps=60))) for seed in range(3))
    assert touching <= 2


@pytest.mark.parametrize("kind", SCENE_KINDS)
def test_headings_point_along_the_motion(kind: str) -> None:
    scene = generate_scene(kind, seed=1, num_steps=60)
    move = np.diff(scene.xy, axis=1)
    moving = np.hypot(move[..., 0], move[..., 1]) > 0.3
    angle = np.arctan2(move[..., 1], move[..., 0]) - scene.heading_rad[:, 1:]
    assert np.quantile(np.abs(np.sin(angle[moving])), 0.98) < 0.2


def test_map_is_connected_both_ways() -> None:
    for kind in SCENE_KINDS:
        lanes = generate_scene(kind, seed=2, num_steps=2).lanes
        assert lanes.unknown_ids == ()
        for lane in lanes.lanes:
            for after in lane.successors:
                assert lane.id in lanes[after].predecessors
                assert np.allclose(lane.centre[-1], lanes[after].centre[0], atol=0.05)
            if lane.left_neighbour is not None:
                assert lanes[lane.left_neighbour].right_neighbour == lane.id


def test_vehicles_wait_at_red() -> None:
    crossed, stood = 0, 0
    for seed in range(6):
        scene = generate_scene("intersection", seed=seed)
        motion = motor_speeds(scene)
        stood += int((motion < 0.3).sum())
        for signal in scene.lanes.signals:
            lane = scene.lanes[signal.lane]
            way = (lane.centre[-1] - lane.centre[-2]) / np.linalg.norm(lane.centre[-1] - lane.centre[-2])
            past = (scene.xy - lane.centre[-1]) @ way + scene.size[:, :1] / 2.0
            beside = np.abs((scene.xy - lane.centre[-1]) @ np.array([-way[1], way[0]])) < 1.0
            over = (past[:, :-1] < 0.0) & (past[:, 1:] >= 0.0) & beside[:, 1:]
            moving_along = np.cos(scene.heading_rad[:, 1:] - np.arctan2(way[1], way[0])) > 0.9
            red = (signal.states[1:] == 1) & (signal.states[:-1] == 1)
            crossed += int((over & moving_along & red & np.isin(scene.agent_types, MOTOR)[:, None]).sum())
    assert stood > 50
    assert crossed <= 1  # one who could not stop in time


@pytest.mark.parametrize(("rare", "kind"), [(rare, kinds[0]) for rare, kinds in RARE_EVENTS.items()])
def test_rare_events_happen_to_those_who_are_named(rare: str, kind: str) -> None:
    scene, event = generate_with_event(kind, seed=1, rare=rare)
    assert event is not None
    assert scene.name == f"{kind}-1-{rare}"
    assert scene.ego == event.concerned
    assert 0 <= event.step < scene.num_steps
    speed = np.hypot(*np.moveaxis(scene.past_velocity(), -1, 0))[event.doer]
    after = speed[event.step + 1 :]
    if rare in {"sudden_stop", "breakdown"}:
        assert speed[event.step] > 3.0
        assert np.nanmin(after) < (1.0 if rare == "sudden_stop" else 0.5 * speed[event.step])
    if rare == "jaywalk":
        assert AGENT_TYPES[scene.agent_types[event.doer]] == "pedestrian"
    if rare == "cut_in":
        lanes = [
            nearest_lanes(scene.lanes, scene.xy[event.doer, s])[0].lane
            for s in (event.step, scene.num_steps - 1)
            if scene.valid[event.doer, s]
        ]
        assert len(set(lanes)) == len(lanes)


def test_sudden_stop_is_harder_than_usual_braking() -> None:
    plain = generate_scene("highway", seed=3)
    scene, event = generate_with_event("highway", seed=3, rare="sudden_stop")
    hardest = [
        np.nanmin(np.diff(np.hypot(*np.moveaxis(s.past_velocity(), -1, 0)), axis=1)) / s.dt for s in (plain, scene)
    ]
    assert event is not None
    assert hardest[1] < -5.0 < hardest[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "canal"}, "`kind` must be one of"),
        ({"rare": "flood"}, "`rare` must be None or one of"),
        ({"kind": "highway", "rare": "red_light_run"}, "needs `kind` to be one of"),
        ({"density": 0.0}, "density"),
        ({"density": 1.5}, "density"),
        ({"num_steps": 0}, "num_steps"),
        ({"num_steps": 2.5}, "num_steps"),
        ({"seed": -1}, "seed"),
    ],
)
def test_bad_arguments_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        generate_scene(**options)


def test_density_brings_more_traffic() -> None:
    counts = [
        sum(int(generate_scene("highway", seed=seed, num_steps=10, density=density).valid.sum()) for seed in range(4))
        for density in (0.2, 1.0)
    ]
    assert counts[1] > 1.5 * counts[0]


def test_one_step_is_enough() -> None:
    assert generate_scene("street", seed=0, num_steps=1).num_steps == 1


def test_two_green_groups_never_meet() -> None:
    states = signal_phases(np.random.default_rng(0), 2, 2000, 0.1)
    assert not ((states[0] >= 2) & (states[1] >= 2)).any()
    assert all((states[group] == code).any() for group in range(2) for code in (1, 2, 3))


def one_driver() -> Fleet:
    whole, real = np.zeros(1, np.int64), np.ones(1)
    return Fleet(
        route=whole, first_step=whole, start=5.0 * real, speed=10.0 * real, length=4.0 * real, wish=real,
        headway=1.5 * real, accelerate=1.2 * real, brake=2.0 * real, gap=2.0 * real, courtesy=0.0 * real,
        patience=9.0 * real, event_kind=whole, event_from=whole, event_to=whole, event_size=0.0 * real,
    )  # fmt: skip


@pytest.mark.parametrize("speed", [0.0, 5.0, 14.0])
@pytest.mark.parametrize("gap", [1.0, 10.0, 60.0])
@pytest.mark.parametrize("leader", [0.0, 9.0, 20.0])
def test_car_following_is_the_published_formula(speed: float, gap: float, leader: float) -> None:
    wanted = 2.0 + max(0.0, 1.5 * speed + speed * (speed - leader) / (2.0 * np.sqrt(1.2 * 2.0)))
    published = 1.2 * (1.0 - (speed / 15.0) ** 4 - (wanted / gap) ** 2)
    ours = free_acceleration(speed, 15.0, 1.2, 2.0) + follow_acceleration(one_driver(), 0, speed, gap, speed - leader)
    assert ours == pytest.approx(published)


def test_return_to_the_wished_speed_is_gentle() -> None:
    assert -2.0 < free_acceleration(30.0, 15.0, 1.2, 2.0) < 0.0
    assert free_acceleration(15.0, 15.0, 1.2, 2.0) == pytest.approx(0.0)


def test_lone_driver_reaches_the_allowed_speed() -> None:
    plan = plan_highway(np.random.default_rng(0))
    roads = road_tables(plan)
    motion = simulate(
        roads, one_driver(), np.ones((1, 150), np.int64), np.zeros((1, 150), np.int64), np.zeros((150, 1)), 0.1
    )
    present = motion.lane[:, 0] >= 0
    speed = motion.speed[present, 0]
    assert np.all(np.diff(speed) > -1e-9)
    assert speed[-1] <= plan.lanes[0].limit + 1e-6
    assert speed[-1] > 0.85 * plan.lanes[0].limit


@pytest.mark.parametrize("kind", SCENE_KINDS)
def test_routes_can_be_driven_from_end_to_end(kind: str) -> None:
    for seed in range(4):
        plan = PLANS[kind](np.random.default_rng(seed))
        roads = road_tables(plan)
        for index, route in enumerate(plan.routes):
            for first, second in pairwise(route):
                assert second in plan.lanes[first].after
                gap = plan.lanes[first].centre[-1] - plan.lanes[second].centre[0]
                assert np.hypot(*gap) < 0.05
            assert roads.route_length[index] == pytest.approx(sum(roads.length[lane] for lane in route))
        assert (roads.speed[:, 0] > 0.0).all()


def test_who_turns_left_yields_to_oncoming_traffic() -> None:
    from gnnlib.heads.scene.maps.roads import Rule

    plan = plan_intersection(np.random.default_rng(3), needs_signals=True)
    roads = road_tables(plan)
    rules = {}
    for route in range(len(plan.routes)):
        for c in range(roads.conflict_start[route], roads.conflict_start[route + 1]):
            mine, other = plan.routes[route][1], int(roads.conflict_lane[c])
            rules[mine, other] = int(roads.conflict_rule[c])
    assert rules
    for (mine, other), rule in rules.items():
        assert (other, mine) in rules
        first, second = plan.lanes[mine], plan.lanes[other]
        if (first.arm - second.arm) % 2 == 0 and first.rank > second.rank:
            assert rule == Rule.YIELD
            assert rules[other, mine] == Rule.FIRST
