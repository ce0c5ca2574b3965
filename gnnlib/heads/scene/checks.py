"""Checks at the door of the scene records: each returns a clean array or raises an `InputError` that names the fault."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import InputError

if TYPE_CHECKING:
    from gnnlib.typing import BoolArray, FloatArray

__all__ = ["float_array", "integer", "looks_like_degrees", "polyline", "positions", "positive"]

_DEGREE_EXTENT = 0.2  # a scene of 20 km in degrees; no two road users stay within 0.2 m of each other


def float_array(name: str, values: Any, shape: tuple[int | None, ...]) -> FloatArray:
    """Return a float64 copy of `values` whose shape is `shape`; None stands for any length."""
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"`{name}` must be a rectangular array of numbers: {error}") from error
    fits = array.ndim == len(shape) and all(
        want is None or want == have for want, have in zip(shape, array.shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise InputError(f"`{name}` must have shape [{wanted}], found {list(array.shape)}")
    return array


def positions(values: Any) -> FloatArray:
    """Return positions [A, T, 2] that are either finite or NaN in both coordinates."""
    array = float_array("xy", values, (None, None, 2))
    bad = np.isinf(array).any(axis=-1) | (np.isnan(array[..., 0]) != np.isnan(array[..., 1]))
    if bad.any():
        row, step = (int(i) for i in np.argwhere(bad)[0])
        raise InputError(
            f"`xy` must be finite, or NaN in both coordinates where an agent is absent; "
            f"found {array[row, step].tolist()} at agent row {row}, step {step}"
        )
    return array


def polyline(name: str, values: Any, least: int = 2) -> FloatArray:
    """Return finite points [P, 2] with P >= `least`."""
    array = float_array(name, values, (None, 2))
    if len(array) < least:
        raise InputError(f"`{name}` needs at least {least} point(s), found {len(array)}")
    bad = ~np.isfinite(array)
    if bad.any():
        place = [int(i) for i in np.argwhere(bad)[0]]
        raise InputError(f"`{name}` must be finite, found {array[tuple(place)]} at index {place}")
    return array


def positive(name: str, value: Any) -> float:
    """Return `value` as a finite float above zero."""
    is_number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not is_number or not 0.0 < float(value) < np.inf:
        raise InputError(f"`{name}` must be a finite number > 0, found {value!r}")
    return float(value)


def integer(name: str, value: Any, least: int, below: int | None = None) -> int:
    """Return `value` as an int with ``least <= value`` and, when given, ``value < below``."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise InputError(f"`{name}` must be an integer, found {value!r}")
    if value < least or (below is not None and value >= below):
        room = f">= {least}" if below is None else f"in {least} .. {below - 1}"
        raise InputError(f"`{name}` must be {room}, found {value}")
    return int(value)


def looks_like_degrees(xy: FloatArray) -> bool:
    """Whether positions [A, T, 2] of several agents look like longitude and latitude instead of metres.

    True when all lie within the range of degrees and the agents together never leave a box of 0.2 by 0.2: in metres
    that is no room for two road users, in degrees it is about 20 km.

    Examples
    --------
    >>> looks_like_degrees(np.array([[[13.38, 52.51]], [[13.39, 52.52]]]))
    True
    >>> looks_like_degrees(np.array([[[13.38, 52.51]], [[19.0, 52.52]]]))
    False
    """
    present: BoolArray = np.asarray(np.isfinite(xy).all(axis=-1))
    if np.count_nonzero(np.any(present, axis=1)) < 2:
        return False
    points = xy[present]
    in_range = bool((np.abs(points[:, 0]) <= 180.0).all() and (np.abs(points[:, 1]) <= 90.0).all())
    return in_range and bool((np.ptp(points, axis=0) < _DEGREE_EXTENT).all())
