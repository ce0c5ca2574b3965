"""Past experience as a graph: data sets and pipelines are nodes, observed results and likeness are edges.

A new data set is attached by what it looks like; a result on it is one more edge. So one model covers the advice for a
table nobody has touched and the completion of a row of which a few results are in. Likeness edges leave known data sets
only, so that a new one never changes what is said of another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from torch import Tensor

from gnnlib.errors import InputError
from gnnlib.graphs.schema import GraphSpec, GraphTensors

if TYPE_CHECKING:
    from gnnlib.typing import BoolArray, FloatArray, IntArray

__all__ = ["DATASET_SPEC", "LIKE", "RESULT_TO_DATASET", "RESULT_TO_PIPELINE", "DatasetGraph", "dataset_graph"]

LIKE, RESULT_TO_PIPELINE, RESULT_TO_DATASET = 0, 1, 2
"""Types of edges: a data set is like another; a result, towards the pipeline; a result, towards the data set."""

NODE_FEATURES = 96
EDGE_FEATURES = 2

DATASET_SPEC = GraphSpec("datasets", node_dim=NODE_FEATURES, edge_dim=EDGE_FEATURES, node_types=2, edge_types=3)
"""Node type 0 is a data set, 1 a pipeline; an edge carries a likeness or a regret, and whether it is one."""


@dataclass
class DatasetGraph(GraphTensors):
    """The graph with what the head needs.

    Attributes
    ----------
    num_datasets : int
        The first so many nodes are data sets, the others pipelines.
    prior : Tensor [P], optional
        Mean regret of every pipeline over the known data sets.
    target : Tensor [Q, P], optional
        Regrets to be predicted for the data sets `asked`.
    asked : Tensor [Q], int64, optional
        Nodes whose row is wanted; all data sets when absent.
    """

    num_datasets: int = 0
    prior: Tensor | None = None
    target: Tensor | None = None
    asked: Tensor | None = None

    def to(self, device: str | torch.device | None = None, dtype: torch.dtype | None = None) -> Self:
        """Move all tensors to `device`; cast the floating ones to `dtype`."""
        moved = super().to(device, dtype)
        moved.num_datasets = self.num_datasets
        moved.prior = None if self.prior is None else self.prior.to(device, dtype)
        moved.target = None if self.target is None else self.target.to(device, dtype)
        moved.asked = None if self.asked is None else self.asked.to(device)
        return moved


def like_edges(features: FloatArray, known: BoolArray, neighbours: int) -> tuple[IntArray, FloatArray]:
    """Return edges [2, E] from the nearest known data sets to every data set, and their likeness [E].

    Parameters
    ----------
    features : array [D, F]
        Each column of about unit size.
    known : bool array [D]
        Which data sets may send.
    neighbours : int
        Edges into each data set, fewer when fewer are known.
    """
    senders = np.flatnonzero(known)
    squares = (features**2).sum(axis=1)
    apart = squares[:, None] + squares[senders][None] - 2.0 * features @ features[senders].T
    apart = np.sqrt(np.maximum(apart, 0.0) / features.shape[1])
    apart[senders, np.arange(len(senders))] = np.inf
    count = min(neighbours, len(senders) - 1)
    if count < 1:
        return np.zeros((2, 0), dtype=np.int64), np.zeros(0)
    nearest = np.argpartition(apart, count - 1, axis=1)[:, :count]
    nearest.sort(axis=1)
    rows = np.repeat(np.arange(len(features)), count)
    chosen = nearest.ravel()
    return np.stack([senders[chosen], rows]), np.exp(-2.0 * apart[rows, chosen])


def dataset_graph(
    features: FloatArray,
    pipelines: FloatArray,
    results: FloatArray,
    *,
    known: BoolArray,
    neighbours: int = 8,
) -> DatasetGraph:
    """Build the graph.

    Parameters
    ----------
    features : array [D, F]
        What each data set looks like, F at most 96.
    pipelines : array [P, G]
        What each pipeline is like, G at most 96.
    results : array [D, P]
        Observed regrets, 0 to 1; NaN where there is no edge.
    known : bool array [D]
        Data sets that others may learn from; the rest only receive.
    neighbours : int, default 8

    Raises
    ------
    InputError
        If shapes do not fit or there are too many features.

    Examples
    --------
    >>> results = np.array([[0.0, np.nan], [np.nan, np.nan]])
    >>> graph = dataset_graph(np.eye(2), np.eye(2), results, known=np.array([True, False]), neighbours=3)
    >>> graph.num_nodes, graph.edge_type.tolist()
    (4, [1, 2])
    """
    datasets, columns = results.shape
    if features.shape[0] != datasets or pipelines.shape[0] != columns or known.shape != (datasets,):
        raise InputError(
            f"needs features [{datasets}, F], pipelines [{columns}, G] and known [{datasets}], "
            f"found {features.shape}, {pipelines.shape} and {known.shape}"
        )
    if max(features.shape[1], pipelines.shape[1]) > NODE_FEATURES:
        raise InputError(f"at most {NODE_FEATURES} features, found {features.shape[1]} and {pipelines.shape[1]}")
    node = np.zeros((datasets + columns, NODE_FEATURES))
    node[:datasets, : features.shape[1]] = features
    node[datasets:, : pipelines.shape[1]] = pipelines
    like, likeness = like_edges(features, known, neighbours)
    row, column = np.nonzero(np.isfinite(results))
    value = results[row, column]
    # A result on a new data set tells of that data set, and nothing of the pipeline on others.
    sends = known[row]
    index = np.concatenate(
        [like, np.stack([row[sends], datasets + column[sends]]), np.stack([datasets + column, row])], axis=1
    )
    kinds = np.repeat([LIKE, RESULT_TO_PIPELINE, RESULT_TO_DATASET], [like.shape[1], int(sends.sum()), len(row)])
    attributes = np.zeros((index.shape[1], EDGE_FEATURES))
    attributes[:, 0] = np.concatenate([likeness, value[sends], value])
    attributes[:, 1] = kinds != LIKE
    return DatasetGraph(
        torch.as_tensor(node, dtype=torch.float32),
        torch.as_tensor(index, dtype=torch.int64),
        torch.as_tensor(attributes, dtype=torch.float32),
        node_type=torch.as_tensor((np.arange(len(node)) >= datasets).astype(np.int64)),
        edge_type=torch.as_tensor(kinds, dtype=torch.int64),
        num_datasets=datasets,
    )
