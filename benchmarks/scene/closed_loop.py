"""Driving in closed loop from pushed starts and in driving tests; open-loop errors of the same policies, apart.

Closed loop: collisions and leaving the road per 100 runs, with Wilson intervals. Starts are 0.3 to 1 m and up to 0.2 rad off
the recording; who is still, or again, more than half a metre off the road 1.5 s later has left it. Cases in which the
recorded vehicle itself leaves the mapped road or overlaps somebody are left out. Failed: off the road, or a collision at
fault. All policies drive the same cases, so the steps of the ablation are compared in pairs: the difference with its standard
error over starts, and an exact sign test on the starts that one of the two fails more often, of all seeds of training that
both have. Open loop: distance of 3 s plans to the recording, along which the policy is led.
It says nothing about driving.
"""

from __future__ import annotations

import functools
import math
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scene.kept_rows import KeptRows, Row, digest, driving_code
from scipy.stats import binomtest

import gnnlib
from gnnlib.encoder import list_weights
from gnnlib.errors import GnnlibError
from gnnlib.heads.scene.generate import SCENE_KINDS, generate_scene
from gnnlib.heads.scene.imitation import ABLATION, ImitationPlanner
from gnnlib.heads.scene.kinematics import redrive
from gnnlib.heads.scene.planner import RulePlanner
from gnnlib.heads.scene.planning.scenarios import Scenario, make_scenario, shifted_start
from gnnlib.heads.scene.policies import ConstantVelocity, IDMPolicy, LogReplay
from gnnlib.heads.scene.sim import SceneSim
from gnnlib.heads.scene.training.validation_drives import left_the_road
from gnnlib.heads.scene.training.windows import load_split

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable

    from gnnlib.heads.scene.planning.driving import PolicyLike
    from gnnlib.heads.scene.planning.sim_report import SimReport

MakePolicy = "Callable[[Scenario], PolicyLike]"

PLANNERS = Path("runs/scene-planner")
FIRST_SEED = 50_000  # training uses 20,000 and 30,000
RECORDED_PER_SCENE, GENERATED, REACTIVE, TESTS_EACH = 9, 200, 20, 16
OPEN_LOOP = 60
SHIPPED = " (shipped)"
TESTS = ("parked_car", "slow_leader", "stopping_leader")


class Run(NamedTuple):
    """One drive and how it is counted."""

    report: SimReport
    off_road: bool
    collided: bool
    at_fault: bool


def recorded_cases(folder: Path, per_scene: int) -> list[Scenario]:
    """Pushed starts in the test scenes of NGSIM: the cars that go farthest in each."""
    cases = []
    for scene in load_split(folder, "ngsim", "test")[0]:
        if scene.num_steps < 50:
            continue
        span = scene.valid[:, 10:50].all(axis=1) & (scene.agent_types == 0)
        moved = np.where(span, np.linalg.norm(scene.xy[:, 49] - scene.xy[:, 19], axis=1), 0.0)
        for rank, row in enumerate(np.argsort(-moved)[:per_scene].tolist()):
            if moved[row] >= 8.0:
                cases.append(shifted_start(scene, seed=FIRST_SEED + 10 * len(cases) + rank, ego=scene.agents[row]))
    return cases


def generated_cases(count: int) -> list[Scenario]:
    """Pushed starts in generated traffic; in every other highway, merge and street somebody brakes to a stop."""
    cases = []
    number = 0
    while len(cases) < count:
        kind, seed = SCENE_KINDS[number % len(SCENE_KINDS)], FIRST_SEED + number
        number += 1
        rare = "sudden_stop" if number % 2 and kind in ("highway", "merge", "street") else None
        try:
            case = shifted_start(generate_scene(kind, seed=seed, num_steps=80, rare=rare), seed=seed)
        except GnnlibError:  # the event finds no place, or nobody drives
            continue
        if (sim_of(case).steps or 0) >= 30:
            cases.append(case)
    return cases


