"""From what the head says to a `Prediction`: regions that keep their promise, and a warning where nobody should trust it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from gnnlib.errors import InputError
from gnnlib.heads.scene.coverage import ROUNDS, Modes, cover
from gnnlib.heads.scene.graph import to_scene_frame
from gnnlib.heads.scene.result import Prediction

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gnnlib.encoder import GraphModel
    from gnnlib.heads.scene.graph import SceneGraph
    from gnnlib.heads.scene.head import Trajectories
    from gnnlib.heads.scene.problem import Scene
    from gnnlib.typing import FloatArray

__all__ = ["calibrate", "choose_modes", "conformal_factors", "decode", "region_scores", "state_statistics"]

COVERAGE = 0.9
"""Share of futures that the union of the modes' regions is to hold, at each step."""

_RIDGE = 1e-3


def decode(
    output: Trajectories, graph: SceneGraph, scene: Scene, model: GraphModel, *, modes: int, at_step: int, horizon: int
) -> Prediction:
    """Carry predictions into the scene's frame.

    Parameters
    ----------
    output : Trajectories
        What `model` said of `graph`.
    graph : SceneGraph
        Of one scene.
    scene : Scene
    model : GraphModel
        With a `TrajectoryHead`.
    modes : int in 1 .. K
        1 takes the best guess; more take the most probable of the K modes, see `choose_modes`.
    at_step : int
        The step of the graph.
    horizon : int
        Predicted steps to keep.

    Returns
    -------
    Prediction
        ``scale`` [A, modes, T, 2] is that of Laplace distributions ahead and to the left of the agent's heading at the
        present step.
    """
    if graph.pose is None or graph.row is None:
        raise InputError("`graph` must come from scene_graph")
    path, scale, probability = choose_modes(output, modes)
    path, scale = path[:, :, :horizon], scale[:, :, :horizon]
    factor = getattr(model.head, "region_factor", None)
    radius = None
    if isinstance(factor, torch.Tensor) and bool((factor > 0.0).all()):
        radius = _spread(scale) * factor[:horizon].double().numpy()
    return Prediction(
        tuple(scene.agents[row] for row in graph.row.tolist()),
        to_scene_frame(path, graph.pose.numpy()),
        probability,
        scale,
        at_step=at_step,
        dt=scene.dt,
        unfamiliarity=unfamiliarity(output, model),
        radius=radius,
        method="gnnlib",
        scene=scene,
    )


def choose_modes(output: Trajectories, modes: int, *, is_covering: bool = True) -> Modes:
    """Return paths and scales [A, modes, T, 2] and probabilities [A, modes] of some of the predicted modes.

    Parameters
    ----------
    output : Trajectories
    modes : int in 1 .. K
        1: the best guess; K: all; else the most probable, with probabilities that sum to 1 again.
    is_covering : bool, default True
        Move the K modes first so that they leave out as little probability as may be, see `coverage.cover`; otherwise
        they stay as the network gave them.
    """
    most = output.logit.shape[1]
    if isinstance(modes, bool) or not isinstance(modes, int) or not 1 <= modes <= most:
        raise InputError(f"`modes` must be an integer from 1 to {most}, found {modes!r}")
    path = output.path.detach().double().numpy()
    scale = output.log_scale.detach().double().exp().numpy()
    if modes == 1:
        return Modes(path[:, -1:], scale[:, -1:], np.ones((len(path), 1)))
    learned = Modes(path[:, :most], scale[:, :most], torch.softmax(output.logit.detach().double(), dim=1).numpy())
    found = cover(learned, rounds=ROUNDS if is_covering else 0)
    order = np.argsort(-found.probability, axis=1, kind="stable")[:, :modes]
    rows = np.arange(len(path))[:, None]
    chosen = found.probability[rows, order]
    return Modes(found.path[rows, order], found.scale[rows, order], chosen / chosen.sum(axis=1, keepdims=True))


def _spread(scale: FloatArray) -> FloatArray:
    """One number for both axes: the root of the sum of squares of the two scales."""
    return np.asarray(np.hypot(scale[..., 0], scale[..., 1]))


