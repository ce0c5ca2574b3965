"""The head of the pipeline graph: how good the pipeline is for the table, and which edit to make next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gnnlib.encoder import Head, Output
from gnnlib.errors import InputError
from gnnlib.heads.automl.pieces import SLOTS
from gnnlib.heads.automl.synthesis_graph import NODE_FEATURES, NODES, PIPELINE_SPEC, PipelineGraph, policy_size

if TYPE_CHECKING:
    from gnnlib.encoder import Embedding
    from gnnlib.graphs.schema import GraphLike

__all__ = ["PolicyValue", "SynthesisHead"]

_SHARPNESS = 12.0
_ESTIMATOR = 1 + SLOTS.index("estimator")


@dataclass
class PolicyValue(Output):
    """What the head says.

    Attributes
    ----------
    value : Tensor [B]
        Expected score of each pipeline on its table: 0 is that of the worst known pipeline, 1 of the best.
    policy : Tensor [B, K]
        Vector off which the score of any edit is read, see `gnnlib.heads.automl.synthesis_graph.edit_design`.
    """

    value: Tensor
    policy: Tensor


class SynthesisHead(Head):
    """Value and policy off the states of the table, of the estimator and of the whole graph.

    Parameters
    ----------
    width : int
        Channels W of the encoder.
    tables : int, default 79
        Features of a table.

    Attributes
    ----------
    seen : Tensor [112]
        1 for features of pieces that occurred in training, 0 for others, about which the weights know nothing.
    kernel : Tensor [6]
        What is known of errors of the value: variance shared within a family, an estimator, and near settings of it;
        length of "near"; variance of noise; and the usual distance from the worst to the best score.

    Examples
    --------
    >>> import numpy as np
    >>> from gnnlib.encoder import Encoder, GraphModel
    >>> from gnnlib.heads.automl.synthesis_graph import pipeline_graph, sentence_features
    >>> model = GraphModel(Encoder([PIPELINE_SPEC], width=16, depth=1), SynthesisHead(16))
    >>> model(pipeline_graph(sentence_features(None)[None], np.zeros((1, 79)))).value.shape
    torch.Size([1])
    """

    spec = PIPELINE_SPEC

    def __init__(self, width: int, tables: int = 79) -> None:
        super().__init__()
        self.tables = tables
        self.value = nn.Sequential(nn.Linear(3 * width, width), nn.SiLU(), nn.Linear(width, 1))
        self.policy = nn.Sequential(nn.Linear(3 * width, width), nn.SiLU(), nn.Linear(width, policy_size()))
        self.seen: Tensor
        self.kernel: Tensor
        self.register_buffer("seen", torch.ones(NODE_FEATURES))
        self.register_buffer("kernel", torch.tensor([0.01, 0.01, 0.01, 0.5, 0.002, 0.3]))

    def forward(self, embedding: Embedding, graph: GraphLike) -> PolicyValue:  # noqa: ARG002 (the signature of a head)
        """Read value and policy."""
        node = embedding.node.reshape(-1, NODES, embedding.node.shape[1])
        state = torch.cat([node[:, 0], node[:, _ESTIMATOR], node.mean(dim=1)], dim=1)
        return PolicyValue(self.value(state).squeeze(-1), self.policy(state))

    def losses(self, output: Output, graph: GraphLike) -> dict[str, Tensor]:
        """Return "value" (squared error), "list" (cross-entropy against the best of each table) and "policy"."""
        if not isinstance(output, PolicyValue) or not isinstance(graph, PipelineGraph) or graph.value is None:
            raise InputError("learning a SynthesisHead needs a PolicyValue and a PipelineGraph with its labels")
        found: dict[str, Tensor] = {}
        known = torch.isfinite(graph.value)
        target = torch.where(known, graph.value, 0.0)
        found["value"] = ((output.value - target).square() * known).sum() / known.sum()
        away = torch.where(known, 0.0, -torch.inf).reshape(graph.tables, -1)
        wanted = torch.softmax(_SHARPNESS * target.reshape(graph.tables, -1) + away, dim=1)
        said = F.log_softmax(_SHARPNESS * output.value.reshape(graph.tables, -1) + away, dim=1)
        found["list"] = -(wanted * torch.where(wanted > 0, said, 0.0)).sum(dim=1).mean()
        if graph.policy is not None and graph.legal is not None and graph.design is not None:
            scores = torch.where(graph.legal, output.policy @ graph.design.T, -torch.inf)
            chosen = graph.policy.sum(dim=1) > 0
            logs = F.log_softmax(scores[chosen], dim=1)
            share = graph.policy[chosen]
            found["policy"] = -(share * torch.where(share > 0, logs, 0.0)).sum(dim=1).mean()
        return found
