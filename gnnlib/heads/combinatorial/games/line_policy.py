"""Edge decisions as node decisions on the line graph, and the same thing without building it.

On L(G) the nodes are the edges of G, joined where they meet, so a policy that scores nodes scores the edges of G when it
is given L(G) (I. Drori et al. 2020). L(G) has as many edges as the sum of squared degrees. For a mean over neighbours
that is not needed: what edge (u, v) hears in L(G) is everything at u and everything at v, less twice itself,

    mean = (S_u + S_v - 2 h_uv) / (deg u + deg v - 2),        S_u = sum of h_e over the edges e at u

which costs one sum a node: the edge-state form, linear in the edges. Both forms have the same weights and equal outputs.

References
----------
.. [1] I. Drori et al., Learning to solve combinatorial optimization problems on real-world graphs in linear time, ICMLA
   2020, section II.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gnnlib.graphs.edges import line_graph

if TYPE_CHECKING:
    from gnnlib.typing import IntArray

__all__ = ["NodePolicy", "line_graph_of"]

_ROWS = 65_536
"""Without gradients, edges pass the perceptrons in pieces of this size."""


class NodePolicy(nn.Module):
    """Residual message passing over nodes by a mean over neighbours, normalised before each layer.

    Parameters
    ----------
    width : int
        Channels W.
    depth : int, default 1
        Layers.

    Examples
    --------
    >>> policy = NodePolicy(4)
    >>> states, ends = torch.randn(3, 4), torch.tensor([[0, 1, 2], [1, 2, 3]])  # three edges of a path
    >>> literally = policy(states, line_graph_of(ends, 4))
    >>> bool(torch.allclose(literally, policy.on_edges(states, ends, 4), atol=1e-6))
    True
    """

    def __init__(self, width: int, depth: int = 1) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(depth))
        self.own = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.heard = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(depth))
        self.out = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))

    def forward(self, states: Tensor, edge_index: Tensor) -> Tensor:
        """Return new states of the nodes of a graph.

        Parameters
        ----------
        states : Tensor [N, W]
        edge_index : Tensor [2, E], int64
            Row 0 sends, row 1 receives. For edge decisions: those of the line graph.
        """
        degree = torch.bincount(edge_index[1], minlength=states.shape[0]).clamp(min=1).unsqueeze(-1)
        for layer in range(len(self.norms)):
            normed = self.norms[layer](states)
            heard = torch.zeros_like(normed).index_add(0, edge_index[1], normed.index_select(0, edge_index[0]))
            states = self._update(layer, states, normed, heard / degree)
        return states

    def on_edges(self, states: Tensor, ends: Tensor, num_nodes: int) -> Tensor:
        """Return what `forward` returns on the line graph, without building it.

        Parameters
        ----------
        states : Tensor [M, W]
            One for each undirected edge.
        ends : Tensor [2, M], int64
            Its end points; no loops, no edge twice.
        num_nodes : int
        """
        count = torch.bincount(ends.flatten(), minlength=num_nodes)
        degree = (count.index_select(0, ends[0]) + count.index_select(0, ends[1]) - 2).clamp(min=1).unsqueeze(-1)
        for layer in range(len(self.norms)):
            normed = self.norms[layer](states)
            at_node = normed.new_zeros(num_nodes, normed.shape[1]).index_add(0, ends[0], normed)
            at_node = at_node.index_add(0, ends[1], normed)
            if torch.is_grad_enabled() or len(states) <= _ROWS:
                heard = at_node.index_select(0, ends[0]) + at_node.index_select(0, ends[1]) - 2.0 * normed
                states = self._update(layer, states, normed, heard / degree)
                continue
            pieces = []
            for rows in torch.arange(len(states), device=states.device).split(_ROWS):
                part = slice(int(rows[0]), int(rows[-1]) + 1)
                heard = at_node.index_select(0, ends[0, part]) + at_node.index_select(0, ends[1, part])
                heard = (heard - 2.0 * normed[part]) / degree[part]
                pieces.append(self._update(layer, states[part], normed[part], heard))
            states = torch.cat(pieces)
        return states

    def _update(self, layer: int, states: Tensor, normed: Tensor, heard: Tensor) -> Tensor:
        hidden = F.silu(self.own[layer](normed) + self.heard[layer](heard))
        result: Tensor = states + self.out[layer](hidden)
        return result


def line_graph_of(ends: Tensor, num_nodes: int) -> Tensor:
    """Return the edges of the line graph [2, E'], its nodes numbered as the edges in `ends` [2, M] are.

    Examples
    --------
    >>> line_graph_of(torch.tensor([[2, 0], [1, 1]]), 3).tolist()
    [[0, 1], [1, 0]]
    """
    found = line_graph(ends, num_nodes)
    # the line graph sorts the edges; find where each of ours went
    edges: IntArray = found.edges
    low, high = ends.amin(0), ends.amax(0)
    order = torch.argsort(low * num_nodes + high)
    if edges.shape[1] != len(order):
        from gnnlib.errors import InputError

        raise InputError("`ends` must hold no loop and no edge twice")
    return order[torch.from_numpy(found.edge_index).to(order.device)].reshape(2, -1)
