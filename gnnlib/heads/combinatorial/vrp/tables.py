"""Instances that are bare tables of numbers: Solomon, Li and Lim, Cordeau."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gnnlib.errors import FileFormatError
from gnnlib.heads.combinatorial.vrp.problem import VRP, VehicleType
from gnnlib.heads.combinatorial.vrp.travel import CONVENTIONS, Travel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnlib.typing import FloatArray, PathLike

__all__ = ["read_cordeau", "read_li_lim", "read_solomon"]


def _numbers(path: PathLike, lines: Sequence[str], first: int, columns: int) -> FloatArray:
    """Read the filled lines from index `first` on as rows of `columns` numbers."""
    rows = []
    for number, line in enumerate(lines[first:], start=first + 1):
        if not line:
            continue
        words = line.split()
        if len(words) != columns:
            raise FileFormatError.at(path, number, f"expected {columns} numbers, found {len(words)}")
        rows.append(_row(path, number, words))
    if len(rows) < 2:
        raise FileFormatError.at(path, None, "expected a depot and at least one client; is the file truncated?")
    return np.array(rows)


def _row(path: PathLike, number: int, words: Sequence[str]) -> list[float]:
    try:
        row = [float(word) for word in words]
    except ValueError as error:
        raise FileFormatError.at(path, number, f"expected numbers, found {' '.join(words)!r}") from error
    if not all(math.isfinite(value) for value in row):
        raise FileFormatError.at(path, number, f"expected finite numbers, found {' '.join(words)!r}")
    return row


def read_solomon(path: PathLike, lines: Sequence[str], convention: str) -> VRP:
    """Read the format of M. Solomon (1987): name, ``VEHICLE``, ``CUSTOMER``, rows of seven numbers."""
    filled = [index for index, line in enumerate(lines) if line]
    if len(filled) < 6 or lines[filled[4]].split()[:1] != ["CUSTOMER"]:
        raise FileFormatError.at(path, None, "expected `VEHICLE`, its number and capacity, then `CUSTOMER`")
    words = lines[filled[3]].split()
    if len(words) != 2:
        raise FileFormatError.at(path, filled[3] + 1, f"expected number and capacity of the vehicles, found {words}")
    count, capacity = _row(path, filled[3] + 1, words)
    table = _numbers(path, lines, filled[5] + 1, 7)
    rule = CONVENTIONS[convention]
    return VRP(
        Travel(rule.scale * table[:, 1:3], rule.rounding),
        (VehicleType(int(count), (capacity,)),),
        delivery=table[1:, 3:4],
        windows=rule.scale * table[1:, None, 4:6],
        service_time=rule.scale * table[1:, 6],
        depot_windows=rule.scale * table[:1, None, 4:6],
        cost_scale=rule.scale,
        name=lines[filled[0]],
    )


def read_li_lim(path: PathLike, lines: Sequence[str], convention: str) -> VRP:
    """Read the format of Li and Lim (2001): vehicles, capacity, speed; rows of nine numbers with the partner's number."""
    first = next(index for index, line in enumerate(lines) if line)
    count, capacity, _ = _row(path, first + 1, lines[first].split())
    table = _numbers(path, lines, first + 1, 9)
    rule = CONVENTIONS[convention]
    clients = table[1:]
    partner = clients[:, 8].astype(np.int64)
    sources = np.flatnonzero(partner > 0)
    if (partner > len(clients)).any():
        row = int(np.argmax(partner > len(clients)))
        raise FileFormatError.at(path, None, f"task {row + 1} is delivered to {partner[row]}, which is not in the file")
    if (clients[partner[sources] - 1, 7].astype(np.int64) != sources + 1).any():
        raise FileFormatError.at(path, None, "pickups and deliveries must name each other")
    pairs = np.stack([sources + 1, partner[sources]], axis=1)
    demand = clients[:, 3:4]
    return VRP(
        Travel(rule.scale * table[:, 1:3], rule.rounding),
        (VehicleType(int(count), (capacity,)),),
        delivery=np.maximum(-demand, 0.0),
        pickup=np.maximum(demand, 0.0),
        windows=rule.scale * clients[:, None, 4:6],
        service_time=rule.scale * clients[:, 6],
        depot_windows=rule.scale * table[:1, None, 4:6],
        pairs=pairs,
        cost_scale=rule.scale,
        name=Path(path).name.split(".")[0],
    )


def read_cordeau(path: PathLike, lines: Sequence[str], convention: str) -> VRP:
    """Read the multi-depot format of Cordeau, Gendreau and Laporte (1997): limits a depot, clients, depots."""
    filled = [(number, line.split()) for number, line in enumerate(lines, start=1) if line]
    kind, vehicles, clients, depots = (int(value) for value in _row(path, *filled[0]))
    if kind != 2:
        raise FileFormatError.at(path, filled[0][0], f"expected problem type 2 (multi-depot), found {kind}")
    if len(filled) != 1 + depots + clients + depots:
        raise FileFormatError.at(
            path,
            filled[-1][0],
            f"expected {depots} limits, {clients} clients and {depots} depots, found {len(filled) - 1} lines",
        )
    limits = [_row(path, *line)[:2] for line in filled[1 : 1 + depots]]
    rows = [_row(path, *line) for line in filled[1 + depots :]]
    short = next((i for i, row in enumerate(rows) if len(row) < 5), None)
    if short is not None:
        raise FileFormatError.at(path, filled[1 + depots + short][0], "expected at least five numbers")
    table = np.array([row[:5] for row in [*rows[clients:], *rows[:clients]]])
    rule = CONVENTIONS[convention]
    return VRP(
        Travel(rule.scale * table[:, 1:3], rule.rounding),
        tuple(
            VehicleType(
                vehicles,
                (capacity,),
                start=depot,
                end=depot,
                max_duration=rule.scale * duration if duration > 0.0 else math.inf,
            )
            for depot, (duration, capacity) in enumerate(limits)
        ),
        num_depots=depots,
        delivery=table[depots:, 4:5],
        service_time=rule.scale * table[depots:, 3],
        cost_scale=rule.scale,
        name=Path(path).name.split(".")[0],
    )
