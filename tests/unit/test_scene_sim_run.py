"""Closed-loop simulation: what policies see, what they cause, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest

from gnnlib.errors import InputError
from gnnlib.heads.scene.kinematics import VehicleLimits
from gnnlib.heads.scene.planning.scenarios import SCENARIO_KINDS, make_scenario, shifted_start
from gnnlib.heads.scene.policies import ConstantVelocity, IDMPolicy, LogReplay
from gnnlib.heads.scene.problem import Lane, LaneMap, Scene, Signal
from gnnlib.heads.scene.sim import SceneSim, StartShift


def line(x, y=0.0, speed=10.0, steps=80):
    return np.stack([x + 0.1 * speed * np.arange(steps), np.full(steps, y)], axis=-1)


def road(steps=80, **keywords):
    return LaneMap((Lane("a", [[-50, 0], [300, 0]], speed_limit=10.0),), **keywords)


def scene(*tracks, lanes=None, **keywords):
    xy = np.stack(tracks)
    heading = np.zeros(xy.shape[:2])
    names = tuple("abcdef"[: len(tracks)])
    return Scene("test", names, xy, heading_rad=heading, lanes=road() if lanes is None else lanes, ego=0, **keywords)


def test_log_replay_drives_the_recording():
    one = scene(line(0.0), line(40.0))
    report = SceneSim(one).run(LogReplay(one, "a"))
    assert report.log_deviation_m < 1e-6
    assert report.progress_share == pytest.approx(1.0)
    assert report.collided == () and report.off_road_m == pytest.approx(0.95 - 1.75)
    assert report.comfort.share == 1.0


def test_running_into_a_standing_car_is_a_collision_at_fault():
    one = scene(line(0.0), line(60.0, speed=0.0))
    report = SceneSim(one).run(ConstantVelocity())
    assert report.collided == report.at_fault == ("b",)
    # the front bumper meets the rear one after 60 - 19 - 4.6 m at 10 m/s
    assert report.first_collision_s == pytest.approx(3.7, abs=0.11)
    assert report.min_time_to_collision_s == 0.0


def test_being_hit_from_behind_is_no_fault():
    one = scene(line(30.0, speed=2.0), line(0.0, speed=12.0))
    report = SceneSim(one).run(ConstantVelocity())
    assert report.collided == ("b",) and report.at_fault == ()


def test_who_overlaps_in_the_beginning_does_not_count():
    one = scene(line(0.0), line(2.0))
    assert SceneSim(one).run(ConstantVelocity()).collided == ()


def test_the_driver_model_keeps_its_distance_where_constant_velocity_does_not():
    one = scene(line(0.0), line(45.0, speed=3.0))
    assert SceneSim(one).run(ConstantVelocity()).collided == ("b",)
    report = SceneSim(one).run(IDMPolicy())
    assert report.collided == ()
    assert report.speed[-1] < 6.0


def test_leaving_the_lane_is_off_road_and_without_map_unknown():
    one = scene(line(0.0))
    turned = SceneSim(one).run(ConstantVelocity(), shift=StartShift(0.0, 0.2))
    assert turned.is_off_road and turned.off_road_share > 0.5
    bare = SceneSim(replace(one, lanes=LaneMap())).run(ConstantVelocity(), shift=StartShift(0.0, 0.2))
    assert bare.off_road_m is None and not bare.is_off_road


def test_a_shifted_start_begins_there_and_the_past_leads_to_it():
    seen = []

    def watch(observation):
        seen.append(observation)
        return ConstantVelocity()(observation)

    report = SceneSim(scene(line(0.0))).run(watch, shift=StartShift(0.8, 0.1))
    assert report.xy[0].tolist() == pytest.approx([19.0, 0.8])
    assert report.heading_rad[0] == pytest.approx(0.1)
    past = seen[0].scene.xy[0]
    assert np.abs(past[:10, 1]).max() < 1e-9
    assert (np.diff(past[9:, 1]) > -0.02).all() and past[-1, 1] == pytest.approx(0.8)


def test_the_driver_model_comes_back_to_the_route():
    report = SceneSim(scene(line(0.0))).run(IDMPolicy(), shift=StartShift(0.8, -0.05))
    assert abs(report.xy[-1, 1]) < 0.05


def test_policies_see_nothing_of_the_future():
    one = scene(line(0.0), line(40.0))
    other = line(40.0)
    other[30:] += 7.0
    observed = []
    for track in (line(40.0), other):
        plans = []

        def watch(observation, plans=plans):
            plans.append((observation.scene.xy.copy(), observation.route.xy.copy(), observation.step))
            return ConstantVelocity()(observation)

        SceneSim(scene(line(0.0), track), steps=10).run(watch)
        observed.append(plans)
    assert len(observed[0]) == 2
    for before, after in zip(*observed, strict=True):
        assert before[2] == after[2] == len(before[0][0]) - 1
        assert np.array_equal(before[0], after[0]) and np.array_equal(before[1], after[1])
    assert one.num_steps == 80


def test_red_signals_stop_and_their_future_is_not_seen():
    states = np.full(80, 1)
    states[50:] = 3
    signal = Signal("a", [70.0, 0.0], states)
    one = scene(line(0.0), lanes=road(signals=(signal,)))
    lengths = []

    def watch(observation):
        lengths.append(len(observation.scene.lanes.signals[0].states) - observation.scene.num_steps)
        return IDMPolicy()(observation)

    report = SceneSim(one).run(watch)
    assert set(lengths) == {0}
    assert report.xy[31, 0] < 68.0 and report.speed[31] < 8.0  # while it is red
    assert report.xy[-1, 0] > report.xy[31, 0] + 5.0  # and on when it is green


def test_policies_are_asked_every_half_second_and_reset():
    class Counting(ConstantVelocity):
        calls = resets = 0

        def __call__(self, observation):
            self.calls += 1
            return super().__call__(observation)

        def reset(self):
            self.resets += 1

    policy = Counting()
    report = SceneSim(scene(line(0.0)), steps=23).run(policy)
    assert (policy.calls, policy.resets, report.timing.calls, len(report.xy)) == (5, 1, 5, 24)


def test_positions_without_headings_are_a_plan_too():
    def plan(observation):
        return observation.state.xy + np.arange(1, 41)[:, None] * [0.8, 0.0]

    report = SceneSim(scene(line(0.0, speed=8.0))).run(plan)
    assert np.abs(report.xy[:, 1]).max() < 1e-6 and report.speed[-1] == pytest.approx(8.0)


def test_the_vehicle_obeys_its_limits():
    def impossible(observation):
        return observation.state.xy + np.arange(1, 41)[:, None] * [0.0, 5.0]

    limits = VehicleLimits(max_acceleration=2.0, max_steering_rad=0.3)
    report = SceneSim(scene(line(0.0, speed=5.0)), limits=limits).run(impossible)
    assert (np.diff(report.speed) <= 2.0 * 0.1 + 1e-9).all()
    turns = np.abs(np.diff(report.heading_rad))
    assert (turns <= report.speed[1:] * 0.1 * np.tan(0.3) / (0.6 * 4.6) + 1e-9).all()


def test_intelligent_others_brake_for_the_driven_vehicle():
    def stop(observation):
        return np.tile([observation.state.x, observation.state.y, 0.0], (40, 1))

    one = scene(line(30.0), line(12.0))
    assert SceneSim(one, "log").run(stop).collided == ("b",)
    assert SceneSim(one, "idm").run(stop).collided == ()


def test_predicted_others_follow_the_predictor():
    from gnnlib.heads.scene.planning.others import constant_velocity

    one = scene(line(0.0), np.concatenate([line(40.0)[:20], np.repeat(line(40.0)[19:20], 60, axis=0)]))
    logged = SceneSim(one, "log").run(LogReplay(one, "a"))
    foreseen = SceneSim(one, "model", predictor=constant_velocity).run(LogReplay(one, "a"))
    assert logged.collided == ("b",) and foreseen.collided == ()
    assert foreseen.scene.xy[1, -1, 0] == pytest.approx(40.0 + 79.0)


def test_late_and_leaving_agents_are_simulated_too():
    late, gone = line(100.0, y=0.0), line(60.0)
    late[:40], gone[45:] = np.nan, np.nan
    for others in ("log", "idm"):
        report = SceneSim(scene(line(0.0), late, gone), others).run(IDMPolicy())
        assert report.scene.num_agents == 3 and np.isfinite(report.xy).all()


def test_open_loop_errors_are_zero_for_the_recording_itself():
    one = scene(line(0.0))
    errors = SceneSim(one).open_loop(LogReplay(one, "a"))
    assert errors.ade_m == errors.fde_m == 0.0 and errors.plans == 7
    slow = SceneSim(one).open_loop(lambda o: o.state.xy + np.arange(1, 41)[:, None] * [0.5, 0.0])
    assert slow.fde_m == pytest.approx(15.0) and slow.ade_m == pytest.approx(0.5 * 15.5)
    assert np.isnan(SceneSim(one, at_step=70).open_loop(LogReplay(one, "a")).ade_m)


def test_the_same_run_gives_the_same_report():
    one = scene(line(0.0), line(30.0, speed=6.0))
    first, second = (SceneSim(one, "idm").run(IDMPolicy()) for _ in range(2))
    assert np.array_equal(first.xy, second.xy)
    assert json.dumps(first.to_dict()["collided"]) == json.dumps(second.to_dict()["collided"])
    assert "collisions" in first.summary() and "scene" not in first.to_dict()


def test_the_recording_is_not_changed():
    one = scene(line(0.0), line(30.0, speed=6.0))
    before = one.xy.copy()
    SceneSim(one, "idm").run(ConstantVelocity(), shift=StartShift(1.0, 0.2))
    assert np.array_equal(one.xy, before)


@pytest.mark.parametrize("kind", SCENARIO_KINDS)
def test_the_recorded_driver_masters_its_scenario(kind):
    for seed in range(6):
        scenario = make_scenario(kind, seed=seed)
        report = scenario.run(LogReplay(scenario.scene, "ego"))
        assert report.collided == () and not report.is_off_road
    again = make_scenario(kind, seed=5)
    assert np.array_equal(again.scene.xy, scenario.scene.xy) and again.shift == scenario.shift


def test_scenarios_are_hard_enough_that_constant_velocity_fails():
    failed = 0
    for kind in ("parked_car", "stopping_leader"):
        for seed in range(5):
            report = make_scenario(kind, seed=seed).run(ConstantVelocity())
            failed += bool(report.collided) or report.is_off_road
    assert failed >= 7


def test_a_recording_becomes_a_pushed_start():
    scenario = shifted_start(scene(line(0.0)), seed=3)
    assert 0.3 <= abs(scenario.shift.left_m) <= 1.0 and scenario.steps == 60
    assert scenario.run(IDMPolicy()).xy[0, 1] == pytest.approx(scenario.shift.left_m)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda s: SceneSim("file.xml"), "read_scene"),
        (lambda s: SceneSim(s, "reactive"), "log, idm, model"),
        (lambda s: SceneSim(s, ego="nobody"), "no agent 'nobody'"),
        (lambda s: SceneSim(s, at_step=79), "at_step"),
        (lambda s: SceneSim(s, steps=0), "steps"),
        (lambda s: SceneSim(s, at_step=40, steps=40), "steps"),
        (lambda s: SceneSim(s.window(0, 2)), "3 steps"),
        (lambda s: SceneSim(s, ego="b", at_step=30), "absent at step 30"),
        (lambda s: SceneSim(replace(s, agent_types=[5, 5], ego=None)), "no vehicle to drive"),
        (lambda s: SceneSim(s).run("IDM"), "callable"),
        (lambda s: SceneSim(s).run(lambda o: np.zeros((3, 3))), "H >= 5"),
        (lambda s: SceneSim(s).run(lambda o: np.zeros((40, 4))), r"found \[40, 4\]"),
        (lambda s: SceneSim(s).run(lambda o: np.full((40, 2), np.nan)), "step 0"),
        (lambda s: SceneSim(s).run(lambda o: "left"), "poses"),
        (lambda s: SceneSim(s).open_loop(ConstantVelocity(), horizon=2), "horizon"),
        (lambda s: IDMPolicy(speed=-1), "speed"),
        (lambda s: LogReplay(s, "z"), "no agent 'z'"),
        (lambda s: make_scenario("flying", seed=0), "parked_car"),
    ],
)
def test_bad_input_is_refused_with_what_is_valid(call, match):
    gone = line(40.0)
    gone[25:] = np.nan
    with pytest.raises(InputError, match=match):
        call(scene(line(0.0), gone))
