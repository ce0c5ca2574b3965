"""The schedule of a run: its heat, its windows, and what it keeps of its time."""

from __future__ import annotations

import time

import numpy as np
import pytest

from gnnlib.heads.combinatorial.vrp import decode_plain
from gnnlib.heads.combinatorial.vrp.arrays import curve_order
from gnnlib.heads.combinatorial.vrp.decode import RouteSearch
from gnnlib.heads.combinatorial.vrp.generate import generate_vrp
from gnnlib.heads.combinatorial.vrp.metrics import check_routes
from gnnlib.heads.combinatorial.vrp.params import RouteParams
from gnnlib.stop import MaxIterations, MaxRuntime, StopClock


class Slowed(StopClock):
    """A clock on which every second of work lasts `factor` seconds, as on a machine that others use too."""

    def __init__(self, criterion, factor):
        super().__init__(criterion)
        self.factor, self.began = factor, time.process_time()

    @property
    def elapsed_s(self):
        return self.factor * (time.process_time() - self.began)


@pytest.mark.parametrize("factor", [1.0, 4.0])
def test_a_busy_machine_keeps_more_of_the_time_for_the_check(factor):
    problem = generate_vrp(300, seed=1)
    search = RouteSearch(problem, Slowed(MaxRuntime(60.0), factor), RouteParams(), 0)
    assert search._kept_s() == pytest.approx(factor * 2e-5 * 300, rel=0.05)
    search.clock.criterion = MaxRuntime(0.001)
    assert search._kept_s() <= 0.0005


def test_the_heat_falls_from_the_first_round_to_the_last():
    search = RouteSearch(generate_vrp(40, seed=1), MaxIterations(1200).start(), RouteParams(), 0)
    heats = [search._temperature(share) for share in (0.0, 0.3, 0.6, 1.0)]
    assert heats == sorted(heats, reverse=True)
    assert (heats[0], heats[-1]) == (pytest.approx(search._step), pytest.approx(0.03 * search._step))
    search._shed_to = 0.25  # what is left when routes were shed first begins hot
    assert search._temperature(0.25) == heats[0]
    assert search._temperature(1.0) == pytest.approx(heats[-1])


def test_a_large_problem_is_searched_in_windows_without_losing_its_books(monkeypatch):
    for name, value in (("_LARGE", 50), ("_WINDOW", 20), ("_WINDOW_ROUNDS", 30)):
        monkeypatch.setattr(decode_plain, name, value)
    problem = generate_vrp(90, seed=2)
    engine = decode_plain.PlainEngine(problem, RouteParams(), 0)
    first = engine.best_cost
    for rounds in (500, 31, 1):
        engine.run((0.3 * engine.step, 0.1 * engine.step), rounds)
        routes, kinds = engine.routes()
        found = check_routes(problem, routes, kinds)
        assert found.feasible
        assert found.cost == pytest.approx(engine.best_cost)
    engine.run((0.0, 0.0), 40)
    assert engine.best_cost < first
    again = decode_plain.PlainEngine(problem, RouteParams(), 0)
    again.run((0.3 * again.step, 0.1 * again.step), 500)
    once_more = decode_plain.PlainEngine(problem, RouteParams(), 0)
    once_more.run((0.3 * once_more.step, 0.1 * once_more.step), 500)
    assert again.routes() == once_more.routes()


def test_the_curve_visits_every_point_once_and_neighbours_soon_after_each_other():
    rng = np.random.default_rng(0)
    coords = rng.random((500, 2))
    order = curve_order(coords)
    assert sorted(order.tolist()) == list(range(500))
    steps = np.hypot(*np.diff(coords[order], axis=0).T)
    chance = np.hypot(*np.diff(coords, axis=0).T)
    assert steps.mean() < 0.2 * chance.mean()
    assert curve_order(np.zeros((3, 2))).tolist() == [0, 1, 2]
    assert curve_order(np.array([[5.0, 1e6], [5.0, 0.0]])).tolist() == [1, 0]
