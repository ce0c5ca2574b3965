"""Labels, batches, training and the card of the edge scorer, on tiny instances."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from gnnlib.data.generate import GENERATORS, uniform
from gnnlib.encoder import load
from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.tsp import labels as labels_module
from gnnlib.heads.combinatorial.tsp import train as train_module
from gnnlib.heads.combinatorial.tsp.api import solve_tsp
from gnnlib.heads.combinatorial.tsp.graph import tour_graph
from gnnlib.heads.combinatorial.tsp.labels import LabelledTour, LabelPlan, make_labels, read_labels, write_labels
from gnnlib.heads.combinatorial.tsp.problem import TSP
from gnnlib.heads.combinatorial.tsp.quality import measure_scores, rank_frequencies
from gnnlib.heads.combinatorial.tsp.train import PRESETS, Preset, TourBatches, build_model, train_model
from gnnlib.stop import MaxIterations
from gnnlib.training import Course

TINY = Preset(
    16,
    8,
    1,
    (
        LabelPlan("train", 8, low=20, high=40),
        LabelPlan("val", 4, low=20, high=40),
        LabelPlan("test", 4, low=20, high=40),
        LabelPlan("large", 4, low=50, high=50),
    ),
    replace(PRESETS["small"].fit, epochs=2, batch_size=4, warmup_steps=2),
)


@pytest.fixture(scope="module")
def tours(tmp_path_factory):
    return make_labels(TINY.plans[0], tmp_path_factory.mktemp("labels"))


def test_labels_are_tours_of_all_distributions_and_of_the_wanted_sizes(tours):
    assert [tour.distribution for tour in tours] == 2 * list(GENERATORS)
    for tour in tours:
        assert 20 <= len(tour.order) <= 40
        assert sorted(tour.order.tolist()) == list(range(len(tour.coords)))
    assert len({len(tour.order) for tour in tours}) > 2


def test_a_label_is_as_good_as_a_long_search_finds(tours):
    for tour in tours[:4]:
        best = solve_tsp(tour.coords, stop=MaxIterations(3000), seed=1).length
        assert tour.problem.length(tour.order) <= 1.01 * best


def test_instances_depend_on_split_and_number_alone():
    plan = TINY.plans[0]
    name, points, seed = plan.draw(3)
    again = replace(plan, count=99).draw(3)
    assert (again[0], again[2]) == (name, seed)
    np.testing.assert_array_equal(again[1], points)
    for other in (replace(plan, split="val").draw(3), plan.draw(7)):
        assert other[1].shape != points.shape or not np.array_equal(other[1], points)


def test_no_training_instance_is_drawn_from_a_whole_number_seed():
    drawn = {float(LabelPlan("train", 1).draw(number)[1][0, 0]) for number in range(0, 40, 4)}
    assert not drawn & {float(uniform(500, seed=seed)[0, 0]) for seed in range(200)}


def test_the_cache_is_read_and_continued(tmp_path, tours, monkeypatch):
    plan = TINY.plans[0]
    monkeypatch.setattr(labels_module, "_SHARD", 3)
    make_labels(replace(plan, count=5), tmp_path)
    solved = []
    label = LabelPlan.label
    monkeypatch.setattr(LabelPlan, "label", lambda self, number: solved.append(number) or label(self, number))
    found = make_labels(plan, tmp_path)
    assert solved == [5, 6, 7]
    for tour, expected in zip(found, tours, strict=True):
        np.testing.assert_array_equal(tour.coords, expected.coords)
        np.testing.assert_array_equal(tour.order, expected.order)
    make_labels(replace(plan, count=2), tmp_path)
    assert len(solved) == 3
    assert not list(tmp_path.glob("*.part*"))


def test_written_labels_are_read_back(tmp_path, tours):
    write_labels(tours, tmp_path / "a" / "tours.npz")
    for tour, again in zip(tours, read_labels(tmp_path / "a" / "tours.npz"), strict=True):
        assert again.distribution == tour.distribution
        np.testing.assert_array_equal(again.coords, tour.coords)
        np.testing.assert_array_equal(again.order, tour.order)


@pytest.mark.parametrize("change", [{"split": "final"}, {"count": 0}, {"low": 5}, {"high": 10}, {"kicks_per_city": 0}])
def test_impossible_plans_are_refused(change):
    with pytest.raises(InputError):
        replace(TINY.plans[0], **change)


def test_every_epoch_visits_every_graph_once_in_its_own_order(tours):
    graphs = [tour_graph(tour.problem, tour.order) for tour in tours]
    batches = TourBatches(graphs, 3, seed=1)
    epochs = [[batch.x for batch in batches(number)] for number in (1, 2)]
    assert [len(epoch) for epoch in epochs] == [len(batches)] * 2 == [3, 3]
    everything = sorted(torch.cat([graph.x for graph in graphs]).flatten().tolist())
    for epoch in epochs:
        assert sorted(torch.cat(epoch).flatten().tolist()) == everything
    assert not torch.equal(torch.cat(epochs[0]), torch.cat(epochs[1]))
    assert torch.equal(torch.cat([batch.x for batch in batches(2)]), torch.cat(epochs[1]))
    in_order = torch.cat([batch.x for batch in TourBatches(graphs, 3)(1)])
    assert torch.equal(in_order, torch.cat([graph.x for graph in graphs]))


def test_twenty_steps_lower_the_losses(tours, tmp_path):
    model = build_model(TINY)
    config = replace(TINY.fit, epochs=10, learning_rate=1e-2, ema_decay=None)
    result = train_model(model, tours, tours, config, Course(tmp_path))
    assert result.steps == 20
    for name in ("train/edge", "train/rank", "val/loss"):
        assert result.history[-1][name] < 0.7 * result.history[0][name]
    assert result.history[-1]["val/average_precision"] > 0.6
    assert (tmp_path / "log.csv").read_text().count("\n") == 11


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(tours, tmp_path):
    models = [build_model(TINY, seed=3) for _ in range(3)]
    config = replace(TINY.fit, epochs=4, schedule="constant")
    train_model(models[0], tours, tours[:4], config, Course(tmp_path / "whole", seed=3))
    train_model(models[1], tours, tours[:4], replace(config, epochs=2), Course(tmp_path / "parts", seed=3))
    train_model(models[2], tours, tours[:4], config, Course(tmp_path / "parts", seed=3, resume=True))
    whole, resumed = models[0].state_dict(), models[2].state_dict()
    assert all(torch.equal(resumed[name], value) for name, value in whole.items())
    assert any(not torch.equal(models[1].state_dict()[name], value) for name, value in whole.items())


def test_parameters_depend_on_the_seed_alone():
    states = [build_model(TINY, seed=seed).state_dict() for seed in (0, 0, 1)]
    assert all(torch.equal(states[1][name], value) for name, value in states[0].items())
    assert any(not torch.equal(states[2][name], value) for name, value in states[0].items())


def test_the_command_writes_weights_and_a_full_card(tmp_path, monkeypatch):
    monkeypatch.setitem(train_module.PRESETS, "small", TINY)
    monkeypatch.setattr("gnnlib.training.command.tune_cpu", lambda: False)
    out = tmp_path / "weights" / "toy"
    assert train_module.main(["--out", str(out), "--runs", str(tmp_path / "runs"), "--seed", "5"]) == 0
    model = load(out)
    card = model.card
    assert card.command.startswith("python -m gnnlib.heads.combinatorial.tsp.train --preset small --seed 5 --out ")
    assert card.seed == 5
    assert card.seconds > 0
    assert all((card.purpose, card.data, card.machine, card.date, card.commit))
    assert 0.0 < card.metrics["average_precision (n=1000)"] <= 1.0
    assert {name for name in card.metrics if "recall_at_5 (test" in name} == {
        "recall_at_5 (test)",
        *(f"recall_at_5 (test, {kind})" for kind in GENERATORS),
    }
    problem = TSP.from_coords(uniform(30, seed=0))
    assert model(tour_graph(problem)).logit.shape == (300,)


def test_measures_are_those_of_a_known_ranking():
    corners = np.array([[0.0, 0.0], [1.0, 0.1], [1.1, 1.2], [0.0, 1.0]])
    tour = LabelledTour("uniform", corners, np.arange(4))

    def by_hand(tour, neighbours, lengths):
        wanted = (neighbours - np.arange(4)[:, None]) % 4 != 2
        return wanted.astype(float)

    perfect = measure_scores([tour], by_hand)
    assert perfect == {"average_precision": 1.0, "recall_at_5": 1.0, "mean_rank": 1.5}
    worst = measure_scores([tour], lambda *args: -by_hand(*args))
    assert worst["mean_rank"] == 2.5
    assert worst["average_precision"] == pytest.approx(8 / 12)


def test_tour_edges_that_are_no_candidates_count_as_missed():
    tour = LabelledTour("uniform", np.c_[np.arange(30.0), np.zeros(30)], np.arange(30))
    found = measure_scores([tour], lambda _, near, apart: -apart, num_neighbours=4)
    assert found["average_precision"] < 58 / 60 + 1e-9
    assert found["recall_at_5"] == pytest.approx(58 / 60)


def test_rank_frequencies_count_tour_neighbours():
    line = LabelledTour("uniform", np.c_[np.arange(30.0) ** 1.1, np.zeros(30)], np.arange(30))
    shares = rank_frequencies([line], 4)
    assert shares.sum() <= 2.0
    assert shares[0] == 1.0  # the nearest city of a line is beside it
    assert shares[1] == pytest.approx(28 / 30)  # but the ends have only one
