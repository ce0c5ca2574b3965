"""The rule-based planner: proposals, predicted futures, costs, and what it does in the driving tests."""

import numpy as np
import pytest

from gnnlib.errors import InputError
from gnnlib.heads.scene.planner import (
    CostWeights,
    Futures,
    RulePlanner,
    futures_of,
    make_proposals,
    proposal_costs,
)
from gnnlib.heads.scene.planning.idm import IDM
from gnnlib.heads.scene.planning.others import constant_velocity
from gnnlib.heads.scene.planning.scenarios import SCENARIO_KINDS, make_scenario
from gnnlib.heads.scene.problem import Lane, LaneMap, Prediction, Scene
from gnnlib.heads.scene.sim import SceneSim


def line(x, y=0.0, speed=10.0, steps=60):
    return np.stack([x + 0.1 * speed * np.arange(steps), np.full(steps, y)], axis=-1)


def observe(*tracks, width=8.0):
    """Return what a policy sees at step 19, the first track being driven."""
    half = width / 2
    way = Lane("a", [[-50, 0], [300, 0]], [[-50, half], [300, half]], [[-50, -half], [300, -half]], speed_limit=10.0)
    xy = np.stack(tracks)
    scene = Scene(
        "test", tuple("abcdef"[: len(xy)]), xy, heading_rad=np.zeros(xy.shape[:2]), lanes=LaneMap((way,)), ego=0
    )
    seen = []

    def watch(observation):
        seen.append(observation)
        return observation.state.xy + np.arange(1, 41)[:, None] * [1.0, 0.0]

    SceneSim(scene, at_step=19, steps=1).run(watch)
    return seen[0]


def planned(observation, futures):
    return make_proposals(observation, futures, 10.0, IDM())


def nobody():
    none = np.zeros((0, 1, 40))
    return Futures(np.zeros((0, 1, 40, 2)), none, np.zeros((0, 2)), np.zeros((0, 1)))


def standing(observation, *places, probability=None):
    """Futures of one standing car with a mode for each place."""
    xy = np.array(places, float)[None, :, None].repeat(40, axis=2)
    shares = np.full((1, len(places)), 1 / len(places)) if probability is None else np.array([probability])
    return Futures(xy, np.zeros(xy.shape[:3]), np.array([[4.6, 1.9]]), shares)


def test_there_are_26_proposals_that_start_at_the_vehicle():
    observation = observe(line(0.0))
    proposals = planned(observation, nobody())
    assert proposals.poses.shape == (26, 40, 3)
    first = np.linalg.norm(proposals.poses[:, 0, :2] - observation.state.xy, axis=1)
    assert (first < 1.2).all() and (np.diff(proposals.along, axis=1) >= 0).all()
    ends = proposals.poses[:, -1, 1]
    reached = proposals.poses[:, -1, 0] > 19 + 26
    assert reached.any()
    assert np.allclose(ends[reached], proposals.offset[reached], atol=0.3)
    assert proposals.speed[-1, 20] == 0.0  # full braking


def test_proposals_keep_behind_a_leader_in_their_own_lane_only():
    observation = observe(line(0.0), line(45.0, speed=0.0))
    proposals = planned(observation, standing(observation, (45.0, 0.0)))
    free = planned(observation, nobody())
    stays = proposals.offset == 0.0
    assert (proposals.poses[stays, -1, 0] < 45.0 - 4.6 + 0.1).all()
    assert free.poses[stays, -1, 0].max() > 50.0
    beside = planned(observation, standing(observation, (45.0, 4.5)))
    assert np.allclose(beside.along, free.along)


def test_running_into_somebody_costs_as_much_as_is_probable():
    observation = observe(line(0.0), line(45.0, speed=0.0))
    weights = CostWeights()
    proposals = planned(observation, nobody())
    fast = int(np.flatnonzero((proposals.offset == 0.0) & (proposals.poses[:, -1, 0] > 55.0))[0])
    base = proposal_costs(proposals, nobody(), observation, weights)[fast]
    extra = [
        proposal_costs(
            proposals, standing(observation, (45.0, 0.0), (45.0, 30.0), probability=p), observation, weights
        )[fast]
        - base
        for p in ([1.0, 0.0], [0.5, 0.5], [0.1, 0.9], [0.0, 1.0])
    ]
    assert extra[0] > extra[1] > extra[2] > extra[3] == pytest.approx(0.0)
    assert extra[1] == pytest.approx(0.5 * extra[0], rel=1e-6) and extra[2] == pytest.approx(0.1 * extra[0], rel=1e-6)


