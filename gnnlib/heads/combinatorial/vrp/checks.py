"""Checks of the arrays that make a vehicle routing problem."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnlib.heads.combinatorial.vrp.problem import Group
    from gnnlib.heads.combinatorial.vrp.vehicles import VehicleType
    from gnnlib.typing import BoolArray, FloatArray, IntArray

__all__ = [
    "LARGEST",
    "amounts",
    "as_floats",
    "client_numbers",
    "group_members",
    "paired_loads",
    "pairs",
    "required_clients",
    "vehicle_types",
    "windows",
]

#: Largest amount, coordinate or finite distance. Sums of many of them are still exact to a part in a thousand of one.
LARGEST = 1e12


def as_floats(name: str, values: Any) -> FloatArray:
    """Convert to float64, or say what stands in the way."""
    try:
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"`{name}` must be numbers in rows of equal length: {error}") from error


def amounts(name: str, values: Any, shape: tuple[int, ...], first: int = 1) -> FloatArray:
    """Check finite numbers >= 0 of a given shape, a row a client from `first` on; None becomes zeros."""
    if values is None:
        return np.zeros(shape)
    array = as_floats(name, values)
    if array.shape != shape:
        raise InputError(f"`{name}` must have shape {list(shape)}, found {list(array.shape)}")
    bad = ~(np.isfinite(array) & (array >= 0.0))
    if bad.any():
        at = np.argwhere(bad)[0].tolist()
        raise InputError(f"`{name}` must be finite and >= 0, found {array[tuple(at)]} for client {at[0] + first}")
    large = array > LARGEST
    if large.any():
        at = np.argwhere(large)[0].tolist()
        raise InputError(f"`{name}` must be at most {LARGEST:g}, found {array[tuple(at)]:g} for client {at[0] + first}")
    return array


def windows(name: str, values: Any, count: int, place: str, first: int) -> FloatArray:
    """Check time windows [count, K, 2] of ``place`` `first`, `first` + 1, ...; None becomes always."""
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
        raise InputError(f"`{name}` must open before they close, found {array[row].tolist()} for {place} {row + first}")
    mingled = np.any(~absent[:, 1:] & ~(opening[:, 1:] > closing[:, :-1]), axis=1)
    if mingled.any():
        row = int(np.argmax(mingled))
        raise InputError(
            f"`{name}` of one place must follow each other, found {array[row].tolist()} for {place} {row + first}"
        )
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
    array = as_floats("pairs", values)
    if array.size == 0:
        return np.zeros((0, 2), np.int64)
    if array.ndim != 2 or array.shape[1] != 2 or not (array == np.floor(array)).all():
        raise InputError(f"`pairs` must be whole numbers of shape [k, 2], found shape {list(array.shape)}")
    numbers = array.astype(np.int64)
    client_numbers("pairs", numbers.ravel().tolist(), known)
    return numbers


def paired_loads(couples: IntArray, delivery: FloatArray, pickup: FloatArray, first: int) -> None:
    """Check that what is picked up at the first client of a pair is delivered at the second, and nothing else."""
    for source, target in couples.tolist():
        taken, brought = pickup[source - first], delivery[target - first]
        if not np.array_equal(taken, brought):
            raise InputError(
                f"`pickup` of client {source} must be the `delivery` of client {target}, its partner; found "
                f"{taken.tolist()} and {brought.tolist()}"
            )
        if delivery[source - first].any() or pickup[target - first].any():
            raise InputError(
                f"client {source} of a pair only picks up and client {target} only delivers; found a delivery of "
                f"{delivery[source - first].tolist()} and a pickup of {pickup[target - first].tolist()}"
            )


def group_members(groups: Sequence[Group], known: range) -> BoolArray:
    """Check that every client is in at most one group; return who is in one [n]."""
    grouped = np.zeros(len(known), bool)
    for number, group in enumerate(groups):
        if not group.clients:
            raise InputError(f"`groups` must not be empty, found no client in group {number}")
        client_numbers("groups", group.clients, known)
        rows = np.array(group.clients, np.int64) - known.start
        if grouped[rows].any():
            twice = group.clients[int(np.argmax(grouped[rows]))]
            raise InputError(f"a client may be in one group only, found client {twice} in two")
        grouped[rows] = True
    return grouped


def required_clients(values: Any, grouped: BoolArray, prize: FloatArray, first: int) -> BoolArray:
    """Check who must be served; None becomes all but those in groups and those with a prize."""
    if values is None:
        return (prize == 0.0) & ~grouped
    if np.shape(values) != prize.shape:
        raise InputError(f"`required` must have shape [{len(prize)}], found {list(np.shape(values))}")
    required = np.array(values, dtype=bool)
    if (required & grouped).any():
        client = int(np.argmax(required & grouped)) + first
        raise InputError(f"client {client} is in a group, so it cannot be required; make the group required")
    return required


def vehicle_types(kinds: tuple[VehicleType, ...], num_depots: int, num_profiles: int) -> None:
    """Check that vehicles of the same problem fit it and each other."""
    if not kinds:
        raise InputError("a problem needs at least one vehicle type, found none")
    if not any(kind.count for kind in kinds):
        raise InputError("a problem needs at least one vehicle; `count` is 0 in all vehicle types")
    for number, kind in enumerate(kinds):
        if len(kind.capacity) != len(kinds[0].capacity):
            raise InputError(
                f"all vehicle types must have as many capacities, found {len(kinds[0].capacity)} in type 0 and "
                f"{len(kind.capacity)} in type {number}"
            )
        for name, depot in (("start", kind.start), ("end", kind.end)):
            if depot is not None and depot >= num_depots:
                raise InputError(f"`{name}` of vehicle type {number} must be below {num_depots} depots, found {depot}")
        for depot in kind.reload_depots:
            if depot >= num_depots:
                raise InputError(
                    f"`reload_depots` of vehicle type {number} must be below {num_depots} depots, found {depot}"
                )
        if kind.profile and kind.profile >= num_profiles:
            raise InputError(f"`profile` of vehicle type {number} must be below {num_profiles}, found {kind.profile}")
