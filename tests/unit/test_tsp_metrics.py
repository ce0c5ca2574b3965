"""TSP metrics against hand-computed cases and slow, plain re-implementations."""

import itertools
import math

import numpy as np
import pytest

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.tsp.metrics import (
    average_precision,
    edge_precision,
    edge_recall,
    edge_recall_at_k,
    gap,
    tour_edge_labels,
    tour_edges,
)


def test_the_gap_is_the_mean_excess():
    assert gap(102, 100) == pytest.approx(0.02)
    assert gap(99, 100) == pytest.approx(-0.01)
    assert gap([110, 303], [100, 300]) == pytest.approx((0.1 + 0.01) / 2)


@pytest.mark.parametrize(("length", "reference"), [([1, 2], [1]), ([], []), (1, 0), (1, -1), (1, math.nan)])
def test_a_gap_needs_matching_positive_references(length, reference):
    with pytest.raises(InputError, match="`reference`"):
        gap(length, reference)


def test_the_edges_of_a_tour_close_it():
    assert tour_edges([2, 0, 1]).tolist() == [[0, 1], [0, 2], [1, 2]]
    assert tour_edges([2, 0, 1], directed=True).tolist() == [[2, 0], [0, 1], [1, 2]]


def test_tours_of_one_and_two_cities_have_few_edges():
    assert tour_edges([0]).shape == (0, 2)
    assert tour_edges([1, 0]).tolist() == [[0, 1]]
    assert tour_edges([1, 0], directed=True).tolist() == [[1, 0], [0, 1]]


def test_labels_agree_with_the_set_of_edges():
    order = np.random.default_rng(0).permutation(9)
    edges = np.array(list(itertools.product(range(9), repeat=2))).T
    wanted = {frozenset(edge) for edge in tour_edges(order).tolist()}
    assert tour_edge_labels(order, edges).tolist() == [
        frozenset(e) in wanted and e[0] != e[1] for e in edges.T.tolist()
    ]


def test_labels_of_two_cities():
    assert tour_edge_labels([0, 1], [[0, 1, 0], [1, 0, 0]]).tolist() == [True, True, False]


def test_the_recall_counts_each_tour_edge_once():
    assert edge_recall([0, 1, 2], [[0, 1, 0], [1, 0, 1]]) == pytest.approx(1 / 3)
    assert edge_recall([0, 1, 2], np.zeros((2, 0), dtype=int)) == 0.0
    assert edge_recall([0, 1, 2, 3], tour_edges([0, 1, 2, 3]).T) == 1.0


def _slow_recall_at_k(order, edges, scores, k, symmetric):
    n = len(order)
    kept = set()
    for city in range(n):
        candidates = [e for e in range(edges.shape[1]) if edges[0, e] == city]
        candidates.sort(key=lambda e: (-scores[e], e))
        kept |= {(city, int(edges[1, e])) for e in candidates[:k]}
    pairs = [(int(a), int(b)) for a, b in zip(order, np.roll(order, -1), strict=True)]
    if symmetric:
        return sum((a, b) in kept or (b, a) in kept for a, b in pairs) / n
    return sum(((a, b) in kept) + ((b, a) in kept) for a, b in pairs) / (2 * n)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("k", [1, 2, 3, 20])
def test_the_recall_at_k_agrees_with_a_slow_count(k, symmetric):
    generator = np.random.default_rng(k)
    for _ in range(20):
        n = int(generator.integers(3, 10))
        order = generator.permutation(n)
        edges = generator.integers(0, n, (2, int(generator.integers(0, 40))))
        edges = np.unique(edges, axis=1)
        scores = generator.integers(0, 4, edges.shape[1]) / 4  # many ties
        shuffle = generator.permutation(edges.shape[1])
        edges, scores = edges[:, shuffle], scores[shuffle]
        expected = _slow_recall_at_k(order, edges, scores, k, symmetric)
        assert edge_recall_at_k(order, edges, scores, k, symmetric=symmetric) == pytest.approx(expected)


def test_the_precision_counts_edges_from_the_threshold_up():
    edges = [[0, 1, 0, 2], [1, 2, 2, 3]]
    assert edge_precision([0, 1, 2, 3], edges, [0.9, 0.5, 0.6, 0.4]) == pytest.approx(2 / 3)
    assert edge_precision([0, 1, 2, 3], edges, [0.9, 0.5, 0.6, 0.4], threshold=0.85) == 1.0
    assert math.isnan(edge_precision([0, 1, 2, 3], edges, [0.1, 0.1, 0.1, 0.1]))


@pytest.mark.parametrize(
    ("labels", "scores", "expected"),
    [
        ([1, 1, 0, 0], [4, 3, 2, 1], 1.0),
        ([0, 0, 1, 1], [4, 3, 2, 1], (1 / 3 + 2 / 4) / 2),
        ([1, 0, 1, 0], [4, 3, 2, 1], (1 + 2 / 3) / 2),
        ([1, 0, 1, 0], [1, 1, 1, 1], 0.5),  # one threshold: the precision is the share of positives
        ([0, 1, 1, 0], [2, 2, 1, 1], (1 / 2 + 2 / 4) / 2),
        ([1], [0.3], 1.0),
    ],
)
def test_average_precision_of_hand_cases(labels, scores, expected):
    assert average_precision(np.array(labels, dtype=bool), scores) == pytest.approx(expected)


def _slow_average_precision(labels, scores):
    total, recall_before = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        chosen = [label for label, score in zip(labels, scores, strict=True) if score >= threshold]
        recall = sum(chosen) / sum(labels)
        total += (recall - recall_before) * sum(chosen) / len(chosen)
        recall_before = recall
    return total


def test_average_precision_agrees_with_a_slow_sum():
    generator = np.random.default_rng(1)
    for _ in range(50):
        labels = generator.random(30) < 0.3
        labels[0] = True
        scores = generator.integers(0, 12, 30)
        expected = _slow_average_precision(labels.tolist(), scores.tolist())
        assert average_precision(labels, scores) == pytest.approx(expected)


def test_missed_positives_lower_the_average_precision():
    assert average_precision(np.array([True, False]), [2.0, 1.0], num_missed=3) == pytest.approx(0.25)
    assert average_precision(np.zeros(0, dtype=bool), [], num_missed=3) == 0.0


def test_average_precision_of_no_positive_is_refused():
    with pytest.raises(InputError, match="needs a positive label"):
        average_precision(np.zeros(3, dtype=bool), [1, 2, 3])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tour_edges([0, 0]), "twice"),
        (lambda: tour_edge_labels([0, 1], [[0, 2], [1, 0]]), r"cities 0 .. 1, found 2 at \[0, 1\]"),
        (lambda: tour_edge_labels([0, 1], [[0, -1], [1, 0]]), r"found -1"),
        (lambda: tour_edge_labels([0, 1], [0, 1]), r"int array \[2, E\]"),
        (lambda: tour_edge_labels([0, 1], [[0.0], [1.0]]), r"found float64"),
        (lambda: edge_recall([0], np.zeros((2, 0), dtype=int)), "one city"),
        (lambda: edge_recall_at_k([0, 1], [[0], [1]], [1.0], 0), r"`k` must be an integer >= 1, found 0"),
        (lambda: edge_recall_at_k([0, 1], [[0], [1]], [1.0, 2.0], 1), r"one number an edge, \[1\], found shape \[2\]"),
        (lambda: edge_precision([0, 1], [[0], [1]], [math.nan]), "found NaN at index 0"),
        (lambda: average_precision([1, 0], [1.0, 2.0]), "bool array"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
