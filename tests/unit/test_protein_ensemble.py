"""Several folds of few distances: what they agree on, and what `predict_distances` makes of it."""

from __future__ import annotations

import numpy as np
import pytest

from gnnlib.encoder import list_weights
from gnnlib.heads.protein.folding.fold_ensemble import contact_share, ensemble_distances, fold_ensemble
from gnnlib.heads.protein.geometry import virtual_cb_of_trace
from gnnlib.heads.protein.metrics import contact_precision, tm_score
from gnnlib.heads.protein.samples import load_sample
from gnnlib.heads.protein.sequence_models import predict_distances
from gnnlib.heads.protein.training.pair_data import choose_given

needs_weights = pytest.mark.skipif("protein-sequence" not in list_weights(), reason="weights are not in this checkout")


def _apart(points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points[:, None] - points, axis=-1)


def _given(count: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    ca = load_sample("bundle").ca[:count]
    return ca, np.where(choose_given(count, share, np.random.default_rng(0)), _apart(ca), 0.0)


def test_folds_keep_what_is_known_and_the_best_comes_first():
    ca, given = _given(46, 0.1)
    local = np.full_like(given, 2.0)
    traces = fold_ensemble(given, _apart(ca), local, seed=1)
    assert traces.shape == (8, 46, 3)
    known = given > 0
    stress = [float(np.square((_apart(one) - given)[known]).mean()) for one in traces]
    assert stress == sorted(stress)
    assert stress[0] < 0.1
    assert (fold_ensemble(given, _apart(ca), local, seed=1) == traces).all()


def test_predictions_along_the_chain_help_and_those_of_far_pairs_are_not_read():
    ca, given = _given(46, 0.03)
    place = np.arange(46)
    separation = np.abs(place[:, None] - place)
    blind = fold_ensemble(given, _apart(ca), np.full_like(given, 1e3))
    told = fold_ensemble(given, _apart(ca), np.full_like(given, 0.5))
    wrong_far = np.where(separation > 8, 5.0, _apart(ca))
    assert (fold_ensemble(given, wrong_far, np.full_like(given, 0.5)) == told).all()
    errors = [np.abs(ensemble_distances(traces)[0] - _apart(ca)).mean() for traces in (told, blind)]
    assert errors[0] < 0.8 * errors[1]


def test_a_long_step_breaks_the_chain():
    ca, given = _given(30, 0.5)
    moved = ca + np.where(np.arange(30)[:, None] < 15, 0.0, np.array([20.0, 0.0, 0.0]))
    given = np.where(given > 0, _apart(moved), 0.0)
    given[14, 15] = given[15, 14] = _apart(moved)[14, 15]
    traces = fold_ensemble(given, _apart(moved), np.ones_like(given))
    assert len(traces) == 3  # with many known distances fewer folds do
    assert _apart(traces[0])[14, 15] > 18.0  # a bond would pull it to 3.8


def test_the_error_grows_where_folds_differ():
    one = np.outer(np.arange(4.0), [3.8, 0.0, 0.0])
    other = one.copy()
    other[3, 0] += 4.0
    mean, error = ensemble_distances(np.stack([one, other]))
    assert mean[0, 3] == pytest.approx(11.4 + 2.0)
    assert error[0, 3] == pytest.approx(np.hypot(1.25 * 2.0, 0.3))
    assert error[0, 2] == pytest.approx(0.3)


def test_the_share_of_contacts_reads_side_chains_and_averages_folds():
    ca = load_sample("bundle").ca
    cb = virtual_cb_of_trace(ca)
    share = contact_share(ca[None], 8.0)
    assert ((share > 0.5) == (_apart(cb) < 8.0)).all()
    assert not ((share > 0.5) == (_apart(ca) < 8.0)).all()
    far = ca * 10.0
    assert contact_share(np.stack([ca, far]), 8.0) == pytest.approx(0.5 * (share + contact_share(far[None], 8.0)))


@needs_weights
def test_five_per_cent_of_the_distances_give_the_contacts_and_the_fold_of_a_bundle():
    chain = load_sample("bundle")
    truth = _apart(chain.ca)
    known = choose_given(len(chain), 0.05, np.random.default_rng(0))
    found = predict_distances(chain, distances=np.where(known, truth, np.nan))
    contacts = np.where(known, np.nan, _apart(virtual_cb_of_trace(chain.ca)))
    assert contact_precision(found.contact_probability, contacts, min_separation=12) > 0.9
    assert tm_score(found.coords, chain.ca) > 0.9
    assert (found.distances == found.distances.T).all()
    assert (found.distances[known] == truth[known]).all()
    off = np.abs(found.distances - truth)[~known]
    assert off.mean() < 0.5
    assert np.corrcoef(found.spread[~known], off)[0, 1] > 0.2
    assert (found.contact_probability[known] == (truth[known] < 8.0)).all()
