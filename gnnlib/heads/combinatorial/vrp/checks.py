"""Checks of the arrays that make a vehicle routing problem."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnlib.heads.combinatorial.vrp.vehicles import VehicleType
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["amounts", "as_floats", "client_numbers", "pairs", "vehicle_types", "windows"]


def as_floats(name: str, values: Any) -> FloatArray:
    """Convert to float64, or say what stands in the way."""
    try:
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"`{name}` must be numbers in rows of equal length: {error}") from error


def amounts(name: str, values: Any, shape: tuple[int, ...]) -> FloatArray:
    """Check finite numbers >= 0 of a given shape; None becomes zeros."""
    if values is None:
        return np.zeros(shape)
    array = as_floats(name, values)
    if array.shape != shape:
        raise InputError(f"`{name}` must have shape {list(shape)}, found {list(array.shape)}")
    bad = ~(np.isfinite(array) & (array >= 0.0))
    if bad.any():
        at = np.argwhere(bad)[0].tolist()
        raise InputError(f"`{name}` must be finite and >= 0, found {array[tuple(at)]} for client {at[0] + 1}")
    return array


def windows(name: str, values: Any, count: int) -> FloatArray:
    """Check time windows [count, K, 2]; None becomes always."""
    if values is None:
        return np.tile(np.array([0.0, np.inf]), (count, 1, 1))
    array = as_floats(name, values)
    if array.ndim == 2:
        array = array[:, None]
    if array.ndim != 3 or array.shape[0] != count or array.shape[1] < 1 or array.shape[2] != 2:
        raise InputError(f"`{name}` must have shape [{count}, K, 2], found {list(array.shape)}")
    opening, closing = array[..., 0], array[..., 1]
    absent = np.isnan(opening) & np.isnan(closing)
    inverted = np.any(~absent & ~(opening <= closing), axis=1) | absent[:, 0]
    if inverted.any():
        row = int(np.argmax(inverted))
        raise InputError(f"`{name}` must open before they close, found {array[row].tolist()} in row {row}")
    mingled = np.any(~absent[:, 1:] & ~(opening[:, 1:] > closing[:, :-1]), axis=1)
    if mingled.any():
        row = int(np.argmax(mingled))
        raise InputError(f"`{name}` of one place must follow each other, found {array[row].tolist()} in row {row}")
    return array


def client_numbers(name: str, numbers: Sequence[int], known: range) -> None:
    """Check that all are different and among the client numbers `known`."""
    for number in numbers:
        if number not in known:
            raise InputError(
                f"`{name}` must hold client numbers from {known.start} to {known.stop - 1}, found {number}"
            )
    if len(set(numbers)) != len(numbers):
        raise InputError(f"`{name}` must not hold a client twice, found {list(numbers)}")


def pairs(values: Any, known: range) -> IntArray:
    """Check pickups and deliveries [k, 2]: every client in at most one pair."""
    array = np.array(values, dtype=np.int64).reshape(-1, 2)
    client_numbers("pairs", array.ravel().tolist(), known)
    return array


def vehicle_types(kinds: tuple[VehicleType, ...], num_depots: int, num_profiles: int) -> None:
    """Check that vehicles of the same problem fit it and each other."""
    if not kinds:
        raise InputError("a problem needs at least one vehicle type, found none")
    for number, kind in enumerate(kinds):
        if len(kind.capacity) != len(kinds[0].capacity):
            raise InputError(
                f"all vehicle types must have as many capacities, found {len(kinds[0].capacity)} in type 0 and "
                f"{len(kind.capacity)} in type {number}"
            )
        for name, depot in (("start", kind.start), ("end", kind.end)):
            if depot is not None and depot >= num_depots:
                raise InputError(f"`{name}` of vehicle type {number} must be below {num_depots} depots, found {depot}")
        if kind.profile and kind.profile >= num_profiles:
            raise InputError(f"`profile` of vehicle type {number} must be below {num_profiles}, found {kind.profile}")
