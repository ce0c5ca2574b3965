"""Reader of pedestrian tracks as text: one line a person and frame, ``frame id x y``, as ETH and UCY are spread.

Source of the form: S. Pellegrini et al., *You'll never walk alone*, 2009 (ETH), and A. Lerner et al., *Crowds by
example*, 2007 (UCY), in the world coordinates of the later text files.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gnnlib.errors import FileFormatError
from gnnlib.heads.scene import checks
from gnnlib.heads.scene.formats.io_common import read_bytes, require_metres, stem
from gnnlib.heads.scene.problem import AGENT_TYPES, Scene

if TYPE_CHECKING:
    from gnnlib.typing import PathLike

__all__ = ["read_pedestrians"]

_MOST_STEPS = 200_000


def read_pedestrians(path: PathLike, *, dt: float = 0.4) -> Scene:
    """Read a text file of pedestrian tracks.

    Frames are numbered as in the video; the most common distance between annotated frames becomes one step. Lines may
    come in any order. Headings follow from past moves; there is no map.

    Parameters
    ----------
    path : path-like
        Lines ``frame id x y``, separated by blanks, tabs or commas, in metres; also gzipped.
    dt : float
        Seconds between annotated frames, default 0.4 (2.5 Hz).

    Raises
    ------
    FileFormatError
        ``path:line: ...`` where a line has not four finite numbers, a person is there twice in one frame, or a frame
        lies between the annotated ones; also when the file is empty or the positions look like degrees.
    """
    checks.positive("dt", dt)
    rows, lines = _rows(path)
    frames = np.unique(rows[:, 0])
    gaps = np.diff(frames)
    spacing = 1.0
    if len(gaps):
        values, counts = np.unique(gaps, return_counts=True)
        spacing = float(values[np.argmax(counts)])
    step = (rows[:, 0] - frames[0]) / spacing
    uneven = np.abs(step - np.round(step)) > 1e-6
    if uneven.any():
        bad = int(np.argmax(uneven))
        raise FileFormatError.at(
            path, lines[bad], f"frame {rows[bad, 0]:g} is not a multiple of {spacing:g} frames after the first"
        )
    if step.max() >= _MOST_STEPS:
        raise FileFormatError.at(path, None, f"frames span {step.max():g} steps; the limit is {_MOST_STEPS}")
    people, person = np.unique(rows[:, 1], return_inverse=True)
    at = np.round(step).astype(np.int64)
    cell = person * (int(at.max()) + 1) + at
    order = np.argsort(cell, kind="stable")
    twice = np.flatnonzero(np.diff(cell[order]) == 0)
    if twice.size:
        bad = int(order[twice[0] + 1])
        raise FileFormatError.at(path, lines[bad], f"person {rows[bad, 1]:g} is there twice in frame {rows[bad, 0]:g}")
    xy = np.full((len(people), int(at.max()) + 1, 2), np.nan)
    xy[person, at] = rows[:, 2:4]
    require_metres(xy, path, "persons")
    kind = AGENT_TYPES.index("pedestrian")
    ids = tuple(int(p) if p == round(p) else str(p) for p in people.tolist())
    return Scene(stem(path), ids, xy, dt=dt, agent_types=np.full(len(people), kind))


def _rows(path: PathLike) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.float64]], list[int]]:
    """Numbers [rows, 4] and the line of each."""
    try:
        text = read_bytes(path).decode()
    except UnicodeDecodeError as error:
        raise FileFormatError.at(path, None, f"not a text file: {error}") from error
    rows, lines = [], []
    for line, content in enumerate(text.splitlines(), start=1):
        words = content.replace(",", " ").split()
        if not words or words[0].startswith("#"):
            continue
        try:
            values = [float(word) for word in words]
        except ValueError as error:
            raise FileFormatError.at(path, line, f"expected numbers `frame id x y`: {error}") from error
        if len(values) != 4 or not all(map(math.isfinite, values)):
            raise FileFormatError.at(path, line, f"expected four finite numbers `frame id x y`, found {content!r}")
        rows.append(values)
        lines.append(line)
    if not rows:
        raise FileFormatError.at(path, None, "the file has no line `frame id x y`")
    return np.array(rows), lines
