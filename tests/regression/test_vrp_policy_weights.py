"""The shipped routing weights: what they reached when they were made, they still reach."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import gnnlib
from gnnlib.heads.combinatorial.tsp.api import solve_tsp
from gnnlib.heads.combinatorial.tsp.problem import TSP
from gnnlib.heads.combinatorial.vrp.baselines import nearest_neighbour, savings
from gnnlib.heads.combinatorial.vrp.generate import uniform_vrp
from gnnlib.heads.combinatorial.vrp.graph import near_clients
from gnnlib.heads.combinatorial.vrp.labels import uniform_tour
from gnnlib.heads.combinatorial.vrp.policy import WEIGHTS, construct_routes, pilot_routes
from gnnlib.heads.combinatorial.vrp.priors import arc_scores, order_neighbours
from gnnlib.stop import MaxIterations

PROBLEMS = [uniform_vrp(40, seed=seed) for seed in range(500, 506)]


@pytest.fixture(scope="module")
def model():
    return gnnlib.load(WEIGHTS)


def mean_cost(construct):
    return np.mean([construct(problem).cost for problem in PROBLEMS])


def test_the_policy_beats_savings_and_search_beats_greed(model):
    greedy = mean_cost(lambda problem: construct_routes(problem, model=model))
    beam = mean_cost(lambda problem: construct_routes(problem, decoder="beam", effort=16, model=model))
    rebuilt = mean_cost(lambda problem: construct_routes(problem, decoder="rebuild", effort=400, model=model))
    tree = construct_routes(PROBLEMS[0], decoder="mcts", effort=2, model=model).cost
    assert greedy < 0.8 * mean_cost(nearest_neighbour)
    assert greedy < 0.99 * mean_cost(savings)
    assert beam < greedy
    assert rebuilt < 0.99 * greedy
    assert tree < construct_routes(PROBLEMS[0], model=model).cost


def test_greedy_tours_of_fifty_cities_are_within_a_percent(model):
    tours = [uniform_tour(50, seed=seed) for seed in range(700, 730)]
    best = [
        solve_tsp(TSP.from_matrix(tour.travel.distance_matrix()), stop=MaxIterations(1000), seed=0).length
        for tour in tours
    ]
    greedy = np.array([construct_routes(tour, model=model).cost for tour in tours]) / best
    beam = (
        np.array([construct_routes(tour, decoder="beam", effort=16, model=model).cost for tour in tours[:8]]) / best[:8]
    )
    assert (greedy > 1.0 - 1e-9).all()
    assert greedy.mean() < 1.01
    assert beam.mean() < 1.002


def test_learning_has_not_made_the_policy_worse_than_looking_ahead(model):
    ratios = [construct_routes(one, model=model).cost / pilot_routes(one).cost for one in PROBLEMS]
    assert np.mean(ratios) < 1.01


def test_likely_arcs_are_those_of_good_routes(model):
    problem = PROBLEMS[0]
    arcs, consecutive, together = arc_scores(problem, model)
    routes = construct_routes(problem, decoder="beam", effort=16, model=model).routes
    hops = {hop for route in routes for hop in zip((0, *route), (*route, 0), strict=True)}
    used = np.array([tuple(arc) in hops or tuple(arc[::-1]) in hops for arc in arcs.tolist()])
    assert consecutive[used].mean() > 3.0 * consecutive[~used].mean()
    assert together[used].mean() > together[~used].mean()


def test_a_prior_reorders_neighbours_and_loses_none(model):
    problem = PROBLEMS[1]
    near, _ = near_clients(problem, 20)
    order = order_neighbours(problem, near, prior="gnn", count=6, model=model)
    assert (np.sort(order, axis=1) == np.arange(20)).all()
    assert (np.diff(order[:, :6], axis=1) > 0).all()  # nearest first among the chosen
    assert (order != np.arange(20)).any()
    assert (order_neighbours(problem, near, prior="distance", count=6, model=model) == np.arange(20)).all()


def test_the_weights_are_small_and_their_card_is_whole():
    folder = Path(gnnlib.__file__).parent / "weights"
    assert (folder / f"{WEIGHTS}.safetensors").stat().st_size < 3_000_000
    card = json.loads((folder / f"{WEIGHTS}.json").read_text())
    assert card["command"].startswith("python -m gnnlib.heads.combinatorial.vrp.train")
    assert card["commit"] != "unknown"
    assert {"greedy gap in % (uniform)", "greedy gap in % (tour)"} <= set(card["metrics"])
