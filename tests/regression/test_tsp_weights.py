"""The shipped edge scorer does what its card says, and beats what knows distances only.

The instances are drawn again from their seeds; their tours lie in ``tsp_tours``, written by
``python tests/regression/test_tsp_weights.py`` from the labels of the training command.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from gnnlib.data.generate import GENERATORS
from gnnlib.encoder import load, read_card
from gnnlib.heads.combinatorial.tsp.labels import LabelledTour, make_labels
from gnnlib.heads.combinatorial.tsp.priors import RANK_FREQUENCY, edge_scores
from gnnlib.heads.combinatorial.tsp.quality import measure_scores, rank_frequencies
from gnnlib.heads.combinatorial.tsp.train import PRESETS, measure_model

FOLDER = Path(__file__).parent / "tsp_tours"
PLANS = {plan.split: plan for plan in PRESETS["small"].plans}
TOLERANCE = 2e-3


def digest(coords: np.ndarray) -> str:
    return hashlib.sha256(np.round(coords, 9).astype("<f8").tobytes()).hexdigest()[:16]


def store(split: str) -> None:
    """Write the tours of one split."""
    tours = make_labels(PLANS[split], "runs/tsp/labels")
    np.savez_compressed(
        FOLDER / f"{split}.npz",
        order=np.concatenate([tour.order for tour in tours]).astype(np.uint16),
        size=np.array([len(tour.order) for tour in tours], dtype=np.uint16),
        points=np.array([digest(tour.coords) for tour in tours]),
    )


def restore(split: str) -> list[LabelledTour]:
    with np.load(FOLDER / f"{split}.npz", allow_pickle=False) as content:
        orders = np.split(content["order"].astype(np.int64), np.cumsum(content["size"].astype(int))[:-1])
        points = content["points"].tolist()
    drawn = [PLANS[split].draw(number) for number in range(PLANS[split].count)]
    assert [digest(coords) for _, coords, _ in drawn] == points, "the generators give other points than they did"
    return [LabelledTour(name, coords, order) for (name, coords, _), order in zip(drawn, orders, strict=True)]


@pytest.fixture(scope="module")
def tours() -> dict[str, list[LabelledTour]]:
    return {split: restore(split) for split in ("test", "large")}


def of_kind(tours: list[LabelledTour], kind: str) -> list[LabelledTour]:
    return [tour for tour in tours if tour.distribution == kind]


def mutual_rank(tour: LabelledTour, neighbours: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Minus the sum of the ranks of an edge at its two ends, then minus its length: what a hand can do."""
    n, k = neighbours.shape
    rank = np.full((n, n), k, dtype=float)
    np.put_along_axis(rank, neighbours, np.arange(k)[None, :].astype(float), axis=1)
    own = np.take_along_axis(rank, neighbours, axis=1)
    other = np.take_along_axis(rank.T, neighbours, axis=1)
    return -(own + other) - 1e-3 * lengths / lengths.mean()


@pytest.mark.parametrize(("split", "group"), [("test", "test"), ("large", "n=1000")])
def test_the_weights_measure_up_to_their_card(tours, split, group):
    model = load("tsp")
    assert model.card is not None
    for name, value in measure_model(model, tours[split]).items():
        assert value == pytest.approx(model.card.metrics[f"{name} ({group})"], abs=TOLERANCE)


@pytest.mark.parametrize("kind", list(GENERATORS))
def test_every_distribution_measures_up_to_the_card(tours, kind):
    model = load("tsp")
    found = measure_model(model, of_kind(tours["test"], kind))
    for name, value in found.items():
        assert value == pytest.approx(model.card.metrics[f"{name} (test, {kind})"], abs=TOLERANCE)


@pytest.mark.parametrize("kind", list(GENERATORS))
def test_the_network_beats_distances_and_mutual_ranks_on_every_distribution(tours, kind):
    mine = of_kind(tours["test"], kind)
    network = measure_model(load("tsp"), mine)
    by_distance = [lambda t, near, far, p=p: edge_scores(t.problem, near, far, p) for p in ("softdist", "knn")]
    for null in (measure_scores(mine, score) for score in (mutual_rank, *by_distance)):
        assert network["average_precision"] > null["average_precision"] + 0.03
        assert network["recall_at_5"] > null["recall_at_5"]
        assert network["mean_rank"] < null["mean_rank"]


def test_the_stored_rank_frequencies_hold_on_other_instances(tours):
    np.testing.assert_allclose(rank_frequencies(tours["test"]), RANK_FREQUENCY, atol=0.02)


def test_the_weights_are_small_and_the_card_is_complete():
    from gnnlib.encoder.pretrained import WEIGHTS_DIR

    assert (WEIGHTS_DIR / "tsp.safetensors").stat().st_size < 2_000_000
    card = read_card("tsp")
    assert all((card.purpose, card.data, card.machine, card.date, card.commit, card.seconds, card.licence))
    assert card.seed is not None
    assert card.command == (
        f"python -m gnnlib.heads.combinatorial.tsp.train --preset small --seed {card.seed} --out gnnlib/weights/tsp"
    )
    preset = PRESETS["small"]
    assert (card.encoder["width"], card.encoder["depth"]) == (preset.width, preset.depth)


def test_stored_tours_visit_every_city_once(tours):
    for tour in (*tours["test"], *tours["large"]):
        assert sorted(tour.order.tolist()) == list(range(len(tour.coords)))


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for one in ("test", "large"):
        store(one)
