"""The head of traffic scenes: several futures of each agent, with a spread and a probability."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gnnlib.encoder import Head, Output
from gnnlib.errors import InputError
from gnnlib.heads.scene.graph import SCENE_SPEC
from gnnlib.heads.scene.graphs.graph_features import AGENT_FEATURES

if TYPE_CHECKING:
    from gnnlib.encoder import Embedding
    from gnnlib.graphs.schema import GraphLike

__all__ = [
    "Trajectories",
    "TrajectoryHead",
    "bernstein_basis",
    "displacements",
    "incoming_edges",
    "trajectory_losses",
    "trajectory_metrics",
]

_HEADS = 4
_SCALE_TERMS = 3
_LOG_SCALE = (-3.0, 3.0)
_MODE_SCALE_M = 4.0
_SOFTNESS_M = 0.5
MISS_M = 2.0


@dataclass
class Trajectories(Output):
    """What the head says of a graph, in each agent's own frame.

    Attributes
    ----------
    path : Tensor [A, K + 1, T, 2]
        Metres ahead and to the left. The first K are modes; the last is the single best guess.
    log_scale : Tensor [A, K + 1, T, 2]
        Logarithm of the scale of a Laplace distribution round each coordinate.
    logit : Tensor [A, K]
        Logarithm of the modes' probabilities, up to a constant.
    state : Tensor [A, W]
        What the modes were read from: the agent in its surroundings.
    """

    path: Tensor
    log_scale: Tensor
    logit: Tensor
    state: Tensor


def bernstein_basis(steps: int, degree: int) -> Tensor:
    """Bernstein polynomials at ``t = 1/steps, ..., 1`` without the constant one, which is 0 at the present.

    Parameters
    ----------
    steps, degree : int >= 1

    Returns
    -------
    Tensor [steps, degree]
        Column i - 1 holds ``binom(degree, i) t^i (1 - t)^(degree - i)``.

    Examples
    --------
    >>> bernstein_basis(2, 2).tolist()
    [[0.5, 0.25], [0.0, 1.0]]
    """
    t = torch.arange(1, steps + 1, dtype=torch.float64) / steps
    columns = [math.comb(degree, i) * t**i * (1.0 - t) ** (degree - i) for i in range(1, degree + 1)]
    return torch.stack(columns, dim=1).float()


def displacements(path: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and final distance of each mode from the truth where it is known.

    Parameters
    ----------
    path : Tensor [A, K, T, 2]
    truth : Tensor [A, T, 2]
        NaN where unknown; known somewhere for every agent.

    Returns
    -------
    average, final : Tensor [A, K]
        In metres; `final` at the last known step.
    """
    known = ~truth[..., 0].isnan()
    away = torch.linalg.vector_norm(path - truth.nan_to_num().unsqueeze(1) + 1e-6, dim=-1)
    weight = known.to(path.dtype).unsqueeze(1)
    average = (away * weight).sum(-1) / weight.sum(-1).clamp(min=1.0)
    return average, away.gather(-1, _last_known(known).view(-1, 1, 1).expand(-1, path.shape[1], 1)).squeeze(-1)


def _last_known(known: Tensor) -> Tensor:
    steps = torch.arange(1, known.shape[1] + 1, device=known.device)
    return (known * steps).argmax(dim=1)


