"""The head of vehicle routing: scores edges and clients, and reads the steps of a construction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gnnlib.encoder import Head, Output
from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.vrp.graph import VRP_SPEC
from gnnlib.heads.combinatorial.vrp.policy_kernel import (
    FIRST_EXCESS,
    HAS_LOADS,
    HAS_TIMES,
    KIND,
    NUM_ACTION_FEATURES,
    NUM_COSTS,
    NUM_STATE_FEATURES,
    SECOND_EXCESS,
    TOUR,
)

if TYPE_CHECKING:
    from gnnlib.encoder import Embedding
    from gnnlib.graphs.schema import GraphLike

__all__ = ["RouteHead", "RouteScores", "StepBatch", "StepPolicy", "StepScores"]

_HIDDEN = 48
_FAITH = (15.0, 0.0)
"""First weights of the excesses, in mean distances between neighbours."""


@dataclass
class RouteScores(Output):
    """What the head says of a graph.

    Attributes
    ----------
    consecutive, together : Tensor [E]
        Log-odds that good routes visit the two ends one after the other, and that they share a route.
    gain : Tensor [N]
        Expected shortening when a client is taken out, in mean distances between neighbours.
    """

    consecutive: Tensor
    together: Tensor
    gain: Tensor


class StepBatch(NamedTuple):
    """Steps of constructions, with what should be learned from them.

    Attributes
    ----------
    actions : Tensor [R, NUM_ACTION_FEATURES]
        Features of all actions of all steps, step after step.
    step : Tensor [R], int64
        Number of the step that each action belongs to, rising from 0.
    is_right : Tensor [R], bool
        Whether the expert's routes agree with the action.
    states : Tensor [S, NUM_STATE_FEATURES]
    costs : Tensor [S, NUM_COSTS]
        Parts of which the cost to come is made (see `policy_kernel`).
    to_go : Tensor [S]
        Cost to come in the expert's solution, in the unit of `costs`.
    scale : Tensor [S]
        Cost of the whole solution.
    """

    actions: Tensor
    step: Tensor
    is_right: Tensor
    states: Tensor
    costs: Tensor
    to_go: Tensor
    scale: Tensor

    @property
    def num_graphs(self) -> int:
        """Number of steps: what averages are taken over."""
        return int(self.states.shape[0])


@dataclass
class StepScores(Output):
    """Logit of every action [R] and cost to come from every state [S]."""

    logit: Tensor
    value: Tensor


class StepPolicy(nn.Module):
    """Scores the actions of a step from their features, and the state from its own.

    The score of an action is minus the excess of its two estimates, each with a learned weight, and what a perceptron
    adds to that; there is one for tours and one for vehicles with limits. At first these add nothing, and the policy
    prefers what the first estimate prefers. The compiled decoder runs the same sums; see
    `gnnlib.heads.combinatorial.vrp.policy`.

    Examples
    --------
    >>> StepPolicy()(torch.zeros(5, NUM_ACTION_FEATURES)).shape
    torch.Size([5])
    """

    def __init__(self) -> None:
        super().__init__()
        self.faith = nn.Parameter(torch.tensor(_FAITH))
        self.act, self.act_on_tour = _perceptron(), _perceptron()
        self.weigh = nn.Sequential(nn.Linear(NUM_STATE_FEATURES, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, NUM_COSTS))

    def forward(self, batch: StepBatch | Tensor) -> StepScores | Tensor:
        """Score a batch of steps; of a tensor of action features [R, F] return the logits alone."""
        if not isinstance(batch, Tensor):
            return StepScores(self._logit(batch.actions), self.value(batch.states, batch.costs))
        return self._logit(batch)

    def _logit(self, actions: Tensor) -> Tensor:
        is_tour = (actions[:, HAS_LOADS] == 0.0) & (actions[:, HAS_TIMES] == 0.0)
        added = torch.where(is_tour, self.act_on_tour(actions).squeeze(-1), self.act(actions).squeeze(-1))
        excess = torch.expm1(3.0 * actions[:, [FIRST_EXCESS, SECOND_EXCESS]]) / 10.0
        return added - excess @ self.faith

    def value(self, states: Tensor, costs: Tensor) -> Tensor:
        """Return the expected cost to come [S]: the parts of `costs`, each with a learned weight around 1."""
        return (costs * torch.exp(self.weigh(states).clamp(-2.0, 2.0))).sum(dim=-1)

    def losses(self, output: StepScores, batch: StepBatch) -> dict[str, Tensor]:
        """Return "step" (minus log-probability of the expert's actions together) and "value" (relative error).

        Only the steps of tours are to be imitated: of other routes there are many orders, and what the expert does in
        one of them says little about where the policy's own order leads.
        """
        num_steps = batch.states.shape[0]
        everything = _log_sum(output.logit, batch.step, num_steps)
        right = _log_sum(output.logit.masked_fill(~batch.is_right, -1e9), batch.step, num_steps)
        error = (output.value - batch.to_go) / batch.scale
        on_tour = (batch.states[:, KIND] == TOUR).float()
        step = ((everything - right) * on_tour).sum() / on_tour.sum().clamp(min=1.0)
        return {"step": step, "value": F.huber_loss(error, torch.zeros_like(error), delta=0.2)}

    def metrics(self, output: StepScores, batch: StepBatch) -> dict[str, float]:
        """Return the share of steps on tours whose best action is an expert's, and the mean relative error of the value."""
        best = torch.full((batch.states.shape[0],), -torch.inf).scatter_reduce(0, batch.step, output.logit, "amax")
        chosen = (output.logit == best[batch.step]) & batch.is_right
        hit = torch.zeros_like(best).index_add(0, batch.step, chosen.float()).clamp(max=1.0)
        on_tour = batch.states[:, KIND] == TOUR
        agreed = float(hit[on_tour].mean()) if bool(on_tour.any()) else 0.0
        error = ((output.value - batch.to_go) / batch.scale).abs().mean()
        return {"agreement": agreed, "value_error": float(error)}


def _log_sum(logit: Tensor, step: Tensor, num_steps: int) -> Tensor:
    """Logarithm of the sum of exponentials of each step's actions [S]."""
    top = torch.full((num_steps,), -torch.inf).scatter_reduce(0, step, logit.detach(), "amax")
    total = torch.zeros(num_steps).index_add(0, step, torch.exp(logit - top[step]))
    return torch.log(total) + top


def _perceptron() -> nn.Sequential:
    last = nn.Linear(_HIDDEN, 1)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(
        nn.Linear(NUM_ACTION_FEATURES, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, _HIDDEN), nn.ReLU(), last
    )


class RouteHead(Head):
    """Scores edges (both directions alike) and clients; holds the policy that constructs routes with these scores.

    Parameters
    ----------
    width : int
        Channels W of the encoder.
    hidden : int, default 32

    Examples
    --------
    >>> from gnnlib.encoder import Encoder, GraphModel
    >>> from gnnlib.heads.combinatorial.vrp.graph import route_graph
    >>> from gnnlib.heads.combinatorial.vrp.problem import VRP
    >>> model = GraphModel(Encoder([VRP_SPEC], width=16, depth=1), RouteHead(16))
    >>> model(route_graph(VRP.from_coords([[0, 0], [0, 1], [1, 1]], demand=[1, 2], capacity=4))).gain.shape
    torch.Size([3])
    """

    spec = VRP_SPEC

    def __init__(self, width: int, hidden: int = 32) -> None:
        super().__init__()
        self.edge = nn.Linear(width, hidden)
        self.ends = nn.Linear(width, 2 * hidden, bias=False)
        self.score = nn.Linear(hidden, 2)
        self.client = nn.Sequential(nn.Linear(width, hidden), nn.SiLU(), nn.Linear(hidden, 1))
        self.policy = StepPolicy()

    def forward(self, embedding: Embedding, graph: GraphLike) -> RouteScores:
        """Score the edges and nodes of `graph`."""
        sends, receives = self.ends(embedding.node).chunk(2, dim=-1)
        tails, heads = graph.edge_index
        hidden = F.silu(self.edge(embedding.edge) + sends.index_select(0, tails) + receives.index_select(0, heads))
        score = self.score(hidden)
        reverse = getattr(graph, "reverse", None)
        if not isinstance(reverse, Tensor):
            raise InputError("a RouteHead reads graphs of `route_graph`, which carry `reverse`")
        score = 0.5 * (score + score.index_select(0, reverse))
        return RouteScores(score[:, 0], score[:, 1], F.softplus(self.client(embedding.node)).squeeze(-1))

    def losses(self, output: Output, graph: GraphLike) -> dict[str, Tensor]:
        """Return "consecutive" and "together" (cross-entropies of edges) and "gain" (of clients, Huber)."""
        consecutive, together, gain = (getattr(graph, name, None) for name in ("consecutive", "together", "gain"))
        if not isinstance(output, RouteScores) or consecutive is None or together is None or gain is None:
            raise InputError("learning a RouteHead needs RouteScores and a graph with the labels of `route_graph`")
        between = graph.edge_type == 0 if isinstance(getattr(graph, "edge_type", None), Tensor) else slice(None)  # type: ignore[attr-defined]
        return {
            "consecutive": F.binary_cross_entropy_with_logits(output.consecutive, consecutive.float()),
            "together": F.binary_cross_entropy_with_logits(output.together[between], together[between].float()),
            "gain": F.huber_loss(torch.log1p(output.gain), torch.log1p(gain)),
        }

    def metrics(self, output: Output, graph: GraphLike) -> dict[str, float]:
        """Return "found": the share of consecutive edges among the likeliest two of each client."""
        consecutive = getattr(graph, "consecutive", None)
        if not isinstance(output, RouteScores) or not isinstance(consecutive, Tensor):
            raise InputError("measuring a RouteHead needs RouteScores and a labelled graph")
        wanted = int(consecutive.sum())
        best = torch.topk(output.consecutive, wanted).indices
        return {"found": float(consecutive[best].float().mean())}
