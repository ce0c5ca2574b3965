"""The shipped imitation planner: it comes back from pushed starts, and its card tells how it was chosen."""

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
    assert report.route_deviation_m < 0.5 * scenario.run(ConstantVelocity()).route_deviation_m


def test_the_card_says_how_it_was_chosen_and_that_it_is_not_the_best_driver():
    card = read_card("scene-planner")
    assert "rule-based planner drives better" in card.purpose
    assert "ablation" in card.command and card.licence == "MIT"
    assert any(name.endswith("validation scenes: failed") for name in card.metrics)
