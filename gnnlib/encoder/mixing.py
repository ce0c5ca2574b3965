"""The step from edges to nodes, in three back-ends that compute the same: sparse, dense and compiled.

For the edge from j to i with state e, with the weights that `EdgeMixer` holds,

.. code-block:: text

    z  = receive_i + send_j + weight . layer_norm(e)
    u  = silu(z)                        e' = e + u
    q  = exp(z)                         gated: one weight per channel
    q  = exp(score . u), per head       attention: one weight per head of 8 channels
    mixed_i = sum_j q (value_j + u) / sum_j q

The arguments of the exponential are cut off at +-60, so that no maximum has to be subtracted.

- sparse: any graph, any device; gathers and `index_add`.
- dense: every node receives exactly k edges; edge tensors are viewed as [N, k, D] and sums run over the middle.
- compiled: any graph on the CPU; `gnnlib.encoder.kernels` over runs of receivers small enough for the cache. It keeps
  two numbers per edge and channel for the backward pass, and falls back on sparse for second derivatives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch.nn import functional as F

from gnnlib.encoder.topology import on_plain_cpu

if TYPE_CHECKING:
    from torch import Tensor

    from gnnlib.encoder.topology import Topology

__all__ = ["EPS", "HEAD_WIDTH", "LIMIT", "Backend", "choose_backend", "mix", "mix_tensors"]

Backend = Literal["auto", "sparse", "dense", "compiled"]

HEAD_WIDTH = 8
"""Channels that share a weight in the attention mixer."""

LIMIT = 60.0
"""Where the arguments of the exponential are cut off: single precision still holds sums of millions of such terms."""

EPS = 1e-5
"""Added to the variance in the norm of the edges."""


def choose_backend(wanted: Backend, topology: Topology, state: Tensor, *, gated: bool) -> Backend:
    """Return the back-end to use: the wanted one, or for "auto" the fastest that is possible here.

    Parameters
    ----------
    wanted : {"auto", "sparse", "dense", "compiled"}
        "dense" still needs a regular graph: sparse takes its place on others.
    topology : Topology
        The graph.
    state : Tensor
        Tells device and precision.
    gated : bool
        Whether every channel has its own weight; only then there are kernels.
    """
    plain = on_plain_cpu(state) and not torch.is_autocast_enabled("cpu")
    possible = gated and plain and state.dtype in (torch.float32, torch.float64)
    if possible and wanted in ("auto", "compiled"):
        return "compiled"
    return "sparse" if topology.neighbours is None or wanted == "sparse" else "dense"


def mix(
    node: Tensor,
    edge: Tensor,
    weight: Tensor,
    shift: Tensor,
    topology: Topology,
    *,
    score: Tensor | None = None,
    backend: Backend = "sparse",
) -> tuple[Tensor, Tensor]:
    """Mix the edges of each receiver, and update them.

    Parameters
    ----------
    node : Tensor [N, 3 D]
        What a node adds to the logits of the edges it receives, to those of the edges it sends, and its value.
    edge : Tensor [E, D]
        Edge states.
    weight : Tensor [D, D]
        Maps normalised edge states into the logit.
    shift : Tensor [D]
        Constant of the logit.
    topology : Topology
        Senders and receivers.
    score : Tensor [D / 8, 8], optional
        Scoring vector of each attention head; without it every channel has its own weight.
    backend : {"sparse", "dense", "compiled"}
        What `choose_backend` returned.

    Returns
    -------
    tuple of Tensor
        Mixed messages [N, D], 0 where no edge comes in, and new edge states [E, D].
    """
    if backend == "compiled":
        from gnnlib.encoder.compiled import CompiledMix

        mixed, out = CompiledMix.apply(node.contiguous(), edge.contiguous(), weight, shift.contiguous(), topology)
        return mixed, out
    return mix_tensors(node, edge, weight, shift, topology, score=score, dense=backend == "dense")


def mix_tensors(
    node: Tensor,
    edge: Tensor,
    weight: Tensor,
    shift: Tensor,
    topology: Topology,
    *,
    score: Tensor | None = None,
    dense: bool = False,
) -> tuple[Tensor, Tensor]:
    """Do what `mix` does by tensor operations: the sparse back-end, or the dense one on a regular graph."""
    channels = edge.shape[-1]
    shape = (topology.num_nodes, topology.neighbours or 0, channels)
    receive, send = node.split([channels, 2 * channels], dim=-1)
    logit, value = send.index_select(0, topology.sender).split(channels, dim=-1)
    z = logit + F.linear(F.layer_norm(edge, (channels,), eps=EPS), weight, shift)
    if dense:
        z = (z.view(shape) + receive.unsqueeze(1)).flatten(0, 1)
    else:
        z = z + receive.index_select(0, topology.receiver)
    if z.dtype in (torch.float16, torch.bfloat16):  # under autocast: sums of exponentials need the range
        z, value = z.float(), value.float()
    update = F.silu(z)
    heads = z if score is None else (update.unflatten(-1, score.shape) * score).sum(-1)
    q = torch.exp(heads.clamp(-LIMIT, LIMIT))
    if score is not None:
        q = q.repeat_interleave(score.shape[-1], dim=-1)
    message = q * (value + update)
    if dense:
        return message.view(shape).sum(1) / q.view(shape).sum(1), edge + update
    zeros = z.new_zeros(topology.num_nodes, channels)
    total = zeros.index_add(0, topology.receiver, q).masked_fill(topology.lonely, 1.0)
    return zeros.index_add(0, topology.receiver, message) / total, edge + update
