"""The trunk's layers: message passing with edge state, feed-forward, and the block made of both.

How messages are weighted was chosen by measurement (``benchmarks/bench_encoder_variants.py``, 23 November 2026, one core
of a shared AMD EPYC). Average precision on unseen random graphs for three exact edge labels (minimum spanning tree, Gabriel
edge, shortest-path tree), mean of seeds 0 and 1; width 64, depth 4, 300 steps; CPU time of one training step:

=========  ==========  ============================  =================  =======
mixer      edge width  spanning / Gabriel / path     mean (spread)      ms/step
=========  ==========  ============================  =================  =======
gated              16  .934 / .891 / .495            .773 (.022)             36
gated              32  .938 / .899 / .512            .783 (.002)             44
gated              64  .964 / .924 / .574            .820 (.008)             62
attention          16  .924 / .877 / .466            .756 (.017)             44
attention          32  .940 / .898 / .475            .771 (.019)             62
attention          64  .960 / .918 / .552            .810 (.005)             93
gated +            32  .931 / .889 / .491            .770 (.010)             68
=========  ==========  ============================  =================  =======

The last row adds full attention in every second block (graphs of 30 to 70 nodes): no gain on these labels, hence off by
default. Reading: one weight per channel is at least as good as one per head and cheaper, hence ``mixer="gated"``. Full-width
edge states learn most on edge labels and cost most; half of the width is the default for its speed, and ``edge_width=width``
is there for heads that decide edges. Two seeds and short training: differences below .02 mean nothing.

Earlier trials of the aggregation in the same test (a sibling of this code with biases in all projections, edge width 32, two
seeds): mean of sigmoid-gated messages .771, sum divided by the root of the degree .776, sigmoid gates divided by their sum
.787 to .791, softmax per channel .803, mean in half of the channels and largest value in the others .807, largest value
.788, no norm of the edge states .764. The softmax was taken: within the noise of the best, smooth, and one pass. (The present code reaches .783 where that sibling
reached .803; the biases that it leaves out, or its other form of adapters, may be worth that. Not examined.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gnnlib.encoder.adapters import DomainNorm, domain_key
from gnnlib.encoder.mixing import HEAD_WIDTH, Backend, choose_backend, mix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnlib.encoder.config import EncoderConfig, Mixer, Sharing
    from gnnlib.encoder.topology import Topology

__all__ = ["Block", "EdgeMixer", "FeedForward"]

ADAPTER_RANK = 8
NUM_EXPERTS = 4
FEED_FORWARD_RATIO = 2

ROWS = 16384
"""Without gradients, nodes pass the feed-forward in pieces of this size, so that the hidden layer stays in the cache."""


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
        self.node = nn.Linear(width, 3 * edge_width, bias=False)
        self.edge = nn.Linear(edge_width, edge_width)
        self.out = nn.Linear(edge_width, width, bias=False)
        self.score: nn.Parameter | None = None
        if mixer == "attention":
            self.score = nn.Parameter(torch.randn(edge_width // HEAD_WIDTH, HEAD_WIDTH) / HEAD_WIDTH**0.5)

    def forward(
        self, state: Tensor, node: Tensor, edge: Tensor, topology: Topology, domain: str
    ) -> tuple[Tensor, Tensor]:
        """Return `state` [N, W] plus what `node` [N, W], its normalised form, hears, and the new edge states [E, D]."""
        scale, offset = self.norm.affine(domain)
        weight = self.edge.weight
        # the offset of the norm, seen through the projection, is a constant of the logit
        shift = self.edge.bias + weight @ offset
        backend = choose_backend(self.backend, topology, edge, gated=self.score is None)
        mixed, edge = mix(self.node(node), edge, weight * scale, shift, topology, score=self.score, backend=backend)
        return torch.addmm(state, mixed, self.out.weight.t()), edge


class FeedForward(nn.Module):
    """Two-layer perceptron per node, shared, adapted or routed between the domains.

    Adapted: each domain has 8 hidden units of its own beside the shared ones, silent at the start (J. He et al. 2022,
    "Towards a unified view of parameter-efficient transfer learning", the parallel adapter). Routed: four experts,
    mixed by a softmax over what the node's state and the domain's token say.

    Parameters
    ----------
    width : int
        Channels W.
    ratio : int
        Hidden units per channel.
    sharing : {"hard", "adapters", "routed", "separate"}
        See `Encoder`.
    domains : sequence of str
        The domains.
    """

    def __init__(self, width: int, ratio: int, sharing: Sharing, domains: Sequence[str]) -> None:
        super().__init__()
        self.width = width
        self.experts = NUM_EXPERTS if sharing == "routed" else 1
        self.sharing = sharing
        self.up = nn.Linear(width, self.experts * ratio * width)
        self.down = nn.Linear(self.experts * ratio * width, width, bias=False)
        self.router = nn.Linear(width, NUM_EXPERTS) if sharing == "routed" else None
        self.token, self.own_up, self.own_bias, self.own_down = (nn.ParameterDict() for _ in range(4))
        for name in domains:
            self.add_domain(name)

    def add_domain(self, name: str) -> None:
        """Give one more domain what is its own."""
        key = domain_key(name)
        if self.sharing == "routed":
            self.token[key] = nn.Parameter(torch.zeros(NUM_EXPERTS))
        if self.sharing == "adapters":
            self.own_up[key] = nn.Parameter(torch.randn(ADAPTER_RANK, self.width) / self.width**0.5)
            self.own_bias[key] = nn.Parameter(torch.zeros(ADAPTER_RANK))
            self.own_down[key] = nn.Parameter(torch.zeros(self.width, ADAPTER_RANK))

    def forward(self, state: Tensor, node: Tensor, domain: str) -> Tensor:
        """Return `state` [N, W] plus the map of `node` [N, W], its normalised form."""
        up: Tensor = self.up.weight
        bias: Tensor = self.up.bias
        down: Tensor = self.down.weight
        key = domain_key(domain)
        if self.sharing == "adapters":
            up = torch.cat([up, self.own_up[key]])
            bias = torch.cat([bias, self.own_bias[key]])
            down = torch.cat([down, self.own_down[key]], dim=1)
        hidden = F.silu(F.linear(node, up, bias))
        if self.router is not None:
            share = torch.softmax(self.router(node) + self.token[key], dim=-1)
            hidden = (hidden.unflatten(-1, (self.experts, -1)) * share.unsqueeze(-1)).flatten(-2)
        return torch.addmm(state, hidden, down.t())


class Block(nn.Module):
    """One residual block, normalised before each part: mixer, then feed-forward.

    Parameters
    ----------
    config : EncoderConfig
        Sizes and kinds.
    domains : sequence of str
        The domains.
    """

    def __init__(self, config: EncoderConfig, domains: Sequence[str]) -> None:
        super().__init__()
        affines = domains if config.sharing == "adapters" else ()
        self.norm_mixer = DomainNorm(config.width, affines)
        self.mixer = EdgeMixer(config.width, config.edge_channels, config.mixer, affines)
        self.norm_feed_forward = DomainNorm(config.width, affines)
        self.feed_forward = FeedForward(config.width, FEED_FORWARD_RATIO, config.sharing, domains)

    def forward(self, node: Tensor, edge: Tensor, topology: Topology, domain: str) -> tuple[Tensor, Tensor]:
        """Return new node states [N, W] and edge states [E, D]."""
        node, edge = self.mixer(node, self.norm_mixer(node, domain), edge, topology, domain)
        if torch.is_grad_enabled() or node.shape[0] <= ROWS:
            return self.feed_forward(node, self.norm_feed_forward(node, domain), domain), edge
        pieces = [self.feed_forward(rows, self.norm_feed_forward(rows, domain), domain) for rows in node.split(ROWS)]
        return torch.cat(pieces), edge
