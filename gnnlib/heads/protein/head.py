"""The head that reads residues from CA positions: secondary structure and backbone torsions, together or alone."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gnnlib.encoder import Head, Output
from gnnlib.errors import InputError
from gnnlib.graphs.schema import GraphTensors
from gnnlib.heads.protein.graph import PROTEIN_SPEC
from gnnlib.heads.protein.graphs.graph_features import VIRTUAL_TORSIONS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from gnnlib.encoder import Embedding
    from gnnlib.graphs.schema import GraphLike

__all__ = ["PARTS", "STATE3_OF_STATE8", "BackboneGraph", "BackboneHead", "BackboneOutput", "torsion_angles"]

#: What a `BackboneHead` can read.
PARTS = ("secondary", "torsions")

#: Index in "HEC" of each of the eight states "HBEGITSC".
STATE3_OF_STATE8 = (0, 1, 1, 0, 0, 2, 2, 2)

_TORSIONS = ("phi", "psi")
_MISSING = "learning {} needs a graph with the tensor `{}`"


@dataclass
class BackboneGraph(GraphTensors):
    """Graphs of CA traces with what is to be learned.

    Parameters
    ----------
    state : Tensor [N], int64, optional
        Index in "HBEGITSC", -1 unknown.
    weight : Tensor [N], optional
        How much the state of a residue counts.
    torsion_rad : Tensor [N, 2], optional
        Phi and psi; NaN unknown.
    torsion_weight : Tensor [N], optional
        How much the torsions of a residue count.
    """

    state: Tensor | None = None
    weight: Tensor | None = None
    torsion_rad: Tensor | None = None
    torsion_weight: Tensor | None = None

    def to(self, device: str | torch.device | None = None, dtype: torch.dtype | None = None) -> Self:
        """Move all tensors to `device`; cast the floating features to `dtype`."""
        moved = super().to(device, dtype)
        for name in ("state", "weight", "torsion_rad", "torsion_weight"):
            label = getattr(self, name)
            setattr(moved, name, None if label is None else label.to(device))
        return moved


@dataclass
class BackboneOutput(Output):
    """What the head says of each residue.

    Attributes
    ----------
    state : Tensor [N, 8] or None
        Logits of the states "HBEGITSC".
    direction : Tensor [N, 2, 2] or None
        Of phi and psi, a vector along (cosine, sine); its length says nothing.
    """

    state: Tensor | None
    direction: Tensor | None


class BackboneHead(Head):
    """Reads secondary structure and torsions off the embedding and, by a linear short cut, off the node features.

    Torsions are read relative to those of the estimated backbone among the node features: with unit vectors as complex
    numbers, ``direction = estimate (1 + turn) + shift``; where there is no estimate only the shift is left.

    Parameters
    ----------
    width : int
        Channels W of the encoder.
    hidden : int, default 64
        Channels of each part's perceptron.
    parts : sequence of str, default ("secondary", "torsions")
        What to read, of `PARTS`; several are trained jointly, each with losses under its own names.
    deep : bool, default False
        The perceptrons read the node features too, and have one layer more, of ``2 * hidden`` channels.

    Raises
    ------
    InputError
        If a part is unknown or none is named.

    Examples
    --------
    >>> import numpy as np
    >>> from gnnlib.encoder import Encoder, GraphModel
    >>> from gnnlib.heads.protein.graph import trace_graph
    >>> model = GraphModel(Encoder([PROTEIN_SPEC], width=16, depth=1), BackboneHead(16))
    >>> output = model(trace_graph(np.array([[0.0, 0, 0], [3.8, 0, 0], [5.0, 3.6, 0]])))
    >>> output.state.shape, output.direction.shape
    (torch.Size([3, 8]), torch.Size([3, 2, 2]))
    """

    spec = PROTEIN_SPEC

    def __init__(self, width: int, hidden: int = 64, parts: Sequence[str] = PARTS, *, deep: bool = False) -> None:
        super().__init__()
        if not parts or not set(parts) <= set(PARTS):
            raise InputError(f"`parts` must name one or more of {', '.join(PARTS)}, found {tuple(parts)!r}")
        sizes = {"secondary": len(STATE3_OF_STATE8), "torsions": 4 * len(_TORSIONS)}
        chosen = [part for part in PARTS if part in parts]
        self.deep = deep
        own = self.spec.node_dim if deep else 0
        inner = [nn.Linear(2 * hidden, hidden), nn.SiLU()] if deep else []
        first = 2 * hidden if deep else hidden
        self.readers = nn.ModuleDict(
            {
                part: nn.Sequential(
                    nn.Linear(width + own, first), nn.SiLU(), *copy.deepcopy(inner), nn.Linear(hidden, sizes[part])
                )
                for part in chosen
            }
        )
        self.short_cuts = nn.ModuleDict({part: nn.Linear(self.spec.node_dim, sizes[part]) for part in chosen})

    def forward(self, embedding: Embedding, graph: GraphLike) -> BackboneOutput:
        """Read every residue of `graph`."""
        x = graph.x
        if x is None:
            raise InputError("a BackboneHead reads a graph with the node features `x`, found none")
        known = torch.cat([embedding.node, x], dim=-1) if self.deep else embedding.node
        read = {part: reader(known) + self.short_cuts[part](x) for part, reader in self.readers.items()}
        direction = _turned(x, read["torsions"]) if "torsions" in read else None
        return BackboneOutput(read.get("secondary"), direction)

    def losses(self, output: Output, graph: GraphLike) -> dict[str, Tensor]:
        """Return "states8" and "states3" (cross-entropies), "phi" and "psi" (mean chord between unit vectors).

        The chord of two directions is near the angle where that is small, and bounded: a flipped peptide does not pull.

        Parameters
        ----------
        output : BackboneOutput
        graph : BackboneGraph
            With `state`, `weight` and `torsion_rad`, those of the head's parts.
        """
        if not isinstance(output, BackboneOutput):
            raise InputError(f"a BackboneHead learns from a BackboneOutput, found {type(output).__name__}")
        named: dict[str, Tensor] = {}
        if output.state is not None:
            named.update(_state_losses(output.state, graph))
        if output.direction is not None:
            named.update(_torsion_losses(output.direction, graph))
        return named

    def metrics(self, output: Output, graph: GraphLike) -> dict[str, float]:
        """Return "q8", "q3", and the mean absolute errors "phi_mae", "psi_mae" in degrees, of the parts there are."""
        if not isinstance(output, BackboneOutput):
            raise InputError(f"a BackboneHead measures a BackboneOutput, found {type(output).__name__}")
        found: dict[str, float] = {}
        if output.state is not None:
            state = _label(graph, "state", "secondary structure")
            known = state >= 0
            table = torch.tensor(STATE3_OF_STATE8, device=state.device)
            guess, truth = output.state[known].argmax(dim=-1), state[known]
            found["q8"] = float((guess == truth).float().mean())
            found["q3"] = float((table[guess] == table[truth]).float().mean())
        if output.direction is not None:
            error = torsion_angles(output.direction) - _label(graph, "torsion_rad", "torsions")
            error = torch.remainder(error + math.pi, 2.0 * math.pi) - math.pi
            for number, name in enumerate(_TORSIONS):
                found[f"{name}_mae"] = float(error[:, number].detach().abs().nanmean().rad2deg())
        return found


def torsion_angles(direction: Tensor) -> Tensor:
    """Return phi and psi in radians [N, 2] of a head's directions [N, 2, 2]."""
    return torch.atan2(direction[..., 1], direction[..., 0])


