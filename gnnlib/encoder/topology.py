"""Who sends to whom, put in the order of the receivers once per graph."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from gnnlib.typing import IntArray

__all__ = ["Topology", "on_plain_cpu", "receiver_order"]


def on_plain_cpu(tensor: Tensor) -> bool:
    """Return whether compiled kernels may read the tensor: on the CPU, and not traced or wrapped by a transform.

    Examples
    --------
    >>> on_plain_cpu(torch.zeros(1)), on_plain_cpu(torch.zeros(1, device="meta"))
    (True, False)
    """
    # the second has no public name
    traced = torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()  # noqa: SLF001
    return tensor.device.type == "cpu" and not traced


@dataclass(frozen=True)
class Topology:
    """The edges of a graph, sorted by receiver.

    Attributes
    ----------
    sender, receiver : Tensor [E], int64
        `receiver` is non-decreasing.
    degree : Tensor [N], int64
        Number of incoming edges of each node.
    neighbours : int or None
        k when every node receives exactly k > 0 edges: edge tensors may then be viewed as [N, k, ...].
    """

    sender: Tensor
    receiver: Tensor
    degree: Tensor
    neighbours: int | None

    @classmethod
    def from_sorted(cls, edge_index: Tensor, num_nodes: int) -> Topology:
        """Build from an ``edge_index`` [2, E] whose receivers are non-decreasing.

        Examples
        --------
        >>> Topology.from_sorted(torch.tensor([[1, 2, 0], [0, 1, 2]]), 3).neighbours
        1
        """
        sender, receiver = edge_index[0].contiguous(), edge_index[1].contiguous()
        degree = torch.bincount(receiver, minlength=num_nodes)
        neighbours = None
        if num_nodes and receiver.numel() and receiver.numel() % num_nodes == 0:
            k = receiver.numel() // num_nodes
            neighbours = k if bool((degree == k).all()) else None
        return cls(sender, receiver, degree, neighbours)

    @property
    def num_nodes(self) -> int:
        """Number of nodes N."""
        return int(self.degree.shape[0])

    @cached_property
    def lonely(self) -> Tensor:
        """Mask [N, 1] of the nodes without incoming edges."""
        return (self.degree == 0).unsqueeze(-1)

    @cached_property
    def sender_array(self) -> IntArray:
        """`sender` as an array of the CPU."""
        return self.sender.numpy()

    @cached_property
    def first_edge(self) -> IntArray:
        """First edge of each receiver, and the number of edges at the end: array [N + 1] of the CPU."""
        ends = self.degree.cumsum(0)
        return torch.cat([ends.new_zeros(1), ends]).numpy()


def receiver_order(receiver: Tensor, num_nodes: int) -> Tensor | None:
    """Return the stable order [E] that sorts the edges by receiver, or None when they are sorted already.

    Examples
    --------
    >>> receiver_order(torch.tensor([1, 0, 1]), 2)
    tensor([1, 0, 2])
    """
    if receiver.numel() < 2 or not bool((receiver[1:] < receiver[:-1]).any()):
        return None
    if on_plain_cpu(receiver):
        from gnnlib.encoder.kernels import counting_order

        return torch.from_numpy(counting_order(receiver.contiguous().numpy(), num_nodes))
    return torch.argsort(receiver, stable=True)
