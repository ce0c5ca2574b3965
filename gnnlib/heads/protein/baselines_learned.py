"""The learned baseline of the backbone head: a perceptron on 109 numbers of the C-alpha trace, one residue at a time.

What a graph network must beat: the same labels and the same traces, but no message passing, no estimated hydrogen bonds.
It trains in about a minute on one core and ships no weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from gnnlib.errors import InputError
from gnnlib.heads.protein.graphs.graph_features import trace_frames
from gnnlib.heads.protein.graphs.trace import pad_trace, trace_segment
from gnnlib.heads.protein.structure_models import BackbonePrediction
from gnnlib.seeding import spawn_seeds, torch_generator

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from gnnlib.heads.protein.chains import TrainingChain
    from gnnlib.seeding import Seed
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["WINDOW_FEATURES", "TraceMLP", "fit_trace_mlp", "window_features"]

_PAIRS = [(a, b) for a in range(-4, 5) for b in range(a + 2, 5)] + [(-6, 0), (-5, 0), (0, 5), (0, 6)]
_STEPS, _ANGLES, _DIHEDRALS = range(-2, 2), range(-3, 4), range(-4, 4)
_NEIGHBOURS, _NEAR_SEQUENCE = 5, 3
_EMPTY_ANGSTROM = 20.0

WINDOW_FEATURES = len(_PAIRS) + len(_STEPS) + len(_ANGLES) + 2 * len(_DIHEDRALS) + 10 * _NEIGHBOURS
"""109: see `window_features`."""


def window_features(ca: FloatArray, segment: IntArray) -> FloatArray:
    """Describe each residue by its window and its nearest neighbours in space.

    Parameters
    ----------
    ca : array [L, 3]
        Positions in angstrom.
    segment : int array [L]
        Number of the unbroken stretch.

    Returns
    -------
    array [L, 109]
        32 CA distances within the window of nine residues and to the fifth and sixth neighbours, 4 bond lengths, 7
        virtual angles (cosine), 8 virtual dihedrals (sine, cosine); of the 5 nearest residues more than three away in
        sequence: distance, distances of the neighbours of both, logarithm of the sequence distance, direction in the
        local frame, cosine between the two chains' directions, scaled to about 1; 0 where there is none.

    Examples
    --------
    >>> window_features(np.arange(30.0).reshape(10, 3), np.zeros(10, int)).shape
    (10, 109)
    """
    trace = pad_trace(np.asarray(ca, dtype=np.float64), segment)
    points, place = trace.points, trace.place

    def between(a: IntArray, b: IntArray) -> FloatArray:
        return np.asarray(np.sqrt(np.sum((points[a] - points[b]) ** 2, axis=-1)))

    windows = np.stack([between(place + a, place + b) / (3.0 * (b - a)) - 1.0 for a, b in _PAIRS], axis=1)
    steps = np.stack([between(place + a, place + a + 1) - 3.8 for a in _STEPS], axis=1)
    angles = np.stack([_cosine(points, place + a) for a in _ANGLES], axis=1)
    dihedrals = np.stack([_dihedral_rad(points, place + a) for a in _DIHEDRALS], axis=1)
    near = _neighbours(trace.points[place], segment)
    columns = [windows, steps, angles, np.sin(dihedrals), np.cos(dihedrals)]
    frames = trace_frames(points)
    for slot in range(_NEIGHBOURS):
        other = near[:, slot]
        there = (other >= 0)[:, None]
        mate = place[np.maximum(other, 0)]
        direct = between(place, mate)
        cross = [between(place + a, mate + b) / 10.0 - 1.0 for a in (-1, 1) for b in (-1, 1)]
        apart = np.where(segment == segment[np.maximum(other, 0)], np.log1p(np.abs(other - np.arange(len(ca)))), 6.0)
        toward = (
            np.einsum("lij,lj->li", frames[place], points[mate] - points[place]) / np.maximum(direct, 1e-6)[:, None]
        )
        along = np.sum(frames[place, 0] * frames[mate, 0], axis=1)
        found = np.stack([direct / 10.0 - 1.0, *cross, apart / 3.0 - 1.0, *toward.T, along], axis=1)
        columns.append(np.where(there, found, 0.0))
    return np.clip(np.nan_to_num(np.concatenate(columns, axis=1), nan=0.0, posinf=0.0, neginf=0.0), -4.0, 4.0)


def _neighbours(ca: FloatArray, segment: IntArray) -> IntArray:
    """Nearest residues more than three away in sequence [L, 5], -1 where there are fewer within 20 A."""
    k = min(len(ca), _NEIGHBOURS + 2 * _NEAR_SEQUENCE + 1)
    distance, near = cKDTree(ca).query(ca, k=k, distance_upper_bound=_EMPTY_ANGSTROM)
    distance, near = np.reshape(distance, (len(ca), k)), np.reshape(near, (len(ca), k))
    own = np.arange(len(ca))[:, None]
    inside = np.minimum(near, len(ca) - 1)
    close = (np.abs(near - own) <= _NEAR_SEQUENCE) & (segment[inside] == segment[own])
    distance = np.where(close | (near == own), np.inf, distance)
    order = np.argsort(distance, axis=1, kind="stable")[:, :_NEIGHBOURS]
    chosen = np.where(np.isfinite(np.take_along_axis(distance, order, 1)), np.take_along_axis(near, order, 1), -1)
    return np.pad(chosen, ((0, 0), (0, _NEIGHBOURS - chosen.shape[1])), constant_values=-1)


def _cosine(points: FloatArray, place: IntArray) -> FloatArray:
    u, v = points[place - 1] - points[place], points[place + 1] - points[place]
    size = np.sqrt(np.sum(u * u, axis=1) * np.sum(v * v, axis=1))
    return np.asarray(np.sum(u * v, axis=1) / np.maximum(size, 1e-9))


def _dihedral_rad(points: FloatArray, place: IntArray) -> FloatArray:
    before, axis, after = (points[place + a + 1] - points[place + a] for a in (-1, 0, 1))
    first, second = np.cross(before, axis), np.cross(axis, after)
    length = np.maximum(np.sqrt(np.sum(axis * axis, axis=1)), 1e-9)
    return np.asarray(
        np.arctan2(np.sum(np.cross(first, second) * axis, axis=1) / length, np.sum(first * second, axis=1))
    )


@dataclass(frozen=True, eq=False)
class TraceMLP:
    """A fitted perceptron; `fit_trace_mlp` makes one.

    Attributes
    ----------
    network : torch.nn.Module
        109 numbers to 8 logits and two directions.
    """

    network: torch.nn.Module

    def predict(self, ca: FloatArray, chain: IntArray | None = None) -> BackbonePrediction:
        """Predict states and torsions of a trace, as `structure_models.predict_backbone` does."""
        import torch

        features = window_features(ca, trace_segment(np.asarray(ca, dtype=np.float64), chain))
        with torch.inference_mode():
            output = self.network(torch.from_numpy(features.astype(np.float32))).double()
        angle = torch.atan2(output[:, [9, 11]], output[:, [8, 10]]).rad2deg().numpy()
        return BackbonePrediction(output[:, :8].softmax(dim=1).numpy(), angle[:, 0], angle[:, 1])


def fit_trace_mlp(
    chains: Sequence[TrainingChain], *, epochs: int = 12, hidden: int = 160, noise_share: float = 0.5, seed: Seed = 0
) -> TraceMLP:
    """Fit the perceptron.

    Parameters
    ----------
    chains : sequence of TrainingChain
        With states; torsions are learned where there is a backbone.
    epochs : int, default 12
        Passes over all residues.
    hidden : int, default 160
        Units of each of the two hidden layers.
    noise_share : float in [0, 1], default 0.5
        Share of the chains that are shown a second time with noise of up to 1 A.
    seed : int or None, default 0
        Of weights, noise and order.

    Raises
    ------
    InputError
        If there is no chain.
    """
    import torch
    from torch import nn

    from gnnlib.encoder import seeded_parameters

    if not chains:
        raise InputError("`chains` must hold at least one chain, found none")
    for_weights, for_data, for_order = spawn_seeds(seed, 3)
    x, state, torsion = _training_rows(chains, noise_share, np.random.default_rng(for_data))
    with seeded_parameters(for_weights):
        network = nn.Sequential(
            nn.Linear(WINDOW_FEATURES, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, 12)
        )
    rows = 512
    steps = -(-len(x) // rows)
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=epochs * steps)
    generator = torch_generator(for_order)
    for _ in range(epochs):
        for chosen in torch.randperm(len(x), generator=generator).split(rows):
            optimiser.zero_grad()
            _loss(network(x[chosen]), state[chosen], torsion[chosen]).backward()
            optimiser.step()
            schedule.step()
    return TraceMLP(network.eval())


def _training_rows(
    chains: Sequence[TrainingChain], noise_share: float, random: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    import torch

    from gnnlib.heads.protein.training.backbone_batches import label_chain

    features, states, torsions = [], [], []
    for chain in chains:
        trace = label_chain(chain)
        levels = [0.0] + [float(random.uniform(0.0, 1.0))] * bool(random.random() < noise_share)
        for level in levels:
            ca = trace.ca + level * random.standard_normal(trace.ca.shape)
            features.append(window_features(ca, trace_segment(ca)).astype(np.float32))
            states.append(trace.state)
            torsions.append(trace.torsion_rad)
    return (
        torch.from_numpy(np.concatenate(features)),
        torch.from_numpy(np.concatenate(states)),
        torch.from_numpy(np.concatenate(torsions)),
    )


def _loss(output: torch.Tensor, state: torch.Tensor, torsion: torch.Tensor) -> torch.Tensor:
    import torch
    from torch.nn import functional as F

    total = F.cross_entropy(output[:, :8], state, ignore_index=-1)
    unit = F.normalize(output[:, 8:].unflatten(1, (2, 2)), dim=-1, eps=1e-4)
    known = torch.isfinite(torsion)
    angle = torch.where(known, torsion, 0.0)
    cosine = unit[..., 0] * angle.cos() + unit[..., 1] * angle.sin()
    chord = (2.0 - 2.0 * cosine + 1e-4).sqrt()
    return total + (chord * known).sum() / known.sum().clamp(min=1)
