"""Compilation of small functions that are called millions of times a second."""

from __future__ import annotations

import functools

import numba as nb

__all__ = ["leaf_njit"]

leaf_njit = functools.partial(nb.njit, cache=True, _nrt=False)
"""As `numba.njit`, cached, for functions that make no arrays and no views of arrays.

Elsewhere every call counts references to each array that it is given, atomically: a third of the time of a round of
ruin and recreate.
"""