def _turned(x: Tensor, read: Tensor) -> Tensor:
    """Directions [N, 2, 2] from the estimates among the features and what was read, [N, 8]."""
    estimate = x[:, torch.tensor(VIRTUAL_TORSIONS, device=x.device)]
    turn, shift = read.unflatten(-1, (2, len(_TORSIONS), 2)).unbind(dim=1)
    real, imaginary = 1.0 + turn[..., 0], turn[..., 1]
    cosine, sine = estimate.unbind(dim=-1)
    return torch.stack([cosine * real - sine * imaginary, cosine * imaginary + sine * real], dim=-1) + shift


def _state_losses(logit: Tensor, graph: GraphLike) -> dict[str, Tensor]:
    state = _label(graph, "state", "secondary structure")
    known = state >= 0
    weight = getattr(graph, "weight", None)
    share = torch.ones_like(logit[:, 0])[known] if weight is None else weight[known]
    share = share / share.sum().clamp(min=1e-6)
    eight = F.log_softmax(logit[known], dim=-1)
    table = torch.tensor(STATE3_OF_STATE8, device=logit.device)
    three = torch.stack([torch.logsumexp(eight[:, table == number], dim=-1) for number in range(3)], dim=-1)
    truth = state[known]
    return {
        "states8": F.nll_loss(eight, truth, reduction="none") @ share,
        "states3": F.nll_loss(three, table[truth], reduction="none") @ share,
    }


def _torsion_losses(direction: Tensor, graph: GraphLike) -> dict[str, Tensor]:
    torsion = _label(graph, "torsion_rad", "torsions")
    weight = getattr(graph, "torsion_weight", None)
    named = {}
    for number, name in enumerate(_TORSIONS):
        known = torch.isfinite(torsion[:, number])
        angle = torsion[known, number]
        share = torch.ones_like(angle) if weight is None else weight[known]
        unit = F.normalize(direction[known, number], dim=-1, eps=1e-4)
        cosine = unit[:, 0] * angle.cos() + unit[:, 1] * angle.sin()
        # the small constant keeps the slope of the root finite at equal directions
        chord = (2.0 - 2.0 * cosine + 1e-4).sqrt()
        named[name] = (chord @ share) / share.sum().clamp(min=1e-6)
    return named


def _label(graph: GraphLike, name: str, what: str) -> Tensor:
    label = getattr(graph, name, None)
    if not isinstance(label, Tensor):
        raise InputError(_MISSING.format(what, name))
    return label
