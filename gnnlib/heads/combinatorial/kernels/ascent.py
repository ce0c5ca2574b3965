"""The ascent of the 1-tree bound: sub-gradient steps on a sparse graph, proofs on the complete one.

`one_tree` explains the method.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numba as nb
import numpy as np

from gnnlib.heads.combinatorial.kernels.complete_tree import CompleteGraph, lightest_at
from gnnlib.heads.combinatorial.kernels.distance import DistanceData, distance
from gnnlib.heads.combinatorial.kernels.linkage import Linkage, linkage_tour_length, make_linkage, precondition
from gnnlib.heads.combinatorial.kernels.penalised_tree import (
    Int32Array,
    SparseGraph,
    TreeWork,
    make_work,
    minimum_one_tree,
)

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["Ascent", "Proof", "edge_lengths", "safe_value"]

_NEAREST = 6
"""Neighbours a city in the sparse graph; what it lacks is found by the looks at the complete graph."""

_SMOOTHING = 0.4
"""Weight of the previous direction in the next one."""


@nb.njit(cache=True)
def _ascend(
    graph: SparseGraph,
    linkage: Linkage,
    work: TreeWork,
    penalties: FloatArray,
    direction: FloatArray,
    best_penalties: FloatArray,
    limits: tuple[float, float, float],
    schedule: tuple[float, float, int],
) -> tuple[float, int, bool]:
    """Do some iterations; return the best value on the sparse graph, how many were done, whether to look closer.

    `limits` are the best value so far, the target and the length of a tour; `schedule` the part of the way done, the
    part an iteration takes and the number of iterations.
    """
    n = len(penalties)
    best, target, ceiling = limits
    part, pace, count = schedule
    moved = np.empty(len(linkage.parent))
    for iteration in range(count):
        value = minimum_one_tree(graph, penalties, work)
        if value > best:
            best = value
            best_penalties[:] = penalties
        square = precondition(linkage, work.excess, moved)
        if value > ceiling or square <= 0.0:  # edges are missing, or the 1-tree is a tour
            return best, iteration + 1, True
        left = max(0.0, 1.0 - part - iteration * pace)
        step = 0.5 * left**1.5 * max(target - value, 0.0) / square
        for i in range(n):
            direction[i] = _SMOOTHING * direction[i] + (1.0 - _SMOOTHING) * moved[i]
            penalties[i] += step * direction[i]
    return best, count, False


@nb.njit(cache=True)
def _row_lengths(data: DistanceData, neighbours: Int32Array) -> FloatArray:
    out = np.empty(neighbours.shape)
    for i in range(neighbours.shape[0]):
        for c in range(neighbours.shape[1]):
            out[i, c] = distance(data, i, neighbours[i, c])
    return out


@nb.njit(cache=True)
def edge_lengths(data: DistanceData, tails: Int32Array, heads: Int32Array) -> FloatArray:
    """Distances between the ends of edges, float [M]."""
    out = np.empty(len(tails))
    for e in range(len(tails)):
        out[e] = distance(data, tails[e], heads[e])
    return out


def safe_value(value: float, terms: int, scale: float, *, integral: bool) -> float:
    """Take off what rounding may have added: each of the terms is off by a few units in the last place at most."""
    safe = value - 8.0 * np.finfo(np.float64).eps * terms * scale
    return float(math.ceil(safe)) if integral else float(safe)


@dataclass(frozen=True, eq=False)
class Proof:
    """A minimum 1-tree of the complete graph, in the numbering of `CompleteGraph`."""

    value: float
    scale: float
    penalties: FloatArray
    tails: Int32Array
    heads: Int32Array
    leaf: int
    partner: int
    second: float
    is_tour: bool


def _distinct(codes: IntArray) -> IntArray:
    """Sort and drop repetitions (`numpy.unique` hashes, which takes ten times as long)."""
    codes = np.sort(codes)
    return codes[np.append(True, codes[1:] != codes[:-1])]


class Ascent:
    """The sparse graph, the penalties and the best proof so far."""

    def __init__(
        self,
        data: DistanceData,
        near: Int32Array,
        radius: FloatArray,
        tour: Int32Array | IntArray | None,
        upper_bound: float,
        deadline: float,
        *,
        integral: bool,
    ) -> None:
        self.deadline, self.integral = deadline, integral
        self.complete = CompleteGraph(data)
        self.data, self.n = self.complete.data, self.complete.size
        order = self.complete.order
        rank = np.empty(self.n, np.int32)
        rank[order] = np.arange(self.n, dtype=np.int32)
        near = rank[near[order]]
        self.radius = radius[order]
        far = self.complete.far_sides(near)
        if data.kind != 0 and near.shape[1] > _NEAREST:
            lengths = _row_lengths(self.data, near)
            self.radius = np.minimum(self.radius, lengths[:, _NEAREST:].min(axis=1))
            near = near[:, :_NEAREST]
        tails = np.concatenate([np.repeat(np.arange(self.n, dtype=np.int32), near.shape[1]), far[0]])
        heads = np.concatenate([near.ravel(), far[1]])
        self.ceiling = upper_bound
        if tour is not None:
            route = rank[tour]
            onward = np.roll(route, -1)
            self.ceiling = min(upper_bound, math.fsum(edge_lengths(self.data, route, onward).tolist()))
            tails, heads = np.concatenate([tails, route]), np.concatenate([heads, onward])
        self.codes = _distinct(self._codes(tails, heads))
        tails, heads = (self.codes // self.n).astype(np.int32), (self.codes % self.n).astype(np.int32)
        self.graph = SparseGraph(tails, heads, edge_lengths(self.data, tails, heads))
        self.work = make_work(self.n, len(tails))
        self.proof: Proof | None = None
        self.iterations = 0
        self.per_proof = 0.0
        self.per_iteration = 0.0

    def _codes(self, tails: Int32Array, heads: Int32Array) -> IntArray:
        return np.minimum(tails, heads).astype(np.int64) * self.n + np.maximum(tails, heads)

    def run(self, max_iterations: int) -> None:
        """Ascend until the iterations or the time are used up, or a tour is proved optimal."""
        penalties = np.zeros(self.n)
        self._prove(penalties)
        if self.proof is None:
            return
        linkage, target, lead = self._scales(self.proof)
        best_penalties, direction = penalties.copy(), np.zeros(self.n)
        begin, best, gap = time.perf_counter(), -math.inf, 0.03
        part, check = 0.0, gap
        while part < 1.0 and not self.is_closed():
            usable = max(self.deadline - begin - 1.3 * self.per_proof, 1e-9)
            pace = max(1.0 / max_iterations, self.per_iteration / usable)
            count = max(1, math.ceil((min(check, 1.0) - part) / pace - 1e-9))
            if math.isfinite(usable):
                count = max(1, min(count, int(0.05 / self.per_iteration)))
            before = time.perf_counter()
            limits, schedule = (best, target, self.ceiling), (part, pace, count)
            best, done, look = _ascend(
                self.graph, linkage, self.work, penalties, direction, best_penalties, limits, schedule
            )
            now = time.perf_counter()
            self.per_iteration = (now - before) / done
            self.iterations += done
            part = max(self.iterations / max_iterations, (now - begin) / usable)
            if not (look or part >= min(check, 1.0)):
                continue
            loss = self._prove(best_penalties, best)
            if loss is None:
                return
            target = max(target, self.proof.value + lead)
            if loss <= 0.02 * (target - self.proof.value):
                gap *= 2.0
            elif look or loss > 0.1 * (target - self.proof.value):
                penalties[:] = self.proof.penalties
                direction[:] = 0.0
            best = -math.inf
            check = part + max(gap, 2.0 * self.per_proof / usable)

    def _scales(self, proof: Proof) -> tuple[Linkage, float, float]:
        """Return the linkage from the first proof, whose penalties are 0, the target of the steps and its least lead."""
        lengths = edge_lengths(self.data, proof.tails, proof.heads)
        by_length = np.argsort(lengths, kind="stable")
        tails, heads = proof.tails[by_length], proof.heads[by_length]
        # half the distance to the second neighbour, and a little everywhere for cities that coincide
        minimum_one_tree(self.graph, proof.penalties, self.work)
        least = np.maximum(self.work.second, 0.0)
        least[~np.isfinite(least)] = 0.0
        least = np.maximum(0.5 * least, 0.1 * float(least.mean()))
        if math.isfinite(self.ceiling):
            target, lead = self.ceiling + 0.3 * max(self.ceiling - proof.value, 0.0), 0.0
        else:  # the linkage's tour is worse than those that the target is meant for, so the target goes before the bound
            self.ceiling = float(linkage_tour_length(self.data, tails, heads))
            lead = 0.15 * float(np.maximum(lengths, 0.0).sum())
            target = min(self.ceiling, proof.value + 2.0 * lead)
        return make_linkage(tails, heads, lengths[by_length], least), target, lead

    def is_closed(self) -> bool:
        """Whether the bound has met a tour."""
        proof = self.proof
        return proof is not None and (
            proof.is_tour or safe_value(proof.value, self.n, proof.scale, integral=self.integral) >= self.ceiling
        )

    def _prove(self, penalties: FloatArray, claimed: float = math.inf) -> float | None:
        """Compute the 1-tree of the complete graph; return by how much the sparse graph claimed too much.

        Returns None when the time ran out.
        """
        begin = time.perf_counter()
        minimum_one_tree(self.graph, penalties, self.work)
        self.per_iteration = self.per_iteration or time.perf_counter() - begin
        chosen = self.work.tree[: self.work.size[0]]
        tails, heads = self.graph.tails[chosen], self.graph.heads[chosen]
        tree = self.complete.spanning_tree(penalties, tails, heads, self.radius, self.deadline)
        if tree is None:
            return None
        tails, heads = tree
        degrees = np.bincount(tails, minlength=self.n) + np.bincount(heads, minlength=self.n)
        leaf, partner, second = self._best_leaf(penalties, tails, heads, degrees)
        degrees[leaf] += 1
        degrees[partner] += 1
        extra = float(edge_lengths(self.data, np.array([leaf], np.int32), np.array([partner], np.int32))[0])
        lengths = edge_lengths(self.data, tails, heads)
        value = math.fsum([*lengths.tolist(), extra, *(penalties * (degrees - 2)).tolist()])
        scale = max(float(np.abs(lengths).max()), abs(extra)) + 2.0 * float(np.abs(penalties).max())
        if self.proof is None or value > self.proof.value:
            is_tour = bool((degrees == 2).all())
            self.proof = Proof(value, scale, penalties.copy(), tails, heads, leaf, partner, second, is_tour)
        self._learn(np.append(tails, np.int32(leaf)), np.append(heads, np.int32(partner)))
        self.per_proof = max(self.per_proof, time.perf_counter() - begin)
        return claimed - value

    def _best_leaf(
        self, penalties: FloatArray, tails: Int32Array, heads: Int32Array, degrees: IntArray
    ) -> tuple[int, int, float]:
        """Among the leaves that look best on the sparse graph, the one with the heaviest second edge; exact."""
        beside = np.empty(self.n, np.int64)
        beside[tails] = heads
        from_head = degrees[heads] == 1
        beside[heads[from_head]] = tails[from_head]
        leaves = np.flatnonzero(degrees == 1)
        tried = min(8, len(leaves))
        promising = leaves[np.argpartition(-self.work.second[leaves], tried - 1)[:tried]]
        best = -1, -1, -math.inf
        for leaf in promising.tolist():
            partner, second = lightest_at(self.data, penalties, leaf, int(beside[leaf]))
            if second > best[2]:
                best = leaf, int(partner), float(second)
        return best

    def _learn(self, tails: Int32Array, heads: Int32Array) -> None:
        """Let the sparse graph have the edges that it lacks."""
        offered = self._codes(tails, heads)
        place = np.searchsorted(self.codes, offered)
        missing = self.codes[np.minimum(place, len(self.codes) - 1)] != offered
        if not missing.any():
            return
        codes = np.sort(offered[missing])
        place = np.searchsorted(self.codes, codes)
        self.codes = np.insert(self.codes, place, codes)
        tails, heads = (codes // self.n).astype(np.int32), (codes % self.n).astype(np.int32)
        new = tails, heads, edge_lengths(self.data, tails, heads)
        grown = [np.insert(np.asarray(old), place, more) for old, more in zip(self.graph, new, strict=True)]
        self.graph = SparseGraph(*grown)
        self.work = make_work(self.n, len(self.codes))
