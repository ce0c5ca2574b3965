"""Let the network learn one graph: what lies between the bounds, from a few sources whose distances are known anyway.

Distances from the probes are computed when a graph is prepared. Seen without a probe's own table, the bounds of its
distances are as loose as those of any other node's, so they are labelled examples of this very graph. A copy of the last
layers is trained on them for a moment.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from gnnlib.heads.combinatorial.paths.bounds import bound_features, single_source_bounds

if TYPE_CHECKING:
    from torch import Tensor

    from gnnlib.heads.combinatorial.paths.head import PathHead
    from gnnlib.heads.combinatorial.weighted_graph import WeightedGraph
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["ROUNDS", "KnownNodes", "adapted_head"]

ROUNDS = 12
"""Layers of message passing that tighten the upper bounds."""

_TARGETS = 400
_STEPS = 300
_BATCH = 512


class KnownNodes(NamedTuple):
    """Nodes with their distances to and from all nodes: int64 array [K], two float arrays [N, K]."""

    nodes: IntArray
    to: FloatArray
    back: FloatArray


def adapted_head(
    head: PathHead, graph: WeightedGraph, states: Tensor, known: KnownNodes, probes: int, unit: float, *, seed: int
) -> PathHead:
    """Return a copy of the head whose distances were trained on the graph.

    Parameters
    ----------
    head : PathHead
        Left as it is.
    graph : WeightedGraph
    states : Tensor [N, H]
        What the head knows of each node.
    known : KnownNodes
        The last `probes` of them are the sources to learn from.
    probes : int
    unit : float
        Mean weight of an edge.
    seed : int
        Of targets and batches.
    """
    rng = np.random.default_rng(seed)
    parts: list[list[np.ndarray]] = [[] for _ in range(6)]
    for column in range(len(known.nodes) - probes, len(known.nodes)):
        source = int(known.nodes[column])
        others = np.delete(np.arange(len(known.nodes)), column)
        each, low, high = single_source_bounds(graph, source, (known.to[:, others], known.back[:, others]), ROUNDS)
        truth = known.back[:, column]
        usable = np.flatnonzero(np.isfinite(high) & (low < high) & np.isfinite(each).all(axis=1) & (truth > 0))
        chosen = rng.permutation(usable)[:_TARGETS]
        scale = low[chosen] + unit
        rows = (
            np.full(len(chosen), source),
            chosen,
            bound_features(each[chosen], low[chosen], high[chosen], unit),
            (low[chosen] / scale).astype(np.float32),
            (high[chosen] / scale).astype(np.float32),
            (truth[chosen] / scale).astype(np.float32),
        )
        for part, row in zip(parts, rows, strict=True):
            part.append(row)
    learner = copy.deepcopy(head)
    if sum(map(len, parts[0])) < _BATCH:
        return learner.eval()  # too little to learn from
    source_rows, target_rows, features, low_rows, high_rows, truth_rows = (
        torch.from_numpy(np.concatenate(part)) for part in parts
    )
    states = states.clone()  # a tensor made for inference cannot take part in training
    optimiser = torch.optim.AdamW(learner.gap.parameters(), lr=3e-3, weight_decay=1e-3)
    for step in range(_STEPS):
        for group in optimiser.param_groups:
            group["lr"] = 3e-3 * (1.0 - step / _STEPS)
        pick = torch.from_numpy(rng.integers(0, len(truth_rows), _BATCH))
        predicted = learner.between(
            states[source_rows[pick]], states[target_rows[pick]], features[pick], low_rows[pick], high_rows[pick]
        )
        loss = ((predicted - truth_rows[pick]).abs() / truth_rows[pick]).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return learner.eval()
