"""Drives in closed loop on validation scenes, by which the imitation planner that ships is chosen.

What a planner loses against a recording says little about how it drives, and the presets weigh their losses differently.
So they are compared by what happens when they drive from pushed starts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.scene.planning.driving_scores import off_road_by
from gnnlib.heads.scene.planning.scenarios import shifted_start
from gnnlib.heads.scene.planning.sim_report import OFF_ROAD_TOLERANCE_M
from gnnlib.heads.scene.policies import LogReplay
from gnnlib.heads.scene.problem import AGENT_TYPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnlib.heads.scene.planning.driving import PolicyLike
    from gnnlib.heads.scene.planning.scenarios import Scenario
    from gnnlib.heads.scene.planning.sim_report import SimReport
    from gnnlib.heads.scene.problem import Scene
    from gnnlib.heads.scene.sim import SceneSim

__all__ = ["SETTLED_STEPS", "failures", "left_the_road", "pushed_starts"]

SETTLED_STEPS = 15
"""Who is still, or again, off the road so many steps after a pushed start has left it."""

_START, _STEPS = 19, 30
_LEAST_M = 8.0
_VEHICLE = AGENT_TYPES.index("vehicle")


def pushed_starts(scenes: Sequence[Scene], *, each: int = 4, seed: int = 0) -> list[Scenario]:
    """Return tests that begin beside the recordings of the cars that go farthest in each scene.

    Cases in which the recorded car leaves the road, touches somebody or hardly moves are left out.

    Parameters
    ----------
    scenes : sequence of Scene
        Those shorter than 5 s are passed over.
    each : int >= 1, default 4
        Most cars a scene.
    seed : int, default 0
        Of the pushes.

    Examples
    --------
    >>> from gnnlib.heads.scene.generate import generate_scene
    >>> cases = pushed_starts([generate_scene("highway", seed=0, num_steps=60)], each=2)
    >>> [case.kind for case in cases]
    ['pushed_start', 'pushed_start']
    """
    if each < 1:
        raise InputError(f"`each` must be positive, found {each}")
    cases: list[Scenario] = []
    for number, scene in enumerate(scenes):
        last = _START + _STEPS
        if scene.num_steps <= last:
            continue
        span = scene.valid[:, _START // 2 : last + 1].all(axis=1) & (scene.agent_types == _VEHICLE)
        moved = np.where(span, np.linalg.norm(scene.xy[:, last] - scene.xy[:, _START], axis=1), 0.0)
        for rank, row in enumerate(np.argsort(-moved, kind="stable")[:each].tolist()):
            if moved[row] < _LEAST_M:
                break
            case = shifted_start(scene, seed=seed + 100 * number + rank, ego=scene.agents[row])
            report = case.sim().run(LogReplay(scene, case.ego))
            if not report.collided and not report.is_off_road and report.progress_m > _LEAST_M / 2:
                cases.append(case)
    return cases


def left_the_road(sim: SceneSim, report: SimReport) -> bool:
    """Whether a corner was more than half a metre off the road later than 1.5 s after the start; False without a map."""
    if not len(sim.road) or len(report.xy) <= SETTLED_STEPS:
        return False
    late = slice(SETTLED_STEPS, None)
    outside = off_road_by(sim.road, report.xy[late], report.heading_rad[late], sim.scene.size[sim.row])
    return bool((outside > OFF_ROAD_TOLERANCE_M).any())


def failures(policy: PolicyLike, cases: Sequence[Scenario]) -> dict[str, float]:
    """Drive all cases and return rates per 100: "collisions at fault", "off the road", and "failed" (either of them).

    Parameters
    ----------
    policy : callable
        As for `gnnlib.heads.scene.sim.SceneSim.run`.
    cases : sequence of Scenario

    Raises
    ------
    InputError
        If there is no case.

    Examples
    --------
    >>> from gnnlib.heads.scene.planning.scenarios import make_scenario
    >>> from gnnlib.heads.scene.policies import IDMPolicy
    >>> failures(IDMPolicy(), [make_scenario("slow_leader", seed=0)])
    {'collisions at fault': 0.0, 'off the road': 0.0, 'failed': 0.0}
    """
    if not cases:
        raise InputError("there is no case to drive")
    hit, off = np.zeros(len(cases), bool), np.zeros(len(cases), bool)
    for number, case in enumerate(cases):
        sim = case.sim()
        report = sim.run(policy, shift=case.shift)
        hit[number], off[number] = bool(report.at_fault), left_the_road(sim, report)
    rates = {"collisions at fault": hit, "off the road": off, "failed": hit | off}
    return {name: round(100.0 * float(values.mean()), 2) for name, values in rates.items()}
