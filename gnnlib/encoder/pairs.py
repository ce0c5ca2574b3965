"""Full attention inside small graphs, biased by the states of the edges between the pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from gnnlib.encoder.topology import Topology

__all__ = ["MAX_NODES", "PairAttention", "PairGroup", "group_pairs"]

MAX_NODES = 128
"""Graphs with more nodes than this have no full attention."""

MAX_PAIRS = 2**20
"""Pairs of one group, so that its bias stays small: 64 graphs of 128 nodes."""

HEAD_WIDTH = 16


@dataclass(frozen=True)
class PairGroup:
    """Small graphs of similar size, padded to one size M and worked on together.

    Attributes
    ----------
    node : Tensor [n]
        Their nodes.
    cell : Tensor [n]
        Place of each node in the flattened [G, M] array of the group.
    edge : Tensor [e]
        Their edges.
    pair : Tensor [e]
        Place of each edge in the flattened [G, M, M] array: graph, receiver, sender.
    empty : Tensor [G, M]
        Cells without a node.
    """

    node: Tensor
    cell: Tensor
    edge: Tensor
    pair: Tensor
    empty: Tensor


def group_pairs(topology: Topology, batch: Tensor | None, num_graphs: int) -> list[PairGroup]:
    """Collect the graphs of 1 to 128 nodes into groups of at most about a million pairs.

    Parameters
    ----------
    topology : Topology
        Edges of the whole batch.
    batch : Tensor [N], optional
        Graph of each node, non-decreasing.
    num_graphs : int
        Number of graphs B.

    Examples
    --------
    >>> from gnnlib.encoder.topology import Topology
    >>> edge_index = torch.tensor([[1, 0], [0, 1]])
    >>> [group.pair.tolist() for group in group_pairs(Topology.from_sorted(edge_index, 2), None, 1)]
    [[1, 2]]
    """
    device = topology.sender.device
    if batch is None:
        batch = torch.zeros(topology.num_nodes, dtype=torch.int64, device=device)
    sizes = torch.bincount(batch, minlength=num_graphs)
    first = sizes.cumsum(0) - sizes
    position = torch.arange(topology.num_nodes, device=device) - first[batch]
    by_size = torch.argsort(sizes, stable=True)
    small = by_size[(sizes[by_size] > 0) & (sizes[by_size] <= MAX_NODES)]
    edge_graph = batch[topology.receiver]
    groups = []
    for members in _split(small, sizes):
        size = int(sizes[members].max())
        slot = torch.full((num_graphs,), -1, dtype=torch.int64, device=device)
        slot[members] = torch.arange(members.numel(), device=device)
        node = (slot[batch] >= 0).nonzero().squeeze(-1)
        edge = (slot[edge_graph] >= 0).nonzero().squeeze(-1)
        cell = slot[batch[node]] * size + position[node]
        row = slot[edge_graph[edge]] * size + position[topology.receiver[edge]]
        empty = torch.ones(members.numel() * size, dtype=torch.bool, device=device)
        empty[cell] = False
        groups.append(PairGroup(node, cell, edge, row * size + position[topology.sender[edge]], empty.view(-1, size)))
    return groups


def _split(small: Tensor, sizes: Tensor) -> list[Tensor]:
    """Cut the graphs, sorted by size, where a group would exceed its pairs or pad a graph to twice its size."""
    pieces: list[list[int]] = []
    smallest = 0
    for graph, size in zip(small.tolist(), sizes[small].tolist(), strict=True):
        if not pieces or (len(pieces[-1]) + 1) * size * size > MAX_PAIRS or size > 2 * smallest + 8:
            pieces.append([])
            smallest = size
        pieces[-1].append(graph)
    return [torch.tensor(piece, device=sizes.device) for piece in pieces]


class PairAttention(nn.Module):
    """Attention between all nodes of a graph of at most 128 nodes, with a bias per head read off the edge states.

    The bias between two nodes is the sum over the edges from the one to the other, 0 where there is none
    (C. Ying et al. 2021, Graphormer, equation 6, with one edge in place of the shortest path). Larger graphs are left
    alone.

    Parameters
    ----------
    width, edge_width : int
        Channels W of the nodes, a multiple of 16, and D of the edges.
    """

    def __init__(self, width: int, edge_width: int) -> None:
        super().__init__()
        self.heads = width // HEAD_WIDTH
        self.project = nn.Linear(width, 3 * width, bias=False)
        self.bias = nn.Linear(edge_width, self.heads, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, state: Tensor, node: Tensor, edge: Tensor, groups: list[PairGroup]) -> Tensor:
        """Return `state` [N, W] plus what `node` [N, W], its normalised form, hears; `edge` [E, D] is normalised."""
        heard = torch.zeros_like(state)
        for group in groups:
            heard = heard.index_copy(0, group.node, self._attend(node, edge, group).to(state.dtype))
        return torch.addmm(state, heard, self.out.weight.t()) if groups else state

    def _attend(self, node: Tensor, edge: Tensor, group: PairGroup) -> Tensor:
        count, size = group.empty.shape
        projected = self.project(node.index_select(0, group.node))
        padded = projected.new_zeros(count * size, projected.shape[1]).index_copy(0, group.cell, projected)
        query, key, value = padded.view(count, size, 3, self.heads, HEAD_WIDTH).permute(2, 0, 3, 1, 4)
        on_edge = self.bias(edge.index_select(0, group.edge))
        bias = on_edge.new_zeros(count * size * size, self.heads).index_add(0, group.pair, on_edge)
        bias = bias.view(count, size, size, self.heads).permute(0, 3, 1, 2)
        bias = bias.masked_fill(group.empty[:, None, None, :], -torch.inf)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        return mixed.transpose(1, 2).reshape(count * size, -1).index_select(0, group.cell)