class ModeLayer(nn.Module):
    """Mode queries listen to the edges that their agent receives, then to one another, then think.

    Parameters
    ----------
    width : int
        Channels W.
    dropout : float, default 0
        Share of each part's result that is left out in training.
    """

    def __init__(self, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.drop = nn.Dropout(dropout)
        self.norm_cross, self.norm_self, self.norm_forward = (nn.LayerNorm(width) for _ in range(3))
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.cross_out = nn.Linear(width, width, bias=False)
        self.own = nn.Linear(width, 3 * width, bias=False)
        self.own_out = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width, bias=False)

    def forward(self, modes: Tensor, heard: Tensor, mask: Tensor) -> Tensor:
        """Return new modes [A, K, W]; `heard` [A, S, W] with `mask` [A, S], where at least one is true."""
        key, value = self.key_value(heard).chunk(2, dim=-1)
        found = _attend(self.query(self.norm_cross(modes)), key, value, mask)
        modes = modes + self.drop(self.cross_out(found))
        query, key, value = self.own(self.norm_self(modes)).chunk(3, dim=-1)
        modes = modes + self.drop(self.own_out(_attend(query, key, value, None)))
        return modes + self.drop(self.down(F.silu(self.up(self.norm_forward(modes)))))


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    q, k, v = (part.unflatten(-1, (_HEADS, -1)).transpose(1, 2) for part in (query, key, value))
    allowed = None if mask is None else mask[:, None, None, :]
    return F.scaled_dot_product_attention(q, k, v, attn_mask=allowed).transpose(1, 2).flatten(-2)


