"""The smallest head there is: one number per node, for tests and as an example to start from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor, nn

from gnnlib.encoder import Head, Output
from gnnlib.errors import InputError

if TYPE_CHECKING:
    from gnnlib.encoder import Embedding
    from gnnlib.graphs.schema import GraphLike, GraphSpec

__all__ = ["NodeValueHead", "NodeValues"]


@dataclass
class NodeValues(Output):
    """One number per node.

    Attributes
    ----------
    value : Tensor [N]
        The predicted numbers.
    """

    value: Tensor


class NodeValueHead(Head):
    """Predict one number per node, trained by squared error against ``graph.y`` [N].

    Parameters
    ----------
    spec : GraphSpec
        Domain of the graphs.
    width : int
        Width of the encoder.

    Examples
    --------
    >>> from gnnlib.graphs.schema import GraphSpec
    >>> NodeValueHead(GraphSpec("toy", node_dim=2, edge_dim=1), width=16).config()["width"]
    16
    """

    def __init__(self, spec: GraphSpec, width: int) -> None:
        super().__init__()
        self.spec = spec
        self.read = nn.Linear(width, 1)

    def forward(self, embedding: Embedding, graph: GraphLike) -> NodeValues:  # noqa: ARG002
        """Read one number off each node."""
        return NodeValues(self.read(embedding.node).squeeze(-1))

    def losses(self, output: Output, graph: GraphLike) -> dict[str, Tensor]:
        """Return the mean squared error."""
        target = getattr(graph, "y", None)
        if not isinstance(output, NodeValues) or not isinstance(target, Tensor):
            raise InputError("the loss needs `NodeValues` and a graph with the labels `y`")
        return {"square": (output.value - target).square().mean()}
