"""Features of residues and of pairs of residues from a C-alpha trace; nothing changes under rigid motions.

A mirror image does change them: local frames and dihedrals have a hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.heads.protein.dssp import STATES8, assign_dssp
from gnnlib.heads.protein.graphs.graph_kernels import EDGE_FEATURES, FAR, edge_features, turn_energies
from gnnlib.heads.protein.graphs.trace import (
    PaddedTrace,
    VirtualBackbone,
    pad_trace,
    steady_trace,
    trace_roughness,
    virtual_backbone,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from gnnlib.typing import FloatArray, IntArray

__all__ = ["EDGE_FEATURES", "NODE_FEATURES", "VIRTUAL_TORSIONS", "TraceFeatures", "trace_features", "trace_frames"]

_REACH = 4
_PAIRS = [(a, b) for a in range(-_REACH, _REACH + 1) for b in range(a + 2, _REACH + 1)] + [(-5, 0), (0, 5)]
_STEP_ANGSTROM = 3.8
_TURNS_FROM = -5

_TORSIONS = len(_PAIRS) + 16 + 7 + 6
NODE_FEATURES = _TORSIONS + 12 + 36 + 10 + 1 + len(STATES8)
"""Numbers that describe a residue, see `TraceFeatures`."""

VIRTUAL_TORSIONS = ((_TORSIONS + 7, _TORSIONS + 1), (_TORSIONS + 10, _TORSIONS + 4))
"""Columns that hold the cosine and the sine of the estimated phi, and of the estimated psi."""


@dataclass(frozen=True)
class TraceFeatures:
    """A trace as features.

    Attributes
    ----------
    node : float32 array [L, NODE_FEATURES]
        CA distances within four residues (scaled), virtual dihedrals (sine, cosine) and angles, bond lengths, estimated
        phi and psi of the residue and its neighbours (sine, cosine), energies of the hydrogen bonds that make turns,
        which neighbours in sequence exist, the roughness of the whole trace, and the DSSP state of the estimated
        backbone (one of eight).
    trace : PaddedTrace
        Of the positions after `steady_trace`, as are all the features.
    backbone : VirtualBackbone
    frames : float64 array [M, 3, 3]
        Of the padded points, rows are the axes.
    segment : int array [L]
    """

    node: npt.NDArray[np.float32]
    trace: PaddedTrace
    backbone: VirtualBackbone
    frames: FloatArray
    segment: IntArray

    @property
    def ca(self) -> FloatArray:
        """Positions [L, 3] that the features describe: those given, made steady where they were noisy."""
        return self.trace.points[self.trace.place]

    def edges(self, edge_index: IntArray) -> npt.NDArray[np.float32]:
        """Return the features [E, EDGE_FEATURES] of edges [2, E], row 0 sending; see `graph_kernels.edge_features`."""
        place = self.trace.place
        sender, receiver = edge_index
        gap = np.where(self.segment[sender] == self.segment[receiver], receiver - sender, FAR)
        found: npt.NDArray[np.float32] = edge_features(
            self.trace.points, self.frames, _atoms(self.backbone), place[sender], place[receiver], gap, self.trace.real
        )
        return found


def trace_features(ca: FloatArray, segment: IntArray, graph: IntArray | None = None) -> TraceFeatures:
    """Describe the residues of a trace, or of several at once.

    Parameters
    ----------
    ca : array [L, 3]
        Positions in angstrom.
    segment : int array [L]
        Number of the unbroken stretch, rising by one from 0.
    graph : int array [L], optional
        Number of the structure that each residue belongs to, non-decreasing; default: one structure.
    """
    given = np.asarray(ca, dtype=np.float64)
    trace = pad_trace(steady_trace(given, segment, graph), segment)
    backbone = virtual_backbone(trace)
    bond = np.sqrt(np.sum((np.roll(trace.points, -1, axis=0) - trace.points) ** 2, axis=1)) - _STEP_ANGSTROM
    dihedral = backbone.dihedral_rad[trace.window(-4, 3)]
    phi, psi = _virtual_torsions(trace, backbone)
    near = trace.window(-1, 1)
    turns = np.concatenate([phi[near], psi[near]], axis=1)
    energy = turn_energies(_atoms(backbone), trace.place, trace.real, _TURNS_FROM)
    exists = trace.real[trace.window(-5, 5)][:, [0, 1, 2, 3, 4, 6, 7, 8, 9, 10]]
    columns = [
        _window_distances(trace),
        np.sin(dihedral),
        np.cos(dihedral),
        2.0 * backbone.angle_cos[trace.window(-3, 3)],
        2.0 * bond[trace.window(-3, 2)],
        np.sin(turns),
        np.cos(turns),
        0.5 * energy,
        1.0 / (1.0 + np.exp(4.0 * (energy + 0.5))),
        exists,
        4.0 * trace_roughness(given, segment, graph)[:, None],
        _virtual_states(trace, backbone, segment, graph),
    ]
    node = np.nan_to_num(np.concatenate(columns, axis=1), nan=0.0, posinf=0.0, neginf=0.0)
    node = np.clip(node, -5.0, 5.0).astype(np.float32)
    return TraceFeatures(node, trace, backbone, trace_frames(trace.points), segment)


def trace_frames(points: FloatArray) -> FloatArray:
    """Return local frames [M, 3, 3] of a trace: rows along the chain, along the bisector, and their cross product."""
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    along = _unit(before + after)
    bisector = after - before
    bisector = _unit(bisector - np.sum(bisector * along, axis=1, keepdims=True) * along)
    return np.stack([along, bisector, np.cross(along, bisector)], axis=1)


def _atoms(backbone: VirtualBackbone) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    return backbone.carbon, backbone.oxygen, backbone.nitrogen, backbone.hydrogen


def _window_distances(trace: PaddedTrace) -> FloatArray:
    """CA distances of the pairs in the window, over what a fully extended chain would have."""
    points = trace.points
    by_gap = {
        gap: 4.0 * np.sqrt(np.sum((np.roll(points, -gap, axis=0) - points) ** 2, axis=1)) / (_STEP_ANGSTROM * gap) - 2.5
        for gap in {b - a for a, b in _PAIRS}
    }
    return np.stack([by_gap[b - a][trace.place + a] for a, b in _PAIRS], axis=1)


def _virtual_torsions(trace: PaddedTrace, backbone: VirtualBackbone) -> tuple[FloatArray, FloatArray]:
    """Phi and psi [M] in radians of the estimated backbone."""
    previous, following = np.roll(backbone.carbon, 1, axis=0), np.roll(backbone.nitrogen, -1, axis=0)
    return (
        _dihedral_rad(previous, backbone.nitrogen, trace.points, backbone.carbon),
        _dihedral_rad(backbone.nitrogen, trace.points, backbone.carbon, following),
    )


def _virtual_states(
    trace: PaddedTrace, backbone: VirtualBackbone, segment: IntArray, graph: IntArray | None
) -> FloatArray:
    """DSSP states [L, 8] of the estimated backbone, zeros and ones."""
    atoms = (backbone.nitrogen, trace.points, backbone.carbon, backbone.oxygen)
    coords = np.stack([atom[trace.place] for atom in atoms], axis=1)
    if graph is not None:  # structures must not bond with each other
        coords[..., 0] += (graph * (2.0 * float(np.abs(trace.points[trace.place]).max()) + 20.0))[:, None]
    letters = np.frombuffer(assign_dssp(coords, segment).encode("ascii"), np.uint8)
    return (letters[:, None] == np.frombuffer(STATES8.encode("ascii"), np.uint8)).astype(np.float64)


def _dihedral_rad(a: Any, b: Any, c: Any, d: Any) -> FloatArray:
    first, second = np.cross(b - a, c - b), np.cross(c - b, d - c)
    sine = np.sum(np.cross(first, second) * _unit(c - b), axis=-1)
    return np.asarray(np.arctan2(sine, np.sum(first * second, axis=-1)))


def _unit(vector: FloatArray) -> FloatArray:
    return vector / np.maximum(np.sqrt(np.einsum("...i,...i->...", vector, vector))[..., None], 1e-9)