class TrajectoryHead(Head):
    """Predicts K futures and one best guess of every agent of a scene graph.

    Mode queries read the agent's state, attend to the edges it receives (lane pieces and other agents), and give a
    correction of motion at constant velocity as a Bernstein polynomial (as in L. Zhang et al. 2024, SIMPL), a Laplace
    scale for each step and axis, and a logit.

    Parameters
    ----------
    width : int
        Channels W of the encoder, a multiple of 4.
    modes : int, default 6
        Number of futures K.
    horizon : int, default 30
        Steps T.
    degree : int, default 7
        Of the polynomials.
    layers : int, default 2
        Rounds of attention.
    dt : float, default 0.1
        Seconds between steps.
    dropout : float in [0, 1), default 0
        Share of the agents' embeddings and of each result of the attention that is left out in training.

    Examples
    --------
    >>> from gnnlib.encoder import Encoder, GraphModel
    >>> from gnnlib.heads.scene.generate import generate_scene
    >>> from gnnlib.heads.scene.graph import scene_graph
    >>> model = GraphModel(Encoder([SCENE_SPEC], width=16, depth=1), TrajectoryHead(16))
    >>> graph = scene_graph(generate_scene("merge", seed=0, num_steps=60), at_step=20)
    >>> model(graph).path.shape[1:]
    torch.Size([7, 30, 2])
    """

    spec = SCENE_SPEC

    def __init__(
        self,
        width: int,
        modes: int = 6,
        horizon: int = 30,
        degree: int = 7,
        layers: int = 2,
        dt: float = 0.1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.modes, self.horizon, self.degree, self.dt = modes, horizon, degree, dt
        self.history = nn.Linear(AGENT_FEATURES, width)
        self.join = nn.Linear(2 * width, width)
        self.spread = nn.Linear(width, (modes + 1) * width)
        self.sender = nn.Linear(width, width, bias=False)
        self.nothing = nn.Parameter(torch.zeros(width))
        self.drop = nn.Dropout(dropout)
        self.layers = nn.ModuleList(ModeLayer(width, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.path = nn.Linear(width, 2 * degree)
        self.scale = nn.Linear(width, 2 * _SCALE_TERMS)
        self.logit = nn.Linear(width, 1)
        # filled by `decode.calibrate`; 0 stands for "not calibrated"
        self.register_buffer("region_factor", torch.zeros(horizon))
        self.register_buffer("state_centre", torch.zeros(width))
        self.register_buffer("state_whitening", torch.zeros(width, width))
        t = torch.arange(1, horizon + 1) / horizon
        self.register_buffer("basis", bernstein_basis(horizon, degree), persistent=False)
        self.register_buffer("scale_basis", torch.stack([torch.ones_like(t), t, t * t], dim=1), persistent=False)
        self.register_buffer("seconds", torch.arange(1, horizon + 1) * dt, persistent=False)

    basis: Tensor
    scale_basis: Tensor
    seconds: Tensor

    def forward(self, embedding: Embedding, graph: GraphLike) -> Trajectories:
        """Predict the agents of `graph`: those of `SceneGraph.agent_node`, or all nodes of type 0."""
        agents, incoming, velocity = _agents_of(graph, embedding.node)
        seen = graph.x
        if seen is None:
            raise InputError("the graph of a TrajectoryHead needs the features `x`")
        own = F.silu(self.history(seen.index_select(0, agents)[:, :AGENT_FEATURES]))
        state = F.silu(self.join(self.drop(torch.cat([embedding.node.index_select(0, agents), own], dim=-1))))
        modes = self.spread(state).unflatten(-1, (self.modes + 1, -1))
        heard, mask = self._heard(embedding, graph, incoming)
        for layer in self.layers:
            modes = layer(modes, heard, mask)
        modes = self.norm(modes)
        bend = torch.matmul(self.basis, self.path(modes).unflatten(-1, (self.degree, 2)) * _MODE_SCALE_M)
        straight = velocity[:, None, :] * self.seconds[:, None]
        spread = torch.matmul(self.scale_basis, self.scale(modes).unflatten(-1, (_SCALE_TERMS, 2)))
        return Trajectories(
            bend + straight.unsqueeze(1),
            spread.clamp(*_LOG_SCALE),
            self.logit(modes[:, : self.modes]).squeeze(-1),
            state,
        )

    def _heard(self, embedding: Embedding, graph: GraphLike, incoming: Tensor) -> tuple[Tensor, Tensor]:
        """Return what each agent hears [A, 1 + S, W] and which entries are there; the first always is."""
        edge = incoming.clamp(min=0).flatten()
        if not embedding.edge.shape[0]:
            incoming = incoming[:, :0]
            edge = edge[:0]
        sender = graph.edge_index[0].index_select(0, edge)
        told = embedding.edge.index_select(0, edge) + self.sender(embedding.node).index_select(0, sender)
        told = told.view(*incoming.shape, told.shape[-1])
        first = self.nothing.expand(incoming.shape[0], 1, -1)
        return torch.cat([first, told], dim=1), F.pad(incoming >= 0, (1, 0), value=True)

    def losses(self, output: Output, graph: GraphLike) -> dict[str, Tensor]:
        """Return the named losses of `trajectory_losses`."""
        return trajectory_losses(output, graph)

    def metrics(self, output: Output, graph: GraphLike) -> dict[str, float]:
        """Return the values of `trajectory_metrics`."""
        return trajectory_metrics(output, graph)


def trajectory_losses(output: Output, graph: GraphLike) -> dict[str, Tensor]:
    """Compare trajectories with ``graph.truth``, agents weighted by ``graph.weight``.

    Parameters
    ----------
    output : Trajectories
    graph : SceneGraph
        With `truth`; agents whose future is unknown throughout do not count.

    Returns
    -------
    dict
        "mode" (Laplace likelihood of the mode nearest to the truth, per step), "distance" (its mean and final
        distance), "miss" (whether it ends farther than 2 m from the truth, softened), "choice" (cross-entropy of the
        modes' probabilities against a softmin of their distances), "density" (likelihood of the mixture of all modes,
        at each step for itself), "single" (likelihood and distance of the best guess).
    """
    trajectories, truth, weight = _with_truth(output, graph)
    modes = trajectories.logit.shape[1]
    average, final = displacements(trajectories.path, truth)
    distance = 0.4 * average + 0.6 * final
    each = _laplace_by_step(trajectories, truth)
    known = (~truth[..., 0].isnan()).to(truth.dtype)
    likelihood = _over_known(each, known.unsqueeze(1))
    mixed = -torch.logsumexp(torch.log_softmax(trajectories.logit, dim=1).unsqueeze(-1) - each[:, :modes], dim=1)
    best = distance[:, :modes].detach().argmin(dim=1, keepdim=True)
    target = torch.softmax(-distance[:, :modes].detach() / _SOFTNESS_M, dim=1)
    miss = torch.sigmoid((final.gather(1, best).squeeze(1) - MISS_M) / _SOFTNESS_M)
    choice = -(target * torch.log_softmax(trajectories.logit, dim=1)).sum(1)
    return {
        "mode": (likelihood.gather(1, best).squeeze(1) * weight).sum(),
        "distance": (distance.gather(1, best).squeeze(1) * weight).sum(),
        "miss": (miss * weight).sum(),
        "choice": (choice * weight).sum(),
        "density": (_over_known(mixed, known) * weight).sum(),
        "single": ((0.5 * likelihood[:, -1] + distance[:, -1]) * weight).sum(),
    }


def trajectory_metrics(output: Output, graph: GraphLike) -> dict[str, float]:
    """Return "min_ade", "min_fde" (best of the K modes), "miss_rate" (2 m) and "fde" (of the best guess)."""
    trajectories, truth, weight = _with_truth(output, graph)
    modes = trajectories.logit.shape[1]
    average, final = displacements(trajectories.path.detach(), truth)
    nearest = final[:, :modes].amin(1)
    values = {
        "min_ade": average[:, :modes].amin(1),
        "min_fde": nearest,
        "miss_rate": (nearest > MISS_M).to(weight.dtype),
        "fde": final[:, -1],
    }
    return {name: float((value * weight).sum()) for name, value in values.items()}


def _agents_of(graph: GraphLike, node: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    agents = getattr(graph, "agent_node", None)
    incoming, velocity = getattr(graph, "incoming", None), getattr(graph, "velocity", None)
    if isinstance(agents, Tensor) and isinstance(incoming, Tensor) and isinstance(velocity, Tensor):
        return agents, incoming, velocity
    kinds = getattr(graph, "node_type", None)
    everyone = torch.arange(node.shape[0], device=node.device)
    agents = everyone if kinds is None else everyone[kinds == 0]
    return agents, incoming_edges(graph.edge_index[1], node.shape[0])[agents], node.new_zeros(agents.shape[0], 2)


def incoming_edges(receiver: Tensor, num_nodes: int) -> Tensor:
    """Table [N, S] of the edges that each node receives, padded with -1."""
    order = torch.argsort(receiver, stable=True)
    degree = torch.bincount(receiver, minlength=num_nodes)
    slot = torch.arange(len(order), device=receiver.device) - (degree.cumsum(0) - degree)[receiver[order]]
    table = receiver.new_full((num_nodes, int(degree.max()) if len(order) else 0), -1)
    table[receiver[order], slot] = order
    return table


def _with_truth(output: Output, graph: GraphLike) -> tuple[Trajectories, Tensor, Tensor]:
    truth, weight = getattr(graph, "truth", None), getattr(graph, "weight", None)
    if not isinstance(output, Trajectories) or not isinstance(truth, Tensor):
        raise InputError("learning a TrajectoryHead needs Trajectories and a graph with the tensor `truth` [A, T, 2]")
    known = (~truth[..., 0].isnan()).any(dim=1).to(truth.dtype)
    weight = known if weight is None else weight * known
    return output, truth, weight / weight.sum().clamp(min=1e-6)


def _laplace_by_step(trajectories: Trajectories, truth: Tensor) -> Tensor:
    """Negative log-likelihoods [A, K + 1, T]; of no meaning where the truth is unknown."""
    away = (trajectories.path - truth.nan_to_num().unsqueeze(1)).abs()
    return (away * torch.exp(-trajectories.log_scale) + trajectories.log_scale + math.log(2.0)).sum(-1)


def _over_known(values: Tensor, known: Tensor) -> Tensor:
    """Mean over the known steps, [..., T] to [...]."""
    return (values * known).sum(-1) / known.sum(-1).clamp(min=1.0)
