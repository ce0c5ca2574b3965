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
        self.edge = nn.Linear(spec.edge_dim, edge_width) if spec.edge_dim else None
        self.node_type = nn.Embedding(spec.node_types, width) if spec.node_types > 1 else None
        self.edge_type = nn.Embedding(spec.edge_types, edge_width)

    def forward(
        self, x: Tensor, degree: Tensor, edge_attr: Tensor | None, node_type: Tensor | None, edge_type: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Embed nodes (`x` [N, node_dim], `degree` [N]) and edges; the number of edges is that of `edge_type`."""
        node = self.node(torch.cat([x, degree.to(x.dtype).log1p().unsqueeze(-1)], dim=-1))
        if self.node_type is not None and node_type is not None:
            node = node + self.node_type(node_type)
        if self.edge is None or edge_attr is None:
            return node, self.edge_type(edge_type)
        edge = self.edge(edge_attr)
        return node, edge + (self.edge_type.weight[0] if edge_type is None else self.edge_type(edge_type))


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
        self.shared = not list(domains)
        self.weight = nn.ParameterDict()
        self.bias = nn.ParameterDict()
        for name in list(domains) or [""]:
            self.add_domain(name)

    def add_domain(self, name: str) -> None:
        """Give one more domain its affine, starting at the identity."""
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
