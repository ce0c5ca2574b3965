"""What a route of a rich problem costs as a list of nodes, and whether it may be driven, compiled.

Everything here follows the definitions of `gnnlib.heads.combinatorial.vrp.metrics.plan_route`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba as nb
import numpy as np
import numpy.typing as npt

from gnnlib.heads.combinatorial.kernels.vrp_route import (
    BACKHAUL,
    BODIES,
    CLOSES,
    END,
    EXACT,
    FIXED,
    LASTING,
    MAX_DISTANCE,
    MAX_DURATION,
    OPENS,
    OWN_TIMES,
    PER_DISTANCE,
    PER_DURATION,
    PLACE,
    PLACES,
    PROFILE,
    ROUNDING,
    SERVICE,
    SLACK,
    START,
    TRIPS,
    hop_distance,
    hop_duration,
    last_opening,
    next_opening,
)
from gnnlib.heads.combinatorial.kernels.vrp_strings import as_index

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray, IntArray


__all__ = ["price_sequence"]


@nb.njit(cache=True)
def price_sequence(
    sequence: IntArray,
    count: int,
    kind: int,
    links: npt.NDArray[np.int32],
    nodes: FloatArray,
    kinds: FloatArray,
    caps: FloatArray,
    amounts: FloatArray,
    wins: FloatArray,
    allowed: npt.NDArray[np.bool_],
    partner: IntArray,
    xy: FloatArray,
    far: FloatArray,
    long: FloatArray,
    flags: IntArray,
    scratch: FloatArray,
) -> float:
    """Price of a route given as a list of nodes, or infinity when it must not be driven.

    `scratch` has room for ``count + 1`` travel times.
    """
    profile, rounding = int(kinds[kind, PROFILE]), flags[ROUNDING]
    clock, distance = kinds[kind, OPENS], 0.0
    before = as_index(kinds[kind, START])
    for i in range(count):
        node = sequence[i]
        if not allowed[node, kind]:
            return np.inf
        place = as_index(links[node, PLACE])
        step = hop_distance(xy, far, rounding, profile, before, place)
        lasts = hop_duration(long, profile, before, place) if flags[OWN_TIMES] else step
        distance += step
        scratch[i] = lasts
        clock = next_opening(nodes, wins, node, clock + lasts) + nodes[node, SERVICE]
        if clock == np.inf:
            return np.inf
        before = place
    end = int(kinds[kind, END])
    step = hop_distance(xy, far, rounding, profile, before, end)
    lasts = hop_duration(long, profile, before, end) if flags[OWN_TIMES] else step
    distance += step
    clock += lasts
    if clock > kinds[kind, CLOSES] + SLACK or not distance <= kinds[kind, MAX_DISTANCE] + SLACK or distance == np.inf:
        return np.inf
    if not _loads_fit(sequence, count, kind, kinds, caps, amounts, partner, flags):
        return np.inf
    price = kinds[kind, FIXED] + kinds[kind, PER_DISTANCE] * distance
    if flags[LASTING]:
        latest = clock - lasts
        for i in range(count - 1, -1, -1):
            node = sequence[i]
            latest = last_opening(nodes, wins, node, latest - nodes[node, SERVICE]) - scratch[i]
        duration = clock - max(latest, kinds[kind, OPENS])
        if duration > kinds[kind, MAX_DURATION] + SLACK:
            return np.inf
        price += kinds[kind, PER_DURATION] * duration
    return float(price)


@nb.njit(cache=True)
def _loads_fit(
    sequence: IntArray,
    count: int,
    kind: int,
    kinds: FloatArray,
    caps: FloatArray,
    amounts: FloatArray,
    partner: IntArray,
    flags: IntArray,
) -> bool:
    """Whether the loads of all trips fit, and pairs and backhauls keep to their trip and order.

    Columns of `amounts`: per dimension what is on board from the start of the trip, then per dimension the change of
    the load at the node, then whether it is a pickup. Without exact loads all are totals.
    """
    dimensions = caps.shape[1]
    if flags[EXACT] == 0:
        for q in range(dimensions):
            total = 0.0
            for i in range(count):
                total += amounts[sequence[i], q]
            if total > caps[kind, q] + SLACK:
                return False
    places, bodies = flags[PLACES], flags[BODIES]
    trip, trips = 0, 1
    while trip < count:
        end = trip
        while end < count and sequence[end] < places:
            end += 1
        if flags[EXACT] and not _trip_fits(sequence, trip, end, kind, caps, amounts, partner):
            return False
        if flags[BACKHAUL] and not _stages_fit(sequence, trip, end, amounts):
            return False
        if end < count:
            trips += 1
            if sequence[end] < bodies and trips > kinds[kind, TRIPS]:
                return False
        trip = end + 1
    return True


@nb.njit(cache=True)
def _trip_fits(
    sequence: IntArray, begin: int, end: int, kind: int, caps: FloatArray, amounts: FloatArray, partner: IntArray
) -> bool:
    dimensions = caps.shape[1]
    for q in range(dimensions):
        load = 0.0
        for i in range(begin, end):
            load += amounts[sequence[i], q]
        if load > caps[kind, q] + SLACK:
            return False
        for i in range(begin, end):
            load += amounts[sequence[i], dimensions + q]
            if load > caps[kind, q] + SLACK:
                return False
    for i in range(begin, end):
        if partner[sequence[i]] < 0:
            continue
        together = False
        for j in range(begin, end):
            together = together or sequence[j] == partner[sequence[i]]
        if not together:
            return False
    return True


@nb.njit(cache=True)
def _stages_fit(sequence: IntArray, begin: int, end: int, amounts: FloatArray) -> bool:
    """Whether the deliveries come before the pickups, and there are some."""
    takes = False
    for i in range(begin, end):
        is_pickup = amounts[sequence[i], amounts.shape[1] - 1] > 0.0
        if (takes and not is_pickup) or (i == begin and is_pickup):
            return False
        takes = is_pickup
    return True
