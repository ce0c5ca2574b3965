"""Building the roads of a generated scene: lanes, how they connect, the routes through them, who gives way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gnnlib.heads.scene.maps.polylines import headings, resample

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray

__all__ = ["SPACING_M", "Crossing", "RoadLane", "RoadPlan", "Rule"]

#: Distance between the points of a lane while traffic is computed, in metres.
SPACING_M = 0.5


class Rule:
    """Who goes first where two lanes meet, seen from one of them."""

    FIRST = 0  # goes first, but waits for who is already inside
    YIELD = 1  # waits for whoever is near
    IN_TURN = 2  # whoever arrives first goes first


@dataclass
class RoadLane:
    """A lane while it is planned.

    `rank` orders lanes by right of way (higher yields), `group` is its signal, `bulge` lists (share of the length,
    metres to the left) where drivers swerve round an obstacle.
    """

    centre: FloatArray
    width: float
    limit: float
    kind: str = "road"
    group: int = -1
    stops: bool = False
    rank: int = 0
    arm: int = -1
    left: int = -1
    right: int = -1
    opposite: int = -1
    before: list[int] = field(default_factory=list)
    after: list[int] = field(default_factory=list)
    bulge: list[tuple[float, float]] = field(default_factory=list)


@dataclass
class Crossing:
    """A crossing: where pedestrians walk, from `start` to `end` [2], and its width; `group` holds traffic up."""

    start: FloatArray
    end: FloatArray
    width: float
    group: int = -1
    is_drawn: bool = True

    @property
    def polygon(self) -> FloatArray:
        """Corners [4, 2]."""
        along = self.end - self.start
        side = np.array([-along[1], along[0]]) / np.hypot(*along) * self.width / 2.0
        return np.array([self.start + side, self.end + side, self.end - side, self.start - side])


@dataclass
class RoadPlan:
    """Everything about the place of a generated scene that does not move.

    Attributes
    ----------
    lanes : list of RoadLane
    routes : list of lists of lane indices
        Each can be driven from end to end.
    sides : dict from (route, "left" | "right") to route
        Where a lane change leads to; only while on a lane with a neighbour on that side.
    dead_ends : set of routes
        Their last lane ends; one has to change lanes before.
    inflow : dict from route to share of the traffic
    parked : list of (lane, share of its length, metres to the left)
    """

    lanes: list[RoadLane] = field(default_factory=list)
    routes: list[list[int]] = field(default_factory=list)
    sides: dict[tuple[int, str], int] = field(default_factory=dict)
    dead_ends: set[int] = field(default_factory=set)
    inflow: dict[int, float] = field(default_factory=dict)
    crossings: list[Crossing] = field(default_factory=list)
    parked: list[tuple[int, float, float]] = field(default_factory=list)
    groups: int = 0
    in_turn: bool = False
    signalled: bool = False

    def add(self, centre: FloatArray, width: float, limit: float, **details: object) -> int:
        """Add a lane and return its index."""
        lane = RoadLane(resample(np.asarray(centre, dtype=np.float64), SPACING_M), width, limit)
        for name, value in details.items():
            setattr(lane, name, value)
        self.lanes.append(lane)
        return len(self.lanes) - 1

    def connect(self, first: int, second: int) -> None:
        """Let `second` start where `first` ends."""
        self.lanes[first].after.append(second)
        self.lanes[second].before.append(first)

    def beside(self, left: int, right: int) -> None:
        """Make two lanes of the same direction neighbours."""
        self.lanes[left].right = right
        self.lanes[right].left = left

    def route(self, lanes: list[int], share: float = 1.0) -> int:
        """Add a route and return its index."""
        self.routes.append(lanes)
        self.inflow[len(self.routes) - 1] = share
        return len(self.routes) - 1

    def swap(self, left: int, right: int) -> None:
        """Allow lane changes between two routes."""
        self.sides[right, "left"] = left
        self.sides[left, "right"] = right

    def bend(self, curvature: float, rotation_rad: float) -> None:
        """Bend the plane, keeping angles, so that the x axis gets `curvature` (1/m); then turn it.

        The conformal map ``z -> (exp(i k z) - 1) / (i k)`` keeps lanes parallel and crossings square.
        """
        turn = np.exp(1j * rotation_rad)

        def move(points: FloatArray) -> FloatArray:
            z = points[:, 0] + 1j * points[:, 1]
            if abs(curvature) > 1e-9:
                z = (np.exp(1j * curvature * z) - 1.0) / (1j * curvature)
            z = z * turn
            return np.stack([z.real, z.imag], axis=-1)

        for lane in self.lanes:
            lane.centre = resample(move(lane.centre), SPACING_M)
        for crossing in self.crossings:
            crossing.start, crossing.end = move(np.stack([crossing.start, crossing.end]))

    def bounds(self, lane: int) -> tuple[FloatArray, FloatArray]:
        """Left and right bound of a lane at every fourth point."""
        centre = every_fourth(self.lanes[lane].centre)
        angle = headings(centre)
        side = 0.5 * self.lanes[lane].width * np.stack([-np.sin(angle), np.cos(angle)], axis=-1)
        return centre + side, centre - side


def every_fourth(line: FloatArray) -> FloatArray:
    """Every fourth point and the last one."""
    kept = line[::4]
    return kept if (len(line) - 1) % 4 == 0 else np.concatenate([kept, line[-1:]])
