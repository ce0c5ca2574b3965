"""Delaunay triangulation of any point set, also where it degenerates to a line or to a point."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import Delaunay, QhullError, cKDTree

from gnnlib.errors import InputError
from gnnlib.graphs.edges import sorted_edges
from gnnlib.graphs.points import as_points

if TYPE_CHECKING:
    from torch import Tensor

    from gnnlib.typing import ArrayLike, FloatArray, IntArray

__all__ = ["delaunay_graph"]

_FLAT = 1e-12
"""Extent of a dimension, relative to the largest one, below which it is rounding noise."""


def delaunay_graph(points: ArrayLike | Tensor) -> IntArray:
    """Join the points whose cells touch: the edges of the Delaunay triangulation.

    In the plane it has fewer than 3 N undirected edges and contains the nearest-neighbour graph, a minimum spanning
    tree, and the Gabriel graph [1]_.

    Parameters
    ----------
    points : array or tensor [N, D], D >= 1
        Coordinates.

    Returns
    -------
    int64 array [2, E]
        Row 0 sends, row 1 receives; both directions, sorted by receiver, then sender.

    Raises
    ------
    InputError
        If `points` has a wrong shape or non-finite values.

    Notes
    -----
    The points are triangulated inside the smallest flat that holds them: points on a line become a path, two points an
    edge, one point no edge. Of coincident points the first one takes part; the others hang on it. Where four or more
    points lie on one empty circle, one of the valid triangulations is returned. Computed by Qhull [2]_.

    References
    ----------
    .. [1] F. P. Preparata and M. I. Shamos (1985), Computational Geometry, Springer, chapters 5 and 6.
    .. [2] C. B. Barber, D. P. Dobkin and H. Huhdanpaa (1996), The Quickhull algorithm for convex hulls, ACM TOMS 22(4).

    Examples
    --------
    >>> delaunay_graph([[0, 0], [1, 1], [2, 2]])
    array([[1, 0, 2, 1],
           [0, 1, 1, 2]])
    """
    coords = as_points(points)
    num = coords.shape[0]
    if num < 2:
        return np.empty((2, 0), dtype=np.int64)
    sites, first, site = np.unique(coords, axis=0, return_index=True, return_inverse=True)
    site = site.ravel()
    a, b = _triangulate(sites)
    duplicates = np.flatnonzero(first[site] != np.arange(num))
    sender = np.concatenate([first[a], duplicates])
    receiver = np.concatenate([first[b], first[site[duplicates]]])
    return sorted_edges(sender, receiver, num, symmetric=True)


def _triangulate(sites: FloatArray) -> tuple[IntArray, IntArray]:
    """Return the end points of the Delaunay edges of distinct points, each edge at least once."""
    flat = _flatten(sites)
    if flat.shape[1] <= 1:
        order = np.argsort(flat[:, 0], kind="stable") if flat.size else np.arange(len(flat))
        return order[:-1], order[1:]
    try:
        mesh = Delaunay(flat)
    except QhullError as error:
        raise InputError(
            f"`points` cannot be triangulated in double precision: they span {flat.shape[1]} dimensions barely; "
            "drop the dimension that carries only noise"
        ) from error
    pairs = [mesh.simplices[:, list(pair)] for pair in combinations(range(flat.shape[1] + 1), 2)]
    if mesh.coplanar.size:  # too close to others to take part: they hang on their nearest vertex and nearest neighbour
        left_out = mesh.coplanar[:, 0]
        near = np.asarray(cKDTree(flat).query(flat[left_out], k=2)[1])
        nearest = np.where(near[:, 0] == left_out, near[:, 1], near[:, 0])
        pairs += [mesh.coplanar[:, [0, 2]], np.stack([left_out, nearest], axis=1)]
    ends = np.concatenate(pairs).astype(np.int64)
    return ends[:, 0], ends[:, 1]


def _flatten(sites: FloatArray) -> FloatArray:
    """Shift and scale to unit size, and turn into as few dimensions as hold the points: [N, rank]."""
    middle = sites.min(axis=0) / 2 + sites.max(axis=0) / 2
    centred = sites - middle
    extent = np.abs(centred).max()
    if extent == 0.0:
        return np.empty((len(sites), 0))
    centred /= extent
    noise = max(_FLAT, 4 * np.finfo(np.float64).eps * np.abs(sites).max() / extent)
    _, sizes, axes = np.linalg.svd(centred - centred.mean(axis=0), full_matrices=False)
    rank = int((sizes > noise * sizes[0]).sum())
    return centred if rank == sites.shape[1] else centred @ axes[:rank].T
