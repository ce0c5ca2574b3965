"""Where to put landmarks: by the network, far from each other, or anywhere.

The network sees of a node its embedding, how far the nearest landmark is, how far the node lies from the probes (a few
nodes drawn at random, from which distances are known), and by how much it would tighten the lower bounds between the
probes if it were a landmark (the criterion of maximum coverage of A. V. Goldberg and R. F. Werneck 2005, estimated).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.paths.bounds import landmark_tables
from gnnlib.seeding import numpy_generator

if TYPE_CHECKING:
    from torch import Tensor

    from gnnlib.encoder import GraphModel
    from gnnlib.heads.combinatorial.games.landmarks import LandmarkGame, LandmarkState
    from gnnlib.heads.combinatorial.paths.head import PathHead
    from gnnlib.heads.combinatorial.weighted_graph import WeightedGraph
    from gnnlib.seeding import Seed
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["PLACEMENTS", "place_landmarks", "state_features"]

PLACEMENTS = ("learned", "farthest", "random")

PROBES = 24
"""Nodes from which distances are known when landmarks are placed."""

CANDIDATES = 1024
"""Nodes that the network chooses among, drawn at random where there are more."""


def place_landmarks(
    graph: WeightedGraph, count: int, *, placement: str = "learned", model: GraphModel | None = None, seed: Seed = 0
) -> IntArray:
    """Choose landmarks.

    Parameters
    ----------
    graph : WeightedGraph
        Weights >= 0.
    count : int >= 1
        Landmarks; all nodes where there are fewer.
    placement : {"learned", "farthest", "random"}, default "learned"
        By the network; each as far as possible from those before; uniformly at random.
    model : GraphModel, optional
        The shipped one by default; for "learned".
    seed : int or None
        Of probes, candidates and the first of the "farthest".

    Returns
    -------
    int64 array
    """
    if placement not in PLACEMENTS:
        raise InputError(f"`placement` must be one of {', '.join(PLACEMENTS)}; found {placement!r}")
    if count < 1:
        raise InputError(f"the number of landmarks must be >= 1, found {count}")
    rng = numpy_generator(seed)
    count = min(count, graph.num_nodes)
    if placement == "random" or count == graph.num_nodes:
        return np.sort(rng.choice(graph.num_nodes, count, replace=False))
    if placement == "farthest":
        return _farthest(graph, count, rng)
    return _learned(graph, count, model, rng)


def _farthest(graph: WeightedGraph, count: int, rng: np.random.Generator) -> IntArray:
    chosen: list[int] = []
    at = int(rng.integers(graph.num_nodes))
    near = np.full(graph.num_nodes, np.inf)
    for step in range(count + 1):
        to, back = landmark_tables(graph, np.array([at]))
        with np.errstate(invalid="ignore"):
            around = 0.5 * (to + back)[:, 0]
        if step == 0:
            at = int(np.where(np.isfinite(around), around, -1.0).argmax())
            continue
        chosen.append(at)
        near = np.minimum(near, around)
        near[at] = -1.0
        # a component without landmark is infinitely far away
        at = int(near.argmax())
    return np.array(chosen, dtype=np.int64)


def _learned(graph: WeightedGraph, count: int, model: GraphModel | None, rng: np.random.Generator) -> IntArray:
    from gnnlib.heads.combinatorial.paths.decode import load_guide, node_states

    guide = load_guide() if model is None else model
    states = node_states(graph, guide)
    probes = rng.choice(graph.num_nodes, min(PROBES, graph.num_nodes), replace=False)
    pool = np.sort(rng.choice(graph.num_nodes, min(max(CANDIDATES, count), graph.num_nodes), replace=False))
    view = _ProbeView(graph, probes, pool)
    chosen: list[int] = []
    head: PathHead = guide.head  # type: ignore[assignment]
    for step in range(count):
        features = torch.from_numpy(view.features(step / count).astype(np.float32))
        with torch.inference_mode():
            logits = head.place_logits(states[pool], features)
        slot = int(logits.masked_fill(torch.from_numpy(view.is_chosen), -torch.inf).argmax())
        chosen.append(int(pool[slot]))
        view.add(slot)
    return np.array(chosen, dtype=np.int64)


class _ProbeView:
    """What is known while landmarks are placed, for candidates and probes only."""

    def __init__(self, graph: WeightedGraph, probes: IntArray, pool: IntArray) -> None:
        self.graph, self.pool = graph, pool
        to, back = landmark_tables(graph, probes)  # to[v, p] = d(v, p)
        between = to[probes]
        self.pairs = np.nonzero(np.isfinite(between) & (between > 0))
        self.truth = between[self.pairs]
        self.bound = np.zeros(len(self.truth))
        self.unit = float(self.truth.mean()) if len(self.truth) else 1.0
        finite = np.isfinite(to) & np.isfinite(back)
        around = np.where(finite, 0.5 * (to + back), 0.0)[pool]
        self.mean = around.sum(axis=1) / np.maximum(finite[pool].sum(axis=1), 1)
        self.to, self.back = (np.where(np.isfinite(table), table, 0.0)[pool] for table in (to, back))
        self.near = np.full(len(pool), np.inf)
        self.is_chosen = np.zeros(len(pool), bool)

    def _gaps(self, rows: IntArray) -> FloatArray:
        """Return the lower bound between each pair of probes that each candidate would give."""
        i, j = self.pairs
        back, to = self.back[rows], self.to[rows]  # d(p, v) is to a landmark v, d(v, p) from it
        return np.maximum(back[:, j] - back[:, i], to[:, i] - to[:, j])

    def features(self, progress: float) -> FloatArray:
        gain = np.zeros(len(self.pool))
        if len(self.truth):
            share = self.bound / self.truth
            for first in range(0, len(self.pool), 256):
                rows = np.arange(first, min(first + 256, len(self.pool)))
                gain[rows] = (np.maximum(self._gaps(rows) / self.truth, share) - share).mean(axis=1)
        gain[self.is_chosen] = 0.0
        return np.stack(
            [
                np.minimum(self.near / self.unit, 3.0),
                gain / max(float(gain.max(initial=0.0)), 1e-9),
                np.minimum(self.mean / self.unit, 3.0),
                np.full(len(self.pool), progress),
            ],
            axis=1,
        )

    def add(self, slot: int) -> None:
        self.is_chosen[slot] = True
        if len(self.truth):
            self.bound = np.maximum(self.bound, self._gaps(np.array([slot]))[0])
        to, back = landmark_tables(self.graph, self.pool[[slot]])
        self.near = np.minimum(self.near, 0.5 * (to + back)[self.pool, 0])


def state_features(game: LandmarkGame, state: LandmarkState, probes: Tensor) -> Tensor:
    """Return the same numbers for a game on undirected graphs whose distances are all known.

    Parameters
    ----------
    game : LandmarkGame
    state : LandmarkState
    probes : Tensor [B, P], int64
        Nodes of each graph.

    Returns
    -------
    Tensor [B, N, 4]
    """
    count = probes.shape[1]
    rows = torch.arange(len(probes), device=probes.device).unsqueeze(1)
    seen = game.distances.gather(2, probes.unsqueeze(1).expand(-1, game.num_actions, -1))  # [B, N, P]
    reached = game.reachable.gather(2, probes.unsqueeze(1).expand(-1, game.num_actions, -1))
    truth, known = seen[rows, probes], game.counted[rows.unsqueeze(2), probes.unsqueeze(2), probes.unsqueeze(1)]
    pairs = known.sum((1, 2)).clamp(min=1).to(truth.dtype)
    unit = ((truth * known).sum((1, 2)) / pairs).clamp(min=1e-30).unsqueeze(1)
    bound = state.bound[rows.unsqueeze(2), probes.unsqueeze(2), probes.unsqueeze(1)].unsqueeze(1)
    gap = (seen.unsqueeze(3) - seen.unsqueeze(2)).abs()
    share = (torch.maximum(gap, bound) - bound) / truth.clamp(min=1e-30).unsqueeze(1)
    gain = (share * known.unsqueeze(1)).sum((2, 3)) / pairs.unsqueeze(1)
    gain = gain.masked_fill(state.chosen, 0.0)
    gain = gain / gain.amax(1, keepdim=True).clamp(min=1e-9)
    mean = (seen * reached).sum(2) / reached.sum(2).clamp(min=1) if count else torch.zeros_like(gain)
    progress = torch.full_like(gain, state.placed / game.count)
    return torch.stack([(state.near / unit).clamp(max=3.0), gain, (mean / unit).clamp(max=3.0), progress], dim=-1)
