"""Pedestrians of the ETH and UCY recordings: eight positions seen, twelve to come, one recording left out in turn.

The protocol: windows of 20 annotated frames (0.4 s apart), with the pedestrians that are there throughout, at least two of
them. A model learns from the other recordings and answers with 20 futures; of these, the one with the smallest mean and
the one with the smallest final distance count (A. Gupta et al. 2018, Social GAN, section 4).

Pedestrians become scenes in units of a fifth of a metre, in which they move about as fast as cars do in metres, and go
through the same graph, encoder and head as traffic.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from gnnlib.encoder import Encoder, GraphModel, seeded_parameters
from gnnlib.errors import FileFormatError, InputError
from gnnlib.heads.scene.graph import SCENE_SPEC, SceneGraph, join_scene_graphs, scene_graph, to_scene_frame, with_truth
from gnnlib.heads.scene.head import Trajectories, TrajectoryHead
from gnnlib.heads.scene.problem import AGENT_TYPES, Scene
from gnnlib.seeding import numpy_generator, spawn_seeds
from gnnlib.training import FitConfig, fit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gnnlib.seeding import Seed
    from gnnlib.typing import FloatArray, PathLike

__all__ = [
    "FOLDS",
    "Crowd",
    "best_of",
    "build_pedestrian_model",
    "crowds",
    "fold_crowds",
    "predict_crowd",
    "sampled_constant_velocity",
    "train_fold",
]

SEEN, COMING = 8, 12
SAMPLES = 20
_DT_S = 0.4
_UNITS_PER_M = 5.0
_PEDESTRIAN = AGENT_TYPES.index("pedestrian")

FOLDS = {
    "eth": ("biwi_eth",),
    "hotel": ("biwi_hotel",),
    "univ": ("students001", "students003"),
    "zara1": ("crowds_zara01",),
    "zara2": ("crowds_zara02",),
}
"""Recordings that each fold leaves out."""

_FIT = FitConfig(
    epochs=12,
    learning_rate=2e-3,
    warmup_steps=100,
    weight_decay=0.02,
    clip_norm=5.0,
    loss_weights={"mode": 0.3, "distance": 1.0, "miss": 0.0, "choice": 0.2, "single": 0.1},
    ema_decay=0.995,
    monitor="min_fde",
)


@dataclass(frozen=True, eq=False)
class Crowd:
    """The pedestrians of one window.

    Parameters
    ----------
    xy : float array [A, 20, 2]
        Metres, 0.4 s apart.
    recording : str
    """

    xy: FloatArray
    recording: str


def crowds(path: PathLike, *, stride: int = 1) -> list[Crowd]:
    """Cut a recording into windows.

    Parameters
    ----------
    path : path-like
        Lines of frame, pedestrian, x and y in metres.
    stride : int >= 1, default 1
        Annotated frames between windows.

    Raises
    ------
    FileFormatError
        If the file does not hold four finite numbers a line.
    """
    try:
        rows = np.loadtxt(path, dtype=np.float64, ndmin=2)
    except (OSError, ValueError) as error:
        raise FileFormatError.at(path, None, f"cannot read pedestrians: {error}") from error
    if rows.size and (rows.shape[1] != 4 or not np.isfinite(rows).all()):
        raise FileFormatError.at(path, None, "every line must hold frame, pedestrian, x and y")
    frames, frame = np.unique(rows[:, 0], return_inverse=True)
    people, person = np.unique(rows[:, 1], return_inverse=True)
    xy = np.full((len(people), len(frames), 2), np.nan)
    xy[person, frame] = rows[:, 2:]
    found = []
    for start in range(0, len(frames) - SEEN - COMING + 1, stride):
        window = xy[:, start : start + SEEN + COMING]
        there = ~np.isnan(window).any(axis=(1, 2))
        if there.sum() >= 2:
            found.append(Crowd(window[there], Path(path).stem))
    return found


def fold_crowds(folder: PathLike, fold: str, part: str) -> list[Crowd]:
    """Read the windows of one fold.

    Parameters
    ----------
    folder : path-like
        With the folders ``all_data``, ``train`` and ``val``.
    fold : str
        One of `FOLDS`.
    part : {"train", "val", "test"}
        "test": the recordings left out, whole; else the customary parts of the others.
    """
    if fold not in FOLDS or part not in ("train", "val", "test"):
        raise InputError(f"a fold must be one of {', '.join(FOLDS)} and its part train, val or test")
    left_out = FOLDS[fold]
    place = Path(folder)
    if part == "test":
        paths = [place / "all_data" / f"{name}.txt" for name in left_out]
    else:
        paths = [
            path for path in sorted((place / part).glob("*.txt")) if path.stem.removesuffix(f"_{part}") not in left_out
        ]
    return [crowd for path in paths for crowd in crowds(path)]


def _scene(xy: FloatArray) -> Scene:
    types = np.full(len(xy), _PEDESTRIAN)
    return Scene("crowd", tuple(range(len(xy))), _UNITS_PER_M * xy, dt=_DT_S, agent_types=types)


def crowd_graph(crowd: Crowd) -> SceneGraph:
    """Build the graph of a window at its last seen frame, with truth."""
    scene = _scene(crowd.xy)
    return with_truth(scene_graph(scene, at_step=SEEN - 1, history=SEEN), scene, SEEN - 1, COMING)


class CrowdBatches:
    """Windows in a new order every epoch: some of them, mirrored or not, at a random scale.

    Parameters
    ----------
    windows : sequence of Crowd
    people : int
        Pedestrians in a batch, about.
    per_epoch : int
        Pedestrians shown in an epoch, about.
    seed : int
    """

    def __init__(self, windows: Sequence[Crowd], people: int = 160, per_epoch: int = 8000, seed: int = 0) -> None:
        self.windows, self.people, self.per_epoch, self.seed = windows, people, per_epoch, seed

    def __len__(self) -> int:
        return -(-self.per_epoch // self.people)

    def __call__(self, epoch: int) -> Iterator[SceneGraph]:
        """Yield the batches of one epoch."""
        rng = np.random.default_rng([self.seed, epoch])
        for _ in range(len(self)):
            graphs: list[SceneGraph] = []
            count = 0
            while count < self.people:
                crowd = self.windows[int(rng.integers(len(self.windows)))]
                scale = np.exp(rng.uniform(-0.3, 0.3)) * np.array([1.0, rng.choice([-1.0, 1.0])])
                graphs.append(crowd_graph(Crowd(crowd.xy * scale, crowd.recording)))
                count += len(crowd.xy)
            yield join_scene_graphs(graphs)


def build_pedestrian_model(*, width: int = 48, depth: int = 2, seed: Seed = 0) -> GraphModel:
    """Build an untrained predictor of 20 futures.

    Examples
    --------
    >>> build_pedestrian_model().head.modes
    20
    """
    for_encoder, for_head = spawn_seeds(seed, 2)
    encoder = Encoder([SCENE_SPEC], width=width, depth=depth, sharing="hard", seed=for_encoder)
    with seeded_parameters(for_head):
        head = TrajectoryHead(width, modes=SAMPLES, horizon=COMING, degree=5, layers=1, dt=_DT_S)
    return GraphModel(encoder, head)


def train_fold(folder: PathLike, fold: str, *, seed: int = 0, config: FitConfig = _FIT) -> GraphModel:
    """Learn from all recordings but those of `fold`; the epoch is chosen on their validation parts.

    Parameters
    ----------
    folder : path-like
        As for `fold_crowds`.
    fold : str
        One of `FOLDS`.
    seed : int, default 0
    config : FitConfig
    """
    train, val = (fold_crowds(folder, fold, part) for part in ("train", "val"))
    rng = numpy_generator(0)
    chosen = [val[int(number)] for number in rng.permutation(len(val))[:120]]
    held = [crowd_graph(crowd) for crowd in chosen]
    model = build_pedestrian_model(seed=seed)
    batches = [join_scene_graphs(held[first : first + 20]) for first in range(0, len(held), 20)]
    fit(model, CrowdBatches(train, seed=seed), val=batches, config=config, seed=seed)
    return model


@torch.inference_mode()
def predict_crowd(model: GraphModel, crowd: Crowd) -> FloatArray:
    """Return 20 futures [A, 20, 12, 2] in metres of the pedestrians of a window."""
    graph = scene_graph(_scene(crowd.xy[:, :SEEN]), history=SEEN)
    output = model(graph)
    if not isinstance(output, Trajectories) or graph.pose is None:
        raise InputError("the model must predict Trajectories")
    path = output.path[:, :-1].double().numpy()
    return to_scene_frame(path, graph.pose.numpy()) / _UNITS_PER_M


def sampled_constant_velocity(
    crowd: Crowd, *, turn_rad: float = np.deg2rad(25.0), log_speed: float = 0.3, seed: Seed = 0
) -> FloatArray:
    """Go on at the last velocity, 20 times with noise on direction and speed.

    After C. Schöller et al. 2020, "What the constant velocity model can teach us", section V; the noise on the speed is
    added here.

    Parameters
    ----------
    crowd : Crowd
    turn_rad : float
        Standard deviation of the direction.
    log_speed : float
        Standard deviation of the logarithm of the speed.
    seed : int or None

    Returns
    -------
    float array [A, 20, 12, 2]
    """
    rng = numpy_generator(seed)
    count = len(crowd.xy)
    last = crowd.xy[:, SEEN - 1]
    step = last - crowd.xy[:, SEEN - 2]
    angle = rng.normal(0.0, turn_rad, (count, SAMPLES))
    factor = np.exp(rng.normal(0.0, log_speed, (count, SAMPLES)))
    cos, sin = factor * np.cos(angle), factor * np.sin(angle)
    turned = np.stack([cos * step[:, :1] - sin * step[:, 1:], sin * step[:, :1] + cos * step[:, 1:]], axis=-1)
    return np.asarray(last[:, None, None] + turned[:, :, None] * np.arange(1, COMING + 1)[:, None])


def best_of(futures: FloatArray, crowd: Crowd) -> FloatArray:
    """Smallest mean and smallest final distance of each pedestrian's futures, array [A, 2] in metres."""
    away = np.hypot(*np.moveaxis(futures - crowd.xy[:, None, SEEN:], -1, 0))
    return np.stack([away.mean(axis=2).min(axis=1), away[:, :, -1].min(axis=1)], axis=1)
