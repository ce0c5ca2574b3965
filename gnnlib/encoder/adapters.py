"""What each domain has of its own around the shared trunk: input adapters and norm affines.

Continuous features and type embeddings of a `GraphSpec` become node states of width W and edge states of width D.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gnnlib.encoder.reading import ReadGraph
    from gnnlib.graphs.schema import GraphSpec

__all__ = ["DomainNorm", "InputAdapter", "domain_key"]


def domain_key(name: str) -> str:
    """Return the key of a domain in a parameter container, where names like "keys" are taken.

    Examples
    --------
    >>> domain_key("tsp")
    'of_tsp'
    """
    return f"of_{name}"


class InputAdapter(nn.Module):
    """Continuous features and types of one domain -> node states [N, W] and edge states [E, D].

    A node also sees the logarithm of its number of incoming edges: the trunk averages over them and would not notice.

    Parameters
    ----------
    spec : GraphSpec
        What the domain's graphs look like.
    width, edge_width : int
        W and D.
    """

    def __init__(self, spec: GraphSpec, width: int, edge_width: int) -> None:
        super().__init__()
        self.node = nn.Linear(spec.node_dim + 1, width)
        self.edge = nn.Linear(spec.edge_dim, edge_width, bias=False) if spec.edge_dim else None
        self.node_type = nn.Embedding(spec.node_types, width) if spec.node_types > 1 else None
        self.edge_type = nn.Embedding(spec.edge_types, edge_width)

    def forward(self, graph: ReadGraph) -> tuple[Tensor, Tensor]:
        """Return node states [N, W] and edge states [E, D]."""
        degree = graph.topology.degree.to(graph.x.dtype).log1p().unsqueeze(-1)
        node = self.node(torch.cat([graph.x, degree], dim=-1))
        if self.node_type is not None and graph.node_type is not None:
            node = node + self.node_type(graph.node_type)
        own = self.edge_type.weight
        if graph.edge_attr is None or self.edge is None:
            count = graph.topology.sender.shape[0]
            return node, own.expand(count, -1) if graph.edge_type is None else self.edge_type(graph.edge_type)
        if graph.edge_type is None:
            return node, F.linear(graph.edge_attr, self.edge.weight, own[0])
        return node, self.edge_type(graph.edge_type) + F.linear(graph.edge_attr, self.edge.weight)


class DomainNorm(nn.Module):
    """LayerNorm whose affine part belongs to the domain; statistics are those of one node or edge.

    Parameters
    ----------
    width : int
        Number of channels.
    domains : iterable of str
        One affine each; a single shared one when empty.
    """

    def __init__(self, width: int, domains: Iterable[str] = ()) -> None:
        super().__init__()
        self.width = width
        names = list(domains)
        self.shared = not names
        self.weight = nn.ParameterDict()
        self.bias = nn.ParameterDict()
        for name in names or [""]:
            self.add_domain(name)

    def add_domain(self, name: str) -> None:
        """Give one more domain its affine, starting at the identity; nothing when the affine is shared."""
        if self.shared and self.weight:
            return
        self.weight[domain_key(name)] = nn.Parameter(torch.ones(self.width))
        self.bias[domain_key(name)] = nn.Parameter(torch.zeros(self.width))

    def affine(self, domain: str) -> tuple[Tensor, Tensor]:
        """Return scale and shift [W] of `domain`."""
        key = domain_key("" if self.shared else domain)
        return self.weight[key], self.bias[key]

    def forward(self, state: Tensor, domain: str) -> Tensor:
        """Normalise `state` [..., W] with the affine of `domain`."""
        weight, bias = self.affine(domain)
        return F.layer_norm(state, (self.width,), weight, bias)
