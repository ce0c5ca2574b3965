"""The public door for points, edges and counts: every builder checks its input here, once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from gnnlib.typing import AnyArray, ArrayLike, FloatArray, IntArray

__all__ = ["as_count", "as_edge_index", "as_numpy", "as_points"]

LARGEST_COORDINATE = 1e150
"""Squares of larger coordinates overflow."""

SMALLEST_COORDINATE = 1e-140
"""Smaller magnitudes count as 0, so that two points are at distance 0 only if their coordinates are equal."""


def as_numpy(values: ArrayLike | Tensor) -> AnyArray:
    """Turn an array, a torch tensor on any device or nested lists into a numpy array; shares memory where possible.

    Raises
    ------
    InputError
        If nested lists are ragged.

    Examples
    --------
    >>> as_numpy([[0, 1], [2, 3]]).shape
    (2, 2)
    """
    detach: Any = getattr(values, "detach", None)
    if detach is not None:
        return np.asarray(detach().cpu().numpy())
    try:
        return np.asarray(values)
    except ValueError as error:
        raise InputError(f"expected an array, a tensor or nested lists of one shape: {error}") from error


def as_points(points: ArrayLike | Tensor, *, name: str = "points", min_points: int = 0) -> FloatArray:
    """Check point coordinates and return them as a contiguous float64 array.

    Parameters
    ----------
    points : array or tensor [N, D], D >= 1
        Finite coordinates, at most 1e150 in magnitude (their squares must not overflow). Magnitudes below 1e-140
        count as 0. An empty list is zero points of the plane.
    name : str
        What to call the argument in messages.
    min_points : int, default 0
        Fewest points allowed.

    Returns
    -------
    array [N, D]

    Raises
    ------
    InputError
        If the shape or the dtype is wrong, a coordinate is NaN, infinite or too large, or points are too few.

    Examples
    --------
    >>> as_points([[0, 0], [3, 4]])
    array([[0., 0.],
           [3., 4.]])
    """
    raw = as_numpy(points)
    if raw.ndim == 1 and raw.size == 0:
        raw = raw.reshape(0, 2)
    if raw.ndim != 2 or raw.shape[1] == 0:
        raise InputError(f"`{name}` must have shape [N, D] with one row a point, found shape {list(raw.shape)}")
    if raw.dtype.kind not in "fiub":
        raise InputError(f"`{name}` must hold real numbers, found dtype {raw.dtype}")
    array = np.ascontiguousarray(raw, dtype=np.float64)
    bad = ~(np.abs(array) <= LARGEST_COORDINATE)  # NaN compares false, so it is caught as well
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise InputError(
            f"`{name}` must be finite and at most {LARGEST_COORDINATE:g} in magnitude, "
            f"found {array[row, column]} at point {row}, coordinate {column}"
        )
    if array.shape[0] < min_points:
        raise InputError(f"`{name}` must hold at least {min_points} points, found {array.shape[0]}")
    tiny = np.abs(array) < SMALLEST_COORDINATE
    return np.where(tiny, 0.0, array) if tiny.any() else array


def as_count(value: int, name: str, *, least: int = 1) -> int:
    """Check an integer argument such as a number of neighbours.

    Raises
    ------
    InputError
        If `value` is not an integer or below `least`.

    Examples
    --------
    >>> as_count(5, "k")
    5
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)) or value < least:
        raise InputError(f"`{name}` must be an integer >= {least}, found {value!r}")
    return int(value)


def as_edge_index(edge_index: ArrayLike | Tensor, num_nodes: int | None = None) -> IntArray:
    """Check an edge list and return it as an int64 array [2, E].

    Parameters
    ----------
    edge_index : array or tensor [2, E], integer
        Row 0 sends, row 1 receives. An empty list is no edges.
    num_nodes : int, optional
        Number of nodes N; end points must lie in 0..N-1. When absent they only must not be negative.

    Raises
    ------
    InputError
        If the shape or the dtype is wrong or an end point is out of range.

    Examples
    --------
    >>> as_edge_index([[0, 1], [1, 2]], num_nodes=3)
    array([[0, 1],
           [1, 2]])
    """
    raw = as_numpy(edge_index)
    if raw.size == 0 and raw.ndim <= 2:
        return np.empty((2, 0), dtype=np.int64)
    if raw.ndim != 2 or raw.shape[0] != 2 or raw.dtype.kind not in "iu":
        raise InputError(f"`edge_index` must be integer of shape [2, E], found {raw.dtype} of shape {list(raw.shape)}")
    edges = np.ascontiguousarray(raw, dtype=np.int64)
    bad = (edges < 0) if num_nodes is None else (edges < 0) | (edges >= num_nodes)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        span = "not be negative" if num_nodes is None else f"lie in 0..{num_nodes - 1}"
        raise InputError(f"node numbers in `edge_index` must {span}, found {edges[row, column]} at edge {column}")
    return edges
