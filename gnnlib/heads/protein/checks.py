"""Checks at the door of the protein records: each returns a clean array or raises an `InputError` naming the fault."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import InputError

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["as_float_array", "coordinates", "integers", "numbers", "selection", "words"]


def as_float_array(name: str, values: Any) -> FloatArray:
    """Copy numbers of any container (numpy, torch, lists) into a C-contiguous float64 array."""
    if hasattr(values, "detach"):  # a torch tensor, on whatever device
        values = values.detach().cpu().numpy()
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise InputError(f"`{name}` must be a rectangular array of numbers; its rows differ in length") from error
    if array.dtype.kind not in "iuf":
        raise InputError(f"`{name}` must hold real numbers, found {type(values).__name__} of dtype {array.dtype}")
    return np.array(array, dtype=np.float64, order="C")


def coordinates(name: str, array: FloatArray) -> FloatArray:
    """Return positions [L, 3], [L, 4, 3] or [L, 5, 3] with L >= 1, all CA atoms present and no half-known atom."""
    is_trace = array.ndim == 2 and array.shape[1] == 3
    if not is_trace and not (array.ndim == 3 and array.shape[1] in {4, 5} and array.shape[2] == 3):
        raise InputError(
            f"`{name}` must have shape [L, 3] (CA), [L, 4, 3] (N, CA, C, O) or [L, 5, 3] (and CB), "
            f"found {list(array.shape)}"
        )
    if len(array) == 0:
        raise InputError(f"`{name}` must hold at least 1 residue, found none")
    is_finite = np.isfinite(array)
    ca_finite = is_finite if is_trace else is_finite[:, 1]
    if not ca_finite.all():
        bad = ~ca_finite.all(axis=1)
        first = int(np.argmax(bad))
        ca = array if is_trace else array[:, 1]
        raise InputError(
            f"`{name}` must have a finite CA atom in every residue, found {ca[first].tolist()} at residue index "
            f"{first} ({int(bad.sum())} such); leave these residues out"
        )
    if not is_trace:
        x, y, z = is_finite[:, :, 0], is_finite[:, :, 1], is_finite[:, :, 2]
        half = (x != y) | (x != z) | np.isinf(array[:, :, 0])
        if half.any():
            i, atom = (int(k) for k in np.argwhere(half)[0])
            raise InputError(
                f"`{name}` must hold finite positions, or three NaN for a missing atom, "
                f"found {array[i, atom].tolist()} at index [{i}, {atom}]"
            )
    return array


def numbers(name: str, values: Any, count: int) -> FloatArray:
    """Return `count` floats; all NaN when `values` is None."""
    if values is None:
        return np.full(count, np.nan)
    array = as_float_array(name, values)
    if array.shape != (count,):
        raise InputError(f"`{name}` must have shape [{count}], one number a residue, found {list(array.shape)}")
    return array


def integers(name: str, values: Any, count: int) -> IntArray:
    """Return `count` integers; 1 .. `count` when `values` is None."""
    if values is None:
        return np.arange(1, count + 1, dtype=np.int64)
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    array = np.asarray(values)
    if array.dtype.kind not in "iu" or array.shape != (count,):
        raise InputError(f"`{name}` must be {count} integers, found dtype {array.dtype}, shape {list(array.shape)}")
    return array.astype(np.int64)


def words(name: str, values: Any, count: int) -> np.ndarray[Any, np.dtype[np.str_]]:
    """Return `count` strings; all empty when `values` is None."""
    if values is None:
        return np.full(count, "", dtype="<U1")
    array = np.asarray(values)
    if array.dtype.kind != "U" or array.shape != (count,):
        raise InputError(f"`{name}` must be {count} strings, found dtype {array.dtype}, shape {list(array.shape)}")
    return array


def selection(residues: Any, count: int) -> IntArray:
    """Return indices of residues from a mask [count] or from indices."""
    if hasattr(residues, "detach"):
        residues = residues.detach().cpu().numpy()
    array = np.asarray(residues)
    if array.dtype.kind == "b":
        if array.shape != (count,):
            raise InputError(f"a mask of residues must have shape [{count}], found {list(array.shape)}")
        array = np.flatnonzero(array)
    if array.ndim != 1 or array.size == 0 or array.dtype.kind not in "iu":
        raise InputError(f"select at least 1 residue by a mask [{count}] or by indices, found shape {array.shape}")
    bad = (array < 0) | (array >= count)
    if bad.any():
        raise InputError(f"indices of residues are 0 .. {count - 1}, found {array[np.argmax(bad)]}")
    return array.astype(np.int64)
