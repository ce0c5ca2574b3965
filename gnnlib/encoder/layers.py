"""The trunk's layers: gated message passing with edge state, edge-biased attention, feed-forward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gnnlib.encoder.adapters import DomainNorm, LowRankAdapter, domain_key

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Block", "EdgeMixer", "FeedForward", "Sharing", "Topology"]

Mixer = Literal["gated", "attention"]
Sharing = Literal["hard", "adapters", "routed", "separate"]

ADAPTER_RANK = 8
NUM_EXPERTS = 4
HEAD_WIDTH = 8


@dataclass(frozen=True)
class Topology:
    """Who sends to whom, in the order of the receivers.

    Attributes
    ----------
    sender, receiver : Tensor [E], int64
        `receiver` is non-decreasing.
    degree : Tensor [N]
        Number of incoming edges of each node, as float.
    neighbours : int or None
        k when every node receives exactly k edges, so that edge tensors may be viewed as [N, k, ...].
    """

    sender: Tensor
    receiver: Tensor
    degree: Tensor
    neighbours: int | None

    def sum_to_receivers(self, edge: Tensor) -> Tensor:
        """Sum edge rows [E, C] into the receiving nodes [N, C]."""
        zeros = edge.new_zeros(self.degree.shape[0], edge.shape[1])
        return zeros.index_add(0, self.receiver, edge)


class EdgeMixer(nn.Module):
    """Message passing in which the edge state takes part in the gate, in the message, and is updated.

    For the edge from j to i with state e, node states n (normalised),

    .. code-block:: text

        z = A n_i + B n_j + C norm(e)        u = silu(z)        e' = e + u
        gated:      m = sigmoid(z) * V n_j + u                  (V. P. Dwivedi et al. 2023, GatedGCN; u is new)
        attention:  m = alpha * (V n_j + u), alpha = softmax over i's edges of w . u, per head
        node update: U (mean of m over i's edges)               (attention: the sum)
    """

    def __init__(self, width: int, edge_width: int, mixer: Mixer, domains: Sequence[str]) -> None:
        super().__init__()
        self.edge_width = edge_width
        self.norm = DomainNorm(edge_width, domains)
        self.node = nn.Linear(width, 3 * edge_width)
        self.edge = nn.Linear(edge_width, edge_width, bias=False)
        self.out = nn.Linear(edge_width, width)
        self.score: nn.Parameter | None = None
        if mixer == "attention":
            heads = edge_width // HEAD_WIDTH
            self.score = nn.Parameter(torch.randn(heads, HEAD_WIDTH) / HEAD_WIDTH**0.5)

    def forward(self, node: Tensor, edge: Tensor, topology: Topology, domain: str) -> tuple[Tensor, Tensor]:
        """Return the node update [N, W] and the new edge states [E, D]."""
        receive, send = self.node(node).split([self.edge_width, 2 * self.edge_width], dim=-1)
        send, value = send.index_select(0, topology.sender).chunk(2, dim=-1)
        z = receive.index_select(0, topology.receiver) + send + self.edge(self.norm(edge, domain))
        gate = torch.sigmoid(z)
        update = z * gate
        if self.score is None:
            total = topology.sum_to_receivers(gate * value + update)
            mixed = total / topology.degree.clamp(min=1).unsqueeze(-1).to(total.dtype)
        else:
            mixed = self._attend(update, value, topology)
        return self.out(mixed), edge + update

    def _attend(self, update: Tensor, value: Tensor, topology: Topology) -> Tensor:
        heads = update.unflatten(-1, (-1, HEAD_WIDTH))
        logit = (heads * self.score).sum(-1)
        index = topology.receiver.unsqueeze(-1).expand_as(logit)
        largest = logit.new_full((topology.degree.shape[0], logit.shape[1]), -torch.inf)
        largest = largest.scatter_reduce(0, index, logit.detach(), "amax")
        weight = torch.exp(logit - largest.index_select(0, topology.receiver))
        total = topology.sum_to_receivers(weight)
        message = (weight.unsqueeze(-1) * (value.unflatten(-1, (-1, HEAD_WIDTH)) + heads)).flatten(1)
        return topology.sum_to_receivers(message) / total.clamp(min=1e-20).repeat_interleave(HEAD_WIDTH, dim=-1)


class FeedForward(nn.Module):
    """Two-layer perceptron per node, shared, adapted or routed between the domains."""

    def __init__(self, width: int, ratio: int, sharing: Sharing, domains: Sequence[str]) -> None:
        super().__init__()
        self.experts = NUM_EXPERTS if sharing == "routed" else 1
        self.up = nn.Linear(width, self.experts * ratio * width)
        self.down = nn.Linear(self.experts * ratio * width, width)
        self.adapter = LowRankAdapter(width, ADAPTER_RANK, domains) if sharing == "adapters" else None
        self.router = nn.Linear(width, NUM_EXPERTS) if sharing == "routed" else None
        self.token = nn.ParameterDict()
        if self.router is not None:
            for name in domains:
                self.token[domain_key(name)] = nn.Parameter(torch.zeros(NUM_EXPERTS))

    def forward(self, state: Tensor, domain: str) -> Tensor:
        """Map node states [N, W]."""
        hidden = F.silu(self.up(state))
        if self.router is not None:
            share = torch.softmax(self.router(state) + self.token[domain_key(domain)], dim=-1)
            hidden = (hidden.unflatten(-1, (self.experts, -1)) * share.unsqueeze(-1)).flatten(-2)
        out: Tensor = self.down(hidden)
        return out if self.adapter is None else out + self.adapter(state, domain)


class Block(nn.Module):
    """One residual block, normalised before each part: mixer, then feed-forward."""

    def __init__(
        self, width: int, edge_width: int, *, mixer: Mixer, sharing: Sharing, domains: Sequence[str], ratio: int = 2
    ) -> None:
        super().__init__()
        affines = domains if sharing == "adapters" else ()
        self.norm_mixer = DomainNorm(width, affines)
        self.mixer = EdgeMixer(width, edge_width, mixer, affines)
        self.norm_feed_forward = DomainNorm(width, affines)
        self.feed_forward = FeedForward(width, ratio, sharing, domains)

    def forward(self, node: Tensor, edge: Tensor, topology: Topology, domain: str) -> tuple[Tensor, Tensor]:
        """Return new node states [N, W] and edge states [E, D]."""
        update, edge = self.mixer(self.norm_mixer(node, domain), edge, topology, domain)
        node = node + update
        return node + self.feed_forward(self.norm_feed_forward(node, domain), domain), edge
