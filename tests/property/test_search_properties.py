"""Spaces, schedules and selections hold what they promise for any input."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnlib.heads.automl.ensembles import average_predictions, select_members, squared_error
from gnnlib.heads.automl.portfolio import greedy_portfolio
from gnnlib.search import Categorical, Float, Int, Space, hyperband_brackets
from gnnlib.search.bayesopt import Embedding
from gnnlib.search.gp import matern52

ranges = st.tuples(st.integers(1, 50), st.integers(1, 1000), st.booleans())


@st.composite
def spaces(draw):
    parameters = {"root": Categorical(tuple(range(draw(st.integers(1, 4)))))}
    for number in range(draw(st.integers(0, 4))):
        low, more, log = draw(ranges)
        when = draw(st.sampled_from([None, {"root": 0}]))
        kind = draw(st.sampled_from([Float, Int]))
        parameters[f"p{number}"] = kind(low, low + more, log=log, when=when)
    return Space(parameters)


@settings(max_examples=60, deadline=None)
@given(spaces(), st.integers(0, 2**32 - 1))
def test_points_survive_their_encoding(space, seed):
    point = space.sample(seed)
    unit, active = space.encode(point)
    assert ((unit >= 0) & (unit <= 1)).all()
    assert active.sum() == len(point)
    again = space.decode(unit)
    assert again.keys() == point.keys()
    for name, value in point.items():
        assert np.isclose(again[name], value, rtol=1e-9)


@settings(max_examples=30, deadline=None)
@given(spaces(), st.integers(0, 1000))
def test_every_kernel_matrix_is_positive_semidefinite(space, seed):
    rng = np.random.default_rng(seed)
    coded = [space.encode(space.sample(rng)) for _ in range(15)]
    x = Embedding(space)(np.stack([c[0] for c in coded]), np.stack([c[1] for c in coded]))
    gram = matern52(((x[:, None] - x[None]) ** 2).sum(axis=2))
    assert np.linalg.eigvalsh(gram).min() > -1e-9


@settings(max_examples=60, deadline=None)
@given(st.floats(0.001, 1.0), st.integers(2, 6))
def test_brackets_end_at_the_full_budget_and_never_grow(min_fidelity, eta):
    for bracket in hyperband_brackets(min_fidelity, eta):
        assert bracket[-1].fidelity == 1.0
        assert bracket[0].fidelity >= min_fidelity * (1 - 1e-9)
        counts = [rung.count for rung in bracket]
        assert counts == sorted(counts, reverse=True)
        assert counts[-1] >= 1


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(2, 30))
def test_a_selected_ensemble_is_no_worse_than_any_member(seed, members, rows):
    rng = np.random.default_rng(seed)
    y = rng.standard_normal(rows)
    predictions = list(y + rng.standard_normal((members, rows)))
    weights = select_members(predictions, y, loss=squared_error, rounds=15)
    best = min(squared_error(y, p) for p in predictions)
    assert squared_error(y, average_predictions(predictions, weights=weights)) <= best + 1e-12


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_a_longer_portfolio_begins_with_the_shorter(seed):
    table = np.random.default_rng(seed).random((10, 6))
    whole = greedy_portfolio(table, size=6)
    assert sorted(whole) == list(range(6))
    assert greedy_portfolio(table, size=3) == whole[:3]
