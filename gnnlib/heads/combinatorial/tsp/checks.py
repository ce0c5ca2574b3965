"""Checks at the door of the TSP records: each returns a clean array or raises an `InputError` that names the fault."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from gnnlib.typing import FloatArray, IntArray

__all__ = [
    "as_float_array",
    "distance_matrix",
    "fixed_edges",
    "looks_like_distances",
    "node_names",
    "permutation",
    "points",
    "symmetrised",
]

_ROUNDING = 1e-9


def as_float_array(name: str, values: Any) -> FloatArray:
    """Copy numbers of any container (numpy, torch, pandas, lists) into a C-contiguous float64 array."""
    if hasattr(values, "detach"):  # a torch tensor, on whatever device
        values = values.detach().cpu().numpy()
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise InputError(f"`{name}` must be a rectangular array of numbers; its rows differ in length") from error
    if array.dtype.kind not in "iufb":
        raise InputError(f"`{name}` must hold real numbers, found {type(values).__name__} of dtype {array.dtype}")
    return np.array(array, dtype=np.float64, order="C")


def _first_bad(mask: np.ndarray[Any, np.dtype[np.bool_]]) -> list[int]:
    return [int(i) for i in np.argwhere(mask)[0]]


def points(name: str, values: Any, dimensions: tuple[int, ...], count: int | None = None) -> FloatArray:
    """Return finite points [N, D] with D among `dimensions` and, when given, N == `count`."""
    array = as_float_array(name, values)
    wanted = " or ".join(str(d) for d in dimensions)
    if array.ndim != 2 or array.shape[1] not in dimensions:
        raise InputError(f"`{name}` must have shape [N, {wanted}] here, found {list(array.shape)}")
    if len(array) == 0 or (count is not None and len(array) != count):
        raise InputError(f"`{name}` must hold {count or 'at least 1'} cities, found {len(array)}")
    bad = ~np.isfinite(array)
    if bad.any():
        place = _first_bad(bad)
        raise InputError(f"`{name}` must be finite, found {array[tuple(place)]} at index {place}")
    return array


def distance_matrix(values: Any) -> FloatArray:
    """Return a square matrix with finite entries >= 0 and a zero diagonal."""
    array = as_float_array("matrix", values)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or len(array) == 0:
        raise InputError(f"`matrix` must be square [N, N] with N >= 1, found shape {list(array.shape)}")
    np.fill_diagonal(array, 0.0)  # users and files put 0, 9999 or infinity here
    bad = ~np.isfinite(array)
    if bad.any():
        place = _first_bad(bad)
        raise InputError(
            f"`matrix` must be finite, found {array[tuple(place)]} at index {place}; "
            "for forbidden connections use `TSP.from_networkx`"
        )
    if (array < 0.0).any():
        place = _first_bad(array < 0.0)
        raise InputError(
            f"`matrix` must have no negative entry, found {array[tuple(place)]:g} at index {place}; "
            "adding a constant to all entries leaves the best tour the same"
        )
    if array.max() > np.finfo(np.float64).max / (2 * len(array)):
        raise InputError(f"`matrix` holds {array.max():.3g}, so that tour lengths overflow; scale the entries down")
    return array


def symmetrised(array: FloatArray, symmetric: bool | None) -> FloatArray:  # noqa: FBT001
    """Apply what the caller says about the symmetry of a checked matrix (see `TSP.from_matrix`)."""
    if symmetric is False or np.array_equal(array, array.T):
        return array
    difference = np.abs(array - array.T)
    if difference.max() <= _ROUNDING * array.max():
        return 0.5 * array + 0.5 * array.T
    if symmetric is None:
        return array
    i, j = _first_bad(difference > _ROUNDING * array.max())
    raise InputError(
        f"`matrix` must be symmetric, found {array[i, j]:g} at index [{i}, {j}] and {array[j, i]:g} at [{j}, {i}]; "
        "pass symmetric=False for an asymmetric instance"
    )


def looks_like_distances(array: FloatArray) -> bool:
    """Whether a square array can be a symmetric distance matrix."""
    return bool((np.diagonal(array) == 0.0).all() and (array >= 0.0).all() and np.array_equal(array, array.T))


def permutation(order: Any, count: int) -> IntArray:
    """Return `order` as an int64 array after checking that it visits each of `count` cities once."""
    if hasattr(order, "detach"):
        order = order.detach().cpu().numpy()
    array = np.asarray(order)
    if array.shape != (count,):
        raise InputError(f"`order` must hold {count} cities in one dimension, found shape {list(array.shape)}")
    if array.dtype.kind not in "iu":
        raise InputError(f"`order` must hold integers, found dtype {array.dtype}")
    tour = array.astype(np.int64)
    bad = np.flatnonzero((tour < 0) | (tour >= count))
    if bad.size:
        raise InputError(f"`order` must hold cities 0 .. {count - 1}, found {tour[bad[0]]} at index {bad[0]}")
    visits = np.bincount(tour, minlength=count)
    if (visits != 1).any():
        twice, never = int(np.argmax(visits > 1)), int(np.argmin(visits))
        raise InputError(f"`order` must visit each city once; it visits city {twice} twice and city {never} never")
    return tour


def fixed_edges(edges: Iterable[tuple[int, int]], count: int) -> tuple[tuple[int, int], ...]:
    """Return distinct edges that some tour of `count` cities can contain together."""
    clean: list[tuple[int, int]] = []
    leader = list(range(count))
    degree = [0] * count
    for edge in edges:
        i, j = (int(city) for city in edge)
        if not (0 <= i < count and 0 <= j < count) or i == j:
            raise InputError(f"a fixed edge joins two different cities among 0 .. {count - 1}, found ({i}, {j})")
        if (i, j) in clean or (j, i) in clean:
            raise InputError(f"`fixed_edges` names the edge ({i}, {j}) twice")
        for city in (i, j):
            degree[city] += 1
            if degree[city] > 2:
                raise InputError(f"a tour uses two edges of each city; city {city} has three or more fixed edges")
        clean.append((i, j))
        if _find(leader, i) == _find(leader, j) and len(clean) < count:
            raise InputError(f"`fixed_edges` close a cycle with ({i}, {j}) that leaves cities out; no tour contains it")
        leader[_find(leader, i)] = _find(leader, j)
    return tuple(clean)


def _find(leader: list[int], city: int) -> int:
    while leader[city] != city:
        leader[city] = leader[leader[city]]
        city = leader[city]
    return city


def node_names(names: Iterable[Hashable], count: int) -> tuple[Hashable, ...]:
    """Return as many distinct names as there are cities."""
    clean = tuple(names)
    if len(clean) != count or len(set(clean)) != count:
        raise InputError(f"`node_names` must hold {count} distinct names, found {len(set(clean))} among {len(clean)}")
    return clean