def region_scores(path: FloatArray, scale: FloatArray, truth: FloatArray) -> FloatArray:
    """How far each true position lies from the nearest mode, in units of that mode's spread.

    Parameters
    ----------
    path, scale : float array [A, K, T, 2]
    truth : float array [A, T, 2]

    Returns
    -------
    float array [A, T]
        NaN where the truth is unknown.
    """
    away = np.hypot(*np.moveaxis(path - truth[:, None], -1, 0))
    return np.asarray((away / _spread(scale)).min(axis=1))


def conformal_factors(scores: FloatArray, coverage: float = COVERAGE) -> FloatArray:
    """Quantile of the scores at each step that keeps its promise on further data from the same source.

    Split conformal prediction (V. Vovk et al. 2005; J. Lei et al. 2018, algorithm 2): with n scores, the
    ``ceil((n + 1) coverage)``-th smallest.

    Parameters
    ----------
    scores : float array [A, T]
        NaN where unknown.
    coverage : float in (0, 1), default 0.9

    Examples
    --------
    >>> conformal_factors(np.arange(1.0, 20.0)[:, None]).tolist()
    [18.0]
    """
    if not 0.0 < coverage < 1.0:
        raise InputError(f"`coverage` must lie between 0 and 1, found {coverage!r}")
    factors = np.empty(scores.shape[1])
    for step, column in enumerate(scores.T):
        known = np.sort(column[~np.isnan(column)])
        if not known.size:
            raise InputError(f"conformal calibration needs a known position at every step, found none at step {step}")
        factors[step] = known[min(int(np.ceil((known.size + 1) * coverage)), known.size) - 1]
    return factors


def unfamiliarity(output: Trajectories, model: GraphModel) -> FloatArray | None:
    """Mahalanobis distance of each agent's state from those of the training scenes, over the root of its size.

    About 1 for familiar situations; None when the head holds no statistics. (K. Lee et al. 2018, "A simple unified
    framework for detecting out-of-distribution samples", equation 2, with one class.)
    """
    whitening = getattr(model.head, "state_whitening", None)
    centre = getattr(model.head, "state_centre", None)
    if not isinstance(whitening, torch.Tensor) or not isinstance(centre, torch.Tensor) or not bool(whitening.any()):
        return None
    away = (output.state.detach() - centre) @ whitening
    return np.asarray(away.double().square().mean(dim=1).sqrt().numpy())


def state_statistics(states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean [W] of states [N, W] and a matrix [W, W] that makes them uncorrelated with variance 1."""
    centre = states.mean(dim=0)
    away = (states - centre).double()
    covariance = away.T @ away / max(1, len(away) - 1)
    values, vectors = torch.linalg.eigh(covariance)
    floor = _RIDGE * values.mean()
    return centre, (vectors / (values.clamp(min=0.0) + floor).sqrt()).to(states.dtype)


@torch.inference_mode()
def calibrate(model: GraphModel, train: Iterable[SceneGraph], val: Iterable[SceneGraph]) -> None:
    """Fill the head's buffers: region factors from validation graphs, statistics of states from training graphs.

    Parameters
    ----------
    model : GraphModel
        With a `TrajectoryHead`; changed in place.
    train, val : iterable of SceneGraph
        Those of `val` with truth.
    """
    model.eval()
    states = [_trajectories(model, graph).state for graph in train]
    scores = []
    for graph in val:
        output = _trajectories(model, graph)
        path, scale, _ = choose_modes(output, output.logit.shape[1])
        if graph.truth is None:
            raise InputError("calibration needs graphs with `truth`")
        scores.append(region_scores(path, scale, graph.truth.double().numpy()))
    centre, whitening = state_statistics(torch.cat(states))
    buffers = dict(model.head.named_buffers())
    buffers["state_centre"].copy_(centre)
    buffers["state_whitening"].copy_(whitening)
    buffers["region_factor"].copy_(torch.from_numpy(conformal_factors(np.concatenate(scores))))


def _trajectories(model: GraphModel, graph: SceneGraph) -> Trajectories:
    from gnnlib.heads.scene.head import Trajectories

    output = model(graph)
    if not isinstance(output, Trajectories):
        raise InputError(f"the model must predict Trajectories, but returned {type(output).__name__}")
    return output
