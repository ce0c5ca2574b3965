"""The network behind learned distances and landmarks: where in its bounds a distance lies, which node to mark next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from gnnlib.encoder import Head, Output
from gnnlib.errors import InputError
from gnnlib.graphs.schema import GraphSpec
from gnnlib.heads.combinatorial.mst.graph import EdgeGraph

if TYPE_CHECKING:
    from gnnlib.encoder import Embedding
    from gnnlib.graphs.schema import GraphLike

__all__ = ["BOUND_FEATURES", "PATH_SPEC", "PathGraph", "PathHead", "PathOutput"]

PATH_SPEC = GraphSpec("paths", node_dim=2, edge_dim=5)
"""The features of `gnnlib.heads.combinatorial.mst.graph.edge_graph`, of the graph without directions."""

BOUND_FEATURES = 7
"""Numbers that describe the bounds of one distance, see `gnnlib.heads.combinatorial.paths.bounds.bound_features`."""

PLACE_FEATURES = 4
"""Numbers that describe a node as a candidate for a landmark, see `gnnlib.heads.combinatorial.paths.placing`."""


@dataclass
class PathGraph(EdgeGraph):
    """A graph or several with distances to be predicted.

    Parameters
    ----------
    pairs : Tensor [2, Q], int64
        Source and target of each.
    bounds : Tensor [Q, BOUND_FEATURES]
    low, high, truth : Tensor [Q]
        Lower and upper bound and the distance, all in units of the lower bound plus a mean edge.
    distances : Tensor [B, N, N], optional
        All distances of each graph, for the game of landmarks; infinity in padding.
    """

    pairs: Tensor | None = None
    bounds: Tensor | None = None
    low: Tensor | None = None
    high: Tensor | None = None
    truth: Tensor | None = None
    distances: Tensor | None = None

    def to(self, device: str | torch.device | None = None, dtype: torch.dtype | None = None) -> PathGraph:
        """Move all tensors to `device`; cast the floating ones to `dtype`."""
        moved = super().to(device, dtype)
        for name in ("pairs", "bounds", "low", "high", "truth", "distances"):
            tensor = getattr(self, name)
            if tensor is not None:
                setattr(moved, name, tensor.to(device, dtype if tensor.is_floating_point() else None))
        return moved


@dataclass
class PathOutput(Output):
    """What the head says of a graph.

    Attributes
    ----------
    node : Tensor [N, H]
        What later questions about a node start from.
    distance : Tensor [Q]
        Predicted distances of the graph's pairs, in the units of its bounds; empty when it names none.
    """

    node: Tensor
    distance: Tensor


class PathHead(Head):
    """Predicts distances between their bounds, and scores nodes as landmarks.

    Parameters
    ----------
    width : int
        Channels W of the encoder.
    hidden : int, default 16
        Channels H.
    """

    spec = PATH_SPEC

    def __init__(self, width: int, hidden: int = 16) -> None:
        super().__init__()
        self.node = nn.Linear(width, hidden)
        self.gap = nn.Sequential(
            nn.Linear(2 * hidden + BOUND_FEATURES, 2 * hidden), nn.SiLU(), nn.Linear(2 * hidden, hidden), nn.SiLU(),
            nn.Linear(hidden, 1),
        )  # fmt: skip
        self.place = nn.Sequential(nn.Linear(hidden + PLACE_FEATURES, hidden), nn.SiLU(), nn.Linear(hidden, 1))

    def forward(self, embedding: Embedding, graph: GraphLike) -> PathOutput:
        """Read the nodes, and the distances that `graph` asks for."""
        node = self.node(embedding.node)
        pairs = getattr(graph, "pairs", None)
        if not isinstance(graph, PathGraph) or pairs is None:
            return PathOutput(node, node.new_zeros(0))
        low, high = graph.part("low"), graph.part("high")
        return PathOutput(node, self.between(node[pairs[0]], node[pairs[1]], graph.part("bounds"), low, high))

    def between(self, source: Tensor, target: Tensor, bounds: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """Return predicted distances [Q], each between `low` and `high`.

        Parameters
        ----------
        source, target : Tensor [Q, H] or [1, H]
            The ends, from `PathOutput.node`.
        bounds : Tensor [Q, BOUND_FEATURES]
        low, high : Tensor [Q]
        """
        ends = [end.expand(len(bounds), -1) for end in (source, target)]
        share = torch.sigmoid(self.gap(torch.cat([*ends, bounds], dim=-1)).squeeze(-1) - 2.0)
        return low + (high - low) * share

    def place_logits(self, node: Tensor, state: Tensor) -> Tensor:
        """Return how much each node is wanted as the next landmark.

        Parameters
        ----------
        node : Tensor [..., H]
            From `PathOutput.node`; its gradient is not followed.
        state : Tensor [..., PLACE_FEATURES]
        """
        logits: Tensor = self.place(torch.cat([node.detach(), state], dim=-1)).squeeze(-1)
        return logits

    def losses(self, output: Output, graph: GraphLike) -> dict[str, Tensor]:
        """Return "distance": the mean relative error of the predicted distances.

        Parameters
        ----------
        output : PathOutput
        graph : PathGraph
            With `truth`.
        """
        if not isinstance(output, PathOutput) or not isinstance(graph, PathGraph):
            raise InputError("learning a PathHead needs a PathOutput and a PathGraph")
        truth = graph.part("truth")
        return {"distance": ((output.distance - truth).abs() / truth).mean()}
