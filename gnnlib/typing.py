"""Array aliases shared by the whole library (no torch here).

Letters used for sizes everywhere: B graphs, N nodes, E edges, W width, K modes or neighbours, T steps, L residues,
M tasks, A actions.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["ArrayLike", "BoolArray", "FloatArray", "IntArray", "PathLike"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
AnyArray = npt.NDArray[Any]
ArrayLike = npt.ArrayLike
PathLike = str | os.PathLike[str]
