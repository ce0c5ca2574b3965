"""The shipped imitation planner: it keeps to the road from pushed starts, and imitates better than a straight line."""

import pytest

from gnnlib.encoder import read_card
from gnnlib.heads.scene.imitation import ImitationPlanner
from gnnlib.heads.scene.planning.scenarios import make_scenario
from gnnlib.heads.scene.policies import ConstantVelocity


@pytest.mark.parametrize("seed", [900, 901, 902])
def test_the_shipped_planner_comes_back_from_a_pushed_start(seed):
    scenario = make_scenario("pushed_start", seed=seed)
    report = scenario.run(ImitationPlanner())
    assert not report.is_off_road and report.progress_share > 0.8
    assert abs(float(scenario.sim().route.project(report.xy[-1])[1])) < 1.0
    errors = [scenario.sim().open_loop(policy).ade_m for policy in (ImitationPlanner(), ConstantVelocity())]
    assert errors[0] < errors[1]


def test_the_card_says_what_it_is_and_that_it_is_not_the_best_driver():
    card = read_card("scene-planner")
    assert "rule-based planner drives better" in card.purpose
    assert "environment" in card.command and card.licence == "MIT"
