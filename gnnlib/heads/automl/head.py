"""The head of the data-set graph: the regret of every pipeline on every data set, read off the two nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gnnlib.encoder import Head, Output
from gnnlib.errors import InputError
from gnnlib.heads.automl.graph import DATASET_SPEC, DatasetGraph

if TYPE_CHECKING:
    from gnnlib.encoder import Embedding
    from gnnlib.graphs.schema import GraphLike

__all__ = ["RegretHead", "RegretTable"]

_SHARPNESS = 12.0


@dataclass
class RegretTable(Output):
    """What the head says.

    Attributes
    ----------
    mean : Tensor [Q, P]
        Expected regret of each pipeline on each data set that was asked for.
    log_variance : Tensor [Q]
        Logarithm of the squared error to expect in a row.
    """

    mean: Tensor
    log_variance: Tensor


class RegretHead(Head):
    """A low-rank product of data-set and pipeline states, added to the mean regret of the pipeline.

    Parameters
    ----------
    width : int
        Channels W of the encoder.
    rank : int, default 12

    Examples
    --------
    >>> import numpy as np
    >>> from gnnlib.encoder import Encoder, GraphModel
    >>> from gnnlib.heads.automl.graph import dataset_graph
    >>> model = GraphModel(Encoder([DATASET_SPEC], width=16, depth=1), RegretHead(16))
    >>> graph = dataset_graph(np.eye(3), np.eye(2), np.full((3, 2), 0.5), known=np.ones(3, bool))
    >>> model(graph).mean.shape
    torch.Size([3, 2])
    """

    spec = DATASET_SPEC

    def __init__(self, width: int, rank: int = 12) -> None:
        super().__init__()
        self.dataset = nn.Linear(width, rank)
        self.pipeline = nn.Linear(width, rank)
        self.spread = nn.Linear(width, 1)

    def forward(self, embedding: Embedding, graph: GraphLike) -> RegretTable:
        """Read the table off the nodes."""
        if not isinstance(graph, DatasetGraph):
            raise InputError(f"a RegretHead reads a DatasetGraph, found {type(graph).__name__}")
        datasets = embedding.node[: graph.num_datasets]
        if graph.asked is not None:
            datasets = datasets.index_select(0, graph.asked)
        product = self.dataset(datasets) @ self.pipeline(embedding.node[graph.num_datasets :]).T
        mean = product / self.dataset.out_features**0.5
        return RegretTable(mean if graph.prior is None else mean + graph.prior, self.spread(datasets).squeeze(-1))

    def losses(self, output: Output, graph: GraphLike) -> dict[str, Tensor]:
        """Return "regret" (squared error), "list" (cross-entropy against the best pipelines), "spread" (likelihood)."""
        target = getattr(graph, "target", None)
        if not isinstance(output, RegretTable) or not isinstance(target, Tensor):
            raise InputError("learning a RegretHead needs a RegretTable and a graph with `target` [Q, P]")
        error = (output.mean - target).square()
        wanted = torch.softmax(-_SHARPNESS * target, dim=1)
        listed = -(wanted * F.log_softmax(-_SHARPNESS * output.mean, dim=1)).sum(dim=1).mean()
        row = error.detach().mean(dim=1)
        likelihood = 0.5 * (output.log_variance + row * torch.exp(-output.log_variance)).mean()
        return {"regret": error.mean(), "list": listed, "spread": likelihood}
