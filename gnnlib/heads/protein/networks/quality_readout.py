"""The linear end of the judge of models, fitted in closed form on decoys after the network is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from gnnlib.errors import InputError
from gnnlib.heads.protein.networks.quality_head import QualityHead

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from gnnlib.encoder import GraphModel
    from gnnlib.heads.protein.graphs.quality_graph import QualityGraph

__all__ = ["fit_readout"]

_FURTHEST = 0.02


class _Ridge:
    """Sums for a ridge regression on standardised features."""

    def __init__(self) -> None:
        self.inputs: list[Tensor] = []
        self.targets: list[Tensor] = []

    def add(self, inputs: Tensor, targets: Tensor) -> None:
        self.inputs.append(inputs.double())
        self.targets.append(targets.double())

    def solve(self, penalty: float) -> tuple[Tensor, Tensor]:
        """Return weights [targets, F] and biases [targets]."""
        x, y = torch.cat(self.inputs), torch.cat(self.targets)
        centre, scale, level = x.mean(dim=0), x.std(dim=0) + 1e-3, y.mean(dim=0)
        z = (x - centre) / scale
        gram = z.T @ z + penalty * torch.eye(z.shape[1], dtype=z.dtype)
        weight = torch.linalg.solve(gram, z.T @ (y - level)) / scale[:, None]
        return weight.T, level - centre @ weight


def _logit(share: Tensor) -> Tensor:
    return torch.logit(share.clamp(_FURTHEST, 1.0 - _FURTHEST))


@torch.inference_mode()
def fit_readout(
    model: GraphModel, batches: Iterable[QualityGraph], *, within: float = 300.0, between: float = 30.0
) -> None:
    """Fit the readout of a `QualityHead` by ridge regression on logits.

    Parameters
    ----------
    model : GraphModel
        Changed in place.
    batches : iterable of QualityGraph
        Decoys with labels.
    within, between : float
        Penalties of the differences inside models and between models, in numbers of residues and of models.

    Raises
    ------
    InputError
        If the model has another head, or a graph has no labels.
    """
    head = model.head
    if not isinstance(head, QualityHead):
        raise InputError(f"the model must have a QualityHead, found {type(head).__name__}")
    inside, among = _Ridge(), _Ridge()
    model.eval()
    for graph in batches:
        if graph.lddt is None or graph.gdt_ts is None:
            raise InputError("fitting a readout needs graphs with `lddt` [N] and `gdt_ts` [B]")
        residues, models, batch = head.features(model.encoder(graph, head.spec.name), graph)
        known = torch.isfinite(graph.lddt)
        target, owner = _logit(graph.lddt[known]), batch[known]
        count = torch.bincount(owner, minlength=len(models)).clamp(min=1)
        mean = target.new_zeros(len(models)).index_add(0, owner, target) / count
        inside.add(residues[known], (target - mean[owner])[:, None])
        among.add(models, torch.stack([mean, _logit(graph.gdt_ts)], dim=1))
    weight, _ = inside.solve(within)
    head.within.weight.copy_(weight)
    weight, bias = among.solve(between)
    head.between.weight.copy_(weight)
    head.between.bias.copy_(bias)
