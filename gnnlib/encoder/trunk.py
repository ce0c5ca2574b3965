"""The part of the encoder that domains share: a stack of blocks, final norms, the summary of each graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gnnlib.encoder.adapters import DomainNorm
from gnnlib.encoder.layers import Block
from gnnlib.encoder.mixing import EPS
from gnnlib.encoder.pairs import PairAttention, group_pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnlib.encoder.config import EncoderConfig
    from gnnlib.encoder.reading import ReadGraph

__all__ = ["Trunk"]

ROWS = 65536
"""Without gradients, edges pass the last layer in pieces of this size."""


class Trunk(nn.Module):
    """A stack of blocks with its final norms.

    Parameters
    ----------
    config : EncoderConfig
        Sizes and kinds.
    domains : sequence of str
        The domains that share this trunk.
    """

    def __init__(self, config: EncoderConfig, domains: Sequence[str]) -> None:
        super().__init__()
        width, edge_width = config.width, config.edge_channels
        affines = domains if config.sharing == "adapters" else ()
        self.blocks = nn.ModuleList(Block(config, domains) for _ in range(config.depth))
        every_second = range(config.depth // 2 if config.full_attention else 0)
        self.pairs = nn.ModuleList(PairAttention(width, edge_width) for _ in every_second)
        self.pair_norms = nn.ModuleList(DomainNorm(width, affines) for _ in every_second)
        self.norm_node = DomainNorm(width, affines)
        self.norm_edge = DomainNorm(edge_width, affines)
        self.edge_out = nn.Linear(edge_width, width)
        self.graph_out = nn.Linear(2 * width + 1, width)

    def forward(self, graph: ReadGraph, node: Tensor, edge: Tensor, domain: str) -> tuple[Tensor, Tensor, Tensor]:
        """Return the states of nodes [N, W], edges [E, W] (sorted by receiver) and graphs [B, W].

        Parameters
        ----------
        graph : ReadGraph
            The checked graph.
        node, edge : Tensor
            Embedded features [N, W] and [E, D].
        domain : str
            Name of the spec.
        """
        groups = group_pairs(graph.topology, graph.batch, graph.num_graphs) if len(self.pairs) else []
        for number, block in enumerate(self.blocks):
            node, edge = block(node, edge, graph.topology, domain)
            if number % 2 and groups:
                attend, norm = self.pairs[number // 2], self.pair_norms[number // 2]
                node = attend(node, norm(node, domain), F.layer_norm(edge, edge.shape[-1:], eps=EPS), groups)
        node = self.norm_node(node, domain)
        return node, self._read_edges(edge, domain), self._pool(node, graph)

    def _read_edges(self, edge: Tensor, domain: str) -> Tensor:
        scale, shift = self.norm_edge.affine(domain)
        weight, bias = self.edge_out.weight * scale, self.edge_out.bias + self.edge_out.weight @ shift
        if torch.is_grad_enabled() or edge.shape[0] <= ROWS:
            return F.linear(F.layer_norm(edge, edge.shape[-1:], eps=EPS), weight, bias)
        out = edge.new_empty(edge.shape[0], weight.shape[0])
        for rows, result in zip(edge.split(ROWS), out.split(ROWS), strict=True):
            torch.addmm(bias, F.layer_norm(rows, rows.shape[-1:], eps=EPS), weight.t(), out=result)
        return out

    def _pool(self, node: Tensor, graph: ReadGraph) -> Tensor:
        """Summarise each graph by mean and largest value per channel, and the logarithm of its number of nodes."""
        batch = graph.batch
        if batch is None:
            batch = torch.zeros(node.shape[0], dtype=torch.int64, device=node.device)
        count = torch.bincount(batch, minlength=graph.num_graphs).to(node.dtype).unsqueeze(-1)
        zeros = node.new_zeros(graph.num_graphs, node.shape[1])
        mean = zeros.index_add(0, batch, node) / count.clamp(min=1)
        index = batch.unsqueeze(-1).expand_as(node)
        largest = zeros.scatter_reduce(0, index, node, "amax", include_self=False)
        pooled: Tensor = self.graph_out(torch.cat([mean, largest, count.log1p()], dim=-1))
        return pooled