def test_earlier_collisions_cost_more():
    observation = observe(line(0.0))
    proposals = planned(observation, nobody())
    fast = int(np.flatnonzero((proposals.offset == 0.0) & (proposals.poses[:, -1, 0] > 55.0))[0])
    near, far = (
        proposal_costs(proposals, standing(observation, (x, 0.0)), observation, CostWeights())[fast]
        for x in (30.0, 50.0)
    )
    assert near > far


def test_who_comes_from_behind_is_not_run_into():
    observation = observe(line(20.0, speed=4.0), line(-15.0, speed=14.0))
    proposals = planned(observation, nobody())
    futures = futures_of(constant_velocity(observation.scene), observation, 40)
    plain = proposal_costs(proposals, nobody(), observation, CostWeights())
    chased = proposal_costs(proposals, futures, observation, CostWeights())
    straight = proposals.offset == 0.0
    assert (chased[straight] - plain[straight]).min() == pytest.approx(0.0, abs=1e-9)


def test_leaving_the_road_costs_by_the_metre():
    narrow, wide = observe(line(0.0), width=3.0), observe(line(0.0), width=9.0)
    costs = [proposal_costs(planned(o, nobody()), nobody(), o, CostWeights()) for o in (narrow, wide)]
    offset = planned(wide, nobody()).offset
    aside = np.abs(offset) == 2.0
    assert (costs[0][aside] - costs[1][aside] > 30.0).all()
    assert np.allclose(costs[0][offset == 0.0], costs[1][offset == 0.0])


def test_short_predictions_go_on_and_missing_ones_stand_still():
    observation = observe(line(0.0), line(30.0), line(40.0, 5.0))
    path = np.arange(1, 6)[:, None] * [1.0, 0.0] + observation.scene.xy[1, -1]
    short = Prediction(("b",), path[None, None], np.ones((1, 1)), np.ones((1, 1, 5)), at_step=19)
    futures = futures_of(short, observation, 40)
    assert futures.xy[0, 0, -1].tolist() == pytest.approx((observation.scene.xy[1, -1] + [40.0, 0.0]).tolist())
    assert np.ptp(futures.xy[1], axis=1).max() == 0.0


def test_far_agents_are_left_out():
    observation = observe(line(0.0), line(500.0))
    assert futures_of(constant_velocity(observation.scene), observation, 40).xy.shape[0] == 0


@pytest.mark.parametrize("kind", SCENARIO_KINDS)
def test_the_planner_masters_the_driving_tests(kind):
    for seed in range(4):
        report = make_scenario(kind, seed=100 + seed).run(RulePlanner("constant velocity"))
        assert report.collided == () and not report.is_off_road
        if kind == "parked_car":
            assert report.progress_share > 0.9  # round it, not behind it


def test_any_function_of_a_scene_may_predict():
    asked = []

    def predictor(scene):
        asked.append(scene.num_steps)
        return constant_velocity(scene)

    observation = observe(line(0.0), line(30.0))
    planner = RulePlanner(predictor)
    assert "predictor" in planner.name and planner(observation).shape == (40, 3) and asked == [20]


def test_nobody_and_nothing_around_is_no_difficulty():
    scene = Scene("bare", ("a",), line(0.0)[None], heading_rad=np.zeros((1, 60)))
    report = SceneSim(scene, at_step=19).run(RulePlanner("constant velocity", speed=10.0))
    assert report.off_road_m is None and report.progress_m > 35.0


def test_the_last_offset_is_remembered_until_reset():
    planner = RulePlanner("constant velocity")
    planner(observe(line(0.0)))
    assert planner.last_offset is not None
    planner.reset()
    assert planner.last_offset is None


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: RulePlanner("crystal ball"), "constant velocity"),
        (lambda: RulePlanner("model", speed=0.0), "speed"),
        (lambda: CostWeights(collision=-1.0), "collision"),
        (lambda: IDM(time_headway_s=float("nan")), "time_headway_s"),
        (lambda: constant_velocity(Scene("one", ("a",), [[[0.0, 0.0]]]), horizon=0), "horizon"),
    ],
)
def test_bad_input_is_refused(call, match):
    with pytest.raises(InputError, match=match):
        call()
