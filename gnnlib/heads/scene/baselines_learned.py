"""Two well-known networks, written again on the same graphs, targets and losses as our own model.

They are small versions in this library's frame, not the published programs: what differs from `TrajectoryHead` on the
shared encoder is the architecture alone, so that a comparison at equal data and budget says something about it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gnnlib.encoder import seeded_parameters
from gnnlib.errors import InputError
from gnnlib.heads.scene.graph import SCENE_SPEC, SceneGraph
from gnnlib.heads.scene.graphs.graph_features import HISTORY
from gnnlib.heads.scene.head import Trajectories, trajectory_losses, trajectory_metrics

if TYPE_CHECKING:
    from gnnlib.encoder import Output
    from gnnlib.seeding import Seed

__all__ = ["HiVTLike", "VectorNetLike"]

_HEADS = 4


class _Predictor(nn.Module):
    """What both share: the decoder (a perceptron for all modes at once) and the losses.

    Parameters
    ----------
    width : int
        Channels W.
    modes, horizon : int
        K and T.
    """

    def __init__(self, width: int, modes: int, horizon: int) -> None:
        super().__init__()
        self.modes, self.horizon = modes, horizon
        per_mode = 4 * horizon + 1
        self.decode = nn.Sequential(
            nn.Linear(width, 2 * width),
            nn.LayerNorm(2 * width),
            nn.ReLU(),
            nn.Linear(2 * width, (modes + 1) * per_mode),
        )
        self.register_buffer("seconds", 0.1 * torch.arange(1, horizon + 1), persistent=False)

    seconds: Tensor

    def _read(self, state: Tensor, velocity: Tensor) -> Trajectories:
        raw = self.decode(state).unflatten(-1, (self.modes + 1, -1))
        path, spread = raw[..., :-1].unflatten(-1, (2, self.horizon, 2)).unbind(2)
        straight = velocity[:, None, None, :] * self.seconds[:, None]
        return Trajectories(5.0 * path + straight, spread.clamp(-3.0, 3.0), raw[:, : self.modes, -1], state)

    def losses(self, output: Output, graph: SceneGraph) -> dict[str, Tensor]:
        """Return the named losses of `trajectory_losses`."""
        return trajectory_losses(output, graph)

    def metrics(self, output: Output, graph: SceneGraph) -> dict[str, float]:
        """Return the values of `trajectory_metrics`."""
        return trajectory_metrics(output, graph)


class VectorNetLike(_Predictor):
    """Tokens of everything around a target, in the target's frame, mixed by attention among all of them.

    After J. Gao et al. 2020, VectorNet: a perceptron per polyline (here: node features and the relative pose), then a
    global graph of self-attention, read at the target's token. The map is encoded anew for every target.

    Parameters
    ----------
    width : int, default 96
        Channels W, a multiple of 4.
    modes, horizon : int, default 6 and 30
    layers : int, default 2
        Of attention.
    seed : int, default 0
        Of the parameters.
    """

    def __init__(self, width: int = 96, modes: int = 6, horizon: int = 30, *, layers: int = 2, seed: Seed = 0) -> None:
        with seeded_parameters(seed):
            super().__init__(width, modes, horizon)
            inputs = SCENE_SPEC.node_dim + SCENE_SPEC.edge_dim
            self.token = nn.Sequential(
                nn.Linear(inputs, width), nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, width)
            )
            self.layers = nn.ModuleList(
                nn.TransformerEncoderLayer(width, _HEADS, 2 * width, 0.0, batch_first=True) for _ in range(layers)
            )

    def forward(self, graph: SceneGraph) -> Trajectories:
        """Predict the agents of `graph`."""
        agents, incoming, velocity, edge = _parts(graph)
        kept = incoming >= 0
        index = incoming.clamp(min=0).flatten()
        node = graph.x.index_select(0, graph.edge_index[0].index_select(0, index))
        around = torch.cat([node, edge.index_select(0, index)], dim=-1).unflatten(0, incoming.shape)
        own = F.pad(graph.x.index_select(0, agents), (0, SCENE_SPEC.edge_dim)).unsqueeze(1)
        state = self.token(torch.cat([own, around], dim=1))
        padding = F.pad(~kept, (1, 0), value=False)
        for layer in self.layers:
            state = layer(state, src_key_padding_mask=padding)
        return self._read(state[:, 0], velocity)


class _Listen(nn.Module):
    """Attention of agents to senders, with relative poses in keys and values (HiVT, equations 4 to 8)."""

    def __init__(self, width: int, edge_dim: int) -> None:
        super().__init__()
        self.norm, self.norm_forward = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(2 * width, 2 * width)
        self.edge = nn.Sequential(nn.Linear(edge_dim, width), nn.LayerNorm(width), nn.ReLU())
        self.gate = nn.Linear(2 * width, width)
        self.own = nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))

    def forward(self, state: Tensor, heard: Tensor, edge: Tensor, mask: Tensor) -> Tensor:
        """Return new states [A, W] from senders [A, S, W], edges [A, S, D] and which of them there are [A, S]."""
        normed = self.norm(state)
        if not mask.shape[1]:
            return state
        key, value = self.key_value(torch.cat([heard, self.edge(edge)], dim=-1)).chunk(2, dim=-1)
        q, k, v = (part.unflatten(-1, (_HEADS, -1)) for part in (self.query(normed), key, value))
        score = torch.einsum("ahd,ashd->ahs", q, k) / q.shape[-1] ** 0.5
        weight = torch.softmax(score.masked_fill(~mask.unsqueeze(1), -1e9), dim=-1) * mask.unsqueeze(1)
        message = torch.einsum("ahs,ashd->ahd", weight, v).flatten(1)
        gate = torch.sigmoid(self.gate(torch.cat([normed, message], dim=-1)))
        state = state + gate * self.own(normed) + (1.0 - gate) * message
        return state + self.feed(self.norm_forward(state))


class HiVTLike(_Predictor):
    """Steps, neighbours, lanes, then everybody: attention in stages, every relation in the receiver's frame.

    After Z. Zhou et al. 2022, HiVT: a transformer over an agent's own steps, attention to its neighbours, attention to
    the lane pieces around it, and global interaction between agents with relative poses. (HiVT attends to neighbours at
    every past step; here once, at the present one.)

    Parameters
    ----------
    width : int, default 64
        Channels W, a multiple of 4.
    modes, horizon : int, default 6 and 30
    rounds : int, default 2
        Of global interaction.
    seed : int, default 0
        Of the parameters.
    """

    def __init__(self, width: int = 64, modes: int = 6, horizon: int = 30, *, rounds: int = 2, seed: Seed = 0) -> None:
        with seeded_parameters(seed):
            super().__init__(width, modes, horizon)
            self.step = nn.Linear(3, width)
            self.place = nn.Parameter(0.02 * torch.randn(HISTORY, width))
            self.time = nn.TransformerEncoderLayer(width, _HEADS, 2 * width, 0.0, batch_first=True, norm_first=True)
            self.rest = nn.Linear(SCENE_SPEC.node_dim, width)
            self.lane = nn.Sequential(nn.Linear(SCENE_SPEC.node_dim, width), nn.ReLU(), nn.Linear(width, width))
            edge = SCENE_SPEC.edge_dim
            self.neighbours, self.lanes = _Listen(width, edge), _Listen(width, edge)
            self.everybody = nn.ModuleList(_Listen(width, edge) for _ in range(rounds))

    def forward(self, graph: SceneGraph) -> Trajectories:
        """Predict the agents of `graph`."""
        agents, _, velocity, edges = _parts(graph)
        kinds = graph.node_type
        everyone = torch.arange(graph.num_nodes) if kinds is None else torch.nonzero(kinds == 0).squeeze(1)
        table = _table(graph, everyone)
        sender = graph.edge_index[0].index_select(0, table.clamp(min=0).flatten()).view(table.shape)
        edge = edges.index_select(0, table.clamp(min=0).flatten()).unflatten(0, table.shape)
        from_agent = (table >= 0) & (_types(graph).index_select(0, sender.flatten()).view(sender.shape) == 0)
        from_lane = (table >= 0) & ~from_agent
        number = everyone.new_zeros(graph.num_nodes)
        number[everyone] = torch.arange(len(everyone))
        state = self._steps(graph.x.index_select(0, everyone))
        near = number.index_select(0, sender.flatten()).view(sender.shape)
        state = self.neighbours(state, state[near], edge, from_agent)
        state = self.lanes(state, self.lane(graph.x)[sender], edge, from_lane)
        for listen in self.everybody:
            state = listen(state, state[near], edge, from_agent)
        return self._read(state.index_select(0, number.index_select(0, agents)), velocity)

    def _steps(self, x: Tensor) -> Tensor:
        steps = HISTORY - 1
        moves = x[:, : 2 * steps].unflatten(-1, (steps, 2))
        known = x[:, 2 * steps : 3 * steps].unsqueeze(-1)
        tokens = self.step(torch.cat([moves, known], dim=-1)) + self.place[1:]
        now = (self.rest(x) + self.place[0]).unsqueeze(1)
        return self.time(torch.cat([now, tokens], dim=1))[:, 0]


def _parts(graph: SceneGraph) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    if graph.agent_node is None or graph.incoming is None or graph.velocity is None or graph.edge_attr is None:
        raise InputError("the graph must come from scene_graph")
    return graph.agent_node, graph.incoming, graph.velocity, graph.edge_attr


def _types(graph: SceneGraph) -> Tensor:
    return torch.zeros(graph.num_nodes, dtype=torch.int64) if graph.node_type is None else graph.node_type


def _table(graph: SceneGraph, receivers: Tensor) -> Tensor:
    """Edges that each of some nodes receives [A, S], padded with -1."""
    from gnnlib.heads.scene.head import incoming_edges

    return incoming_edges(graph.edge_index[1], graph.num_nodes)[receivers]
