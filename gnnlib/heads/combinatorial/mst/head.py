"""The policy and the value of the spanning-tree game: how much each edge is wanted, what each node will cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gnnlib.encoder import Head, Output
from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.games.line_policy import NodePolicy, line_graph_of
from gnnlib.heads.combinatorial.kernels.union_find import forest_of_order
from gnnlib.heads.combinatorial.mst.graph import MST_SPEC, EdgeGraph

if TYPE_CHECKING:
    from gnnlib.encoder import Embedding
    from gnnlib.graphs.schema import GraphLike

__all__ = ["EdgePolicy", "SpanningTreeHead"]

_GAIN = 10.0
"""The weight of the logarithm learns so much faster than a plain parameter would."""


@dataclass
class EdgePolicy(Output):
    """What the head says of a graph.

    Attributes
    ----------
    logit : Tensor [M]
        Unnormalised log-probability of each undirected edge; the policy in a state is its softmax over what is legal.
    node_cost : Tensor [N]
        Predicted weight of the edge over which each node will be reached, in units of the mean weight. The value of a
        state is minus the sum over the nodes not yet reached.
    """

    logit: Tensor
    node_cost: Tensor


class SpanningTreeHead(Head):
    """Scores edges by a learned multiple of the log-weight and a bounded correction; estimates what nodes will cost.

    The correction comes from the states of the edge and of its ends, which pass a `NodePolicy` on the line graph. How
    much the weight counts, and with which sign, is a parameter that begins at 0.

    Parameters
    ----------
    width : int
        Channels W of the encoder.
    hidden : int, default 16
        Channels of the line-graph policy.
    form : {"edge", "line"}, default "edge"
        How the line-graph policy is computed: from sums at the nodes, or literally on the line graph; equal results.
    """

    spec = MST_SPEC

    def __init__(self, width: int, hidden: int = 16, form: str = "edge") -> None:
        super().__init__()
        if form not in ("edge", "line"):
            raise InputError(f"`form` must be 'edge' or 'line', found {form!r}")
        self.form = form
        self.edge = nn.Linear(width, hidden)
        self.ends = nn.Linear(width, 2 * hidden, bias=False)
        self.policy = NodePolicy(hidden)
        self.score = nn.Linear(hidden, 1)
        self.slope = nn.Parameter(torch.zeros(()))
        self.cost = nn.Sequential(nn.Linear(width, hidden), nn.SiLU(), nn.Linear(hidden, 1))

    def forward(self, embedding: Embedding, graph: GraphLike) -> EdgePolicy:
        """Score the edges of `graph`."""
        if not isinstance(graph, EdgeGraph):
            raise InputError(f"a SpanningTreeHead reads an EdgeGraph, found {type(graph).__name__}")
        ends, forth, back = graph.part("ends"), graph.part("forth"), graph.part("back")
        arcs = self.edge(embedding.edge)
        at_ends = self.ends(embedding.node)
        low, high = at_ends.chunk(2, dim=-1)
        both = low + high
        states = F.silu(
            arcs.index_select(0, forth)
            + arcs.index_select(0, back)
            + both.index_select(0, ends[0])
            + both.index_select(0, ends[1])
        )
        num_nodes = embedding.node.shape[0]
        if self.form == "edge":
            states = self.policy.on_edges(states, ends, num_nodes)
        else:
            states = self.policy(states, line_graph_of(ends, num_nodes))
        correction = torch.tanh(self.score(states).squeeze(-1))
        logit = _GAIN * self.slope * graph.part("log_weight") + correction
        return EdgePolicy(logit, F.softplus(self.cost(embedding.node).squeeze(-1)))

    def losses(self, output: Output, graph: GraphLike) -> dict[str, Tensor]:
        """Return "policy" (cross-entropy to the visits of the search) and "value" (squared error of the node costs).

        Parameters
        ----------
        output : EdgePolicy
        graph : EdgeGraph
            With `targets`, `legal` and `node_cost`.
        """
        if not isinstance(output, EdgePolicy) or not isinstance(graph, EdgeGraph):
            raise InputError("learning a SpanningTreeHead needs an EdgePolicy and an EdgeGraph")
        legal = graph.part("legal")
        batch = graph.edge_batch if graph.edge_batch is not None else torch.zeros_like(graph.part("forth"))
        count = int(batch.max()) + 1
        logit = output.logit.masked_fill(~legal, -1e9)
        top = logit.new_full((count,), -1e9).scatter_reduce(0, batch, logit.detach(), "amax")
        total = logit.new_zeros(count).index_add(0, batch, torch.exp(logit - top[batch]) * legal)
        log_prob = logit - top[batch] - total.clamp(min=1e-20).log()[batch]
        policy = -(graph.part("targets") * log_prob.masked_fill(~legal, 0.0)).sum() / count
        known = ~torch.isnan(graph.part("node_cost"))
        value = (output.node_cost[known] - graph.part("node_cost")[known]).square().mean()
        return {"policy": policy, "value": value}

    def metrics(self, output: Output, graph: GraphLike) -> dict[str, float]:
        """Return "ratio": the mean over the graphs of the greedy tree's weight over the exact one's.

        Parameters
        ----------
        output : EdgePolicy
        graph : EdgeGraph
            With `exact`.
        """
        if not isinstance(output, EdgePolicy) or not isinstance(graph, EdgeGraph):
            raise InputError("measuring a SpanningTreeHead needs an EdgePolicy and an EdgeGraph")
        order = np.argsort(-output.logit.detach().cpu().double().numpy(), kind="stable")
        ends = graph.part("ends").cpu().numpy()
        taken = torch.from_numpy(forest_of_order(order, ends[0], ends[1], np.arange(graph.num_nodes)))
        exact, weight = graph.part("exact"), graph.part("weight")
        owner = graph.edge_batch if graph.edge_batch is not None else torch.zeros_like(graph.part("forth"))
        taken = taken.to(weight.device)
        total = torch.zeros_like(exact).index_add(0, owner[taken], weight[taken].to(exact.dtype))
        return {"ratio": float((total / exact).mean())}
