"""Many sampled spanning forests of many graphs at once, with their log-probabilities: what policy gradients need.

The policy picks among all edges that join two trees by the softmax of fixed logits. Noise of Gumbel's distribution added
once to the logits and a sort give the whole order of picks, for what becomes illegal never comes back (the Gumbel-top-k
trick, W. Kool et al. 2019). The same games, move by move, are `SpanningTreeGame` with the rule "forest"; a test holds
the two together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.kernels.union_find import forests_of_scores
from gnnlib.heads.combinatorial.mst.head import EdgePolicy
from gnnlib.training import Rollouts

if TYPE_CHECKING:
    from gnnlib.heads.combinatorial.mst.graph import EdgeGraph

__all__ = ["PaddedEdges", "log_prob_of_forests", "pad_edges", "sample_forests"]


class PaddedEdges(NamedTuple):
    """The edges of a batch, one row a graph.

    Attributes
    ----------
    place : (Tensor [M], Tensor [M])
        Row and column of each edge.
    ends : Tensor [B, A, 2]
        End points, numbered within the graph; 0 and 0 for padding.
    weight : Tensor [B, A]
        0 for padding.
    edges, nodes : Tensor [B]
        How many there are.
    """

    place: tuple[Tensor, Tensor]
    ends: Tensor
    weight: Tensor
    edges: Tensor
    nodes: Tensor

    def rows(self, values: Tensor, fill: float) -> Tensor:
        """Return one value an edge [M] as rows [B, A]."""
        return values.new_full(self.weight.shape, fill).index_put(self.place, values)


def pad_edges(graph: EdgeGraph) -> PaddedEdges:
    """Put the edges of a batch into rows."""
    ends, weight = graph.part("ends"), graph.part("weight")
    nothing = torch.zeros(1, dtype=torch.int64, device=ends.device)
    owner = nothing.expand(ends.shape[1]) if graph.edge_batch is None else graph.edge_batch
    batch = nothing.expand(graph.num_nodes) if graph.batch is None else graph.batch
    nodes = torch.bincount(batch, minlength=1)
    edges = torch.bincount(owner, minlength=len(nodes))
    column = torch.arange(len(owner), device=ends.device) - (edges.cumsum(0) - edges)[owner]
    width = int(edges.max()) if len(edges) else 0
    rows = ends.new_zeros(len(nodes), width, 2)
    rows[owner, column] = (ends - (nodes.cumsum(0) - nodes)[owner]).t()
    weights = weight.new_zeros(len(nodes), width).index_put((owner, column), weight)
    return PaddedEdges((owner, column), rows, weights, edges, nodes)


def log_prob_of_forests(logits: Tensor, chosen: Tensor, decided: Tensor) -> Tensor:
    """Return the log-probability of picking edges in a given order, [B, K], with the gradient of `logits`.

    At each step the softmax runs over the edges not decided before.

    Parameters
    ----------
    logits : Tensor [B, A]
    chosen : Tensor [B, K, T], decided : Tensor [B, K, A]
        As `forests_of_scores` returns them.
    """
    steps = chosen.shape[2]
    wide = logits.unsqueeze(1).expand(-1, chosen.shape[1], -1)
    top = logits.detach().amax(1).clamp(min=-1e6).reshape(-1, 1, 1)
    mass = torch.exp(wide - top) * (decided >= 0)
    ending = mass.new_zeros(*chosen.shape[:2], steps).scatter_add(2, decided.clamp(min=0), mass)
    legal = ending.flip(2).cumsum(2).flip(2).clamp(min=1e-30).log() + top
    picked = wide.gather(2, chosen.clamp(min=0))
    return ((picked - legal) * (chosen >= 0)).sum(2)


def sample_forests(
    model: torch.nn.Module, graph: EdgeGraph, generator: torch.Generator, *, draws: int = 16
) -> Rollouts:
    """Sample spanning forests of every graph of a batch.

    Parameters
    ----------
    model : GraphModel
        With a `SpanningTreeHead`.
    graph : EdgeGraph
    generator : torch.Generator
    draws : int, default 16
        Forests K a graph.

    Returns
    -------
    Rollouts
        The reward of a forest is minus its weight, standardised over the forests of its graph, so that graphs of all
        sizes count alike and the last thousandth still does.
    """
    output = model(graph)
    if not isinstance(output, EdgePolicy):
        raise InputError(f"the model must have a SpanningTreeHead, but returned {type(output).__name__}")
    padded = pad_edges(graph)
    logits = padded.rows(output.logit, -1e9)
    with torch.no_grad():
        shape = (logits.shape[0], draws, logits.shape[1])
        uniform = torch.rand(shape, generator=generator, device=logits.device).clamp(1e-10, 1.0 - 1e-7)
        scores = logits.detach().unsqueeze(1) - torch.log(-torch.log(uniform))
        arrays = forests_of_scores(
            scores.double().cpu().numpy(), *(t.cpu().numpy() for t in (padded.ends, padded.edges, padded.nodes))
        )
        chosen, decided = (torch.from_numpy(array).to(logits.device) for array in arrays)
        weights = padded.weight.unsqueeze(1).expand(shape).gather(2, chosen.clamp(min=0)) * (chosen >= 0)
        total = weights.sum(2)
        spread = total.std(1, keepdim=True) if draws > 1 else torch.ones_like(total)
        reward = -(total - total.mean(1, keepdim=True)) / spread.clamp(min=1e-6)
    log_prob = log_prob_of_forests(logits, chosen, decided)
    moves = (chosen >= 0).sum(2).clamp(min=1)
    return Rollouts(log_prob / 10.0, reward, -log_prob.detach() / moves)
