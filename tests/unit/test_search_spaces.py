"""Spaces with conditions."""

from __future__ import annotations

import numpy as np
import pytest

from gnnlib.errors import InputError
from gnnlib.search import Categorical, Float, Int, Space


@pytest.fixture
def nested() -> Space:
    return Space(
        {
            "gamma": Float(1e-4, 10, log=True, when={"kernel": "rbf"}),
            "model": Categorical(("svm", "trees", "none")),
            "kernel": Categorical(("linear", "rbf"), when={"model": "svm"}),
            "depth": Int(1, 20, when={"model": ("trees",)}),
            "scale": Categorical((True, False), when={"model": ("svm", "none")}),
        }
    )


def test_every_draw_has_exactly_the_active_parameters(nested):
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(200):
        point = nested.sample(rng)
        nested.check(point)
        seen.add(frozenset(point))
        unit, active = nested.encode(point)
        assert [name for name, there in zip(nested.names, active, strict=True) if there] == [
            name for name in nested.names if name in point
        ]
        back = nested.decode(unit)
        assert back.keys() == point.keys()
        assert all(back[name] == pytest.approx(point[name]) for name in point)
    assert len(seen) == 4


def test_a_grid_holds_every_combination_once(nested):
    points = list(nested.grid(3))
    # svm: 2 scale x (linear + 3 gammas); trees: 3 depths; none: 2 scale
    assert len(points) == 2 * (1 + 3) + 3 + 2
    assert len({nested.key(point) for point in points}) == len(points)


def test_integers_are_drawn_evenly():
    space = Space({"k": Int(1, 4)})
    counts = np.bincount([space.sample(seed)["k"] for seed in range(4000)], minlength=5)[1:]
    assert counts.min() > 850


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Space({}), "at least one parameter"),
        (lambda: Space({"a": Float(0, 1, when={"b": 1})}), "depends on 'b'"),
        (lambda: Space({"a": Float(0, 1, when={"b": 7}), "b": Int(0, 3)}), "none of its values"),
        (lambda: Space({"a": Int(0, 3, when={"b": 1}), "b": Int(0, 3, when={"a": 1})}), "circle"),
        (lambda: Float(1, 1), "less than"),
        (lambda: Float(0, 1, log=True), "low` > 0"),
        (lambda: Float(0, float("inf")), "finite"),
        (lambda: Int(0.5, 2), "integer"),
        (lambda: Categorical(()), "at least one"),
        (lambda: Categorical(("a", "a")), "twice"),
        (lambda: Space({"a": 3}), "must be a Float, Int or Categorical"),
    ],
)
def test_a_space_that_makes_no_sense_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ({"model": "trees"}, "'depth' is missing"),
        ({"model": "trees", "depth": 3, "kernel": "rbf"}, "does not exist"),
        ({"model": "trees", "depth": 30}, "must be in"),
        ({"model": "trees", "depth": 3, "x": 1}, "not a parameter"),
    ],
)
def test_a_point_outside_the_space_is_refused(nested, point, message):
    with pytest.raises(InputError, match=message):
        nested.encode(point)