@functools.cache
def sim_of(case: Scenario, others: str = "log") -> SceneSim:
    """Return the simulation of a case; its route and road are found once for all policies."""
    return case.sim(others)  # type: ignore[arg-type]


def is_sound(case: Scenario) -> bool:
    """Whether the recorded driver keeps to the road, moves, and touches nobody."""
    report = sim_of(case).run(LogReplay(case.scene, case.ego))
    return not report.collided and not report.is_off_road and report.progress_m > 5.0


def drive(case: Scenario, policy: PolicyLike, others: str) -> Run:
    sim = sim_of(case, others)
    report = sim.run(policy, shift=case.shift)
    return Run(report, left_the_road(sim, report), bool(report.collided), bool(report.at_fault))


def wilson(hits: int, count: int) -> list[float]:
    """95 % interval of a share, per 100."""
    if not count:
        return [0.0, 100.0]
    z, share = 1.96, hits / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return [round(100 * (middle - half), 1), round(100 * (middle + half), 1)]


def rate(name: str, hits: list[bool]) -> dict[str, Any]:
    return {
        f"{name}_per_100": round(100 * sum(hits) / max(len(hits), 1), 1),
        f"{name}_interval": wilson(sum(hits), len(hits)),
    }


def mean(values: Iterable[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return round(statistics.fmean(known), 3) if known else float("nan")


def failed(runs: list[Run]) -> list[bool]:
    return [run.off_road or run.at_fault for run in runs]


def paired(before: list[list[bool]], after: list[list[bool]]) -> dict[str, Any]:
    """Compare two policies on the same starts [seeds of training][starts]: what the second avoids and adds."""
    shares = [np.mean(rows, axis=0) for rows in (before, after)]
    change = shares[1] - shares[0]
    avoided, added = int((change < 0).sum()), int((change > 0).sum())
    chance = binomtest(avoided, avoided + added).pvalue if avoided + added else 1.0
    return {
        "failed_per_100": [round(100 * float(share.mean()), 1) for share in shares],
        "change_per_100": round(100 * float(change.mean()), 1),
        "standard_error": round(100 * float(change.std(ddof=1)) / math.sqrt(len(change)), 1),
        "avoided": avoided,
        "added": added,
        "p": round(float(chance), 4),
    }


def steps_of_the_ablation(drives: dict[str, list[bool]]) -> dict[str, Any]:
    """Compare each preset with the one before, and some with one farther off, by the seeds of training that both have."""
    found: list[dict[str, list[bool]]] = [{} for _ in ABLATION]
    for label, row in drives.items():
        preset, _, seed = label.removesuffix(SHIPPED).rpartition("-")
        for number, name in enumerate(ABLATION):
            if preset == f"M{number} {name}":
                found[number][seed] = row
    table = {}
    for a, b in [*((k, k + 1) for k in range(len(ABLATION) - 1)), (0, 2), (0, 4), (2, 4)]:
        if seeds := sorted(found[a].keys() & found[b].keys()):
            compared = paired([found[a][seed] for seed in seeds], [found[b][seed] for seed in seeds])
            table[f"M{a} to M{b}"] = {"seeds": len(seeds), **compared}
    return table


def summarise(runs: list[Run]) -> dict[str, Any]:
    reports = [run.report for run in runs]
    return {
        "runs": len(runs),
        **rate("collisions", [run.collided for run in runs]),
        **rate("at_fault", [run.at_fault for run in runs]),
        **rate("off_road", [run.off_road for run in runs]),
        **rate("failed", failed(runs)),
        "progress_share": mean(report.progress_share for report in reports),
        "route_deviation_m": mean(report.route_deviation_m for report in reports),
        "min_time_to_collision_s": mean(report.min_time_to_collision_s for report in reports),
        "comfortable_share": mean(report.comfort.share for report in reports),
        "plan_ms": mean(report.timing.mean_ms for report in reports),
    }


def policies() -> dict[str, Callable[[Scenario], PolicyLike]]:
    """Every policy by its name in the tables; presets that were not trained here are left out."""
    table: dict[str, Callable[[Scenario], PolicyLike]] = {
        "log replay": lambda case: LogReplay(case.scene, case.ego),
        "constant velocity": lambda _: ConstantVelocity(),
        "IDM": lambda _: IDMPolicy(),
        "rule planner, constant velocity": lambda _: RulePlanner("constant velocity"),
    }
    if "scene" in list_weights():
        table["rule planner, predicted modes"] = lambda _: RulePlanner("model")
    shipped = ImitationPlanner("scene-planner") if "scene-planner" in list_weights() else None
    for number, preset in enumerate(ABLATION):
        for path in sorted(PLANNERS.glob(f"{preset}*.safetensors")):
            planner = ImitationPlanner(path)
            label = f"M{number} {path.stem}"
            if shipped is not None and are_alike(planner, shipped):
                shipped, label = None, label + SHIPPED
            table[label] = lambda _, planner=planner: planner
    if shipped is not None:
        table["shipped scene-planner"] = lambda _, planner=shipped: planner
    return table


def are_alike(one: ImitationPlanner, other: ImitationPlanner) -> bool:
    """Whether two planners have the same weights."""
    states = [planner.model.state_dict() for planner in (one, other)]
    return states[0].keys() == states[1].keys() and all(states[0][k].equal(states[1][k]) for k in states[0])


def open_loop(cases: list[Scenario], make: Callable[[Scenario], PolicyLike]) -> dict[str, Any]:
    found = [sim_of(case).open_loop(make(case)) for case in cases]
    plans = sum(item.plans for item in found)
    total = {name: sum(getattr(item, name) * item.plans for item in found if item.plans) for name in ("ade_m", "fde_m")}
    return {"plans": plans, **{name: round(value / max(plans, 1), 3) for name, value in total.items()}}


def residuals(folder: Path) -> dict[str, Any]:
    """How far real vehicles are from kinematic bicycles: 3 s of the test scenes driven again."""
    found = []
    for scene in load_split(folder, "ngsim", "test")[0]:
        for row in np.flatnonzero(scene.valid[:, :31].all(axis=1)) if scene.num_steps >= 31 else ():
            path = scene.xy[row, :31]
            if np.linalg.norm(path[-1] - path[0]) >= 1.0:
                again = redrive(path, scene.heading_rad[row, :31], length_m=scene.size[row, 0], dt=scene.dt)
                found.append(again.residual_m[[10, 20, 30]])
    table = np.array(found).reshape(-1, 3)
    rows = {
        "median_m": np.median(table, axis=0),
        "mean_m": table.mean(axis=0),
        "p95_m": np.quantile(table, 0.95, axis=0),
    }
    return {"vehicles": len(table), "after_s": [1, 2, 3], **{k: v.round(3).tolist() for k, v in rows.items()}}


def step_times(repeats: int) -> dict[str, Any]:
    """Median time of one call of the planners among 30 agents, wall-clock and CPU, in ms."""
    scene = next(
        s
        for s in (generate_scene("highway", seed=FIRST_SEED + k, num_steps=60, density=1.0) for k in range(20))
        if len(s.present_at(25)) >= 28
    )
    seen: list[Any] = []

    def watch(observation: Any) -> Any:
        seen.append(observation)
        return ConstantVelocity()(observation)

    SceneSim(scene, at_step=25, steps=1).run(watch)
    chosen = {"rule planner, constant velocity": RulePlanner("constant velocity")}
    if "scene" in list_weights():
        chosen["rule planner, predicted modes"] = RulePlanner("model")
    if "scene-planner" in list_weights():
        chosen["imitation planner"] = ImitationPlanner("scene-planner")
    times: dict[str, Any] = {"agents": len(scene.present_at(25)), "lanes": len(scene.lanes)}
    for name, planner in chosen.items():
        wall, busy = [], []
        for _ in range(repeats + 2):
            began, worked = time.perf_counter(), time.process_time()
            planner(seen[0])
            wall.append(1e3 * (time.perf_counter() - began))
            busy.append(1e3 * (time.process_time() - worked))
        times[name] = {
            "wall_ms": round(statistics.median(wall[2:]), 2),
            "cpu_ms": round(statistics.median(busy[2:]), 2),
        }
    return times


class Cases(NamedTuple):
    """What is driven; of `pushed` the first `recorded` are real traffic."""

    pushed: list[Scenario]
    recorded: int
    reactive: list[Scenario]
    tests: dict[str, list[Scenario]]


def all_cases(options: argparse.Namespace) -> Cases:
    quick = options.quick
    pushed = [case for case in recorded_cases(options.data, 1 if quick else RECORDED_PER_SCENE) if is_sound(case)]
    recorded = len(pushed)
    pushed += [case for case in generated_cases(5 if quick else GENERATED) if is_sound(case)]
    print(f"{recorded} recorded and {len(pushed) - recorded} generated cases")
    reactive = pushed[:: max(1, len(pushed) // (3 if quick else REACTIVE))]
    tests = {
        kind: [make_scenario(kind, seed=FIRST_SEED + k) for k in range(2 if quick else TESTS_EACH)] for kind in TESTS
    }
    return Cases(pushed, recorded, reactive, tests)


def measure(make: Callable[[Scenario], PolicyLike], cases: Cases) -> Row:
    """Drive all cases with one policy."""
    runs = [drive(case, make(case), "log") for case in cases.pushed]
    figures = {
        "closed_loop_pushed_starts": summarise(runs),
        "closed_loop_pushed_starts_recorded": summarise(runs[: cases.recorded]),
        "closed_loop_reactive_others": summarise([drive(case, make(case), "idm") for case in cases.reactive]),
        **{
            f"closed_loop_{kind}": summarise([drive(case, make(case), "log") for case in tests])
            for kind, tests in cases.tests.items()
        },
        "open_loop_3s": open_loop(cases.pushed[:: max(1, len(cases.pushed) // OPEN_LOOP)], make),
    }
    return Row(figures, failed(runs))


def fingerprint_of(name: str, policy: PolicyLike, options: argparse.Namespace) -> str:
    """Return what changes as soon as a row must be measured again."""
    modes = "predicted modes" in name
    files = [*driving_code(with_prediction=modes), Path(__file__)]
    if modes:
        files.append(Path(gnnlib.__file__).parent / "weights" / "scene.safetensors")
    model = policy.model if isinstance(policy, ImitationPlanner) else None
    return digest(files, model) + ("-quick" if options.quick else "")


def rows(cases: Cases, options: argparse.Namespace) -> dict[str, Row]:
    """Measure all policies, but those of which a row is kept."""
    kept, table = KeptRows(PLANNERS / "closed_loop_rows.json"), {}
    for label, make in policies().items():
        name, fingerprint = label.removesuffix(SHIPPED), fingerprint_of(label, make(cases.pushed[0]), options)
        began = time.process_time()
        row = kept.find(name, fingerprint)
        if row is None:
            row = measure(make, cases)
            kept.keep(name, fingerprint, row)
        first = row.figures["closed_loop_pushed_starts"]
        print(
            f"{label:40s} collisions {first['collisions_per_100']:5.1f} (at fault {first['at_fault_per_100']:5.1f}), "
            f"off road {first['off_road_per_100']:5.1f}, failed {first['failed_per_100']:5.1f} per 100; "
            f"{time.process_time() - began:.0f} CPU s",
            flush=True,
        )
        table[label] = row
    return table


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Drive all cases with all policies."""
    cases = all_cases(options)
    measured = rows(cases, options)
    return {
        "protocol": __doc__,
        "cases": {
            "recorded": cases.recorded,
            "generated": len(cases.pushed) - cases.recorded,
            "reactive": len(cases.reactive),
            "each driving test": TESTS_EACH,
        },
        "kinematic_residual": residuals(options.data),
        "step_ms": step_times(5 if options.quick else 40),
        "ablation": steps_of_the_ablation({name: row.failed for name, row in measured.items()}),
        "policies": {name: row.figures for name, row in measured.items()},
    }
