"""Maps of the globe for plots: great circles on an equal-area projection, cut where the map is cut.

A map of a region is equirectangular; a map of the world is in the Equal Earth projection of B. Savric, T. Patterson and
B. Jenny, *The Equal Earth map projection* (2018), equations 1 to 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray

__all__ = ["WorldMap", "great_circles"]

_WORLD_SPAN = 140.0  # degrees of longitude from which a map counts as one of the world
_A1, _A2, _A3, _A4 = 1.340264, -0.081106, 0.000893, 0.003796


def great_circles(starts: FloatArray, ends: FloatArray, samples: int) -> FloatArray:
    """Points along the shortest way over the globe between pairs of places.

    Parameters
    ----------
    starts, ends : array [E, 2]
        Latitude and longitude in degrees.
    samples : int >= 2
        Points on each way, its ends included, evenly spaced.

    Returns
    -------
    array [E, samples, 2]
        Latitude and longitude in degrees, the longitude within [-180, 180].

    Examples
    --------
    >>> way = great_circles(np.array([[0.0, 0.0]]), np.array([[0.0, 90.0]]), 3)
    >>> way.round(6).tolist()
    [[[0.0, 0.0], [0.0, 45.0], [0.0, 90.0]]]
    """
    start, end = _vectors(starts), _vectors(ends)
    angle = np.arctan2(np.linalg.norm(np.cross(start, end), axis=-1), np.sum(start * end, axis=-1))[:, None]
    share = np.linspace(0.0, 1.0, samples)
    # the limit of sin(t * angle) / sin(angle) for places that coincide; opposite places have no unique shortest way
    sine = np.sin(angle)
    tiny = sine < 1e-9
    safe = np.where(tiny, 1.0, sine)
    back = np.where(tiny, 1.0 - share, np.sin((1.0 - share) * angle) / safe)
    forth = np.where(tiny, share, np.sin(share * angle) / safe)
    way = back[..., None] * start[:, None, :] + forth[..., None] * end[:, None, :]
    latitude = np.arctan2(way[..., 2], np.hypot(way[..., 0], way[..., 1]))
    longitude = np.arctan2(way[..., 1], way[..., 0])
    return np.rad2deg(np.stack([latitude, longitude], axis=-1))


def _vectors(places: FloatArray) -> FloatArray:
    latitude, longitude = np.deg2rad(places[:, 0]), np.deg2rad(places[:, 1])
    return np.stack(
        [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)], axis=-1
    )


@dataclass(frozen=True)
class WorldMap:
    """A map of a part of the globe, or of all of it.

    Parameters
    ----------
    centre : float
        Longitude in degrees at the middle of the map; the map is cut on the opposite meridian.
    is_world : bool
        Whether the whole globe is shown (Equal Earth) or a region (equirectangular).
    scale : float
        Length of a degree of longitude over that of a degree of latitude on a map of a region.

    Examples
    --------
    >>> WorldMap.around(np.array([[59.3, 18.1], [55.7, 12.6], [60.2, 24.9]])).is_world
    False
    """

    centre: float = 0.0
    is_world: bool = True
    scale: float = 1.0

    @classmethod
    def around(cls, places: FloatArray) -> Self:
        """Return a map that shows `places` [N, 2] (latitude, longitude) and is cut where fewest of them are near."""
        longitude = np.sort(np.mod(places[:, 1], 360.0))
        gaps = np.diff(longitude, append=longitude[0] + 360.0)
        widest = int(np.argmax(gaps))
        cut = longitude[widest] + gaps[widest] / 2.0
        centre = (cut + 180.0 + 180.0) % 360.0 - 180.0
        if 360.0 - gaps[widest] > _WORLD_SPAN:
            return cls(centre=float(np.round(centre / 15.0) * 15.0))
        middle = float(np.deg2rad((places[:, 0].min() + places[:, 0].max()) / 2.0))
        return cls(centre=float(centre), is_world=False, scale=max(float(np.cos(middle)), 0.1))

    def project(self, places: FloatArray) -> FloatArray:
        """Turn latitude and longitude [..., 2] in degrees into positions [..., 2] on the map.

        Examples
        --------
        >>> WorldMap(centre=10.0).project(np.array([0.0, 10.0])).tolist()
        [0.0, 0.0]
        """
        return self._flatten(places[..., 0], self._relative(places[..., 1]))

    def _relative(self, longitude: FloatArray) -> FloatArray:
        return np.asarray(np.mod(longitude - self.centre + 180.0, 360.0) - 180.0)

    def _flatten(self, latitude: FloatArray, relative: FloatArray) -> FloatArray:
        if not self.is_world:
            return np.stack([self.scale * relative, latitude + 0.0 * relative], axis=-1)
        theta = np.arcsin(np.sqrt(3.0) / 2.0 * np.sin(np.deg2rad(latitude)))
        square = theta * theta
        sixth = square**3
        width = 3.0 * (_A1 + 3.0 * _A2 * square + sixth * (7.0 * _A3 + 9.0 * _A4 * square))
        x = 2.0 * np.sqrt(3.0) * np.deg2rad(relative) * np.cos(theta) / width
        y = theta * (_A1 + _A2 * square + sixth * (_A3 + _A4 * square))
        return np.stack([x, y + 0.0 * x], axis=-1)

    def lines(self, starts: FloatArray, ends: FloatArray, samples: int = 32) -> list[FloatArray]:
        """Great circles between pairs of places as polylines on the map, in two pieces where they cross its cut.

        Parameters
        ----------
        starts, ends : array [E, 2]
            Latitude and longitude in degrees.
        samples : int >= 2
            Points on each line.

        Returns
        -------
        list of arrays [P, 2]
            At least one a pair, in the order of the pairs.
        """
        ways = great_circles(starts, ends, samples)
        relative = self._relative(ways[..., 1])
        jumps = np.abs(np.diff(relative, axis=1)) > 180.0
        pieces: list[FloatArray] = []
        for edge, latitude in enumerate(ways[..., 0]):
            pieces += self._cut(latitude, relative[edge], (np.flatnonzero(jumps[edge]) + 1).tolist())
        return pieces

    def _cut(self, latitude: FloatArray, relative: FloatArray, places: list[int]) -> list[FloatArray]:
        pieces = []
        begin_latitude, begin_relative = np.zeros(0), np.zeros(0)
        first = 0
        for place in places:
            side = np.sign(relative[place - 1]) or 1.0
            before, after = side * relative[place - 1], side * relative[place] + 360.0
            share = (180.0 - before) / (after - before)
            height = np.array([(1.0 - share) * latitude[place - 1] + share * latitude[place]])
            pieces.append(
                self._flatten(
                    np.concatenate([begin_latitude, latitude[first:place], height]),
                    np.concatenate([begin_relative, relative[first:place], [side * 180.0]]),
                )
            )
            begin_latitude, begin_relative, first = height, np.array([-side * 180.0]), place
        pieces.append(
            self._flatten(
                np.concatenate([begin_latitude, latitude[first:]]), np.concatenate([begin_relative, relative[first:]])
            )
        )
        return pieces

    def meridian(self, longitude: float, south: float = -90.0, north: float = 90.0) -> FloatArray:
        """Return a line of equal longitude as a polyline [P, 2]."""
        latitude = np.linspace(south, north, 91)
        return self._flatten(latitude, np.full(91, self._relative(np.array(longitude))))

    def parallel(self, latitude: float, west: float = -180.0, east: float = 180.0) -> FloatArray:
        """Return a line of equal latitude as a polyline [P, 2], from `west` to `east` degrees off the centre."""
        relative = np.linspace(west, east, 121)
        return self._flatten(np.full(121, latitude), relative)

    def outline(self) -> FloatArray:
        """Return the edge of a map of the world as a closed polyline [P, 2]."""
        latitude = np.linspace(-90.0, 90.0, 181)
        east = self._flatten(latitude, np.full(181, 180.0))
        west = self._flatten(latitude[::-1], np.full(181, -180.0))
        return np.concatenate([east, west, east[:1]])
