"""The verb of the head: `predict_trajectories`."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
import torch

from gnnlib.encoder import GraphModel, load
from gnnlib.errors import InputError
from gnnlib.heads.scene.decode import choose_modes, decode
from gnnlib.heads.scene.graph import check_step, scene_graph
from gnnlib.heads.scene.graphs.graph_features import HISTORY
from gnnlib.heads.scene.head import Trajectories, TrajectoryHead
from gnnlib.heads.scene.problem import Scene
from gnnlib.heads.scene.result import Prediction

if TYPE_CHECKING:
    from gnnlib.encoder import Output

__all__ = ["predict_trajectories"]

_DT_TOLERANCE_S = 1e-3


def predict_trajectories(
    scene: Scene,
    *,
    modes: int = 6,
    at_step: int | None = None,
    history: int = HISTORY,
    horizon: int = 30,
    model: GraphModel | None = None,
) -> Prediction:
    """Predict where every agent of a scene may go.

    One pass over one graph predicts all agents, with the map encoded once. Only positions up to `at_step` are read, not
    the recorded velocities; headings only of agents that stand.

    Parameters
    ----------
    scene : Scene
        At 10 steps a second; with or without a map.
    modes : int in 1 .. 6, default 6
        Futures per agent, placed so that one of six ends within 2 m of the truth as probably as may be (see
        `coverage.cover`). 1 asks for the best single guess, which is no copy of one of the six.
    at_step : int, optional
        The last observed step; by default the last one of the scene.
    history : int in 2 .. 20, default 20
        Observed steps that are read; agents that came later are predicted from what there is.
    horizon : int in 1 .. 30, default 30
        Predicted steps.
    model : GraphModel, optional
        The shipped weights by default.

    Returns
    -------
    Prediction
        For the agents present at `at_step`; empty when there are none. ``scale`` [A, modes, T, 2] is that of Laplace
        distributions ahead and to the left of the agent; ``radius`` makes regions whose union holds nine futures of
        ten (on data like those it was calibrated on); ``unfamiliarity`` is about 1 in situations like those of the
        training scenes.

    Raises
    ------
    InputError
        If an option is out of range, the scene has another rate, or the model predicts no trajectories.

    Examples
    --------
    >>> from gnnlib.heads.scene.generate import generate_scene
    >>> scene = generate_scene("intersection", seed=0, num_steps=60)
    >>> prediction = predict_trajectories(scene, at_step=20)
    >>> prediction.xy.shape[1:], bool(np.allclose(prediction.probability.sum(axis=1), 1.0))
    ((6, 30, 2), True)
    """
    if not isinstance(scene, Scene):
        raise InputError(f"`scene` must be a Scene, found {type(scene).__name__}; read_scene makes one of a file")
    chosen = _shipped() if model is None else model
    head = chosen.head
    if not isinstance(head, TrajectoryHead):
        raise InputError(f"`model` must have a TrajectoryHead, found {type(head).__name__}")
    if abs(scene.dt - head.dt) > _DT_TOLERANCE_S:
        raise InputError(f"the model predicts scenes with a step of {head.dt:g} s, this one has {scene.dt:g} s")
    if isinstance(horizon, bool) or not isinstance(horizon, int) or not 1 <= horizon <= head.horizon:
        raise InputError(f"`horizon` must be an integer from 1 to {head.horizon}, found {horizon!r}")
    step = check_step(scene, at_step)
    graph = scene_graph(scene, at_step=step, history=history)
    if not len(scene.present_at(step)):
        choose_modes(_nobody(head), modes)  # checks `modes`
        empty = np.zeros((0, modes, horizon, 2))
        return Prediction((), empty, np.zeros((0, modes)), empty + 1.0, at_step=step, dt=scene.dt, scene=scene)
    with torch.inference_mode():
        output: Output = chosen(graph)
    if not isinstance(output, Trajectories):
        raise InputError(f"the model must predict Trajectories, but returned {type(output).__name__}")
    return decode(output, graph, scene, chosen, modes=modes, at_step=step, horizon=horizon)


def _nobody(head: TrajectoryHead) -> Trajectories:
    none = torch.zeros(0, head.modes + 1, head.horizon, 2)
    return Trajectories(none, none, torch.zeros(0, head.modes), torch.zeros(0, 1))


@functools.cache
def _shipped() -> GraphModel:
    return load("scene")
