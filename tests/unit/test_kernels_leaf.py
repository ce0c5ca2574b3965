"""Functions that are called millions of times a second are compiled without counting references."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba as nb
import numpy as np
import pytest

from gnnlib.heads.combinatorial.kernels.leaf import leaf_njit
from gnnlib.heads.combinatorial.kernels.vrp_cvrp_moves import take_out

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray

_LINKS, _ROWS, _STATE = nb.uint32[:, ::1], nb.float64[:, ::1], nb.int64[::1]
_TAKE_OUT = (_LINKS, _ROWS, _ROWS, _ROWS, _STATE, nb.int64, nb.int64)


def test_a_leaf_counts_no_references() -> None:
    counts = {}
    for name, compiled in (("usual", nb.njit(take_out.py_func)), ("leaf", leaf_njit(take_out.py_func, cache=False))):
        compiled.compile(_TAKE_OUT)
        counts[name] = compiled.inspect_llvm(_TAKE_OUT).count("NRT_incref")
    assert counts["usual"] > 0
    assert counts["leaf"] == 0


def test_a_leaf_must_not_make_arrays() -> None:
    @leaf_njit(cache=False)
    def make(count: int) -> FloatArray:
        return np.zeros(count)

    with pytest.raises(nb.core.errors.NumbaError):
        make(3)


def test_moves_of_routes_are_leaves() -> None:
    assert take_out.targetoptions["_nrt"] is False
