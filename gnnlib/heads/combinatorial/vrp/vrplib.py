"""Instances in VRPLIB format: the keywords of CVRPLIB and those that PyVRP's collection adds for richer problems."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.tsplib_text import TSPLIB, Dialect, Section, TsplibText, parse_tsplib
from gnnlib.heads.combinatorial.vrp.problem import VRP, Group, VehicleType
from gnnlib.heads.combinatorial.vrp.travel import CONVENTIONS, Travel

if TYPE_CHECKING:
    from gnnlib.heads.combinatorial.vrp.travel import Convention
    from gnnlib.typing import FloatArray, PathLike

__all__ = ["USUAL", "VRPLIB", "read_vrplib"]

VRPLIB = Dialect(
    specification=(*TSPLIB.specification, "VEHICLES", "SERVICE_TIME", "VEHICLES_MAX_DURATION", "DISTANCE"),
    sections=(
        *TSPLIB.sections,
        "SERVICE_TIME_SECTION",
        "TIME_WINDOW_SECTION",
        "PRIZE_SECTION",
        "BACKHAUL_SECTION",
        "CAPACITY_SECTION",
        "MUTUALLY_EXCLUSIVE_GROUP_SECTION",
        "VEHICLES_DEPOT_SECTION",
        "VEHICLES_FIXED_COST_SECTION",
        "VEHICLES_UNIT_DISTANCE_COST_SECTION",
    ),
)

#: What the best known solutions of each type of problem count by: the convention, and what their costs are divided by.
USUAL = {
    "CVRP": ("round", 1.0),
    "HFVRP": ("exact", 100.0),
    "VRPB": ("round", 1.0),
    "GVRP": ("round", 1.0),
    "VRPTW": ("dimacs", 10.0),
    "PCVRPTW": ("dimacs", 1.0),
    "MDVRPTW": ("milli", 1.0),
}


def read_vrplib(path: PathLike, convention: str | None = None) -> VRP:
    """Read an instance in VRPLIB format.

    Parameters
    ----------
    path : path-like
    convention : str, optional
        A key of `CONVENTIONS`; costs are then reported in the units of the file. Default: see `USUAL`.
    """
    text = parse_tsplib(path, VRPLIB)
    kind = text.choice("TYPE", tuple(USUAL))
    rule = CONVENTIONS[convention or USUAL[kind][0]]
    size = text.dimension()
    if size is None or size < 2:
        raise text.fault("DIMENSION", f"DIMENSION must be at least 2, found {size or 'nothing'}")
    depots = _depots(text, size)
    windows = _column(text, "TIME_WINDOW_SECTION", size, 2)
    hours = None if windows is None else rule.scale * windows[:, None]
    demand = _column(text, "DEMAND_SECTION", size, 1)
    backhaul = _column(text, "BACKHAUL_SECTION", size, 1)
    prize = _column(text, "PRIZE_SECTION", size, 1)
    service = _column(text, "SERVICE_TIME_SECTION", size, 1)
    if service is None:
        service = np.full((size, 1), _value(text, "SERVICE_TIME", 0.0))
    try:
        return VRP(
            _travel(text, size, rule),
            _vehicles(text, size - depots, depots, rule),
            num_depots=depots,
            delivery=None if demand is None else demand[depots:],  # type: ignore[arg-type]
            pickup=None if backhaul is None else backhaul[depots:],  # type: ignore[arg-type]
            service_time=rule.scale * service[depots:, 0],
            windows=None if hours is None else hours[depots:],  # type: ignore[arg-type]
            depot_windows=None if hours is None else hours[:depots],  # type: ignore[arg-type]
            prize=None if prize is None else rule.scale * prize[depots:, 0],  # type: ignore[arg-type]
            groups=_groups(text, depots),
            backhaul=backhaul is not None,
            cost_scale=rule.scale if convention else USUAL[kind][1],
            name=text.get("NAME"),
            comment="\n".join(text.comments),
        )
    except InputError as error:
        raise text.fault("TYPE", str(error)) from error


def _value(text: TsplibText, keyword: str, default: float) -> float:
    if keyword not in text.values:
        return default
    try:
        value = float(text.get(keyword))
    except ValueError as error:
        raise text.fault(keyword, f"{keyword} must be a number, found {text.get(keyword)!r}") from error
    if not (math.isfinite(value) and value >= 0.0):
        raise text.fault(keyword, f"{keyword} must be finite and >= 0, found {value}")
    return value


def _rows(section: Section, size: int, columns: int) -> FloatArray:
    """Rows ``number value ...`` with the numbers 1 .. size in order; returns the values [size, columns]."""
    values = section.numbers()
    if len(values) != size * (1 + columns):
        raise section.wrong_count(f"{size} rows of {1 + columns} numbers", f"{len(values)} numbers")
    table = values.reshape(size, 1 + columns)
    wrong = np.flatnonzero(table[:, 0] != np.arange(1, size + 1))
    if len(wrong):
        row = int(wrong[0])
        raise section.fault(f"expected row {row + 1}, found {table[row, 0]:g}", section.line_of(row * (1 + columns)))
    if not np.isfinite(table).all():
        at = int(np.argmin(np.isfinite(values)))
        raise section.fault(f"expected a finite number, found {values[at]}", section.line_of(at))
    return table[:, 1:]


def _column(text: TsplibText, keyword: str, size: int, columns: int) -> FloatArray | None:
    return _rows(text.sections[keyword], size, columns) if keyword in text.sections else None


def _travel(text: TsplibText, size: int, rule: Convention) -> Travel:
    text.choice("EDGE_WEIGHT_TYPE", ("EUC_2D",))
    coords = _column(text, "NODE_COORD_SECTION", size, 2)
    if coords is None:
        raise text.fault("NODE_COORD_SECTION", "expected a NODE_COORD_SECTION, found none")
    return Travel(rule.scale * coords, rule.rounding)


def _depots(text: TsplibText, size: int) -> int:
    """Return the number of depots, which must be the first nodes."""
    section = text.sections.get("DEPOT_SECTION")
    numbers = [] if section is None else [number for number in section.integers() if number != -1]
    if section is None:
        raise text.fault("DEPOT_SECTION", "expected a DEPOT_SECTION, found none")
    if not numbers or numbers != list(range(1, len(numbers) + 1)) or len(numbers) >= size:
        raise section.fault(f"the depots must be the first nodes, found {numbers[:5]}")
    return len(numbers)


def _vehicles(text: TsplibText, clients: int, depots: int, rule: Convention) -> tuple[VehicleType, ...]:
    """Join vehicles that are alike and follow each other into types."""
    count = int(_value(text, "VEHICLES", clients * depots))
    columns: dict[str, Any] = {
        "capacity": _column(text, "CAPACITY_SECTION", count, 1),
        "start": _column(text, "VEHICLES_DEPOT_SECTION", count, 1),
        "fixed_cost": _column(text, "VEHICLES_FIXED_COST_SECTION", count, 1),
        "distance_cost": _column(text, "VEHICLES_UNIT_DISTANCE_COST_SECTION", count, 1),
    }
    duration = rule.scale * _value(text, "VEHICLES_MAX_DURATION", math.inf)
    distance = rule.scale * _value(text, "DISTANCE", math.inf)
    capacity = _value(text, "CAPACITY", math.inf)
    kinds = []
    for number in range(count):
        given = {name: float(column[number, 0]) for name, column in columns.items() if column is not None}
        depot = int(given.get("start", 1.0)) - 1
        kinds.append(
            VehicleType(
                1,
                (given.get("capacity", capacity),),
                start=depot,
                end=depot,
                # costs of these files are not scaled with the distances
                fixed_cost=rule.scale * given.get("fixed_cost", 0.0),
                distance_cost=given.get("distance_cost", 1.0),
                max_duration=duration,
                max_distance=distance,
            )
        )
    return tuple(_with_count(kind, len(list(alike))) for kind, alike in groupby(kinds))


def _with_count(kind: VehicleType, count: int) -> VehicleType:
    return replace(kind, count=count)


def _groups(text: TsplibText, depots: int) -> tuple[Group, ...]:
    section = text.sections.get("MUTUALLY_EXCLUSIVE_GROUP_SECTION")
    if section is None:
        return ()
    groups = []
    for line, number in zip(section.lines, section.line_numbers, strict=True):
        words = line.split()
        if not all(word.isdecimal() for word in words) or len(words) < 2:
            raise section.fault(f"expected the group's number and its nodes, found {line[:40]!r}", number)
        members = tuple(int(word) - 1 for word in words[1:])
        if min(members) < depots:
            raise section.fault("a depot cannot be in a group", number)
        groups.append(Group(members))
    return tuple(groups)
