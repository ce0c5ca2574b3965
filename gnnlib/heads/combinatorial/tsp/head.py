"""The head of the travelling salesman problem: scores candidate edges by how likely an optimal tour uses them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gnnlib.encoder import Head, Output
from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.tsp.graph import TSP_SPEC
from gnnlib.heads.combinatorial.tsp.metrics import average_precision

if TYPE_CHECKING:
    from gnnlib.encoder import Embedding
    from gnnlib.graphs.schema import GraphLike
    from gnnlib.typing import FloatArray

__all__ = ["EdgeScores", "TourHead", "edge_logits"]

_ROWS = 16_384
"""Edges that are scored together when no gradient is asked for."""


@dataclass
class EdgeScores(Output):
    """What the head says of a graph.

    Attributes
    ----------
    logit : Tensor [E]
        Logarithm of the odds that the edge belongs to an optimal tour; the same for both directions of an edge.
    """

    logit: Tensor


class TourHead(Head):
    """Scores every edge; both directions of an edge get one score.

    A perceptron reads the state of the edge and of its two ends; the two directions are then averaged. (Averaging the
    numbers instead of the states costs one gather of a single channel.)

    Parameters
    ----------
    width : int
        Channels W of the encoder.
    hidden : int, default 32
        Channels of the perceptron.

    Examples
    --------
    >>> from gnnlib.encoder import Encoder, GraphModel
    >>> from gnnlib.heads.combinatorial.tsp.graph import tour_graph
    >>> from gnnlib.heads.combinatorial.tsp.problem import TSP
    >>> model = GraphModel(Encoder([TSP_SPEC], width=16, depth=1), TourHead(16))
    >>> model(tour_graph(TSP.from_coords([[0, 0], [0, 1], [1, 1], [1, 0]]))).logit.shape
    torch.Size([12])
    """

    spec = TSP_SPEC

    def __init__(self, width: int, hidden: int = 32) -> None:
        super().__init__()
        self.edge = nn.Linear(width, hidden)
        self.ends = nn.Linear(width, 2 * hidden, bias=False)
        self.score = nn.Linear(hidden, 1)

    def forward(self, embedding: Embedding, graph: GraphLike) -> EdgeScores:
        """Score the edges of `graph`."""
        sends, receives = self.ends(embedding.node).chunk(2, dim=-1)
        # without gradients in pieces: large temporaries would be paged in and out
        rows = max(1, embedding.edge.shape[0]) if torch.is_grad_enabled() else _ROWS
        logits = [
            self.score(F.silu(self.edge(edge) + sends.index_select(0, ends[0]) + receives.index_select(0, ends[1])))
            for edge, ends in zip(embedding.edge.split(rows), graph.edge_index.split(rows, dim=1), strict=True)
        ]
        return EdgeScores(_tie_directions(torch.cat(logits).squeeze(-1), graph))

    def losses(self, output: Output, graph: GraphLike) -> dict[str, Tensor]:
        """Return "edge" (cross-entropy of every edge) and "rank" (of each tour edge among its city's other edges).

        Parameters
        ----------
        output : EdgeScores
        graph : TourGraph
            With `label`.
        """
        scores, label = _scores_and_labels(output, graph)
        edge = F.binary_cross_entropy_with_logits(scores, label.to(scores.dtype))
        return {"edge": edge, "rank": _rank_loss(scores, label, graph.edge_index[1])}

    def metrics(self, output: Output, graph: GraphLike) -> dict[str, float]:
        """Return "average_precision" over the edges of the graph; tour edges that it lacks do not count."""
        _, label = _scores_and_labels(output, graph)
        return {"average_precision": average_precision(label.cpu().numpy(), edge_logits(output))}


def edge_logits(output: Output) -> FloatArray:
    """Return the logits of a model that must be an edge scorer as a float array [E]."""
    if not isinstance(output, EdgeScores):
        raise InputError(f"the model must score edges, but returned {type(output).__name__} instead of EdgeScores")
    return output.logit.detach().double().cpu().numpy()


def _scores_and_labels(output: Output, graph: GraphLike) -> tuple[Tensor, Tensor]:
    label = getattr(graph, "label", None)
    if not isinstance(output, EdgeScores) or not isinstance(label, Tensor):
        raise InputError("learning a TourHead needs EdgeScores and a graph with the bool tensor `label` [E]")
    return output.logit, label


def _tie_directions(logit: Tensor, graph: GraphLike) -> Tensor:
    """Give all edges between the same two nodes their mean."""
    reverse = getattr(graph, "reverse", None)
    if isinstance(reverse, Tensor):
        back = logit.index_select(0, reverse.clamp(min=0))
        return torch.where(reverse < 0, logit, 0.5 * (logit + back))
    low, high = graph.edge_index.aminmax(dim=0)
    _, pair = torch.unique(low * (1 + high.max() if high.numel() else 1) + high, return_inverse=True)
    count = torch.bincount(pair)
    total = logit.new_zeros(count.shape[0]).index_add(0, pair, logit)
    return (total / count).index_select(0, pair)


def _rank_loss(logit: Tensor, label: Tensor, receiver: Tensor) -> Tensor:
    """Mean over tour edges of ``-log(e^s / (e^s + sum of e^s' over the city's edges off the tour))``."""
    num_nodes = int(receiver.max()) + 1 if receiver.numel() else 0
    largest = logit.new_full((num_nodes,), -torch.inf).scatter_reduce(0, receiver, logit.detach(), "amax")
    weight = torch.exp(logit - largest.index_select(0, receiver))
    others = logit.new_zeros(num_nodes).index_add(0, receiver, weight * ~label)
    chosen = weight[label]
    loss = torch.log((chosen + others.index_select(0, receiver[label])) / chosen.clamp(min=1e-20))
    return loss.sum() / max(1, loss.numel())
