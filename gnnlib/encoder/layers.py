"""The trunk's layers: gated message passing with edge state, edge-biased attention, feed-forward."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gnnlib.encoder.adapters import DomainNorm, LowRankAdapter, domain_key
from gnnlib.encoder.mixing import HEAD_WIDTH, Backend, choose_backend, mix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnlib.encoder.topology import Topology

__all__ = ["Block", "EdgeMixer", "FeedForward", "Sharing"]

Mixer = Literal["gated", "attention"]
Sharing = Literal["hard", "adapters", "routed", "separate"]

ADAPTER_RANK = 8
NUM_EXPERTS = 4


class EdgeMixer(nn.Module):
    """Message passing in which the edge state takes part in the weight and in the message, and is updated.

    The formulas stand in `gnnlib.encoder.mixing`; this holds their weights. The affine part of the edge norm is folded
    into the projection, so that edge-sized arrays are normalised without it.

    Parameters
    ----------
    width, edge_width : int
        Channels W of the nodes and D of the edges.
    mixer : {"gated", "attention"}
        A weight per channel, or per head.
    domains : sequence of str
        Domains with an edge norm of their own; a shared one when empty.
    """

    def __init__(self, width: int, edge_width: int, mixer: Mixer, domains: Sequence[str]) -> None:
        super().__init__()
        self.edge_width = edge_width
        self.backend: Backend = "auto"
        self.norm = DomainNorm(edge_width, domains)
        self.node = nn.Linear(width, 3 * edge_width)
        self.edge = nn.Linear(edge_width, edge_width, bias=False)
        self.out = nn.Linear(edge_width, width)
        self.score: nn.Parameter | None = None
        if mixer == "attention":
            self.score = nn.Parameter(torch.randn(edge_width // HEAD_WIDTH, HEAD_WIDTH) / HEAD_WIDTH**0.5)

    def forward(self, node: Tensor, edge: Tensor, topology: Topology, domain: str) -> tuple[Tensor, Tensor]:
        """Return the node update [N, W] and the new edge states [E, D]."""
        scale, shift = self.norm.affine(domain)
        channels = self.edge_width
        # the shift of the norm, seen through the projection, is a constant of the logit
        receive = F.linear(node, self.node.weight[:channels], self.node.bias[:channels] + self.edge.weight @ shift)
        send = F.linear(node, self.node.weight[channels:], self.node.bias[channels:])
        backend = choose_backend(self.backend, topology, edge, gated=self.score is None)
        mixed, edge = mix(receive, send, edge, self.edge.weight * scale, topology, score=self.score, backend=backend)
        return self.out(mixed), edge


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
