"""The compiled back-end of `gnnlib.encoder.mixing`: runs of receivers that fit the cache, forward and backward."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from gnnlib.encoder.kernels import (
    mix_backward,
    mix_forward,
    normalise_again,
    normalise_backward,
    normalise_forward,
)
from gnnlib.encoder.mixing import EPS, mix_tensors
from gnnlib.encoder.parallel import num_threads, run_parts

if TYPE_CHECKING:
    from torch import Tensor

    from gnnlib.encoder.topology import Topology
    from gnnlib.typing import IntArray

__all__ = ["CompiledMix"]

CHUNK_EDGES = 8192
"""Edges per thread in a run: their rows of 32 to 64 channels stay in the second and third cache."""


class Run(NamedTuple):
    """Receivers and their edges, to be worked on together; one part for each thread.

    Attributes
    ----------
    start, stop : int
        First edge and end.
    nodes, edges : list of (int, int)
        First row and end of each part.
    """

    start: int
    stop: int
    nodes: list[tuple[int, int]]
    edges: list[tuple[int, int]]


def _cut(first_edge: IntArray, start: int, stop: int, most: int) -> list[tuple[int, int]]:
    """Cut receivers `start` to `stop` into pieces of at most `most` edges, or a single receiver."""
    pieces = []
    while start < stop:
        end = int(np.searchsorted(first_edge, first_edge[start] + most, side="right")) - 1
        end = min(max(end, start + 1), stop)
        pieces.append((start, end))
        start = end
    return pieces


def plan_runs(topology: Topology) -> list[Run]:
    """Divide the graph into runs.

    Examples
    --------
    >>> from gnnlib.encoder.topology import Topology
    >>> plan_runs(Topology.from_sorted(torch.tensor([[1, 0], [0, 1]]), 2))[0].stop
    2
    """
    threads, first_edge = num_threads(), topology.first_edge
    runs = []
    for start, stop in _cut(first_edge, 0, topology.num_nodes, CHUNK_EDGES * threads):
        low, high = int(first_edge[start]), int(first_edge[stop])
        nodes = [(start, stop)]
        if threads > 1 and high - low > threads:
            # equal numbers of edges; the last part takes the rest
            wanted = low + np.arange(1, threads) * (high - low) // threads
            inner = np.searchsorted(first_edge[start : stop + 1], wanted) + start
            ends = [start, *(int(end) for end in inner), stop]
            nodes = list(itertools.pairwise(ends))
        runs.append(Run(low, high, nodes, [(int(first_edge[a]), int(first_edge[b])) for a, b in nodes]))
    return runs


class CompiledMix(torch.autograd.Function):
    """``mix(node, edge, weight, shift)`` with one weight per channel, on the CPU."""

    @staticmethod
    def forward(
        ctx: Any, node: Tensor, edge: Tensor, weight: Tensor, shift: Tensor, topology: Topology
    ) -> tuple[Tensor, Tensor]:
        """Run the kernels; all logits are kept only when a gradient may be asked for."""
        keep = any(ctx.needs_input_grad)
        runs = plan_runs(topology)
        unit = edge.new_empty(max((run.stop - run.start for run in runs), default=0), edge.shape[1])
        z = torch.empty_like(edge if keep else unit)
        out = torch.empty_like(edge)
        mixed, total = edge.new_empty(node.shape[0], edge.shape[1]), edge.new_empty(node.shape[0], edge.shape[1])
        mean, scale = edge.new_empty(edge.shape[0]), edge.new_empty(edge.shape[0])
        ptr, sender = topology.first_edge, topology.sender_array
        arrays = map(_array, (node, shift, edge, unit, mixed, total, out, mean, scale))
        node_, shift_, edge_, unit_, mixed_, total_, out_, mean_, scale_ = arrays
        for run in runs:
            size, base = run.stop - run.start, run.start
            logit = z[base : run.stop] if keep else z[:size]
            logit_ = _array(logit)
            run_parts(normalise_forward, run.edges, base, edge_, EPS, unit_, mean_, scale_)
            torch.mm(unit[:size], weight.t(), out=logit)
            run_parts(mix_forward, run.nodes, base, ptr, sender, node_, shift_, logit_, edge_, out_, mixed_, total_)
        ctx.topology = topology
        ctx.save_for_backward(node, edge, weight, shift, z, mixed, total, mean, scale)
        return mixed, out

    @staticmethod
    def backward(ctx: Any, grad_mixed: Tensor, grad_out: Tensor) -> tuple[Tensor | None, ...]:
        """Run the backward kernels; when the gradient itself is to be differentiated, use tensor operations."""
        node, edge, weight, shift, z, mixed, total, mean, scale = ctx.saved_tensors
        topology = ctx.topology
        if torch.is_grad_enabled():
            results = mix_tensors(node, edge, weight, shift, topology)
            inputs = (node, edge, weight, shift)
            wanted = [tensor for tensor in inputs if tensor.requires_grad]
            grads = torch.autograd.grad(results, wanted, (grad_mixed, grad_out), create_graph=True)
            found = iter(grads)
            return (*(next(found) if tensor.requires_grad else None for tensor in inputs), None)

        runs = plan_runs(topology)
        unit = edge.new_empty(max((run.stop - run.start for run in runs), default=0), edge.shape[1])
        grad_unit, grad_z, grad_edge = torch.empty_like(unit), torch.empty_like(unit), torch.empty_like(edge)
        grad_weight = torch.zeros_like(weight)
        parts = max((len(run.nodes) for run in runs), default=1)
        grad_node = node.new_zeros(parts, *node.shape)
        ptr, sender = topology.first_edge, topology.sender_array
        arrays = map(_array, (node, edge, unit, z, mixed, total, mean, scale, grad_unit, grad_z))
        node_, edge_, unit_, z_, mixed_, total_, mean_, scale_, grad_unit_, grad_z_ = arrays
        arrays = map(_array, (grad_mixed.contiguous(), grad_out.contiguous(), grad_edge, grad_node))
        grad_mixed_, grad_out_, grad_edge_, grad_node_ = arrays
        for run in runs:
            size, base = run.stop - run.start, run.start
            run_parts(normalise_again, run.edges, base, edge_, unit_, mean_, scale_)
            run_parts(
                mix_backward, run.nodes, base, ptr, sender, node_, z_, mixed_, total_,
                grad_mixed_, grad_out_, grad_z_, grad_node_,
            )  # fmt: skip
            grad_weight.addmm_(grad_z[:size].t(), unit[:size])
            torch.mm(grad_z[:size], weight, out=grad_unit[:size])
            run_parts(normalise_backward, run.edges, base, unit_, scale_, grad_unit_, grad_out_, grad_edge_)
        total_node = grad_node[0] if parts == 1 else grad_node.sum(0)
        return total_node, grad_edge, grad_weight, total_node[:, : edge.shape[1]].sum(0), None


def _array(tensor: Tensor) -> Any:
    return tensor.detach().numpy()
